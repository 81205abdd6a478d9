"""Writes tails: one durable write a flush, into files of zeros that were prepared ahead."""

from __future__ import annotations

import numpy as np

from disruptor.journal.direct import DirectStorage, aligned
from disruptor.journal.layout import BLOCK_SIZE, FRAME_HEADER_SIZE, Bytes
from disruptor.journal.storage import reported
from disruptor.journal.tail import (
    KIND_TAIL,
    KIND_TAIL_STOPPED,
    TailHeader,
    seal_tail_frame,
    seal_tail_header,
    tail_frame_size,
)


class TailWriter:
    """Fills one tail.

    Parameters
    ----------
    storage : where its file is
    header : what its first block says
    buffer : (>= tail_frame_size of the largest flush,) uint8, aligned; used during calls only

    Attributes
    ----------
    next_sequence : after the last one that is on the device
    running_hash : up to there; the next tail's seed once this one is closed
    """

    def __init__(self, storage: DirectStorage, header: TailHeader, buffer: Bytes) -> None:
        self._storage, self.header, self._buffer = storage, header, buffer
        self._path = storage.path(header.name)
        self.next_sequence, self.running_hash = header.first_sequence, header.seed
        self._offset = 0
        with reported(self._path, f"reserving {header.size} bytes"):
            self._fd: int | None = storage.create(header.name, header.size)
        self._write(seal_tail_header(header))

    def has_room(self, slots: int) -> bool:
        """Whether a flush of so many slots fits, and the closing mark behind it."""
        return self._offset + tail_frame_size(slots * self.header.slot_size) + BLOCK_SIZE <= self.header.size

    @property
    def is_half_full(self) -> bool:
        """Whether it is time to prepare the next one."""
        return self._offset > self.header.size // 2

    def append(self, slots: Bytes, first_sequence: int) -> None:
        """Put slots on the device as one frame.

        Parameters
        ----------
        slots : (n, slot_size) uint8, n >= 1
        first_sequence : of `slots[0]`, `next_sequence` or later

        Raises
        ------
        JournalError : the write failed; nothing of it is acknowledged, and the same call may be made again.
        """
        size = slots.size
        assert first_sequence >= self.next_sequence
        self.next_sequence = first_sequence
        self._buffer[FRAME_HEADER_SIZE : FRAME_HEADER_SIZE + size].reshape(slots.shape)[:] = slots
        self._seal_and_write(KIND_TAIL, len(slots), size)
        self.next_sequence += len(slots)

    def close(self, mark: int | None) -> None:
        """Give up the file; with a mark (one of `CLOSING`), say first why nothing follows in it."""
        if self._fd is None:
            return
        try:
            if mark is not None:
                self._seal_and_write(mark, 0, 0)
        finally:
            fd, self._fd = self._fd, None
            self._storage.close(fd)

    def _seal_and_write(self, kind: int, count: int, size: int) -> None:
        running = seal_tail_frame(
            self._buffer,
            self.running_hash,
            kind=kind,
            count=count,
            size=size,
            first_sequence=self.next_sequence,
        )
        self._write(self._buffer[: tail_frame_size(size)])
        self.running_hash = running

    def _write(self, content: Bytes) -> None:
        assert self._fd is not None
        with reported(self._path, "writing", self._offset):
            self._storage.write(self._fd, content, self._offset)
        self._offset += len(content)


def close_torn(
    storage: DirectStorage, header: TailHeader, offset: int, sequence: int, running: bytes
) -> bytes:
    """Zero what was torn at `offset`, where `sequence` would follow, and close the tail there.

    Returns
    -------
    bytes, the tail's final running hash.
    """
    with reported(storage.path(header.name), "closing the tail", offset):
        fd = storage.reopen(header.name)
        assert fd is not None
        try:
            blank_behind(storage, fd, header.name, offset)
            mark = aligned(BLOCK_SIZE)
            final = seal_tail_frame(
                mark, running, kind=KIND_TAIL_STOPPED, count=0, size=0, first_sequence=sequence
            )
            storage.write(fd, mark[:BLOCK_SIZE], offset)
            return final
        finally:
            storage.close(fd)


def blank_behind(storage: DirectStorage, fd: int, name: str, offset: int) -> None:
    """Zero a file from a block on, from back to front: interrupted, what is left is torn as before, or blank."""
    content = storage.read_behind(name, offset)
    written = content[: len(content) // BLOCK_SIZE * BLOCK_SIZE].reshape(-1, BLOCK_SIZE).any(axis=1)
    blank = aligned(BLOCK_SIZE)
    for block in np.flatnonzero(written)[::-1].tolist():
        storage.write(fd, blank, offset + block * BLOCK_SIZE)
