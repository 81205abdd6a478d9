"""Lane: one producer's ring into a processor.

Many producers never share a ring. Each has a lane of its own; the sequencer merges lanes into the input ring.
A producer that dies leaves a quiet lane: what it claimed and never published was never visible.

A lane numbers its events itself: `source_sequence = base + sequence in the lane`, stamped into the header
together with the source's id at publication. So the number that the journal recorded last says where to go on
in the lane, by subtraction (`resume`), whatever the sequencer's own stored position says. That is why a kill
between merging a batch and storing the position neither loses an event nor takes one twice.

Consumer 0 of the ring is the sequencer's place. It is taken when the lane is made, before the first event, so
that a producer that starts before the sequencer is held back and not lapped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.atomics import load_relaxed
from disruptor.compile_cache import entry
from disruptor.consumer import Consumer
from disruptor.errors import RegionError
from disruptor.jit import jit
from disruptor.layout import CAPACITY_WORD, CURSOR_WORD, SOURCE_BASE_WORD, SOURCE_ID_WORD, WORD_SIZE
from disruptor.message import HEADER_FIELDS, HEADER_SIZE
from disruptor.ring_buffer import RingBuffer, publish
from disruptor.status import OK
from disruptor.wait_strategy import signal, wake_waiters

#: The sequencer's place among a lane's consumers.
SEQUENCER = 0

_HEADER = np.dtype(list(HEADER_FIELDS))
assert _HEADER.itemsize == HEADER_SIZE and _HEADER.fields is not None
#: Header fields as int64 words of a slot; the type word is type_id, flags and, in its upper half, source_id.
SEQUENCE_FIELD = _HEADER.fields["sequence"][1] // WORD_SIZE
SOURCE_SEQUENCE_FIELD = _HEADER.fields["source_sequence"][1] // WORD_SIZE
TYPE_FIELD = _HEADER.fields["type_id"][1] // WORD_SIZE
assert _HEADER.fields["source_id"][1] == TYPE_FIELD * WORD_SIZE + 4

_LOWER_HALF = 0xFFFFFFFF
_SOURCE_SHIFT = 32


@jit
def publish_stamped(block: Any, words: Any, sequence: Any) -> Any:
    """Stamp source_sequence and source_id into every slot claimed up to `sequence`, then publish them.

    Parameters
    ----------
    block : (512,) int64 control block of the lane. The cursor is mutated.
    words : (capacity * slot words,) int64, the lane's slots. Two header words of each new slot are mutated.
    sequence : int64, at most the highest claimed

    Returns
    -------
    int64 status, as `publish`.

    MEMORY ORDER: as `publish`; the stamps come before the release store.
    """
    capacity, base = load_relaxed(block, CAPACITY_WORD), load_relaxed(block, SOURCE_BASE_WORD)
    source = load_relaxed(block, SOURCE_ID_WORD) << _SOURCE_SHIFT
    slot_words = words.shape[0] // capacity
    for unstamped in range(load_relaxed(block, CURSOR_WORD) + 1, sequence + 1):
        slot = (unstamped & (capacity - 1)) * slot_words
        words[slot + SOURCE_SEQUENCE_FIELD] = base + unstamped
        words[slot + TYPE_FIELD] = (words[slot + TYPE_FIELD] & _LOWER_HALF) | source
    return publish(block, sequence)


@entry
def _publish_stamped(block: Any, words: Any, sequence: Any) -> Any:
    """Publish and signal: how many wait, or -1 where the sequence regressed."""
    if publish_stamped(block, words, sequence) != OK:
        return -1
    return signal(block)


class Lane:
    """A ring with a source: made once with `Lane.create`, opened by the other end with `Lane(ring)`.

    Attributes
    ----------
    ring : RingBuffer; claim and write slots there, publish here
    words : (capacity * slot_size / 8,) int64, the slots as kernels take them
    source_id, base : who produces, and the source_sequence of the lane's sequence 0
    """

    def __init__(self, ring: RingBuffer) -> None:
        self.ring = ring
        self.words: npt.NDArray[np.int64] = ring.slots.reshape(-1).view(np.int64)
        self.source_id = int(ring.block[SOURCE_ID_WORD])
        self.base = int(ring.block[SOURCE_BASE_WORD])
        if not Consumer(ring.block, SEQUENCER, 0, ring.strategy).joined:
            raise RegionError("this ring is no lane: make it one with Lane.create")

    @classmethod
    def create(cls, ring: RingBuffer, source_id: int, first_source_sequence: int = 0) -> Lane:
        """Make a fresh ring a lane.

        Parameters
        ----------
        source_id : 0 .. 2^32 - 1, different for every lane of a sequencer
        first_source_sequence : of the first event; for a lane that replaces one, the next that the journal
        expects
        """
        assert 0 <= source_id <= _LOWER_HALF and first_source_sequence >= 0
        if ring.claimed >= 0:
            raise RegionError("a lane is made before its first event")
        place = ring.join()
        if place.number != SEQUENCER:
            place.close()
            raise RegionError("this ring already has consumers: a lane's first is the sequencer")
        ring.block[SOURCE_ID_WORD], ring.block[SOURCE_BASE_WORD] = source_id, first_source_sequence
        return cls(ring)

    def publish(self, sequence: int) -> int:
        """Stamp and publish claimed slots up to `sequence`; returns the source_sequence of the last.

        MEMORY ORDER: release.
        """
        assert sequence <= self.ring.claimed, f"published {sequence}, claimed only up to {self.ring.claimed}"
        waiting = int(_publish_stamped(self.ring.block, self.words, sequence))
        assert waiting >= 0, f"published {sequence} twice: the cursor is at {self.ring.cursor}"
        if waiting:
            wake_waiters(self.ring.block)
        return self.base + sequence

    def sequencer(self) -> Consumer:
        """The sequencer's place, at its stored position; only the sequencer takes it."""
        return Consumer.resume(self.ring.block, SEQUENCER, self.ring.strategy)

    def resume(self, last_source_sequence: int) -> int:
        """Continue merging after the last event that is known to be merged; returns how far that moved the
        position.

        Positive: events whose merging had not been noted and are not taken twice. Negative: events that were
        merged into an input ring that is lost, and are merged again.

        Raises
        ------
        RegionError : the lane no longer holds the next event, or never held the last one.
        """
        place = self.sequencer()
        before, after = place.sequence, last_source_sequence - self.base
        place.move(after)
        return after - before
