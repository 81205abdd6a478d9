"""What the journal costs, and what it makes durable, beside others on the same device in the same run.

    python -m bench.journal_speed DIR [--runs 5] [--json]

DIR is on the device to be measured; everything written there is removed again. Rounds go in turn, so that what else
the machine does meets all of them; medians are shown, with the lowest and the highest.

    durable       records of 64 bytes a second with one sync for each 1, 64 and 1024: the recorder, a plain preallocated
                  file of zeros (`O_DIRECT` and `O_DSYNC`), sqlite's WAL, LMDB where it is installed
    sustained     bytes a second of whole frames: the recorder; plain `O_DIRECT` writes of the same size, not synced
    loop          nanoseconds of the processing thread for an event, with the journaler at work and without
    latency       publication in another process to output, at 100,000 events a second, with journaling and without
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.access import row
from disruptor.emit import emit
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.journal.direct import aligned
from disruptor.journal.journaler import Durability, Journaler, Mode
from disruptor.journal.layout import frame_size
from disruptor.journal.recorder import Recorder
from disruptor.layout import plan_region
from disruptor.memory import Region
from disruptor.message import header_dtype, message, u64
from disruptor.pages import PagePolicy
from disruptor.processor import Processor
from disruptor.ring_buffer import RingBuffer
from disruptor.table import Table

Slots = npt.NDArray[np.uint8]
Tick = message("BenchTick", 1901, {"amount": u64})
Sum = message("BenchSum", 1902, {"total": u64})
TOTAL = Table("bench_total", {"total": u64}, key="bench_total", capacity=1)
SYNCS = (1, 64, 1024)
RATE, BATCH = 100_000, 10
_SLOT = 192


@handler(Tick, tables=[TOTAL], max_outputs=1)
def on_tick(state, event, out):  # type: ignore[no-untyped-def]
    total = row(state.bench_total, 0)
    total["total"] += event["amount"]
    emitted = emit(out, Sum)
    emitted["total"] = total["total"]


def ticks(count: int, size: int) -> Slots:
    """Slots without zeros, so that every frame may go straight to its segment."""
    slots = np.random.default_rng(1).integers(1, 255, (count, size), dtype=np.uint8)
    headers = slots.reshape(-1).view(header_dtype(size))
    headers["sequence"], headers["type_id"] = np.arange(count), Tick.type_id
    return slots


@contextmanager
def recorder(directory: Path, size: int) -> Iterator[Recorder]:
    """A recorder of a new journal that is removed afterwards."""
    shutil.rmtree(directory, ignore_errors=True)
    with Recorder(str(directory), slot_size=size, messages=[Tick], identity={}, settings={}) as made:
        yield made
    shutil.rmtree(directory)


# --- durable ------------------------------------------------------------------------------------------------


def recorded(folder: Path, batch: int, flushes: int) -> float:
    """Records a second."""
    slots = ticks(batch, 64)
    headers = slots.reshape(-1).view(header_dtype(64))
    with recorder(folder / "journal", 64) as made:
        began = time.perf_counter()
        for _ in range(flushes):
            made.write(slots)
            headers["sequence"] += batch
        return flushes * batch / (time.perf_counter() - began)


def plain(folder: Path, batch: int, flushes: int) -> float:
    """The same records into a file of zeros, each flush on blocks of its own."""
    size = -(-batch * 64 // 4096) * 4096
    buffer, path = aligned(size), folder / "plain"
    path.write_bytes(bytes(size * flushes))
    fd = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
    os.fsync(fd)
    try:
        buffer[:] = 7
        began = time.perf_counter()
        for number in range(flushes):
            os.pwrite(fd, buffer.data, number * size)
        return flushes * batch / (time.perf_counter() - began)
    finally:
        os.close(fd)
        path.unlink()


def sqlite(folder: Path, batch: int, flushes: int) -> float:
    """The same records into a table, WAL, synchronous=FULL."""
    path = folder / "sqlite.db"
    base = sqlite3.connect(path, isolation_level=None)
    try:
        base.execute("pragma journal_mode=wal")
        base.execute("pragma synchronous=full")
        base.execute("create table t (k integer primary key, v blob)")
        rows, key = [bytes(64)] * batch, 0
        began = time.perf_counter()
        for _ in range(flushes):
            base.execute("begin")
            base.executemany("insert into t values (?, ?)", ((key + k, v) for k, v in enumerate(rows)))
            base.execute("commit")
            key += batch
        return flushes * batch / (time.perf_counter() - began)
    finally:
        base.close()
        for left in folder.glob("sqlite.db*"):
            left.unlink()


def lmdb(folder: Path, batch: int, flushes: int) -> float | None:
    """The same records into LMDB, synced at each commit; None where it is not installed."""
    try:
        library = importlib.import_module("lmdb")
    except ImportError:
        return None
    path = folder / "lmdb"
    environment = library.open(str(path), map_size=1 << 32, sync=True)
    try:
        began, key = time.perf_counter(), 0
        for _ in range(flushes):
            with environment.begin(write=True) as transaction:
                for k in range(batch):
                    transaction.put((key + k).to_bytes(8, "big"), bytes(64), append=True)
            key += batch
        return flushes * batch / (time.perf_counter() - began)
    finally:
        environment.close()
        shutil.rmtree(path)


# --- sustained ----------------------------------------------------------------------------------------------


def frames_recorded(folder: Path, frames: int) -> float:
    """Bytes a second of whole frames."""
    slots = ticks(4 * 4096, _SLOT)
    headers = slots.reshape(-1).view(header_dtype(_SLOT))
    with recorder(folder / "journal", _SLOT) as made:
        began = time.perf_counter()
        for _ in range(0, frames, 4):
            made.write(slots)
            headers["sequence"] += len(slots)
        return frames * frame_size(4096, _SLOT) / (time.perf_counter() - began)


def frames_plain(folder: Path, frames: int) -> float:
    """Bytes a second of writes of a frame's size, past the page cache and not synced, into reserved space."""
    size, path = frame_size(4096, _SLOT), folder / "plain"
    buffer = aligned(size)
    buffer[:] = 7
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
    try:
        os.posix_fallocate(fd, 0, size * frames)
        began = time.perf_counter()
        for number in range(frames):
            os.pwrite(fd, buffer.data, number * size)
        return frames * size / (time.perf_counter() - began)
    finally:
        os.close(fd)
        path.unlink()


