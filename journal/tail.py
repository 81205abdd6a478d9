"""Tails: what a journal being recorded holds past its last full frame, flushed in batches of any size.

Theory
------
The frames of segments are full and their places follow from sequences by arithmetic, so that a journal's bytes do not
depend on when its slots came. Whoever records a live stream must make slots durable long before a frame is full. So
each flush goes to a tail first, and when its frame is full that is written into the segment, as any import would write
it. A tail whose slots are all in segments is removed. A finished recording therefore is the journal, byte for byte,
that an import of the same slots makes, however the flushes fell.

    segments   ████ ████ ████                    full frames
    tail                      ▌▌▐▌▌ ▌            one flush each, on blocks of its own, never rewritten
                              └────── first slot of the first frame that is not in a segment yet

A tail file is zeros when it gets its name; it is filled from front to back, one write at a time, so only its last
frame can have been written in part. Each frame ends with a mark in the last of its sectors, and every other sector
of it holds a slot's header, whose type id is never zero: so a sector that is all zero proves that the frame was
never written in full, and hence never acknowledged (`SLOT_LIMIT` keeps that true).

    tail header, one block                          frame: 64 bytes of header, `count` slots, mark
    offset  size  field
    0       8     magic            "DSRPTAIL"       as in a segment (journal/layout.py), with kind 4 (slots) or
    8       4     header_crc       of bytes 12-4096 5 (another tail follows) or 6 (its writer stopped), and after the
    12      4     version          1                payload `MARK`, as the last 8 bytes of a sector. Zeros fill
    16      4     slot_size                         what lies before and behind the mark.
    20      4     reserved         zero
    24      8     first_sequence
    32      8     incarnation      from 1
    40      8     number           of the file, from 0
    48      32    seed             the running hash of the tail before, closing mark included; zeros in the first
    80      8     size             bytes of the file
    88      8     reserved         zero
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal.layout import (
    BLOCK_SIZE,
    FRAME_CRC_START,
    FRAME_HEADER_DTYPE,
    FRAME_HEADER_SIZE,
    FRAME_MAGIC,
    HASH_SIZE,
    HASHED,
    Bytes,
    blocks,
    crc32c,
)
from disruptor.journal.salvage import SECTOR_SIZE, SLOT_LIMIT, UNWRITTEN, RawSegment

TAIL_MAGIC = int.from_bytes(b"DSRPTAIL", "little")
TAIL_VERSION = 1
KIND_TAIL, KIND_TAIL_FOLLOWED, KIND_TAIL_STOPPED = 4, 5, 6
#: Marks behind which nothing is written.
CLOSING = (KIND_TAIL_FOLLOWED, KIND_TAIL_STOPPED)
MARK = np.frombuffer(b"DSRPMARK", np.uint8)

TAIL_HEADER_DTYPE = np.dtype(
    [
        ("magic", "<u8"),
        ("header_crc", "<u4"),
        ("version", "<u4"),
        ("slot_size", "<u4"),
        ("reserved0", "<u4"),
        ("first_sequence", "<i8"),
        ("incarnation", "<i8"),
        ("number", "<i8"),
        ("seed", "u1", (HASH_SIZE,)),
        ("size", "<i8"),
        ("reserved1", "u1", (8,)),
    ]
)
_CRC_START = 12
#: A frame's header: magic and checksum; payload's checksum, kind, reserved, count, size, first sequence; running hash.
_HEAD_FIELDS, _HASHED_FIELDS = struct.Struct("<II"), struct.Struct("<IHHIIq")
_NAME = re.compile(r"tail-([0-9]{12})\.dst\Z")


def tail_name(number: int) -> str:
    """File name of a tail.

    >>> tail_name(3)
    'tail-000000000003.dst'
    """
    return f"tail-{number:012d}.dst"


def tail_number(name: str) -> int | None:
    """The number in a tail's file name; None for another file.

    >>> tail_number("tail-000000000003.dst"), tail_number("tail-3.dst")
    (3, None)
    """
    found = _NAME.match(name)
    return int(found[1]) if found else None


def sealed_size(size: int) -> int:
    """Where a frame's mark ends: its header, `size` bytes of payload and the mark, in whole sectors.

    >>> sealed_size(0), sealed_size(440), sealed_size(441)
    (512, 512, 1024)
    """
    return -(-(FRAME_HEADER_SIZE + size + len(MARK)) // SECTOR_SIZE) * SECTOR_SIZE


def tail_frame_size(size: int) -> int:
    """Bytes on disk of a frame with `size` bytes of payload.

    >>> tail_frame_size(192), tail_frame_size(4032)
    (4096, 8192)
    """
    return blocks(sealed_size(size))


@dataclass(frozen=True, slots=True)
class TailHeader:
    """What a tail's header says; see above."""

    slot_size: int
    first_sequence: int
    incarnation: int
    number: int
    seed: bytes
    size: int

    @property
    def name(self) -> str:
        """The file's name."""
        return tail_name(self.number)


