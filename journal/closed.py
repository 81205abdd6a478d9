"""The closed segments of a journal: those that nobody writes to any more.

Of a finished journal these are all, of a recording all but the last.

They are what can be compressed and purged. What a manifest does not say of a recording's segments, their end marks do.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from disruptor.errors import JournalError
from disruptor.journal.head import HEAD_NAME, Head, load_head
from disruptor.journal.layout import BLOCK_SIZE, KIND_SEGMENT_END
from disruptor.journal.manifest import Manifest, SegmentEntry, load_manifest
from disruptor.journal.salvage import FoundFrame, FrameWalk, RawSegment, read_header
from disruptor.journal.segment_file import segment_exists
from disruptor.journal.survey import begun_segments


def closed_segments(directory: str | os.PathLike[str]) -> tuple[Manifest, Head | None, list[SegmentEntry]]:
    """The closed segments that are left, in order, and what says so.

    Raises
    ------
    JournalError : no journal, an import that is not finished, a segment that is missing or whose end can't be read.
    """
    manifest, head = load_manifest(directory), load_head(directory)
    if manifest.complete:
        gone = 0 if head is None else head.segment_number
        if head is not None and head.segments != manifest.segments[:gone]:
            raise JournalError(
                f"{directory}: {HEAD_NAME} is another journal's: see `disruptor journal verify`"
            )
        return manifest, head, _present(Path(directory), manifest.segments[gone:])
    if not manifest.recording:
        raise JournalError(
            f"{directory}: an import that is not finished: its segments are left as they are until it is"
        )
    names = begun_segments(Path(directory), head)
    found = [_entry(Path(directory) / name) for name in names[:-1]]
    return manifest, head, [entry for entry in found if entry is not None]


def _present(path: Path, entries: list[SegmentEntry]) -> list[SegmentEntry]:
    missing = [entry.name for entry in entries if not segment_exists(path / entry.name)]
    if missing:
        raise JournalError(f"{path}: segment {missing[0]} is missing: restore it from a copy")
    return entries


def check_closed(raw: RawSegment, entry: SegmentEntry) -> None:
    """Check every byte of a closed segment against its entry: checksums, zeros, sequences and the running hash.

    Raises
    ------
    JournalError : says what is wrong, without the place.
    """
    header = read_header(raw)
    if (header.first_sequence, raw.size) != (entry.first_sequence, entry.size):
        raise JournalError(f"is no segment of {entry.size} bytes from sequence {entry.first_sequence} on")
    last: FoundFrame | None = None
    for frame in FrameWalk(raw, header.geometry, header.first_sequence, header.seed).frames():
        if frame.payload is None:
            raise JournalError(f"offset {frame.offset}: {frame.fault}")
        last = frame
    whole = last is not None and last.is_end and last.offset + BLOCK_SIZE == raw.size
    if last is None or not whole or last.stored_hash != bytes.fromhex(entry.running_hash):
        raise JournalError("its end mark is not the one that the journal says")


def _entry(path: Path) -> SegmentEntry | None:
    """What the end mark of a segment says; None if there is none, so the segment is not closed."""
    try:
        with closing(RawSegment(path)) as raw:
            header = read_header(raw)
            full = header.geometry.full_frame_size
            number = (raw.size - BLOCK_SIZE - header.geometry.header_size) // full
            walk = FrameWalk(raw, header.geometry, header.first_sequence, header.seed)
            sequence = header.first_sequence + number * header.geometry.frame_slots
            end = walk.load(number, raw.size - BLOCK_SIZE, sequence, None)
    except JournalError as error:
        raise JournalError(f"{path}: {error}: see `disruptor journal verify`", path=str(path)) from error
    if end.payload is None or end.kind != KIND_SEGMENT_END or end.stored_hash is None:
        return None
    return SegmentEntry(
        name=path.name,
        first_sequence=header.first_sequence,
        slot_count=end.first_sequence - header.first_sequence,
        size=raw.size,
        running_hash=end.stored_hash.hex(),
    )
