"""Power lost at every moment of a recording, and every file operation failing once: nothing acknowledged is lost.

`make crash` does this for many seeds; here a few.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.errors import JournalError
from disruptor.journal.layout import Bytes
from disruptor.journal.recorder import Recorder
from disruptor.journal.recording_reader import open_journal
from disruptor.message import message, u32, u64
from tests.support.crashing import NotingStorage

SEEDS = int(os.environ.get("DISRUPTOR_CRASHES", "1"))
#: Moments and operations looked at for each seed.
MOMENTS, OPERATIONS = (25, 10) if SEEDS == 1 else (80, 30)
TICK = message("Tick", 1001, {"pool": u32, "price": u64})
COUNT = 90
#: Two frames of eight slots a segment; flushes of one to twenty.
OPTIONS: dict[str, Any] = {
    "slot_size": 64,
    "frame_slots": 8,
    "segment_bytes": 4 * 4096,
    "messages": [TICK],
    "identity": {"source": "test"},
    "settings": {},
}


def ticks(count: int = COUNT) -> Bytes:
    slots = np.zeros((count, 64), np.uint8)
    rows = slots.reshape(-1).view(TICK.slot_dtype(64))
    rows["sequence"], rows["type_id"] = np.arange(count), TICK.type_id
    rows["price"] = np.arange(count) * 2654435761
    return slots


def record(storage: NotingStorage, slots: Bytes, seed: int, end: int = COUNT) -> Recorder:
    """Record up to `end` in random flushes, acknowledging each; now and then close and open again."""
    chance = random.Random(seed)
    recorder = Recorder(str(storage.directory), storage=storage, **OPTIONS)
    try:
        storage.acknowledge(recorder.next_sequence)
        while (at := recorder.next_sequence) < end:
            recorder.write(slots[at : min(end, at + chance.choice((1, 1, 2, 3, 8, 9, 20)))])
            storage.acknowledge(recorder.next_sequence)
    except BaseException:
        recorder.close(mark=False)
        raise
    return recorder


def assert_recovers(directory: Path, slots: Bytes, acknowledged: int, whole: dict[str, bytes]) -> int:
    """What a crash left goes on: all that was acknowledged is there, in order, once; the end is the same journal."""
    if (directory / "journal.json").exists() and not list(directory.glob("*.tmp")):
        assert_readable(directory, slots, acknowledged)
    with Recorder(str(directory), **OPTIONS) as recorder:
        end = recorder.next_sequence
    assert acknowledged <= end
    held = [frame.slots.copy() for frame in open_journal(directory).frames()]
    assert np.array_equal(np.concatenate(held) if held else slots[:0], slots[:end])
    recorder = Recorder(str(directory), **OPTIONS)
    recorder.write(slots[recorder.next_sequence :])
    recorder.finish({})
    assert {name: (directory / name).read_bytes() for name in whole} == whole
    return end


def assert_readable(directory: Path, slots: Bytes, acknowledged: int) -> None:
    """Before anyone has gone on with it, too."""
    reader = open_journal(directory)
    assert acknowledged <= reader.last_sequence + 1
    held = [frame.slots.copy() for frame in reader.frames()]
    assert np.array_equal(np.concatenate(held) if held else slots[:0], slots[: reader.last_sequence + 1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a recording that nothing disturbed."""
    directory = tmp_path_factory.mktemp("whole")
    record(NotingStorage(directory), ticks(), 0).finish({})
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "incarnations.json"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_power_lost_at_any_moment(tmp_path: Path, whole: dict[str, bytes], seed: int) -> None:
    slots = ticks()
    storage = NotingStorage(tmp_path / "first")
    record(storage, slots, seed).finish({})
    chance, ends = random.Random(seed), set()
    for moment in sorted(chance.sample(range(2, storage.events), min(MOMENTS, storage.events - 2))):
        image = tmp_path / "image"
        image.mkdir()
        storage.image(moment, seed, image)
        manifest = image / "journal.json"
        if not manifest.exists() or b'"complete"' not in manifest.read_bytes():
            ends.add(assert_recovers(image, slots, storage.acknowledged(moment), whole))
        shutil.rmtree(image)
    assert len(ends) > 8


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_power_lost_while_recovering(tmp_path: Path, whole: dict[str, bytes], seed: int) -> None:
    slots, chance = ticks(), random.Random(seed)
    first = NotingStorage(tmp_path / "first")
    record(first, slots, seed, 50).close(mark=False)
    for number in range(8):
        moment = chance.randrange(first.events // 2, first.events)
        before, again, image = (tmp_path / f"{name}{number}" for name in ("before", "again", "image"))
        for directory in (before, again, image):
            directory.mkdir()
        first.image(moment, seed, before)
        first.image(moment, seed, again)
        second = NotingStorage(again)
        record(second, slots, seed + 1, 60).close(mark=False)
        at = chance.randrange(second.events)
        second.image(at, seed, image, before=before)
        acknowledged = max(first.acknowledged(moment), second.acknowledged(at))
        assert_recovers(image, slots, acknowledged, whole)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_operation_fails_once(tmp_path: Path, whole: dict[str, bytes], seed: int) -> None:
    slots = ticks()
    counting = NotingStorage(tmp_path / "counting")
    record(counting, slots, seed).close()
    chance = random.Random(seed)
    for number in sorted(chance.sample(range(counting.operations), min(OPERATIONS, counting.operations))):
        directory = tmp_path / "failing"
        error = OSError(chance.choice((errno.EIO, errno.EROFS, errno.ENOSPC, errno.EDQUOT)), "made to fail")
        storage = NotingStorage(directory, number, error)
        with suppress(JournalError, OSError):
            record(storage, slots, seed).close()
        assert_recovers(directory, slots, storage.acknowledged(storage.events), whole)
        shutil.rmtree(directory)


@pytest.mark.slow
def test_a_full_disk_is_waited_out(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """Whatever file can't be made: what was written is kept, and the same call goes on when there is space again."""
    slots = ticks()
    for number in range(2, 8):
        directory = tmp_path / f"full{number}"
        error = OSError(errno.ENOSPC, "No space left on device")
        storage = NotingStorage(directory, number, error, "prepare")
        recorder, failed, chance = Recorder(str(directory), storage=storage, **OPTIONS), 0, random.Random(0)
        while (at := recorder.next_sequence) < COUNT:
            try:
                recorder.write(slots[at : min(COUNT, at + chance.choice((1, 1, 2, 3, 8, 9, 20)))])
            except JournalError as raised:
                assert raised.facts["errno"] == errno.ENOSPC
                failed += 1
                assert failed <= 1, raised
        recorder.finish({})
        assert {name: (directory / name).read_bytes() for name in whole} == whole