def seal_tail_header(header: TailHeader) -> Bytes:
    """The first block of a tail."""
    content = np.zeros(BLOCK_SIZE, np.uint8)
    field = content[: TAIL_HEADER_DTYPE.itemsize].view(TAIL_HEADER_DTYPE)
    field["magic"], field["version"] = TAIL_MAGIC, TAIL_VERSION
    for name in ("slot_size", "first_sequence", "incarnation", "number", "size"):
        field[name] = getattr(header, name)
    field["seed"] = np.frombuffer(header.seed, np.uint8)
    field["header_crc"] = crc32c(content[_CRC_START:])
    return content


def seal_tail_frame(
    buffer: Bytes, previous: bytes, *, kind: int, count: int, size: int, first_sequence: int
) -> bytes:
    """Fill in header, mark and zeros around a payload that stands in `buffer` at 64; returns the running hash."""
    end, sealed = FRAME_HEADER_SIZE + size, sealed_size(size)
    buffer[end : blocks(sealed)] = 0
    buffer[sealed - len(MARK) : sealed] = MARK
    fields = (crc32c(buffer[FRAME_HEADER_SIZE:end]), kind, 0, count, size, first_sequence)
    hashed = _HASHED_FIELDS.pack(*fields)
    running = hashlib.sha256(previous + hashed).digest()
    header = hashed + running
    head = _HEAD_FIELDS.pack(FRAME_MAGIC, crc32c(np.frombuffer(header, np.uint8)))
    buffer[:FRAME_HEADER_SIZE] = np.frombuffer(head + header, np.uint8)
    return running


def tail_running_hash(previous: bytes, content: Bytes) -> bytes:
    """The running hash of a tail after a frame: over its header, and so over the CRC32C of its payload.

    What makes a payload evidence is the hash of the segment's frame that it becomes part of; a tail's says that no
    flush is missing, doubled or exchanged, and costs nothing beside a write.
    """
    return hashlib.sha256(previous + content[HASHED].tobytes()).digest()


@dataclass(frozen=True, slots=True)
class TailFrame:
    """What stands where the next frame of a tail belongs.

    Attributes
    ----------
    payload : (count * slot_size,) uint8, valid until the next frame is read; None if anything is wrong
    fault : what is wrong; `UNWRITTEN` where nothing is
    torn : whether it is proven that this was never written in full
    """

    offset: int
    first_sequence: int
    count: int
    kind: int
    running_hash: bytes
    payload: Bytes | None
    fault: str | None = None
    torn: bool = False


def read_tail_header(raw: RawSegment) -> TailHeader | None:
    """The header of a tail; None where it is a spare that nobody has begun.

    Raises
    ------
    JournalError : what is wrong with it, without the place.
    """
    content = raw.read(np.empty(BLOCK_SIZE, np.uint8), 0)
    if not content.any():
        return None
    if len(content) < BLOCK_SIZE:
        raise JournalError(f"tail header: the file has only {raw.size} bytes")
    field = content[: TAIL_HEADER_DTYPE.itemsize].view(TAIL_HEADER_DTYPE)[0]
    if field["magic"] != TAIL_MAGIC or crc32c(content[_CRC_START:]) != field["header_crc"]:
        raise JournalError("tail header: magic number or CRC32C differs")
    if field["version"] != TAIL_VERSION:
        raise JournalError(f"tail header: version {field['version']}; this program reads {TAIL_VERSION}")
    header = TailHeader(
        int(field["slot_size"]),
        int(field["first_sequence"]),
        int(field["incarnation"]),
        int(field["number"]),
        field["seed"].tobytes(),
        int(field["size"]),
    )
    blank = not (
        content[TAIL_HEADER_DTYPE.itemsize :].any() or field["reserved0"] or field["reserved1"].any()
    )
    sizes = 0 < header.slot_size <= SLOT_LIMIT and header.slot_size % FRAME_HEADER_SIZE == 0
    named = header.incarnation >= 1 and Path(raw.path).name == header.name
    if not (blank and sizes and header.first_sequence >= 0 and named):
        raise JournalError("tail header: sizes, numbers or sequences make no sense")
    if raw.size != header.size:
        raise JournalError(f"tail header: the file has {raw.size} bytes instead of {header.size}")
    return header


