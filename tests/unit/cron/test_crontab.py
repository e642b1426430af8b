"""One marked line goes in and out of a crontab; every other byte stays."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.cron.crontab import Crontab, is_served, marked, other_lines, with_line, without_line
from etf_trader.cron.job import Job
from etf_trader.errors import EtfError

MINE, OTHER = Job(Path("/p"), Path("/a"), Path("/a/etf.toml")), Job(Path("/p"), Path("/b"), Path("/b/etf.toml"))
CRONTABS = st.lists(
    st.binary(max_size=20).map(lambda each: each.replace(b"\n", b"\r"))
    | st.sampled_from([b"MAILTO=me", b"# note", b"5 4 * * * echo 100\\%", OTHER.line("11").encode(), b""]),
    max_size=6,
).map(b"\n".join)


@given(CRONTABS)
def test_install_adds_one_line_twice_adds_it_once_and_remove_takes_it_out(text: bytes) -> None:
    once = with_line(text, MINE.mark, MINE.line("11"))
    whole = text if not text or text.endswith(b"\n") else text + b"\n"
    assert once == whole + MINE.line("11").encode() + b"\n"
    assert with_line(once, MINE.mark, MINE.line("11")) == once
    assert without_line(once, MINE.mark) == whole
    assert marked(text, MINE.mark) is None and without_line(text, MINE.mark) == text


@given(CRONTABS, CRONTABS)
def test_another_line_takes_the_place_of_the_old_one_wherever_it_stands(before: bytes, after: bytes) -> None:
    text = before + b"\n" + MINE.line("11").encode() + b"\n" + after
    expected = before + b"\n" + MINE.line("11,41").encode() + b"\n" + after
    found = with_line(text, MINE.mark, MINE.line("11,41"))
    assert found in (expected, expected + b"\n")
    assert without_line(found, MINE.mark).startswith(before + b"\n" + after)


def test_a_line_that_was_copied_or_switched_off_becomes_one_that_runs() -> None:
    line = MINE.line("11")
    text = f"#{line}\n# note\n{line}\n".encode()
    found = marked(text, MINE.mark)
    assert found is not None and not found.is_on and found.cron == "11 * * * *"
    assert with_line(text, MINE.mark, line) == f"{line}\n# note\n".encode()
    assert without_line(text, MINE.mark) == b"# note\n"


def test_the_lines_of_other_configurations_are_known_and_left_alone() -> None:
    text = with_line(with_line(b"", OTHER.mark, OTHER.line("11")), MINE.mark, MINE.line("11"))
    assert other_lines(text, MINE.mark) == [OTHER.line("11")]
    assert without_line(text, MINE.mark) == f"{OTHER.line('11')}\n".encode()


def test_installing_two_at_the_same_time_loses_neither(tmp_path: Path) -> None:
    program = tmp_path / "crontab"
    program.write_text(
        f"#!/bin/sh\nfile={tmp_path}/kept\n"
        'case $1 in -l) cat "$file"; sleep 0.05 ;; -) cat > "$file" ;; -r) : > "$file" ;; esac\n'
    )
    program.chmod(0o755)
    (tmp_path / "kept").touch()
    crontab = Crontab(str(program))
    jobs = [Job(Path("/p"), Path(f"/{number}"), None) for number in range(4)]
    with ThreadPoolExecutor() as pool:
        for job in jobs:
            change = partial(with_line, mark=job.mark, line=job.line("11"))
            pool.submit(crontab.change, change, tmp_path / "state" / "lock")
    assert sorted(crontab.read().decode().splitlines()) == sorted(job.line("11") for job in jobs)
    for job in jobs:
        crontab.change(partial(without_line, mark=job.mark), tmp_path / "state" / "lock")
    assert crontab.read() == b""


def test_a_crontab_that_keeps_something_else_than_it_was_given_is_told(tmp_path: Path) -> None:
    program = tmp_path / "crontab"
    program.write_text("#!/bin/sh\n[ $1 != -l ] || echo '# other'\n")
    program.chmod(0o755)
    with pytest.raises(EtfError, match="it reads otherwise"):
        Crontab(str(program)).change(lambda text: text + b"x\n", tmp_path / "lock")


def test_a_cron_service_is_seen_among_the_processes(tmp_path: Path) -> None:
    assert is_served(tmp_path / "nothing to see")
    for number, name in enumerate(["init", "sh"]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "comm").write_text(f"{name}\n")
    assert not is_served(tmp_path)
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "comm").write_text("cron\n")
    assert is_served(tmp_path)
