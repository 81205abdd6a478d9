"""Any bytes in any file of a recording: no reader and no recorder crashes, gives a wrong event, or goes on over damage.

A recording that was interrupted, with segments, tails and incarnations, is changed in a few places. What is read is
held against the slots that were written; a recorder refuses, or goes on from a prefix of them and says what it cut.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from disruptor.errors import JournalError
from disruptor.journal.describe import describe, stats
from disruptor.journal.dump import dump
from disruptor.journal.layout import Bytes
from disruptor.journal.recorder import Recorder
from disruptor.journal.recording_reader import open_journal
from disruptor.journal.repair import plan_repair
from disruptor.journal.verify import verify
from disruptor.message import message, u32, u64
from tests.support.changes import CHANGES, EXAMPLES, SHARED, Change, changed

TICK = message("Tick", 1001, {"pool": u32, "price": u64})
COUNT = 29
OPTIONS: dict[str, Any] = {
    "slot_size": 64,
    "frame_slots": 4,
    "segment_bytes": 5 * 4096,
    "messages": [TICK],
    "identity": {"source": "test"},
    "settings": {},
}


def ticks() -> Bytes:
    slots = np.zeros((COUNT, 64), np.uint8)
    rows = slots.reshape(-1).view(TICK.slot_dtype(64))
    rows["sequence"], rows["type_id"] = np.arange(COUNT), TICK.type_id
    rows["price"] = np.arange(COUNT) * 2654435761
    return slots


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A recording of two incarnations; the second was killed."""
    directory = tmp_path_factory.mktemp("recorded")
    for end in (13, COUNT):
        recorder = Recorder(str(directory), **OPTIONS)
        while recorder.next_sequence < end:
            recorder.write(ticks()[recorder.next_sequence : min(end, recorder.next_sequence + 3)])
        recorder.close(mark=end < COUNT)
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.slow
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=SHARED)
@given(changes=CHANGES)
def test_any_bytes(files: dict[str, bytes], tmp_path: Path, changes: list[Change]) -> None:
    directory = tmp_path / "changed"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    made = changed(files, changes)
    for name, content in made.items():
        (directory / name).write_bytes(content)
    look(directory)
    go_on(directory)


def look(directory: Path) -> None:
    """Everything that reads: an error of ours, or nothing but what was written."""
    for read in (describe, stats, verify, plan_repair, lambda d: list(dump(d).rows())):
        with suppress(JournalError):
            read(directory)
    with suppress(JournalError):
        for frame in open_journal(directory).frames():
            first = frame.first_sequence
            assert np.array_equal(frame.slots, ticks()[first : first + frame.count])


def go_on(directory: Path) -> None:
    """A recorder refuses, or goes on from what was written; what it then has is that and no more."""
    try:
        recorder = Recorder(str(directory), **OPTIONS)
    except JournalError:
        return
    with recorder:
        end = recorder.next_sequence
        recorder.write(ticks()[end:])
    try:
        held = [frame.slots.copy() for frame in open_journal(directory).frames()]
    except JournalError:  # damage further back, where a recorder does not look
        assert not verify(directory).ok
        return
    assert np.array_equal(np.concatenate(held), ticks())
