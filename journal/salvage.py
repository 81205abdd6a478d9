"""Reads one segment whatever has happened to it: each frame by itself, and what is wrong with it.

`disruptor.journal.segment` reads the journals that a manifest vouches for and stops at the first byte that is
wrong. Here nobody vouches. What makes that possible is the format: all frames of a segment but a journal's
last are full, so frame k stands at one offset and begins at one sequence, whatever became of the frames
before it. A frame is believed if its checksums hold, it says the sequence that its place implies, and its
running hash follows from that of the frame before.

A file may grow while it is read: its writer fills a preallocated file of zeros from front to back, each frame
with one write. So the last frame may be seen in part (`torn`: some 512-byte sector of it is all zero), and
what was zero a moment ago may be a frame now; `extent` is looked up first, and everything before it is read
afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.layout import (
    BLOCK_SIZE,
    FRAME_CRC_START,
    FRAME_HEADER_DTYPE,
    FRAME_HEADER_SIZE,
    FRAME_MAGIC,
    KIND_JOURNAL_END,
    KIND_SEGMENT_END,
    KIND_SLOTS,
    MAX_HEADER_SIZE,
    SEGMENT_CRC_START,
    SEGMENT_HEADER_DTYPE,
    SEGMENT_MAGIC,
    TOTALS_DTYPE,
    VERSION,
    Bytes,
    blocks,
    check_geometry,
    crc32c,
    frame_size,
    frames_per_segment,
    running_hash,
    seed_hash,
)
from disruptor.journal.segment_file import SegmentFile, open_segment

SECTOR_SIZE = 512
#: Of slots up to this size every sector holds a header with a type id, which is never zero.
SLOT_LIMIT = 256
#: What is wrong with a place where nothing was ever written.
UNWRITTEN = "nothing was written here"


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes that all segments of a journal share."""

    header_size: int
    slot_size: int
    frame_slots: int
    segment_bytes: int

    @property
    def full_frame_size(self) -> int:
        """Bytes on disk of a full frame."""
        return frame_size(self.frame_slots, self.slot_size)


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """A header whose checksum holds. `seed` is the running hash before the first frame."""

    geometry: Geometry
    segment_number: int
    first_sequence: int
    chain: bytes
    seed: bytes
    schema: bytes
    identity: bytes


@dataclass(frozen=True, slots=True)
class FoundFrame:
    """What stands where a frame belongs.

    Attributes
    ----------
    number, offset, first_sequence, count, kind : the place; what the frame says where its header holds
    stored_hash : its running hash, or None where its header is damaged
    payload : None if anything at all is wrong; else valid until the next frame is read
    fault : what is wrong, or None
    torn : some sector of it is all zero: it may never have been written in full
    """

    number: int
    offset: int
    first_sequence: int
    count: int
    kind: int
    stored_hash: bytes | None
    payload: Bytes | None
    fault: str | None = None
    torn: bool = False

    @property
    def is_unwritten(self) -> bool:
        """Whether there is nothing at all at this place."""
        return self.fault == UNWRITTEN

    @property
    def is_end(self) -> bool:
        """Whether this is an end mark whose header holds."""
        return self.kind != KIND_SLOTS

    def disk_size(self, geometry: Geometry) -> int:
        """Bytes from this frame to the next."""
        if self.is_end:
            return BLOCK_SIZE
        return frame_size(self.count, geometry.slot_size)


