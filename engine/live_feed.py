"""Recorded logs as a live feed that goes on where the journal ends.

The encoder has state (ids, blocks, pools), so a feed that goes on encodes from the start. What the journal holds
already is compared with it, byte for byte, and not published again: whatever goes on does so from the very events
that were recorded. Where they differ the sources have changed, and nothing is written. What was purged of the journal
can't be compared; the rest is.

    encode ──► scratch slots, compared with the journal ──► ... up to its end ──► the input ring
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from disruptor.errors import InputError
from disruptor.journal.direct import aligned
from disruptor.journal.reader import Frame, JournalReader
from disruptor.replay.pipeline import RingWriter

_SCRATCH_SLOTS = 8192


class ResumingWriter:
    """A writer that takes what the journal holds without writing it, and the rest into the ring.

    Parameters
    ----------
    ring : takes the first slot that the journal does not hold
    journal : a reader of what it holds
    """

    def __init__(self, ring: RingWriter, journal: JournalReader) -> None:
        self._ring, self._journal = ring, journal
        head = journal.head
        self._next = journal.first_sequence if head is None else head.journal_first_sequence
        self._resume = journal.last_sequence + 1
        self._frames: Iterator[Frame] = iter(())
        self._frame: Frame | None = None
        self.slots, self.mask = ring.slots, ring.mask
        if self._next < self._resume:
            slot_size = ring.slots.shape[1]
            self.slots = aligned(_SCRATCH_SLOTS * slot_size).reshape(_SCRATCH_SLOTS, slot_size)
            self.mask = _SCRATCH_SLOTS - 1
            self._frames = iter(journal.frames(journal.first_sequence))

    @property
    def _skipping(self) -> bool:
        return self.slots is not self._ring.slots

    def limit(self) -> int:
        """First sequence not to write; waits for the ring's room."""
        return self._next + _SCRATCH_SLOTS if self._skipping else self._ring.limit()

    def publish(self, end: int) -> None:
        """Everything before sequence `end` is written.

        Raises
        ------
        InputError : it is not what the journal holds.
        """
        if not self._skipping:
            self._ring.publish(end)
            return
        while self._next < min(end, self._resume):
            self._compare(min(end, self._resume))
        if end >= self._resume:
            self._go_over(end)

    def _compare(self, end: int) -> None:
        """Hold written slots against the present frame, as far as it goes."""
        if self._next < self._journal.first_sequence:
            self._next = min(end, self._journal.first_sequence)
            return
        if self._frame is None or self._frame.first_sequence + self._frame.count <= self._next:
            self._frame = next(self._frames)
        frame = self._frame
        end = min(end, frame.first_sequence + frame.count)
        written = self.slots[np.arange(self._next, end) & self.mask]
        held = frame.slots[self._next - frame.first_sequence : end - frame.first_sequence]
        different = np.flatnonzero((written != held).any(axis=1))
        if len(different):
            raise InputError(
                f"{self._journal.directory}: the sources give other events from sequence "
                f"{self._next + int(different[0])} on than those recorded: they, or the program, have changed since. "
                "Nothing was written; record into another directory"
            )
        self._next = end

    def _go_over(self, end: int) -> None:
        """Copy what is behind the journal's end into the ring, which takes everything from here on."""
        scratch, mask = self.slots, self.mask
        self.slots, self.mask = self._ring.slots, self._ring.mask
        while self._next < end:
            upto = min(end, self._ring.limit())
            for sequence in range(self._next, upto):
                self.slots[sequence & self.mask] = scratch[sequence & mask]
            self._ring.publish(upto)
            self._next = upto

    def check_end(self) -> None:
        """After the feed's last slot: refuse sources that end before the journal does.

        Raises
        ------
        InputError : they do.
        """
        if self._next < self._resume:
            raise InputError(
                f"{self._journal.directory}: the sources end before sequence {self._next}, the journal holds events "
                f"up to {self._resume - 1}: they are not the ones that were recorded. Nothing was written"
            )
