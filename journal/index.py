"""The sparse index of a finished journal: the first block of each frame, by sequence, number and time.

    journal.index, little-endian
    offset  size       field
    0       8          magic            "DSRPIDX1"
    8       8          entry_count
    16      32         running_hash     of the journal that it was made from
    48      16         reserved         zero
    64      24 each    entries          sequence i64, block number u64, time u64 (seconds)
    end     32         checksum         SHA-256 of all bytes before

It is no part of the journal: nothing but speed depends on it, so it is never trusted blindly. A file that is
missing, damaged, or of another journal is made again from the segments. An entry that is used is held against
the slot that it names: where that does not begin the block, the file is made again too. A missing entry only
makes a search start earlier. Where the blocks of a journal do not ascend (an import's always do) there are no
entries; where a time is unknown or earlier than the one before, all times are zero. Then every slot is looked at.

Sequences need no index: where a frame lies follows from them by arithmetic.
"""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left, bisect_right
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from disruptor.journal.blocks import BlockFinder, BlockMark
from disruptor.journal.problem import Problem
from disruptor.journal.storage import INDEX_NAME
from disruptor.journal.survey import Survey, survey

MAGIC = b"DSRPIDX1"
_HEAD_DTYPE = np.dtype(
    [("magic", "S8"), ("entry_count", "<i8"), ("running_hash", "u1", (32,)), ("reserved", "u1", (16,))]
)
_ENTRY_DTYPE = np.dtype([("sequence", "<i8"), ("number", "<u8"), ("time", "<u8")])
_CHECKSUM_SIZE = 32
MAX_INDEX_SIZE = 1 << 30


class BlockIndex(NamedTuple):
    """The first block of each frame that has one, in order; empty where the blocks do not ascend."""

    marks: tuple[BlockMark, ...]

    @property
    def times_known(self) -> bool:
        """Whether blocks can be found by time."""
        return any(mark.time for mark in self.marks)

    def before_sequence(self, sequence: int) -> BlockMark | None:
        """The last mark at or before a sequence; None: start at the beginning."""
        return self._at(bisect_right([mark.sequence for mark in self.marks], sequence))

    def before_block(self, number: int) -> BlockMark | None:
        """The last mark at or before a block; None: start at the beginning."""
        return self._at(bisect_right([mark.number for mark in self.marks], number))

    def before_time(self, time: int) -> BlockMark | None:
        """The last mark before a time in seconds; None: start at the beginning."""
        return self._at(bisect_left([mark.time for mark in self.marks], time)) if self.times_known else None

    def _at(self, count: int) -> BlockMark | None:
        return self.marks[count - 1] if count else None


def load_index(survey: Survey) -> BlockIndex:
    """The index of a journal: the file's, or made anew and, if the journal is whole, written beside the segments.

    Where the directory can't be written, the index is used all the same, and made again the next time. A journal
    that is unfinished or damaged has its index made each time: what could be read of it now is no lasting fact.
    """
    manifest = survey.manifest
    if manifest is not None and manifest.complete:
        found = _decode(survey.directory / INDEX_NAME, bytes.fromhex(manifest.running_hash))
        if found is not None:
            return found
    return rebuild_index(survey.directory)


def rebuild_index(directory: Path) -> BlockIndex:
    """Make the index anew by reading every sound frame, and write it if the journal is finished and whole."""
    found, marks, first = survey(directory), [], []
    finder = BlockFinder(found.schema)
    if finder.known:
        for frame in found.frames():
            if not isinstance(frame, Problem) and frame.payload is not None:
                slots = frame.payload.reshape(frame.count, found.geometry.slot_size)
                begun = finder.marks(slots, frame.first_sequence)
                first += begun[:1]
                marks += begun
    index = _usable(first, marks)
    if finder.known and found.ok and found.manifest is not None and found.manifest.complete:
        content = encode_index(index, bytes.fromhex(found.manifest.running_hash))
        _replace(found.directory / INDEX_NAME, content)
    return index


def _usable(first: list[BlockMark], marks: list[BlockMark]) -> BlockIndex:
    """The index of frames' first marks, if all marks have the order that a search relies on."""
    if not all(a.number < b.number and a.sequence < b.sequence for a, b in pairwise(marks)):
        return BlockIndex(())
    if all(mark.time for mark in marks) and all(a.time <= b.time for a, b in pairwise(marks)):
        return BlockIndex(tuple(first))
    return BlockIndex(tuple(mark._replace(time=0) for mark in first))


def encode_index(index: BlockIndex, running_hash: bytes) -> bytes:
    """The file's bytes, see above."""
    head = np.zeros(1, _HEAD_DTYPE)
    head["magic"], head["entry_count"] = MAGIC, len(index.marks)
    head["running_hash"] = np.frombuffer(running_hash, np.uint8)
    entries = np.array([tuple(mark) for mark in index.marks], _ENTRY_DTYPE)
    content = head.tobytes() + entries.tobytes()
    return content + hashlib.sha256(content).digest()


def _decode(path: Path, running_hash: bytes) -> BlockIndex | None:
    """The index in a file, or None if it is not one of this journal."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_INDEX_SIZE:
            return None
        content = path.read_bytes()
    except OSError:
        return None
    start, end = _HEAD_DTYPE.itemsize, len(content) - _CHECKSUM_SIZE
    if end < start or (end - start) % _ENTRY_DTYPE.itemsize:
        return None
    entries = np.frombuffer(content[start:end], _ENTRY_DTYPE)
    index = BlockIndex(tuple(BlockMark(*entry) for entry in entries.tolist()))
    right = encode_index(index, running_hash) == content
    return index if right and _usable(list(index.marks), list(index.marks)) == index else None


def _replace(path: Path, content: bytes) -> None:
    """Put the file there whole, or leave everything as it was: a directory may be read-only."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        try:
            temporary.write_bytes(content)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
