"""Verification: every byte of a journal is held against something else.

What is checked, and against what:

    journal.json      its own checksum, its canonical form, and its own arithmetic
    segment header    its CRC32C, the manifest, and its JSON against the hash and the identity there
    frame             header and payload CRC32C, zero padding, and its place as the manifest implies it
    running hash      computed anew: at every frame, at the end mark, and in the next segment's header
    the directory     the segments of the manifest, all of them, no others, none longer or shorter

CRC32C finds accidents; the running hash finds intent: no part can be exchanged without exchanging all that
follows. Reading goes on behind a damaged segment, so that one report names all that are damaged.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from disruptor.errors import CorruptFrameError, JournalError
from disruptor.journal.compressed import SUFFIX
from disruptor.journal.head import HEAD_NAME, Head, is_purged, load_head
from disruptor.journal.incarnations import load_incarnations
from disruptor.journal.layout import (
    FRAME_HEADER_DTYPE,
    FRAME_HEADER_SIZE,
    KIND_SLOTS,
    canonical_json,
    running_hash,
    seed_hash,
)
from disruptor.journal.manifest import MANIFEST_NAME, Manifest, SegmentEntry, load_manifest
from disruptor.journal.problem import Problem
from disruptor.journal.reader import SegmentLoader, read_ahead
from disruptor.journal.segment import places
from disruptor.journal.segment_file import segment_names
from disruptor.journal.storage import LOCK_NAME
from disruptor.journal.survey import survey


@dataclass
class VerifyReport:
    """What `verify` found. `problems` are sentences that name file, offset and sequence."""

    directory: str
    status: str = "unknown"
    segments: int = 0
    frames: int = 0
    slots: int = 0
    size: int = 0  # bytes
    running_hash: str = ""
    #: Slots before this sequence were purged; None if none were.
    purged_before: int | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing at all is wrong."""
        return not self.problems


def verify(directory: str | os.PathLike[str]) -> VerifyReport:
    """Check every byte of a journal.

    Returns
    -------
    VerifyReport : `ok`, or the problems, at most one a segment. Damage is reported, never raised.

    Raises
    ------
    JournalError : nothing that could be a journal is there.
    """
    report = VerifyReport(str(directory))
    path = Path(directory)
    if not path.is_dir():
        raise JournalError(f"{directory}: no such directory")
    try:
        manifest = load_manifest(path)
    except JournalError as error:
        if not (path / MANIFEST_NAME).exists() and not segment_names(os.listdir(path)):
            raise
        report.problems.append(str(error))
        return report
    report.status = manifest.status
    if manifest.recording:
        return _verify_recording(path, report)
    if not manifest.complete:
        report.problems.append(f"{directory}: the journal is unfinished: its import did not come to its end")
        return report
    head = _check_directory(path, manifest, report)
    report.purged_before = None if head is None else head.first_sequence
    for number, entry in enumerate(manifest.segments):
        if head is not None and number < head.segment_number:
            continue
        try:
            _check_segment(path, manifest, number, entry, report)
        except JournalError as error:
            if is_purged(path, entry.first_sequence):  # since this began
                report.purged_before = entry.end_sequence
            else:
                report.problems.append(str(error))
    report.running_hash = manifest.running_hash
    return report


def _verify_recording(path: Path, report: VerifyReport) -> VerifyReport:
    """Check every byte of segments and tails: each running hash vouches for what follows, no manifest does."""
    found = survey(path)
    for one in found.frames():
        if not isinstance(one, Problem):
            report.frames += 1
            report.slots += one.count
    report.status = found.state
    report.segments = len(found.segments)
    report.size = sum(segment.size for segment in found.segments)
    report.running_hash = found.segments[-1].running_hash if found.segments else ""
    report.purged_before = None if found.head is None else found.head.first_sequence
    report.problems += [f"{path}: {problem}" for problem in found.problems]
    return report


def _check_directory(path: Path, manifest: Manifest, report: VerifyReport) -> Head | None:
    """Name files that look like the journal's own and are not in the manifest; what was purged of it."""
    known = {entry.name for entry in manifest.segments}
    for name in sorted(os.listdir(path)):
        plain = name.removesuffix(SUFFIX)
        stray = plain.endswith(".dsj") and plain not in known
        if stray or name == MANIFEST_NAME + ".tmp":
            report.problems.append(f"{path / name}: this file is not part of the journal")
    lock = path / LOCK_NAME
    if lock.exists() and lock.stat().st_size:
        report.problems.append(f"{lock}: the lock file must be empty")
    try:
        load_incarnations(path)
    except JournalError as error:
        report.problems.append(str(error))
    try:
        head = load_head(path)
    except JournalError as error:
        report.problems.append(str(error))
        return None
    if head is not None and head.segments != manifest.segments[: head.segment_number]:
        report.problems.append(
            f"{path / HEAD_NAME}: says that other segments were purged than {MANIFEST_NAME} names"
        )
        return None
    return head


def _check_segment(
    path: Path, manifest: Manifest, number: int, entry: SegmentEntry, report: VerifyReport
) -> None:
    loader = SegmentLoader(path, manifest)
    try:
        segment = loader.open(number)
        identity = canonical_json({"identity": manifest.identity, "settings": manifest.settings})
        same = (
            hashlib.sha256(segment.schema).hexdigest() == manifest.schema_hash
            and segment.identity == identity
        )
        if not same:
            raise CorruptFrameError(
                f"{path / entry.name}: schema or identity differ from those of {MANIFEST_NAME}"
            )
        running = seed_hash(segment.header)
        for frame in read_ahead(loader, places(manifest, number, entry.first_sequence), manifest):
            place = frame.place
            running = running_hash(running, frame.buffer, frame.payload)
            stored = frame.buffer[:FRAME_HEADER_SIZE].view(FRAME_HEADER_DTYPE)["running_hash"].tobytes()
            if stored != running:
                raise CorruptFrameError(
                    f"{path / entry.name}, offset {place.offset}, sequence {place.first_sequence}: "
                    "running hash: "
                    f"expected {running.hex()}, found {stored.hex()}: the bytes were changed with "
                    "their checksums"
                )
            report.frames += place.kind == KIND_SLOTS
            report.slots += place.count
    finally:
        loader.close()
    report.segments += 1
    report.size += entry.size
