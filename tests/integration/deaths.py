"""Kills or stops a run at chosen lines, recovers, and reports what is wrong afterwards.

The lines of the code under test are learnt in one undisturbed run of a
scenario: which are reached, and how often. Then a run forked after the imports
gets SIGKILL at the first and at the last time it reaches a line; or SIGSTOP,
while another host takes the account over, and SIGCONT.

Runs as a process of its own (`python -m tests.integration.deaths`), because it
forks and must have no threads of its own. What is wanted comes as JSON on
stdin, what happened goes as JSON to stdout.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from tests.factories import House
from tests.integration.harness import Ends, Workshop, differences, ends_of, judge, reconcile_and_submit, submit
from tests.integration.scenarios import SCENARIOS, Scenario
from tests.invariants import standing_findings
from tests.locks import is_writable

import etf_trader
from etf_trader.errors import AccountLed, EtfError
from etf_trader.money import money_context

PACKAGE = Path(etf_trader.__file__).parent
ROOT = Path(__file__).parents[2]
TRACED = (
    "execution/",
    "ledger/",
    "orders/",
    "venue/paper.py",
    "exchange/paper.py",
    "exchange/turn.py",
    "exchange/counts.py",
)
KILL, STOP = "kill", "stop"
LONGEST_SECONDS = 60

Hits = dict[str, dict[int, int]]
"""How often each line was reached, by file."""


class Point(NamedTuple):
    """The `hit`-th time that a run reaches `line` of `file`; files are named from the package on."""

    file: str
    line: int
    hit: int


def is_traced(code: CodeType) -> bool:
    """Whether deaths are died in this code."""
    path = code.co_filename
    return path.startswith(str(PACKAGE)) and path.removeprefix(f"{PACKAGE}/").startswith(TRACED)


def count_lines() -> Hits:
    """Begin to count the lines of the code under test, in all threads; returns what grows."""
    hits: Hits = defaultdict(lambda: defaultdict(int))

    def line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            hits[frame.f_code.co_filename.removeprefix(f"{PACKAGE}/")][frame.f_lineno] += 1
        return line

    def call(frame: FrameType, event: str, _: Any) -> Any:
        return line if is_traced(frame.f_code) else None

    threading.settrace(call)
    sys.settrace(call)
    return hits


def signal_at(point: Point, number: signal.Signals) -> None:
    """Send `number` to this process when it reaches `point`."""
    path, left = str(PACKAGE / point.file), point.hit

    def line(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if event == "line" and frame.f_lineno == point.line:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)
                stop_tracing()
        return line

    def call(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        return line if code.co_filename == path and any(at == point.line for *_, at in code.co_lines()) else None

    threading.settrace(call)
    sys.settrace(call)


def stop_tracing() -> None:
    """Trace no more; frames that are traced go on to their ends."""
    threading.settrace(None)
    sys.settrace(None)


def forked(work: Callable[[], None]) -> int:
    """Run `work` in a child, and return its number without waiting; it ends as the command would."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with money_context():
                work()
            code = 0
        except EtfError as error:
            code = error.exit_code
            if not isinstance(error, AccountLed):
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
        except BaseException as error:  # noqa: BLE001 - the child must end here whatever happened
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def finished(child: int) -> int:
    """Wait for a child and return its exit code; a negative one is a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Cemetery:
    """Plays one scenario again and again, and lets it die each time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scenario: Scenario = SCENARIOS[name]
        self.workshop = Workshop()
        self.calm: Ends = self.workshop.calm(name)
        self.hits = self._learn()

    def _learn(self) -> Hits:
        """Run once undisturbed, in a child, and return the lines it reached."""
        place = self.workshop.folder / "lines"

        def traced() -> None:
            hits = count_lines()
            self._submit()
            stop_tracing()
            place.write_text(json.dumps(hits))

        self.workshop.set_back(self.name)
        self.workshop.close()
        code = finished(forked(traced))
        assert code == 0, f"the reference run ended with {code}"
        hits = json.loads(place.read_text())
        return {file: {int(line): count for line, count in lines.items()} for file, lines in hits.items()}

    def points(self) -> list[Point]:
        """Return the first and the last time of every line."""
        return [
            Point(file, line, hit)
            for file, lines in sorted(self.hits.items())
            for line, count in sorted(lines.items())
            for hit in dict.fromkeys((1, count))
        ]

    def _open(self) -> House:
        house = self.workshop.open(self.scenario)
        self.scenario.stir(house, 0)
        return house

    def _submit(self) -> None:
        with self.scenario.limits():
            asyncio.run(submit(self._open(), self.scenario.requests))

    def kill(self, point: Point, *, second: Point | None = None, way: str = "key") -> dict[str, Any]:
        """Kill a run at `point`, and its recovery at `second` where given; recover and judge."""
        self.workshop.set_back(self.name)
        code = finished(forked(self._doomed(point, signal.SIGKILL)))
        if code not in (0, -signal.SIGKILL):
            return self._result(point, KILL, [f"the run ended with {code}"])
        found = self._wreck()
        if second is not None:
            self.workshop.close()
            again = finished(forked(self._doomed(second, signal.SIGKILL)))
            found += [] if again in (0, -signal.SIGKILL) else [f"the recovery ended with {again}"]
        return self._result(point, KILL, found + self._recover(way), happened=code != 0)

    def _doomed(self, point: Point, number: signal.Signals) -> Callable[[], None]:
        def work() -> None:
            signal_at(point, number)
            self._submit()
            stop_tracing()

        return work

    def stop(self, point: Point) -> dict[str, Any]:
        """Stop a run at `point`, take the account over, let the run wake, and judge.

        A process that is stopped inside a transaction of SQLite's holds the
        file, and nobody can take over until it goes on.
        """
        self.workshop.set_back(self.name)
        child = forked(self._doomed(point, signal.SIGSTOP))
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            code = os.waitstatus_to_exitcode(status)
            wrong = [] if code == 0 else [f"the run ended with {code}"]
            return self._result(point, STOP, wrong + self._recover("key"), happened=False)
        try:
            folder = self.workshop.folder
            is_free = is_writable(folder / "etf.db") and is_writable(folder / "exchange.db")
            led = is_free and self._take_lease_away(child)
            found = self._recover("key") if is_free else []
            sent = self._sent() if is_free else 0
        finally:
            os.kill(child, signal.SIGCONT)
        code = _finished_in_time(child)
        if led and self._sent() != sent:
            found.append(f"it sent {self._sent() - sent} orders after the take-over")
        if code not in ((0, AccountLed.exit_code) if led else (0,)):
            found.append(f"it woke and ended with {code}")
        what = "held the database" if not is_free else f"led, exit {code}" if led else "did not lead"
        return self._result(point, STOP, found + self._recover("key"), woke=what)

    def _take_lease_away(self, child: int) -> bool:
        """Make the lease look as it does from another host after three heartbeats; whether `child` has it."""
        with sqlite3.connect(self.workshop.folder / "etf.db") as connection:
            row = connection.execute("SELECT host, process FROM lease").fetchone()
            led = row is not None and tuple(row) == (socket.gethostname(), child)
            if led:
                old = "2020-01-01T00:00:00.000000Z"
                connection.execute("UPDATE lease SET host = 'elsewhere', heartbeat_at = ?", (old,))
        connection.close()
        return led

    def _sent(self) -> int:
        return len(self.workshop.open(self.scenario).exchange.orders("paper"))

    def _wreck(self) -> list[str]:
        with self.workshop.ours.read() as connection:
            return standing_findings(connection)

    def _recover(self, way: str) -> list[str]:
        """Go on as the next process would; return what is wrong then."""
        house = self._open()
        try:
            with self.scenario.limits():
                run = reconcile_and_submit if way == "reconcile" else submit
                asyncio.run(run(house, self.scenario.requests))
        except EtfError as error:
            return [f"recovery failed: {type(error).__name__}: {error}"]
        found = judge(house, self.scenario) + differences(self.scenario, self.calm, ends_of(house))
        self.workshop.close()
        return found

    def _result(self, point: Point, kind: str, found: list[str], **facts: Any) -> dict[str, Any]:
        return {"scenario": self.name, "kind": kind, "point": point, "findings": found, "happened": True, **facts}


