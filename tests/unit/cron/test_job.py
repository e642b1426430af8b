"""The line in the crontab: what cron and the shell make of it is what was meant."""

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cron.parsed import command_of

from etf_trader.cron.job import LONGEST_LINE, Job, minutes_for, next_run
from etf_trader.errors import UsageError

NO_OFFSET = timedelta(0)
PYTHON = Path("/opt/venv/bin/python")
NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="\\/") | st.just(" "), min_size=1)


def job(folder: str = "/home/me/fund", **environment: str) -> Job:
    return Job(PYTHON, Path(folder), Path(folder) / "etf.toml", environment)


def test_the_line_is_short_marked_and_holds_no_variable_that_was_not_set() -> None:
    line = job().line("11")
    assert line == (
        "11 * * * * cd /home/me/fund && /opt/venv/bin/python -P -m etf_trader --config /home/me/fund/etf.toml "
        f"--quiet schedule run # etf-trader schedule {job().id}"
    )


@given(NAMES, NAMES)
def test_whatever_a_folder_is_called_the_shell_gets_its_name(folder: str, data: str) -> None:
    made = Job(PYTHON, Path("/x") / folder, Path("/x") / folder / "etf.toml", {"XDG_DATA_HOME": f"/d/{data}"})
    try:
        line = made.line("11,41")
    except UsageError:
        assert len(made.shell_words(*made.run).encode()) > LONGEST_LINE - 200
        return
    fields, command = command_of(line)
    assert next(CronSim(fields, datetime(2024, 2, 29, 23, 59, tzinfo=UTC))) == datetime(
        2024, 3, 1, 0, 11, tzinfo=UTC
    )
    cd, target, then, env, carried, *rest = shlex.split(command, comments=True)
    assert (cd, target, then, env) == ("cd", str(made.folder), "&&", "/usr/bin/env")
    assert carried == f"XDG_DATA_HOME=/d/{data}"
    assert rest == [*made.etf, *made.run]
    assert line.endswith(made.mark)


@pytest.mark.parametrize("name", ["back\\slash", "two\nlines", "bell\a"])
def test_a_name_that_crons_read_differently_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot stand in a crontab"):
        job(f"/home/{name}").line("11")


def test_only_a_line_that_was_agreed_to_says_yes_to_real_money() -> None:
    live = Job(PYTHON, Path("/a"), Path("/a/etf.toml"), is_live=True)
    assert live.line("11").endswith(f" --quiet schedule run --yes {live.mark}")
    assert "--yes" not in job("/a").line("11") and job("/a").mark == live.mark


def test_a_line_longer_than_cron_takes_is_refused() -> None:
    with pytest.raises(UsageError, match="cron takes 990"):
        job("/" + "a" * 600).line("11")


def test_each_configuration_has_its_own_mark_wherever_its_interpreter_is() -> None:
    assert job("/a").mark != job("/b").mark
    assert job("/a").id == Job(Path("/usr/bin/python3"), Path("/a"), Path("/a/etf.toml")).id
    assert Job(PYTHON, Path("/a"), None).id != job("/a").id


@pytest.mark.parametrize(
    ("calendars", "offset", "minutes"),
    [
        ([], NO_OFFSET, "11"),
        (["10 0 1 * *"], NO_OFFSET, "11"),
        (["10 0 1 * *", "59 6 * * 1", "10 12 * * 1"], NO_OFFSET, "0,11"),
        (["10 0 1 * *"], timedelta(hours=5, minutes=30), "41"),
        (["10 0 1 * *"], timedelta(hours=-3, minutes=-30), "41"),
        (["*/5 * * * *"], NO_OFFSET, "1,6,11,16,21,26,31,36,41,46,51,56"),
        (["* * * * *"], NO_OFFSET, "*/5"),
    ],
    ids=["no index", "monthly", "three", "half an hour east", "half an hour west", "many", "always"],
)
def test_it_runs_every_hour_one_minute_after_those_that_the_calendars_name(
    calendars: list[str], offset: timedelta, minutes: str
) -> None:
    assert minutes_for(calendars, offset) == minutes


def test_the_next_run_is_told_of_any_five_fields() -> None:
    last = datetime(2024, 12, 31, 23, 41, tzinfo=UTC)
    assert next_run("11,41 * * * *", last) == datetime(2025, 1, 1, 0, 11, tzinfo=UTC)
    assert next_run("*/5 * * * *", last) == datetime(2024, 12, 31, 23, 45, tzinfo=UTC)
    assert next_run("11 6 * * *", last) == datetime(2025, 1, 1, 6, 11, tzinfo=UTC)
    assert next_run("@daily", last) is None
    assert next_run("61 * * * *", last) is None
