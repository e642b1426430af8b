"""Nothing that HiGHS prints reaches standard output."""

import ctypes
import os

import pytest

from etf_trader.solver.highs import quiet


def test_what_the_solver_prints_is_dropped_and_what_others_print_is_kept(
    capfd: pytest.CaptureFixture[str],
) -> None:
    c_library = ctypes.CDLL(None)
    with quiet():
        c_library.puts(b"HighsMipSolverData::transformNewIntegerFeasibleSolution tmpSolver.run();")
        os.write(1, b"a line of ours\n")
    os.write(1, b"and after\n")
    assert capfd.readouterr().out == "a line of ours\nand after\n"


def test_an_error_inside_gives_the_stream_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), quiet():
        _ = 1 / 0
    os.write(1, b"still here\n")
    assert capfd.readouterr().out == "still here\n"