class RawSegment:
    """An open file that may be a segment, plain or compressed.

    Parameters
    ----------
    path : its plain name
    opened : the file, if it is open already; closed by `close`
    """

    def __init__(self, path: str | os.PathLike[str], opened: SegmentFile | None = None) -> None:
        self.path = str(path)
        try:
            self._file = open_segment(self.path) if opened is None else opened
        except OSError as error:
            raise JournalError(f"can't be opened: {error.strerror or error}", path=self.path) from error
        self.size = self._file.size

    def read(self, buffer: Bytes, offset: int) -> Bytes:
        """Fill `buffer` from `offset`; returns the part that the file had."""
        done = 0
        while done < len(buffer):  # bounded: each turn reads at least a byte or ends the loop
            try:
                got = self._file.read_at(buffer[done:], offset + done)
            except OSError as error:
                raise JournalError(f"reading failed: {error.strerror or error}", path=self.path) from error
            if got == 0:
                break
            done += got
        return buffer[:done]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_header(raw: RawSegment) -> SegmentHeader:
    """The header of a segment.

    Raises
    ------
    JournalError : says what is wrong with it, without the place.
    """
    start = SEGMENT_HEADER_DTYPE.itemsize
    fixed = raw.read(np.empty(start, np.uint8), 0)
    if len(fixed) < start:
        raise JournalError(f"segment header: the file has only {raw.size} bytes")
    field = {name: fixed.view(SEGMENT_HEADER_DTYPE)[0][name] for name in SEGMENT_HEADER_DTYPE.names or ()}
    if field["magic"] != SEGMENT_MAGIC:
        raise JournalError("segment header: the magic number is wrong")
    if field["version"] != VERSION:
        raise JournalError(f"segment header: version {field['version']}; this program reads {VERSION}")
    size, end = int(field["header_size"]), start + int(field["schema_size"]) + int(field["identity_size"])
    if not 0 < size <= MAX_HEADER_SIZE or size % BLOCK_SIZE or end > size:
        raise JournalError(f"segment header: a size of {size} bytes for {end} makes no sense")
    content = raw.read(np.empty(size, np.uint8), 0)
    if len(content) < size or crc32c(content[SEGMENT_CRC_START:]) != field["header_crc"]:
        raise JournalError("segment header: the CRC32C differs")
    geometry = Geometry(size, *(int(field[n]) for n in ("slot_size", "frame_slots", "segment_bytes")))
    check_geometry(geometry.slot_size, geometry.frame_slots)
    first, number = int(field["first_sequence"]), int(field["segment_number"])
    fits = frames_per_segment(geometry.segment_bytes, size, geometry.full_frame_size) >= 1
    if first < 0 or number < 0 or not fits:
        raise JournalError("segment header: sizes or sequences make no sense")
    if content[end:].any() or field["reserved0"] or field["reserved1"].any():
        raise JournalError("segment header: bytes that must be zero are not")
    middle = start + int(field["schema_size"])
    return SegmentHeader(
        geometry,
        number,
        first,
        field["chain"].tobytes(),
        seed_hash(content),
        content[start:middle].tobytes(),
        content[middle:end].tobytes(),
    )


