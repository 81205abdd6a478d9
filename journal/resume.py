"""An interrupted writer's successor: it makes the same bytes again, and writes only those that are not there yet.

Decoding has state (ids, blocks, pools), so an import that goes on decodes from the start. The writer above does
not know: it seals every header, frame and end mark as it would in an empty directory, and hands each to `write`
here. While what it hands over is on the disk already, byte for byte, nothing is written. That proves more than a
resumed state could: whatever was kept is what this very run would have written, so the journal that results is
the one of an import that was never interrupted.

At the first bytes that are not the same there are two cases. A whole frame, whose checksums hold and whose
running hash follows from what was just confirmed, was written on purpose: then the sources (or the program) have
changed since, and nothing is touched. Anything else is what the interruption left: a frame written in part,
zeros, or damage. It is dropped with everything behind it, and written again from there.

    on disk     header  frame  frame  frame  fra…        zeros
    this run    header  frame  frame  frame  frame  frame  …
                ─────── the same: kept ────┘ └─ dropped; written from here on
"""

from __future__ import annotations

from contextlib import closing
from typing import NamedTuple

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.directory import is_segment_name
from disruptor.journal.layout import (
    FRAME_HEADER_DTYPE,
    FRAME_HEADER_SIZE,
    SEGMENT_HEADER_DTYPE,
    Bytes,
    seed_hash,
)
from disruptor.journal.salvage import FrameWalk, Geometry, RawSegment, read_header
from disruptor.journal.storage import Storage


class _Reopened(NamedTuple):
    """A segment that was there: its name, and the bytes to reserve if it is written on."""

    name: str
    size: int


class ResumedStorage(Storage):
    """Storage over a directory that holds the beginning of the journal to be written.

    Parameters
    ----------
    inner : does the file operations

    Attributes
    ----------
    slots_kept : slots of the frames that were there already; final once the writer has finished
    """

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner.directory)
        self.slots_kept = 0
        self._inner = inner
        self._confirming = True
        self._reopened: dict[int, _Reopened] = {}
        self._geometry: Geometry | None = None
        self._first_sequence = 0
        self._running_hash = b""

    def create(self, name: str, size: int) -> int:
        """The segment that is there, while what is there is confirmed; else a new one."""
        if self._confirming:
            fd = self._inner.reopen(name)
            if fd is not None:
                self._reopened[fd] = _Reopened(name, size)
                return fd
            self._drop_behind(name)
        return self._inner.create(name, size)

    def write(self, fd: int, content: Bytes, offset: int) -> None:
        """Write `content`, unless it is there already."""
        if self._confirming and self._is_there(fd, content, offset):
            return
        self._inner.write(fd, content, offset)

    def cut(self, fd: int, size: int) -> None:
        """Drop what was reserved past `size`."""
        self._inner.cut(fd, size)

    def sync(self, fd: int) -> None:
        """Return once the file's content is on the device: also what an earlier run may not have synced."""
        self._inner.sync(fd)

    def close(self, fd: int) -> None:
        """Close a file or give up a lock."""
        self._reopened.pop(fd, None)
        self._inner.close(fd)

    def _is_there(self, fd: int, content: Bytes, offset: int) -> bool:
        """Confirm what stands at `offset`; the first time that it can't be, make room for what is to stand there.

        Raises
        ------
        JournalError : something whole, but else, stands there.
        """
        found = self._reopened[fd]
        with closing(RawSegment(self.path(found.name))) as raw:
            there = raw.read(np.empty(len(content), np.uint8), offset)
            if np.array_equal(there, content):
                self._remember(content, offset)
                return True
            if self._is_whole(raw, offset):
                raise JournalError(
                    f"{raw.path}, offset {offset}: the sources give other events from here on than before the "
                    "import was interrupted, so they have changed; nothing was overwritten. Add --restart to "
                    "import anew.",
                    path=raw.path,
                    offset=offset,
                )
        self._drop_behind(found.name)
        self._inner.cut(fd, offset)
        self._inner.reserve(fd, found.size)
        return False

    def _remember(self, content: Bytes, offset: int) -> None:
        """What the next frame has to follow from."""
        if offset == 0:
            header = content[: SEGMENT_HEADER_DTYPE.itemsize].view(SEGMENT_HEADER_DTYPE)[0]
            sizes = (int(header[n]) for n in ("header_size", "slot_size", "frame_slots", "segment_bytes"))
            self._geometry, self._first_sequence = Geometry(*sizes), int(header["first_sequence"])
            self._running_hash = seed_hash(content)
            return
        frame = content[:FRAME_HEADER_SIZE].view(FRAME_HEADER_DTYPE)[0]
        self._running_hash = frame["running_hash"].tobytes()
        self.slots_kept += int(frame["count"])

    def _is_whole(self, raw: RawSegment, offset: int) -> bool:
        """Whether a header, or a frame that follows from what was confirmed, stands at `offset` in full."""
        if offset == 0:
            try:
                read_header(raw)
            except JournalError:
                return False
            return True
        geometry = self._geometry
        assert geometry is not None
        # The end mark behind a short frame stands between the places of full ones: it counts as the next.
        number = -(-(offset - geometry.header_size) // geometry.full_frame_size)
        sequence = self._first_sequence + number * geometry.frame_slots
        walk = FrameWalk(raw, geometry, self._first_sequence, None)
        return walk.load(number, offset, sequence, self._running_hash).payload is not None

    def _drop_behind(self, name: str) -> None:
        """From this segment on everything is written: remove those behind it."""
        self._confirming = False
        for other in self._inner.names():
            if is_segment_name(other) and other > name:
                self._inner.remove(other)
