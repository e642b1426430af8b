"""`etf schedule`: the line in the crontab, and what cron makes of it."""

import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.acceptance.crontabs import OwnCrontab
from tests.acceptance.shell import SECONDS, Shell
from tests.unit.cron.parsed import command_of

OTHERS = "MAILTO=me\n# mine\n5 4 * * *  echo 100\\%\n"


@pytest.fixture
def own(tmp_path: Path) -> OwnCrontab:
    """Return a crontab of this test's own."""
    return OwnCrontab(tmp_path / "bin")


@pytest.fixture
def odd(made_folder: Path, tmp_path: Path) -> Shell:
    """Return a folder after `etf init` whose name shells and crons read in their own ways."""
    folder = tmp_path / "50% of 'my' $HOME"
    shutil.copytree(made_folder, folder, ignore=shutil.ignore_patterns("home"))
    return Shell(folder)


def started_bare(command: str) -> "subprocess.CompletedProcess[str]":
    """Start a command as cron does: by sh, from home, with hardly a variable."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    bare = {"HOME": home, "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "LOGNAME": "me"}
    return subprocess.run(
        ["/bin/sh", "-c", command],
        env=bare,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_installing_twice_leaves_one_line_and_removing_leaves_what_was_there(made: Shell, own: OwnCrontab) -> None:
    own.file.write_text(OTHERS)
    first = made.etf("schedule", "install", **own.environment)
    assert first.code == 0 and "Installed: cron runs etf rebalance --due at minute" in first.out, first.err
    installed = own.file.read_text()
    again = made.etf("schedule", "install", "--json", **own.environment)
    assert again.document["changed"] is False and again.document["current"] is True
    assert own.file.read_text() == installed == OTHERS + again.document["line"] + "\n"
    assert again.document["indices"][0]["calendar"] == "10 0 1 * *"
    assert made.etf("schedule", "remove", **own.environment).out.startswith("Removed")
    assert own.file.read_text() == OTHERS
    nothing = made.etf("schedule", "remove", **own.environment)
    assert nothing.code == 0 and "Nothing to remove" in nothing.out


def test_two_folders_have_a_line_each_and_what_was_empty_is_gone_again(
    made: Shell, odd: Shell, own: OwnCrontab
) -> None:
    first, second = own.line_of(made), own.line_of(odd)
    assert own.file.read_text() == f"{first}\n{second}\n"
    shown = made.etf("schedule", "show", **own.environment)
    assert "1 line of another configuration" in shown.out
    made.etf("schedule", "remove", **own.environment)
    assert own.file.read_text() == f"{second}\n"
    odd.etf("schedule", "remove", **own.environment)
    assert not own.file.exists()


def test_the_line_does_what_is_due_once_and_then_nothing_started_as_cron_starts_it(
    odd: Shell, own: OwnCrontab
) -> None:
    fields, command = command_of(own.line_of(odd))
    minutes, *rest = fields.split()
    assert minutes.isdecimal() and rest == ["*"] * 4
    odd.ok("exchange", "advance", "28d")
    before = odd.etf("schedule", "show", **own.environment).out
    assert "due now, since 2026-02-01 00:10" in before
    first, second = started_bare(command), started_bare(command)
    assert (first.returncode, first.stdout, second.returncode, second.stdout) == (0, "", 0, ""), first.stderr
    shown = odd.etf("schedule", "show", "--json", **own.environment).document
    assert [index["due"] for index in shown["indices"]] == [None]
    assert shown["indices"][0]["next_at"] == "2026-03-01T00:10:00Z"
    assert [(run["state"], run["exit"]) for run in shown["runs"]] == [("ended", 0)] * 2
    assert shown["runs"][0]["said"] == "Nothing is due." and "TOP8" in shown["runs"][1]["said"]
    log = Path(shown["log"])
    assert log.stat().st_mode & 0o777 == 0o600 and "ended: exit 0" in log.read_text()
    assert datetime.fromisoformat(shown["next_run"]) - datetime.now(UTC) <= timedelta(hours=1)


def test_a_run_that_fails_is_printed_and_told_with_its_exit_code(made: Shell, own: OwnCrontab) -> None:
    made.run("DROP TABLE rebalance_leg")
    made.run("DROP TABLE rebalance")
    run = made.etf("-q", "schedule", "run")
    assert run.code == 1 and "not of this version" in run.out and "Exit code 1" in run.out


def test_a_line_that_somebody_switched_off_or_that_is_out_of_date_is_told_and_renewed(
    made: Shell, own: OwnCrontab
) -> None:
    line = own.line_of(made)
    own.file.write_text(f"# {line}\n")
    assert "Switched off" in made.etf("schedule", "show", **own.environment).out
    minutes = line.partition(" ")[0]
    for fields, said in (
        ("59 * * * *", "at minute 59 of"),
        ("1 6 * * *", "at '1 6 * * *'"),
        ("@daily", "'@daily'"),
    ):
        own.file.write_text(line.replace(f"{minutes} * * * *", fields, 1) + "\n")
        shown = made.etf("schedule", "show", **own.environment).out
        assert "out of date" in shown and said in shown
    assert own.line_of(made) == line and own.file.read_text() == f"{line}\n"


def test_a_run_that_finds_another_at_work_does_nothing_and_says_so(made: Shell, own: OwnCrontab) -> None:
    log = Path(made.etf("schedule", "show", "--json", **own.environment).document["log"])
    log.parent.mkdir(parents=True)
    with log.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = made.etf("schedule", "run")
        assert run.code == 0 and "Another run is still at work" in run.out
        assert made.etf("-q", "schedule", "run").out == ""
    assert "skipped: another was at work" in made.etf("schedule", "show", **own.environment).out


def test_without_cron_there_is_one_sentence_and_a_timer_for_systemd(made: Shell, tmp_path: Path) -> None:
    nowhere = {"PATH": str(tmp_path / "nothing")}
    refused = made.etf("schedule", "install", **nowhere)
    assert refused.code == 1 and "this system has no crontab" in refused.err and "--systemd" in refused.err
    shown = made.etf("schedule", "show", **nowhere)
    assert shown.code == 0 and "Install cron" in shown.out
    assert made.etf("schedule", "remove", **nowhere).code == 1
    units = made.etf("schedule", "install", "--systemd", **nowhere)
    assert units.code == 0 and "OnCalendar=*-*-* *:" in units.out and "schedule" in units.out
    assert [each["name"][-6:] for each in made.json("schedule", "install", "--systemd")["units"]] == [
        "ervice",
        ".timer",
    ]


def test_a_crontab_that_may_not_be_used_is_told_and_left(made: Shell, own: OwnCrontab) -> None:
    own.file.write_text(OTHERS)
    own.fail("You (me) are not allowed to use this program (crontab)")
    for word in ("install", "remove"):
        answer = made.etf("schedule", word, **own.environment)
        assert answer.code == 1 and "not allowed to use this program" in answer.err
    assert "not allowed" in made.etf("schedule", "show", **own.environment).out
    assert own.file.read_text() == OTHERS


def test_what_cron_would_not_know_is_refused_and_nothing_is_written(
    made: Shell, empty: Shell, own: OwnCrontab
) -> None:
    answer = made.etf("schedule", "install", ETF_HOLDER="anna", **own.environment)
    assert answer.code == 4 and "cron would not know of it" in answer.err and "etf config set holder" in answer.err
    assert empty.etf("schedule", "install", **own.environment).code == 4
    assert not own.file.exists()
    odd = Shell(empty.folder / "back\\slash")
    shutil.copytree(made.folder, odd.folder)
    answer = odd.etf("schedule", "install", **own.environment)
    assert answer.code == 2 and "cannot stand in a crontab" in answer.err
    assert not own.file.exists()


def test_real_money_is_asked_about_and_keys_of_the_shell_are_told_and_never_written(
    made: Shell, own: OwnCrontab
) -> None:
    text = (made.folder / "etf.toml").read_text()
    (made.folder / "etf.toml").write_text(f'environment = "live"\nlive = true\n{text}')
    made.run("INSERT INTO account SELECT 2, 'live', 'me', era, 0, created_at FROM account WHERE id = 1")
    asked = made.etf("schedule", "install", **own.environment)
    assert asked.code == 2 and "this trades real money" in asked.err and not own.file.exists()
    keys = {"BINANCE_API_KEY": "k" * 20, "BINANCE_SECRET_KEY": "s" * 20}
    done = made.etf("schedule", "install", "--yes", **keys, **own.environment)
    assert done.code == 0 and "cron does not have them" in done.out, done.err
    assert " schedule run --yes # " in own.file.read_text()
    assert "k" * 20 not in own.file.read_text() + done.out and "s" * 20 not in own.file.read_text() + done.out


@pytest.fixture
def spool() -> list[str]:
    """Return the words before a command that has a crontab, a cron and process numbers of its own, as root."""
    if shutil.which("cron") is None or shutil.which("crontab") is None:
        pytest.skip("cron: neither cron nor crontab is installed (Debian: apt-get install cron)")
    words = ["unshare", "--mount", "sh", "-ec", PRIVATE, "sh"]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("cron: only root may give it a crontab that is not the developer's")
    return words


PRIVATE = """
mount -t tmpfs none /var/spool/cron
mkdir -m 1730 /var/spool/cron/crontabs
chgrp crontab /var/spool/cron/crontabs
mount -t tmpfs none /run
exec "$@"
"""
"""Only what is started by it sees these folders; they are gone with it."""


def test_a_real_cron_takes_the_line_and_runs_it(odd: Shell, spool: list[str]) -> None:
    """Cron's own program checks and keeps it; with @reboot in the place of its hour it runs when cron begins."""
    etf = f"'{sys.executable}' -m etf_trader"
    script = (
        f"printf '%s\\n' '# mine' | crontab -\n{etf} schedule install --json > installed.json\n"
        "crontab -l > listed.txt\ncrontab -l | sed 's/^[0-9]* [*] [*] [*] [*] /@reboot /' | crontab -\n"
        "cron -f & cron=$!\ntrap 'kill $cron' EXIT\n"
        "n=0; until grep -q ' ended: ' \"$HOME\"/.local/state/etf-trader/schedule/*.log 2> /dev/null\n"
        f"do n=$((n + 1)); [ $n -lt {SECONDS * 10} ]; sleep 0.1; done\n"
    )
    environment = {**os.environ, "HOME": str(odd.folder / "home")}
    for name in [name for name in environment if name.startswith("XDG_")]:
        del environment[name]
    done = subprocess.run(
        [*spool, "sh", "-ec", script], cwd=odd.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = odd.json("schedule", "show")
    assert [run["state"] for run in shown["runs"]] == ["ended"]
    listed = (odd.folder / "listed.txt").read_text().splitlines()
    assert (
        listed[0] == "# mine" and listed[1].endswith(f"# etf-trader schedule {shown['id']}") and len(listed) == 2
    )
    assert time.time() - datetime.fromisoformat(shown["runs"][0]["ended"]).timestamp() < SECONDS
