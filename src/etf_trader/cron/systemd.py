"""The same runs as a timer of systemd: two units as text. Pure."""

from dataclasses import dataclass

from etf_trader.cron.job import Job

FOLDER = "~/.config/systemd/user"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file: its name and what stands in it."""

    name: str
    text: str


def units(job: Job, minutes: str) -> tuple[Unit, Unit]:
    """Return the service that does one run, and the timer that starts it every hour."""
    name = f"etf-trader-{job.id}"
    carried = "".join(f"Environment={_quoted(f'{key}={value}')}\n" for key, value in job.environment.items())
    words = " ".join(_quoted(word, is_command=True) for word in (*job.etf, *job.run))
    service = (
        f"[Unit]\nDescription=Rebalance what is due: {_plain(str(job.config or job.folder))}\n\n"
        f"[Service]\nType=oneshot\nUMask=0077\nWorkingDirectory={_plain(str(job.folder))}\n{carried}"
        f"ExecStart={words}\n"
    )
    times = minutes.replace("*/5", "00/5")
    timer = (
        f"[Unit]\nDescription=Every hour: {name}.service\n\n"
        f"[Timer]\nOnCalendar=*-*-* *:{times}:00\nAccuracySec=1s\nPersistent=true\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )
    return Unit(f"{name}.service", service), Unit(f"{name}.timer", timer)


def _quoted(word: str, *, is_command: bool = False) -> str:
    """Return a word as systemd reads it: quoted, its own signs doubled."""
    inside = _plain(word.replace("\\", "\\\\").replace('"', '\\"'))
    return '"' + (inside.replace("$", "$$") if is_command else inside) + '"'


def _plain(text: str) -> str:
    return text.replace("%", "%%")