def _finished_in_time(child: int) -> int:
    """Wait for a child that was woken; one that hangs is killed, and that is its exit code."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return finished(child)


def chosen(points: Iterable[Point], count: int, seed: int) -> list[Point]:
    """Return at most `count` points, drawn from `seed`, the files in turn so that none is left out."""
    by_file: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        by_file[point.file].append(point)
    dice = random.Random(seed)
    for each in by_file.values():
        dice.shuffle(each)
    turns = [(place / len(each), place, file) for file, each in by_file.items() for place in range(len(each))]
    # First one of every file, then evenly through all.
    turns.sort(key=lambda turn: (turn[1] > 0, turn[0], turn[2]))
    return [by_file[file][place] for _, place, file in turns[:count]]


def die(name: str, kind: str, count: int, seed: int, part: int = 0, parts: int = 1) -> dict[str, Any]:
    """Let a scenario die (or stop) at so many points of its own; with `count` 0 at all of them."""
    start = time.monotonic()
    cemetery = Cemetery(name)
    points = cemetery.points()
    dice, results = random.Random(seed), []
    for place, point in enumerate(chosen(points, count or len(points), seed)[part::parts]):
        if kind == STOP:
            results.append(cemetery.stop(point))
        else:
            second = dice.choice(points) if place % 6 == 5 else None
            results.append(cemetery.kill(point, second=second, way=("key", "reconcile")[place % 2]))
    cemetery.workshop.remove()
    known = Counter({file: len(lines) for file, lines in cemetery.hits.items()})
    return {"results": results, "known": known, "seconds": time.monotonic() - start}


def die_elsewhere(wanted: Sequence[Any]) -> dict[str, Any]:
    """Do the same in a process of its own, without threads; `wanted` are the arguments of `die`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.deaths"],
        input=json.dumps(list(wanted)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    answer: dict[str, Any] = json.loads(done.stdout)
    answer["stderr"] = done.stderr
    return answer


def main() -> None:
    """Serve what stdin asks for."""
    with money_context():
        json.dump(die(*json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