# --- loop and latency ---------------------------------------------------------------------------------------


class Engine:
    """A ring with a processor and, if asked for, a journaler."""

    def __init__(self, folder: Path, mode: Mode | None, capacity: int = 1 << 16) -> None:
        self.name = f"bench-{os.getpid()}-{time.monotonic_ns()}"
        region = Region.create(self.name, plan_region(capacity, _SLOT), policy=PagePolicy("prefer"))
        self.region, self.ring = region, RingBuffer(region, "yielding")
        self._recorder: Recorder | None = None
        self._journaler: Journaler | None = None
        if mode is not None:
            shutil.rmtree(folder / "journal", ignore_errors=True)
            self._recorder = Recorder(
                str(folder / "journal"), messages=[Tick], identity={}, settings={}, slot_size=_SLOT
            )
            consumer = self.ring.join()
            self._journaler = Journaler(self.ring, consumer, self._recorder, Durability(mode))
            self._journaler.start()
        self.consumer = self.ring.join()
        self.processor = Processor(HandlerSet([on_tick]), capacities={"bench_total": 1})
        self.processor.compile()

    def close(self) -> None:
        """Drain and remove all of it."""
        if self._journaler is not None and self._recorder is not None:
            self._journaler.drain()
            self._recorder.close()
        self.region.close()


