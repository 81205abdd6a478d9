"""The journaler: every promise's limits, a full disk waited out, a broken one an error, and nobody laps it."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.errors import JournalError
from disruptor.journal.direct import DirectStorage
from disruptor.journal.journaler import Durability, Journaler
from disruptor.journal.layout import Bytes
from disruptor.journal.recorder import Recorder
from disruptor.journal.recording_reader import open_journal
from disruptor.message import message, u32, u64
from disruptor.pages import PagePolicy
from disruptor.ring_buffer import RingBuffer
from disruptor.watermarks import JOURNALER, watermarks

TICK = message("Tick", 1001, {"pool": u32, "price": u64})
OPTIONS: dict[str, Any] = {
    "slot_size": 64,
    "frame_slots": 8,
    "segment_bytes": 5 * 4096,
    "messages": [TICK],
    "identity": {},
    "settings": {},
}
CAPACITY = 64


class FailingDisk(DirectStorage):
    """Refuses to make files, or to write, while told to."""

    full: bool = False
    broken: bool = False

    def prepare(self, name: str, size: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().prepare(name, size)

    def write(self, fd: int, content: Bytes, offset: int) -> None:
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        super().write(fd, content, offset)


def ticks(first: int, count: int) -> Bytes:
    slots = np.zeros((count, 64), np.uint8)
    rows = slots.reshape(-1).view(TICK.slot_dtype(64))
    rows["sequence"], rows["type_id"], rows["price"] = np.arange(first, first + count), TICK.type_id, 7
    return slots


class Engine:
    """A ring, its journaler and a disk that may fail."""

    def __init__(self, directory: Path, durability: Durability) -> None:
        self.directory, self.disk = directory, FailingDisk(directory)
        self.recorder = Recorder(str(directory), storage=self.disk, **OPTIONS)
        self.ring = RingBuffer.private(CAPACITY, 64, policy=PagePolicy("off"))
        self.journaler = Journaler(self.ring, self.ring.join(), self.recorder, durability)
        self.published = 0
        self.journaler.start()

    def publish(self, count: int, timeout: float | None = 5.0) -> None:
        self.ring.publish_rows(ticks(self.published, count), timeout)
        self.published += count

    @property
    def synced(self) -> int:
        found = watermarks(self.ring.block).synced
        assert found is not None
        return found

    def held(self) -> Bytes:
        return np.concatenate([frame.slots.copy() for frame in open_journal(self.directory).frames()])


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def made(**limits: Any) -> Engine:
        engines.append(Engine(tmp_path, Durability(**limits)))
        return engines[-1]

    yield made
    for engine in engines:
        engine.recorder.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        threading.Event().wait(0.001)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["process", "group", "strict"])
def test_everything_published_is_synced_without_being_asked_for(
    begin: Callable[..., Engine], mode: str
) -> None:
    engine = begin(mode=mode)
    for count in (1, 2, 30, 7):
        engine.publish(count)
        until(lambda: engine.synced == engine.published - 1)
    engine.journaler.drain()
    assert np.array_equal(engine.held(), ticks(0, 40)) and JOURNALER == 0


@pytest.mark.slow
def test_what_waits_is_written_in_one_flush(begin: Callable[..., Engine]) -> None:
    engine = begin(mode="group", sync_us=10_000_000, sync_bytes=1 << 20)
    for _ in range(20):
        engine.publish(1)
    assert engine.synced < 19
    engine.journaler.drain()
    assert engine.synced == 19 and engine.journaler.flushes <= 2


@pytest.mark.slow
def test_a_full_disk_holds_producers_back_and_loses_nothing(begin: Callable[..., Engine]) -> None:
    engine = begin(mode="strict")
    engine.publish(8)
    until(lambda: engine.synced == 7)
    engine.disk.full = True
    accepted = threading.Event()

    def produce() -> None:
        for _ in range(60):
            engine.publish(5, None)
        accepted.set()

    producer = threading.Thread(target=produce)
    producer.start()
    until(lambda: engine.journaler.stalled is not None)
    assert "No space left" in (engine.journaler.stalled or "") and engine.journaler.error is None
    until(lambda: engine.ring.room() < 5)
    assert not accepted.is_set() and engine.published <= engine.synced + 1 + CAPACITY
    engine.disk.full = False
    producer.join(30)
    assert accepted.is_set()
    engine.journaler.drain()
    assert engine.journaler.stalled is None
    assert np.array_equal(engine.held(), ticks(0, 308))


@pytest.mark.slow
def test_an_io_error_stops_everything_and_what_is_synced_stands(begin: Callable[..., Engine]) -> None:
    engine = begin(mode="strict")
    engine.publish(10)
    until(lambda: engine.synced == 9)
    engine.disk.broken = True
    engine.publish(3)
    until(lambda: engine.journaler.error is not None)
    assert engine.ring.stopped()
    with pytest.raises(JournalError, match="writing failed: Input/output error"):
        engine.journaler.drain()
    engine.disk.broken = False
    engine.recorder.close(mark=False)
    with Recorder(str(engine.directory), **OPTIONS) as again:
        assert again.next_sequence == 10
        again.write(engine.ring.slots[10:13])
    assert np.array_equal(engine.held(), ticks(0, 13))


@pytest.mark.slow
def test_a_disk_that_stays_full_is_an_error_when_the_engine_ends(begin: Callable[..., Engine]) -> None:
    engine = begin(mode="strict")
    engine.disk.full = True
    producer = threading.Thread(target=lambda: engine.publish(60, 1.0))
    producer.start()
    producer.join()
    until(lambda: engine.journaler.stalled is not None)
    with pytest.raises(JournalError, match="No space left"):
        engine.journaler.drain()
    assert engine.synced == engine.recorder.next_sequence - 1
