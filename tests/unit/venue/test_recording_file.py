"""What a recording file has on the disk can be replayed at any time, however its writer ended."""

import asyncio
import errno
import gzip
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from etf_trader.errors import ConfigError, UsageError
from etf_trader.exchange.recording import RecordingMarket
from etf_trader.venue.recording_file import RecordingFile, write_exchange_info

D = Decimal
START = datetime(2026, 1, 1, 0, 0, 0, 250000, tzinfo=UTC)


def second(number: int) -> datetime:
    return START + timedelta(seconds=number)


def begun(folder: Path) -> RecordingFile:
    """Return a file that has a snapshot on the disk."""
    file = RecordingFile(folder, START)
    file.mark(START, "start", {"symbols": ["AUSDT"]})
    file.snapshot(START, "AUSDT", 5, '{"lastUpdateId":1,"bids":[["1","1"]],"asks":[["2","1"]]}')
    file.flush()
    return file


def add(file: RecordingFile, number: int, text: str = "") -> None:
    """Write the update with this number: the best bid holds so much then."""
    event = {"e": "depthUpdate", "s": "AUSDT", "U": number, "u": number, "b": [["1", str(number)]], "a": []}
    file.message(second(number), "ausdt@depth@100ms", text or json.dumps(event))


def replayed(folder: Path, number: int) -> Decimal:
    """Return what the best bid holds in the replay at a second of the recording."""
    return RecordingMarket(folder).book("AUSDT", second(number)).bids[0].quantity


def test_what_was_flushed_is_replayed_and_a_closed_file_has_all(tmp_path: Path) -> None:
    file = begun(tmp_path)
    add(file, 2)
    file.flush()
    add(file, 3)
    assert replayed(tmp_path, 9) == 2
    file.close()
    assert replayed(tmp_path, 9) == 3


def test_the_recorders_own_words_stand_in_the_file_and_are_passed_over(tmp_path: Path) -> None:
    file = begun(tmp_path)
    file.mark(second(2), "gap", {"symbol": "AUSDT", "why": 'a "quoted" word'})
    file.close()
    with gzip.open(file.path, "rt") as lines:
        *_, last = map(json.loads, lines)
    assert last == {"t": 1767225602.25, "ws": {"stream": "!recorder@gap", "data": last["ws"]["data"]}}
    assert last["ws"]["data"]["why"] == 'a "quoted" word'
    assert replayed(tmp_path, 9) == 1


@pytest.mark.parametrize("cut", [1, 2, 9, 10, 20, 40])
def test_a_file_that_ends_in_the_middle_of_a_member_is_replayed_up_to_it(tmp_path: Path, cut: int) -> None:
    file = begun(tmp_path)
    add(file, 2)
    file.flush()
    whole = file.path.stat().st_size
    add(file, 3)
    file.close()
    with file.path.open("r+b") as torn:
        torn.truncate(whole + cut)
    assert replayed(tmp_path, 9) == 2


def test_a_file_whose_only_member_is_cut_is_refused(tmp_path: Path) -> None:
    file = begun(tmp_path)
    file.close()
    data = file.path.read_bytes()
    file.path.write_bytes(data[:-9])
    with pytest.raises(ConfigError, match="cannot be read"):
        RecordingMarket(tmp_path)


def test_a_folder_with_a_recording_takes_no_second_one(tmp_path: Path) -> None:
    begun(tmp_path).close()
    with pytest.raises(UsageError, match="holds a recording already"):
        RecordingFile(tmp_path, START)


def test_a_file_in_which_nothing_was_written_goes_away(tmp_path: Path) -> None:
    RecordingFile(tmp_path, START).close()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_what_was_flushed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = begun(tmp_path)
    add(file, 2)
    file.flush()
    write = os.write

    def half(handle: int, data: bytes) -> int:
        write(handle, bytes(data)[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    add(file, 3)
    with monkeypatch.context() as full:
        full.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space left") as refused:
            file.flush()
    assert refused.value.filename == str(file.path)
    assert replayed(tmp_path, 9) == 2
    file.close()
    assert replayed(tmp_path, 9) == 3


async def test_what_is_written_while_the_disk_is_busy_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = begun(tmp_path)
    sync, is_syncing, go_on = os.fsync, threading.Event(), threading.Event()

    def slowly(handle: int) -> None:
        is_syncing.set()
        go_on.wait(10)
        sync(handle)

    monkeypatch.setattr(os, "fsync", slowly)
    add(file, 2)
    flushing = asyncio.create_task(file.flush_aside())
    while not is_syncing.is_set():
        await asyncio.sleep(0.001)
    add(file, 3)
    go_on.set()
    await flushing
    add(file, 4)
    file.close()
    assert [replayed(tmp_path, number) for number in (2, 3, 4)] == [2, 3, 4]


def test_rules_beside_a_recording_are_no_recording(tmp_path: Path) -> None:
    begun(tmp_path).close()
    write_exchange_info(tmp_path, {"symbols": []})
    assert replayed(tmp_path, 0) == 1