class FrameWalk:
    """The frames of one segment in order.

    Parameters
    ----------
    raw : the file
    geometry, first_sequence : where frames stand and begin
    seed : running hash before the first frame; None where the header is damaged
    """

    def __init__(self, raw: RawSegment, geometry: Geometry, first_sequence: int, seed: bytes | None) -> None:
        self._raw, self._geometry, self._first, self._seed = raw, geometry, first_sequence, seed
        self._frames = frames_per_segment(
            geometry.segment_bytes, geometry.header_size, geometry.full_frame_size
        )
        self._buffer = np.empty(geometry.full_frame_size, np.uint8)
        self._head = np.empty(FRAME_HEADER_SIZE, np.uint8)

    def frames(self, start: int = 0) -> Iterator[FoundFrame]:
        """Every frame from number `start` (or the last one) to the end mark, or to what was written even in part."""
        geometry, last = self._geometry, self.extent()
        start = min(start, max(0, last - geometry.header_size) // geometry.full_frame_size)
        number, offset = start, self._offset(start)
        sequence = self._first + start * geometry.frame_slots
        previous = self._seed if start == 0 else self.stored_hash(start - 1)
        while offset <= last:  # bounded: each turn goes on by a block or more
            frame = self.load(number, offset, sequence, previous)
            yield frame
            if frame.is_end:
                return
            previous = frame.stored_hash
            number, sequence = number + 1, sequence + frame.count
            following = offset + frame.disk_size(geometry)
            offset = last if offset < last < following else following
        if number <= self._frames:
            rest = self.load(number, offset, sequence, previous)
            if rest.fault != UNWRITTEN:
                yield rest

    def extent(self) -> int:
        """Offset of the last frame whose header holds; -1 if there is none."""
        end = self._raw.size - BLOCK_SIZE
        if end % BLOCK_SIZE == 0 and self._header_at(end) is not None:
            return end  # of a closed segment, of which nothing else need be read
        last = -1
        for number in range(self._frames + 1):
            offset = self._offset(number)
            if offset >= self._raw.size:
                break
            header = self._header_at(offset)
            if header is not None:
                last = offset
        return last

    def load(self, number: int, offset: int, sequence: int, previous: bytes | None) -> FoundFrame:
        """Read and check what stands at a frame's place.

        Parameters
        ----------
        previous : running hash of the frame before, or None where that is not known: then the frame's own is
            not checked
        """
        lost = FoundFrame(number, offset, sequence, self._geometry.frame_slots, KIND_SLOTS, None, None)
        if number == self._frames:  # only an end mark has room here
            lost = FoundFrame(number, offset, sequence, 0, KIND_SEGMENT_END, None, None)
        try:
            content = self._raw.read(self._buffer, offset)
        except JournalError as error:
            return _faulty(lost, str(error))
        if not content.any():
            return _faulty(lost, UNWRITTEN)
        if not _header_holds(content):
            return _faulty(
                lost, "frame header: magic number or CRC32C differs", torn=not content[:SECTOR_SIZE].any()
            )
        header = content[:FRAME_HEADER_SIZE].view(FRAME_HEADER_DTYPE)[0]
        kind, count, size = int(header["kind"]), int(header["count"]), int(header["payload_size"])
        fault = self._misplaced(header, sequence, number)
        if fault is not None:
            return _faulty(lost, fault)
        stored = header["running_hash"].tobytes()
        said = FoundFrame(number, offset, int(header["first_sequence"]), count, kind, stored, None)
        end = FRAME_HEADER_SIZE + size
        whole = content[: blocks(end)]
        if len(whole) < blocks(end):
            return _faulty(said, f"the file ends within the frame, after {len(whole)} bytes of it", torn=True)
        payload = whole[FRAME_HEADER_SIZE:end]
        if crc32c(payload) != header["payload_crc"]:
            return _faulty(said, "payload: the CRC32C differs", torn=self._is_torn(whole[:end]))
        if whole[end:].any():
            return _faulty(said, "padding: bytes that must be zero are not")
        if previous is not None and running_hash(previous, whole, payload) != stored:
            return _faulty(said, "the running hash does not follow from the frame before")
        return FoundFrame(number, offset, said.first_sequence, count, kind, stored, payload)

    def _misplaced(self, header: np.void, sequence: int, number: int) -> str | None:
        """Why a frame whose checksum holds does not belong here."""
        geometry = self._geometry
        kind, count, size = int(header["kind"]), int(header["count"]), int(header["payload_size"])
        first = int(header["first_sequence"])
        if kind == KIND_SLOTS:
            right = 0 < count <= geometry.frame_slots and size == count * geometry.slot_size
            right = right and first == sequence
        else:
            # Behind a damaged frame of unknown length, the end mark knows better how many slots that had.
            right = kind in (KIND_SEGMENT_END, KIND_JOURNAL_END) and (count, size) == (
                0,
                TOTALS_DTYPE.itemsize,
            )
            right = right and sequence - geometry.frame_slots <= first <= sequence and first >= self._first
        if right and not header["reserved"]:
            return None
        return f"frame header: kind {kind}, {count} slots from sequence {first} on do not belong here"

    def _is_torn(self, content: Bytes) -> bool:
        """Whether a sector is all zero that can't be, if it was written.

        Whole sectors hold some slot's type id. The last, partial one is never zero in a frame that stands nowhere
        else, see `ends_in_zeros`.
        """
        if self._geometry.slot_size > SLOT_LIMIT:
            return False
        whole = content[: len(content) // SECTOR_SIZE * SECTOR_SIZE].reshape(-1, SECTOR_SIZE)
        return not whole.any(axis=1).all() or ends_in_zeros(content)

    def stored_hash(self, number: int) -> bytes | None:
        header = self._header_at(self._offset(number))
        return None if header is None else header["running_hash"].tobytes()

    def _offset(self, number: int) -> int:
        return self._geometry.header_size + number * self._geometry.full_frame_size

    def _header_at(self, offset: int) -> np.void | None:
        try:
            content = self._raw.read(self._head, offset)
        except JournalError:
            return None
        if not _header_holds(content):
            return None
        found: np.void = content.view(FRAME_HEADER_DTYPE)[0]
        return found


def ends_in_zeros(content: Bytes) -> bool:
    """Whether a frame's last sector is partial, and zero as far as the frame goes.

    Were it lost in a torn write, nothing would show: such a frame is written only where its slots stand in a tail too.
    """
    rest = content[len(content) // SECTOR_SIZE * SECTOR_SIZE :]
    return len(rest) > 0 and not rest.any()


def _header_holds(content: Bytes) -> bool:
    if len(content) < FRAME_HEADER_SIZE:
        return False
    header = content[:FRAME_HEADER_SIZE].view(FRAME_HEADER_DTYPE)[0]
    crc = crc32c(content[FRAME_CRC_START:FRAME_HEADER_SIZE])
    return bool(header["magic"] == FRAME_MAGIC and header["header_crc"] == crc)


def _faulty(frame: FoundFrame, fault: str, *, torn: bool = False) -> FoundFrame:
    return FoundFrame(
        frame.number,
        frame.offset,
        frame.first_sequence,
        frame.count,
        frame.kind,
        frame.stored_hash,
        None,
        fault,
        torn,
    )
