"""Consumer: a gated reader of a ring, at a place of its own in the control block.

A consumer announces its place with a compare-and-swap, so several processes may join at once. Its cell also
names its process: a producer that is stuck behind a consumer who died can find that out and go on
(`evict_dead`). A place can be resumed at its stored sequence by a successor, which is what recovery does.
"""

from __future__ import annotations

import os
from typing import Any

from disruptor.atomics import compare_and_swap, fence, load_acquire, store_relaxed, store_release
from disruptor.barrier import SequenceBarrier
from disruptor.compile_cache import entry
from disruptor.errors import RegionError
from disruptor.jit import jit
from disruptor.layout import (
    CAPACITY_WORD,
    CELL_WORDS,
    CLAIMED_WORD,
    CONSUMER_PID,
    CONSUMER_START_TIME,
    CURSOR_WORD,
    GATING_WORD,
    MAX_CONSUMERS,
    gating_word,
)
from disruptor.owner import start_time
from disruptor.sequence import NOT_GATING, Words
from disruptor.wait_strategy import WaitStrategy, signal, wake, wake_waiters

#: What the kernel `join` returns when every place is taken.
NO_PLACE = -1


@jit
def join(block: Any) -> Any:
    """Take a free gating cell, at the cursor; returns the consumer's number or `NO_PLACE` (-1).

    MEMORY ORDER: the swap stores a gate that holds the producer back, the fence orders it before the second
    read of the cursor. The producer fences between its cursor store and its look at the gates. So either it
    sees this gate, or the second read sees how far it got: it can't have passed the sequence at which the
    consumer then starts.
    """
    for consumer in range(MAX_CONSUMERS):
        word = GATING_WORD + consumer * CELL_WORDS
        if compare_and_swap(block, word, NOT_GATING, load_acquire(block, CURSOR_WORD)):
            fence()
            store_release(block, word, load_acquire(block, CURSOR_WORD))
            return consumer
    return NO_PLACE


@jit
def commit(block: Any, consumer: Any, sequence: Any) -> None:
    """Give slots up to `sequence` back to the producer and on to dependent consumers.

    MEMORY ORDER: release. The consumer's reads of the slots, and what it wrote into them, come before.
    """
    store_release(block, GATING_WORD + consumer * CELL_WORDS, sequence)


@entry
def _join(block: Any) -> Any:
    return join(block)


@entry
def _commit(block: Any, consumer: Any, sequence: Any) -> Any:
    commit(block, consumer, sequence)
    return signal(block)


class Consumer:
    """One consumer, as Python sees it. `number` and `barrier.dependencies` are what kernels take."""

    def __init__(self, block: Words, number: int, dependencies: int, strategy: WaitStrategy) -> None:
        self.block, self.number = block, number
        self.barrier = SequenceBarrier(block, dependencies, strategy)
        self._word = gating_word(number)

    @classmethod
    def join(cls, block: Words, strategy: WaitStrategy, after: tuple[int, ...] = ()) -> Consumer:
        """Take a free place; see `RingBuffer.join`. Raises RegionError."""
        number = int(_join(block))
        if number == NO_PLACE:
            raise RegionError(
                f"all {MAX_CONSUMERS} consumers' places are taken: close one, or evict the dead ones"
            )
        return cls.resume(block, number, strategy, after)

    @classmethod
    def resume(
        cls, block: Words, number: int, strategy: WaitStrategy, after: tuple[int, ...] = ()
    ) -> Consumer:
        """Continue a place at its stored sequence, as the successor of whoever held it. Raises
        RegionError."""
        consumer = cls(block, number, sum(1 << n for n in set(after)), strategy)
        if not consumer.joined:
            raise RegionError(f"there is no consumer {number} to resume: join instead")
        store_relaxed(block, consumer._word + CONSUMER_START_TIME, start_time(os.getpid()) or 0)
        store_release(block, consumer._word + CONSUMER_PID, os.getpid())
        return consumer

    @property
    def joined(self) -> bool:
        """Whether this place holds the producer back."""
        return self.sequence != NOT_GATING

    @property
    def sequence(self) -> int:
        """Highest sequence that this consumer has finished. MEMORY ORDER: acquire."""
        return int(load_acquire(self.block, self._word))

    def available(self) -> int:
        """Highest sequence that may be read. MEMORY ORDER: acquire."""
        return self.barrier.available()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for at least one new event; the highest readable sequence, or this one's own on timeout or
        stop.

        MEMORY ORDER: acquire.
        """
        sequence = self.sequence
        return max(sequence, self.barrier.wait_for(sequence + 1, timeout))

    def commit(self, sequence: int) -> None:
        """Report everything up to `sequence` as finished, and wake who waits for that. MEMORY ORDER:
        release."""
        assert self.sequence <= sequence <= self.available(), f"commit of {sequence}, which was not available"
        if _commit(self.block, self.number, sequence) > 0:
            wake_waiters(self.block)

    def move(self, sequence: int) -> None:
        """Go to another sequence, back as well: recovery only, while the producer is not running.

        Raises
        ------
        RegionError : that far back the ring has been overwritten, or so much was never published.
        """
        cursor, oldest = (
            int(self.block[CURSOR_WORD]),
            int(self.block[CLAIMED_WORD] - self.block[CAPACITY_WORD]),
        )
        if not max(oldest, -1) <= sequence <= cursor:
            raise RegionError(
                f"can't continue after sequence {sequence}: the ring holds {max(oldest, -1) + 1} to {cursor}",
                sequence=sequence,
            )
        store_release(self.block, self._word, sequence)

    def close(self) -> None:
        """Leave: the producer and dependent consumers no longer wait for this one. MEMORY ORDER: release."""
        _vacate(self.block, self._word)


def evict_dead(block: Words) -> list[int]:
    """Free the places of consumers whose process is gone, and return their numbers.

    What they had not read is lost to them. Call it when a producer waits too long, never for a ring whose
    consumers are resumed after a crash.
    """
    gone = []
    for number in range(MAX_CONSUMERS):
        word = gating_word(number)
        pid = int(load_acquire(block, word + CONSUMER_PID))
        taken = int(load_acquire(block, word)) != NOT_GATING
        if taken and pid and start_time(pid) != int(block[word + CONSUMER_START_TIME]):
            _vacate(block, word)
            gone.append(number)
    return gone


def _vacate(block: Words, word: int) -> None:
    store_release(block, word + CONSUMER_PID, 0)
    store_release(block, word, NOT_GATING)
    wake(block)