def loop_cost(folder: Path, mode: Mode | None, rounds: int = 40) -> float:
    """Nanoseconds of the processing thread for an event, ring half full by half full."""
    engine = Engine(folder, mode)
    try:
        half = engine.ring.capacity // 2
        slots, spent = ticks(half, _SLOT), 0.0
        headers = slots.reshape(-1).view(header_dtype(_SLOT))
        for _ in range(rounds):
            engine.ring.publish_rows(slots)
            headers["sequence"] += half
            first, last = engine.consumer.sequence + 1, engine.consumer.available()
            began = time.thread_time()
            engine.processor.process(
                engine.ring.slots, first, last + 1, lambda _: None, base=0, mask=engine.ring.mask
            )
            spent += time.thread_time() - began
            engine.consumer.commit(last)
        return spent / (rounds * half) * 1e9
    finally:
        engine.close()


def _publisher(name: str, seconds: float) -> None:
    """Another process: ten events each hundred microseconds, stamped when they are published."""
    ring = RingBuffer(Region.attach(name), "yielding")
    slots = ticks(BATCH, _SLOT)
    headers = slots.reshape(-1).view(header_dtype(_SLOT))
    due = time.monotonic_ns() + 50_000_000
    end = due + int(seconds * 1e9)
    while due < end:
        while time.monotonic_ns() < due:
            pass
        headers["event_time_ns"] = due  # when it was to be published: waiting counts
        ring.publish_rows(slots)
        headers["sequence"] += BATCH
        due += BATCH * 1_000_000_000 // RATE


def latencies(folder: Path, mode: Mode | None, seconds: float) -> list[float]:
    """p50, p99 and p99.9 in microseconds from when an event was due to when its output was there."""
    engine = Engine(folder, mode)
    publisher = multiprocessing.get_context("spawn").Process(target=_publisher, args=(engine.name, seconds))
    found: list[npt.NDArray[np.int64]] = []
    total = int(seconds * RATE)
    try:
        publisher.start()
        while engine.consumer.sequence < total - 1:
            last = engine.consumer.wait(0.2)
            first = engine.consumer.sequence + 1
            if last < first:
                assert publisher.is_alive(), "the publisher ended early"
                continue
            engine.processor.process(
                engine.ring.slots, first, last + 1, lambda _: None, base=0, mask=engine.ring.mask
            )
            now = time.monotonic_ns()
            due = engine.ring.view(header_dtype(_SLOT))["event_time_ns"]
            found.append(now - due[np.arange(first, last + 1) & engine.ring.mask])
            engine.consumer.commit(last)
        publisher.join()
    finally:
        engine.close()
    taken = np.concatenate(found)[total // 10 :] / 1e3
    return [float(np.percentile(taken, p)) for p in (50, 99, 99.9)]


# --- report -------------------------------------------------------------------------------------------------


def measure(folder: Path, runs: int) -> dict[str, list[Any]]:
    """All figures by name, one entry a run; None where something is not there."""
    found: dict[str, list[Any]] = {}

    def note(name: str, value: Any) -> None:
        found.setdefault(name, []).append(value)

    writers: tuple[tuple[str, Callable[[Path, int, int], float | None]], ...] = (
        ("recorder", recorded), ("plain", plain), ("sqlite", sqlite), ("lmdb", lmdb),
    )  # fmt: skip
    for _ in range(runs):
        for batch in SYNCS:
            for name, write in writers:
                note(f"durable {batch} {name}", write(folder, batch, 1000 if batch == 1 else 400))
        note("sustained recorder", frames_recorded(folder, 1024))
        note("sustained plain", frames_plain(folder, 1024))
        for mode in (None, "process", "group"):
            note(f"loop {mode or 'none'}", loop_cost(folder, mode))  # type: ignore[arg-type]
        for mode in (None, "process", "group"):
            for name, value in zip(("p50", "p99", "p99.9"), latencies(folder, mode, 3.0), strict=True):  # type: ignore[arg-type]
                note(f"latency {name} {mode or 'none'}", value)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        found = measure(Path(folder), arguments.runs)
    if arguments.json:
        json.dump(found, sys.stdout)
        return
    for name, values in found.items():
        known = [value for value in values if value is not None]
        if not known:
            print(f"{name:28} not installed")
            continue
        print(f"{name:28} {statistics.median(known):14,.1f}   ({min(known):,.1f} to {max(known):,.1f})")


if __name__ == "__main__":
    main()
