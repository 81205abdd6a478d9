"""RingBuffer: one producer, up to 16 gated consumers, slots that are written in place.

    claimed  ≥  cursor (published)  ≥  every consumer's sequence  ≥  claimed - capacity

The producer owns `claimed` and `cursor`; each consumer owns its sequence. Nobody else writes them, so no step
needs a lock or a compare-and-swap. A claim that would lap the slowest consumer fails; the slowest consumer is
looked up only when the last look no longer suffices, so in the steady state a claim touches no line of
another core.

The kernels take the control block (512 int64 words) and are all a compiled producer or consumer needs:

    first = claim(block, n)        -1 when there is no room for n
    write slots[sequence & mask] for first .. first + n - 1
    publish(block, first + n - 1)

Publish in batches: one store per batch is eight times as fast as one per slot. Only claiming more than the
consumers have freed waits; there is no claim that others must wait for, because a ring has one producer.
Several producers have a lane each, see `disruptor.lane`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.atomics import load_acquire, load_relaxed, store_relaxed, store_release
from disruptor.compile_cache import entry
from disruptor.consumer import Consumer
from disruptor.errors import RingFullError
from disruptor.jit import jit
from disruptor.layout import (
    CACHED_GATE_WORD,
    CAPACITY_WORD,
    CLAIMED_WORD,
    CONTROL_WORD,
    CURSOR_WORD,
    plan_region,
)
from disruptor.memory import Region
from disruptor.pages import PagePolicy
from disruptor.sequence import INITIAL, minimum_gate
from disruptor.status import OK, RING_FULL, SEQUENCE_REGRESSED
from disruptor.wait_strategy import DEFAULT_WAIT_STRATEGY, make_wait_strategy, signal, wake_waiters

#: What `claim` returns when there is no room.
NO_ROOM = -1


# --- kernels ------------------------------------------------------------------------------------------------


@jit
def room(block: Any) -> Any:
    """How many slots could be claimed now; only the producer may ask.

    block : (512,) int64 control block. The cached gate is refreshed.

    MEMORY ORDER: as `minimum_gate`.
    """
    gate = minimum_gate(block)
    store_relaxed(block, CACHED_GATE_WORD, gate)
    return load_relaxed(block, CAPACITY_WORD) - (load_relaxed(block, CLAIMED_WORD) - gate)


@jit
def claim(block: Any, count: Any) -> Any:
    """Reserve the next `count` slots for writing; only the producer may.

    Parameters
    ----------
    block : (512,) int64 control block. Claimed sequence and cached gate are mutated.
    count : int64, 1 .. capacity

    Returns
    -------
    int64, the first sequence of the batch, or `NO_ROOM` (-1) where a consumer is in the way; then nothing
    changed.

    MEMORY ORDER: the gates are read with acquire (see `minimum_gate`) before the caller writes the slots they
    free. A cached gate was read so earlier, and gates only grow.
    """
    claimed = load_relaxed(block, CLAIMED_WORD)
    overwritten = claimed + count - load_relaxed(block, CAPACITY_WORD)
    if overwritten > load_relaxed(block, CACHED_GATE_WORD):
        gate = minimum_gate(block)
        store_relaxed(block, CACHED_GATE_WORD, gate)
        if overwritten > gate:
            return NO_ROOM
    store_relaxed(block, CLAIMED_WORD, claimed + count)
    return claimed + 1


@jit
def publish(block: Any, sequence: Any) -> Any:
    """Make every slot up to `sequence` visible to consumers; only the producer may.

    Parameters
    ----------
    block : (512,) int64 control block. The cursor is mutated.
    sequence : int64, at most the highest claimed

    Returns
    -------
    int64 status : `OK`, or `SEQUENCE_REGRESSED` where it is not above the cursor (unchanged).

    MEMORY ORDER: release. Slot writes before this call are seen by whoever loads the cursor with acquire.
    Blocked waiters are not woken: the caller runs `signal` or, back in Python, `wake`.
    """
    if sequence <= load_relaxed(block, CURSOR_WORD):
        return SEQUENCE_REGRESSED
    store_release(block, CURSOR_WORD, sequence)
    return OK


@entry
def _room(block: Any) -> Any:
    return room(block)


@entry
def _claim(block: Any, count: Any) -> Any:
    return claim(block, count)


@entry
def _publish(block: Any, sequence: Any) -> Any:
    """Publish and signal: how many wait, or -1 where the sequence regressed."""
    if publish(block, sequence) != OK:
        return -1
    return signal(block)


# --- Python -------------------------------------------------------------------------------------------------


class RingBuffer:
    """A ring over a region: the producer's side, and the place where consumers join.

    >>> from disruptor.pages import PagePolicy
    >>> ring = RingBuffer.private(4, 64, policy=PagePolicy("off"))
    >>> reader = ring.join()
    >>> first = ring.claim(2)
    >>> ring.slots[ring.index(first)][0] = 7
    >>> ring.publish(first + 1)
    >>> reader.available()
    1
    >>> ring.try_claim(3) is None
    True
    >>> reader.commit(1)
    >>> ring.try_claim(3)
    2

    Attributes
    ----------
    block : (512,) int64, what kernels take
    slots : (capacity, slot_size) uint8
    strategy : WaitStrategy of `claim` and of the consumers that join here
    """

    def __init__(self, region: Region, wait_strategy: str = DEFAULT_WAIT_STRATEGY) -> None:
        self.region, self.block, self.slots = region, region.block, region.slots
        self.capacity, self.slot_size = region.layout.capacity, region.layout.slot_size
        self.mask = self.capacity - 1
        self.strategy = make_wait_strategy(wait_strategy, self.block)

    @classmethod
    def private(
        cls,
        capacity: int,
        slot_size: int,
        *,
        policy: PagePolicy | None = None,
        wait_strategy: str = DEFAULT_WAIT_STRATEGY,
    ) -> RingBuffer:
        """A ring for the threads of this process. Raises RegionError, MemoryPolicyError."""
        layout = plan_region(capacity, slot_size, type_capacity=0, counter_capacity=0)
        return cls(Region.private(layout, policy), wait_strategy)

    @property
    def cursor(self) -> int:
        """Highest published sequence. MEMORY ORDER: acquire."""
        return int(load_acquire(self.block, CURSOR_WORD))

    @property
    def claimed(self) -> int:
        """Highest claimed sequence; exact only for the producer."""
        return int(load_relaxed(self.block, CLAIMED_WORD))

    def room(self) -> int:
        """How many slots could be claimed now."""
        return int(_room(self.block))

    def index(self, sequence: int) -> int:
        """The slot of a sequence."""
        return sequence & self.mask

    def spans(self, first: int, count: int) -> list[slice]:
        """The slots of `count` sequences from `first` on, as one slice, or two where the ring wraps."""
        start = self.index(first)
        head = min(count, self.capacity - start)
        return [slice(start, start + head)] + ([slice(0, count - head)] if count > head else [])

    def view(self, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """All slots as (capacity,) records; `dtype.itemsize` must be the slot size."""
        assert dtype.itemsize == self.slot_size, f"{dtype.itemsize} bytes laid over slots of {self.slot_size}"
        return self.slots.reshape(-1).view(dtype)

    # producer

    def try_claim(self, count: int = 1) -> int | None:
        """Reserve `count` slots and return the first sequence, or None if there is no room. Never waits.

        MEMORY ORDER: acquire of the gates, as the kernel `claim`.
        """
        assert 1 <= count <= self.capacity, f"can't claim {count} of {self.capacity} slots"
        first = int(_claim(self.block, count))
        return None if first == NO_ROOM else first

    def claim(self, count: int = 1, timeout: float | None = None) -> int:
        """Reserve `count` slots, waiting for consumers as the wait strategy says; returns the first sequence.

        Raises
        ------
        RingFullError : `timeout` seconds went by, or the control word was set meanwhile.

        MEMORY ORDER: as `try_claim`.
        """
        first: int | None = None

        def ready() -> bool:
            nonlocal first
            if first is None:  # asked again after success, this must not claim again
                first = self.try_claim(count)
            return first is not None or self.stopped()

        self.strategy.wait_until(ready, timeout)
        if first is None:
            why = (
                "the ring was told to stop" if self.stopped() else f"no consumer made room within {timeout} s"
            )
            raise RingFullError(
                f"can't claim {count} slots after sequence {self.claimed}: {why}", status=RING_FULL
            )
        return first

    def publish(self, sequence: int) -> None:
        """Make claimed slots up to `sequence` visible, and wake who waits for them.

        MEMORY ORDER: release, then a full fence before the look for waiters.
        """
        assert sequence <= self.claimed, f"published {sequence}, claimed only up to {self.claimed}"
        waiting = int(_publish(self.block, sequence))
        assert waiting >= 0, f"published {sequence} twice: the cursor is at {self.cursor}"
        if waiting:
            wake_waiters(self.block)

    def try_publish(self, rows: npt.NDArray[Any]) -> bool:
        """Copy rows of slot size into the ring and publish them; False, with nothing done, if there is no
        room."""
        first = self.try_claim(len(rows))
        if first is None:
            return False
        self._fill(first, rows)
        return True

    def publish_rows(self, rows: npt.NDArray[Any], timeout: float | None = None) -> None:
        """Copy rows of slot size into the ring and publish them, waiting for room. In parts if there are
        many.

        Raises
        ------
        RingFullError : as `claim`; what fitted before is published.
        """
        part = max(1, self.capacity // 2)
        for start in range(0, len(rows), part):
            chunk = rows[start : start + part]
            self._fill(self.claim(len(chunk), timeout), chunk)

    def _fill(self, first: int, rows: npt.NDArray[Any]) -> None:
        raw = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), self.slot_size)
        done = 0
        for span in self.spans(first, len(rows)):
            length = span.stop - span.start
            self.slots[span] = raw[done : done + length]
            done += length
        self.publish(first + len(rows) - 1)

    def begin_at(self, sequence: int) -> None:
        """Publish `sequence` first. Only for a ring into which nobody has published, before anyone joins."""
        assert self.cursor == self.claimed == INITIAL, "begin_at: this ring is in use"
        store_relaxed(self.block, CACHED_GATE_WORD, sequence - 1)
        store_relaxed(self.block, CLAIMED_WORD, sequence - 1)
        store_release(self.block, CURSOR_WORD, sequence - 1)

    def resume_producer(self) -> int:
        """Forget claims that a dead producer never published; returns the cursor. Only for its one successor.

        MEMORY ORDER: the predecessor is gone; its published slots are acquired with the cursor.
        """
        cursor = self.cursor
        store_relaxed(self.block, CLAIMED_WORD, cursor)
        return cursor

    # consumers

    def join(self, *after: Consumer) -> Consumer:
        """Add a gated consumer that reads what is published from now on, and only what `after` have finished.

        Raises
        ------
        RegionError : all 16 places are taken.
        """
        return Consumer.join(self.block, self.strategy, tuple(c.number for c in after))

    # control

    def stop(self) -> None:
        """Set the control word: waits and compiled loops over this ring return. MEMORY ORDER: release."""
        store_release(self.block, CONTROL_WORD, 1)
        wake_waiters(self.block)

    def stopped(self) -> bool:
        """Whether the control word is set. MEMORY ORDER: acquire."""
        return bool(load_acquire(self.block, CONTROL_WORD) != 0)
