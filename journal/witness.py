"""Who vouches for a journal in any state: its manifest, its lock, and the first header that can be believed.

A header that was exchanged together with its checksum must decode nothing: so a header is believed if the
running hash of its first frame follows from it, and if it is what the manifest says. Where neither can be read,
the checksum alone has to do, and whoever asks is told so.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import closing
from pathlib import Path

from disruptor.errors import JournalError
from disruptor.journal.manifest import MANIFEST_NAME, Manifest, load_manifest
from disruptor.journal.problem import Problem
from disruptor.journal.salvage import FrameWalk, Geometry, RawSegment, SegmentHeader, read_header
from disruptor.journal.schema import Schema, parse_schema
from disruptor.journal.storage import LOCK_NAME

COMPLETE, BEING_WRITTEN, UNFINISHED, UNKNOWN = "complete", "being written", "unfinished", "unknown"
#: States of a recording: a writer is at work, it has stopped, or it ended without saying so.
BEING_RECORDED, STOPPED, INTERRUPTED = "being recorded", "stopped", "interrupted"


def state_of(path: Path) -> tuple[str, Manifest | None, list[Problem]]:
    """The state by the manifest and the lock, and what is wrong with the manifest."""
    try:
        manifest = load_manifest(path)
        if not manifest.complete and is_being_written(path):
            return BEING_RECORDED if manifest.recording else BEING_WRITTEN, manifest, []
        # A writer that ended since has left a manifest that says so before it gave up the lock.
        manifest = manifest if manifest.complete else load_manifest(path)
    except JournalError as error:
        what = str(error).removeprefix(f"{path / MANIFEST_NAME}: ")
        return UNKNOWN, None, [Problem(f"{MANIFEST_NAME}: {what}")]
    if manifest.recording:
        return STOPPED, manifest, []  # as its last tail confirms, or not
    return COMPLETE if manifest.complete else UNFINISHED, manifest, []


def is_being_written(directory: str | os.PathLike[str]) -> bool:
    """Whether a writer holds the journal's lock. Only looks: taking the lock might keep a writer out."""
    try:
        lock = os.stat(Path(directory) / LOCK_NAME)
        with open("/proc/locks", encoding="ascii", errors="replace") as table:
            held = [line.split() for line in table]
    except OSError:
        return False
    place = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
    return any("FLOCK" in words and "WRITE" in words and place in words for words in held)


def believed_header(
    path: Path, names: list[str], manifest: Manifest | None
) -> tuple[SegmentHeader | None, Schema, bool]:
    """The first header that can be believed, the messages in it, and whether more than its checksum vouches for it."""
    spare: tuple[SegmentHeader | None, Schema, bool] = (None, {}, False)
    for name in names:
        try:
            with closing(RawSegment(path / name)) as raw:
                header = read_header(raw)
                walk = FrameWalk(raw, header.geometry, header.first_sequence, header.seed)
                first = next(walk.frames(), None)
                schema = parse_schema(header.schema, header.geometry.slot_size)
        except JournalError:
            continue
        spoken = first is not None and first.stored_hash is not None and not first.torn
        contradicted = spoken and first is not None and first.payload is None
        if contradicted or not agrees(header, manifest) or header.first_sequence != int(name[:20]):
            continue
        if manifest is not None or (first is not None and first.payload is not None):
            return header, schema, True
        spare = spare if spare[0] is not None else (header, schema, False)
    return spare


def agrees(header: SegmentHeader, manifest: Manifest | None) -> bool:
    """Whether a header has the sizes and the schema of the manifest, if that can be read."""
    if manifest is None:
        return True
    sizes = manifest.header_size, manifest.slot_size, manifest.frame_slots, manifest.segment_bytes
    return (
        header.geometry == Geometry(*sizes)
        and hashlib.sha256(header.schema).hexdigest() == manifest.schema_hash
    )