def tail_frames(raw: RawSegment, header: TailHeader) -> Iterator[TailFrame]:
    """The frames of a tail in order, up to the first that is not sound; that one is given too unless unwritten."""
    offset, sequence, running = BLOCK_SIZE, header.first_sequence, header.seed
    while offset < raw.size:  # bounded: each turn goes on by a block or more
        frame = _load(raw, header, offset, sequence, running)
        if frame.fault == UNWRITTEN:
            return
        yield frame
        if frame.payload is None or frame.kind in CLOSING:
            return
        running, sequence = frame.running_hash, frame.first_sequence + frame.count
        offset += tail_frame_size(frame.count * header.slot_size)


def _load(raw: RawSegment, header: TailHeader, offset: int, sequence: int, previous: bytes) -> TailFrame:
    """Read and check the frame at an offset."""

    def lost(fault: str, torn: bool = False) -> TailFrame:
        return TailFrame(offset, sequence, 0, KIND_TAIL, b"", None, fault, torn)

    head = raw.read(np.empty(BLOCK_SIZE, np.uint8), offset)
    if not head[:SECTOR_SIZE].any():
        blank, follows = _look_behind(raw, offset)
        return lost(UNWRITTEN) if blank else lost("the first sector of a frame is all zero", torn=not follows)
    if not _is_frame_header(head[:FRAME_HEADER_SIZE]):
        return lost("frame header: magic number or CRC32C differs")
    frame = head[:FRAME_HEADER_SIZE].view(FRAME_HEADER_DTYPE)[0]
    fault = _misplaced(frame, header, offset, sequence)
    if fault is not None:
        return lost(fault)
    count, size = int(frame["count"]), int(frame["payload_size"])
    content = raw.read(np.empty(tail_frame_size(size), np.uint8), offset)
    if len(content) < tail_frame_size(size):
        return lost(f"the file ends within the frame, after {len(content)} bytes of it")
    end, sealed = FRAME_HEADER_SIZE + size, sealed_size(size)
    payload, marked = content[FRAME_HEADER_SIZE:end], slice(sealed - len(MARK), sealed)
    if crc32c(payload) != frame["payload_crc"] or not np.array_equal(content[marked], MARK):
        sectors = content[:sealed].reshape(-1, SECTOR_SIZE).any(axis=1)
        torn = not sectors.all() and _look_behind(raw, offset + len(content))[0]
        return lost("payload or mark: the CRC32C differs", torn=torn)
    if content[end : marked.start].any() or content[sealed:].any():
        return lost("padding: bytes that must be zero are not")
    stored = frame["running_hash"].tobytes()
    if tail_running_hash(previous, content) != stored:
        return lost("the running hash does not follow from the frame before")
    first = int(frame["first_sequence"])
    return TailFrame(offset, first, count, int(frame["kind"]), stored, payload)


def _misplaced(frame: np.void, header: TailHeader, offset: int, sequence: int) -> str | None:
    """Why a frame whose header's checksum holds does not belong at an offset."""
    count, size, kind = int(frame["count"]), int(frame["payload_size"]), int(frame["kind"])
    right = (kind == KIND_TAIL and count > 0) or (kind in CLOSING and count == 0)
    right = right and size == count * header.slot_size and offset + tail_frame_size(size) <= header.size
    first = int(frame["first_sequence"])
    # What went straight into a segment is not here: a sequence may be left out, never come again.
    if right and not frame["reserved"] and first >= sequence:
        return None
    return f"frame header: kind {kind}, {count} slots from sequence {first} on do not belong here"


def _look_behind(raw: RawSegment, offset: int) -> tuple[bool, bool]:
    """Whether a file holds nothing but zeros from an offset on; whether a frame's header stands there at any block.

    Only the last frame can be torn, for a frame is written when the one before it is on the device: a header behind
    it proves that it was once whole.
    """
    blank, buffer = True, np.empty(1 << 20, np.uint8)
    while offset < raw.size:  # bounded: each turn goes on by a block or more
        content = raw.read(buffer, offset)
        whole = content[: len(content) // BLOCK_SIZE * BLOCK_SIZE].reshape(-1, BLOCK_SIZE)
        if not len(whole):
            return blank and not content.any(), False
        written = np.flatnonzero(whole.any(axis=1))
        blank &= not len(written)
        if any(_is_frame_header(whole[row, :FRAME_HEADER_SIZE]) for row in written):
            return False, True
        offset += whole.size
    return blank, False


def _is_frame_header(content: Bytes) -> bool:
    frame = content.view(FRAME_HEADER_DTYPE)[0]
    return bool(
        frame["magic"] == FRAME_MAGIC
        and crc32c(content[FRAME_CRC_START:FRAME_HEADER_SIZE]) == frame["header_crc"]
    )


def tail_names(names: list[str]) -> list[str]:
    """Those of some file names that are tails, in order."""
    return sorted(name for name in names if tail_number(name) is not None)


def open_tail(directory: Path, name: str) -> closing[RawSegment]:
    """A tail's file for the length of a `with`."""
    return closing(RawSegment(directory / name))
