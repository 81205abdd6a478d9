"""Decoding on one thread, processing on another, the input ring between them.

The producer encodes logs straight into free slots of the ring and publishes; the caller's thread waits for published
slots as the wait strategy says, takes them as runs, and gives them back when the next run is asked for. The kernels on
both sides hold no GIL. What is read does not depend on who was faster: the encoder writes the same slots in any case.

An error of the producer reaches the caller after everything published before it has been processed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from disruptor.replay.slots import Run
from disruptor.ring_buffer import RingBuffer

#: How long the consumer waits before it looks whether the producer has ended.
_LOOK_SECONDS = 0.05


class Stopped(Exception):
    """The consumer has left: the producer has nobody to write for."""


class SlotWriter(Protocol):
    """Where a producer writes slots.

    slots : (capacity, slot_size) uint8; mask : capacity - 1. Looked up before each batch: they may change.
    """

    slots: npt.NDArray[np.uint8]
    mask: int

    def limit(self) -> int:
        """First sequence not to write; waits until there is room for some."""

    def publish(self, end: int) -> None:
        """Everything before sequence `end` is written."""


class RingWriter:
    """The producer's side: room to write into, and publication."""

    def __init__(self, ring: RingBuffer, needed: int) -> None:
        self.ring, self._needed = ring, needed
        self.slots: npt.NDArray[np.uint8] = ring.slots
        self.mask: int = ring.mask

    def limit(self) -> int:
        """First sequence not to write, once at least `needed` slots are free; waits for that.

        Raises
        ------
        Stopped : the consumer has left.
        """
        ring, needed = self.ring, self._needed
        ring.strategy.wait_until(lambda: ring.room() >= needed or ring.stopped())
        if ring.stopped():
            raise Stopped
        return ring.claimed + 1 + ring.room()

    def publish(self, end: int) -> None:
        """Make everything before sequence `end` visible."""
        count = end - self.ring.claimed - 1
        if count > 0:
            claimed = self.ring.try_claim(count)
            assert claimed is not None, "wrote more slots than were free"
            self.ring.publish(end - 1)


class Pipeline:
    """Runs `produce` on a thread and gives what it publishes as runs.

    Parameters
    ----------
    ring : empty, used by nobody else
    needed : slots that `produce` must find free to make progress
    produce : called once with a RingWriter; writes everything and returns
    """

    def __init__(self, ring: RingBuffer, needed: int, produce: Callable[[RingWriter], None]) -> None:
        self._ring, self._needed, self._produce = ring, needed, produce
        self._error: BaseException | None = None
        self._finished = threading.Event()

    def runs(self) -> Generator[Run]:
        """Everything that the producer publishes; its error, if any, comes last. Leaving early stops the producer."""
        ring = self._ring
        consumer = ring.join()
        thread = threading.Thread(target=self._run_producer, name="decode", daemon=True)
        thread.start()
        try:
            sequence = consumer.sequence
            while True:
                finished = self._finished.is_set()  # looked at before the cursor, so that nothing is missed
                highest = consumer.available() if finished else consumer.wait(_LOOK_SECONDS)
                if highest > sequence:
                    first = sequence + 1
                    for span in ring.spans(first, highest - sequence):
                        yield Run(ring.slots[span], first)
                        first += span.stop - span.start
                    consumer.commit(highest)
                    sequence = highest
                elif finished:
                    break
        finally:
            ring.stop()
            thread.join()
        if self._error is not None:
            raise self._error

    def _run_producer(self) -> None:
        try:
            self._produce(RingWriter(self._ring, self._needed))
        except Stopped:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._finished.set()
