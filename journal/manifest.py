"""The manifest, `journal.json`: what a journal holds, and whether it is whole.

It is written twice, each time atomically: as `importing` or `recording` before anything else is, and as `complete`
after every segment is on the device. So a journal without `complete` is unfinished, whatever its segments look
like. The file is canonical JSON and holds a checksum of itself: a reader encodes what it has read once more
and compares the bytes, so that no changed byte goes unnoticed, not even one that JSON would not mind.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from disruptor.errors import JournalError, UnfinishedJournalError
from disruptor.journal.layout import (
    BLOCK_SIZE,
    MAX_HEADER_SIZE,
    VERSION,
    canonical_json,
    check_geometry,
    frame_size,
    segment_name,
)

MANIFEST_NAME = "journal.json"
FORMAT = "disruptor-journal"
IMPORTING, RECORDING, COMPLETE = "importing", "recording", "complete"
MAX_MANIFEST_SIZE = 256 << 20

_HASH = re.compile(r"[0-9a-f]{64}\Z")


class SegmentEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One segment: its slots, its size in bytes on disk, and its final running hash (hex)."""

    name: str
    first_sequence: int
    slot_count: int
    size: int
    running_hash: str

    @property
    def end_sequence(self) -> int:
        """The sequence after the segment's last."""
        return self.first_sequence + self.slot_count


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `journal.json` says; see docs/format.md.

    `summary` is whatever the importer counted: blocks, pools, tokens, chain id, warnings by kind.
    `last_sequence` is `first_sequence - 1` in an empty journal. `schema_hash` is the SHA-256 of the schema
    JSON.
    """

    format: str
    version: int
    status: str
    slot_size: int
    frame_slots: int
    segment_bytes: int
    header_size: int
    first_sequence: int
    last_sequence: int
    slot_count: int
    frame_count: int
    running_hash: str
    schema_hash: str
    identity: dict[str, Any]
    settings: dict[str, Any]
    summary: dict[str, Any]
    segments: list[SegmentEntry]

    @property
    def complete(self) -> bool:
        """Whether the import or the recording came to its end."""
        return self.status == COMPLETE

    @property
    def recording(self) -> bool:
        """Whether it is recorded live, so that its tails belong to it (`disruptor.journal.tail`)."""
        return self.status == RECORDING

    @property
    def full_frame_size(self) -> int:
        """Bytes on disk of a frame that is full."""
        return frame_size(self.frame_slots, self.slot_size)


def encode_manifest(manifest: Manifest) -> bytes:
    """The file's bytes: canonical JSON, indented by one, with the checksum among the fields."""
    fields = msgspec.to_builtins(manifest)
    return canonical_json({**fields, "checksum": _checksum(fields)}, indent=1) + b"\n"


def decode_manifest(content: bytes, path: str) -> Manifest:
    """The manifest in a file's bytes.

    Raises
    ------
    JournalError : not JSON, not this format, or not the bytes that were written; names the path.
    """
    try:
        fields = json.loads(content)
        checksum = fields.pop("checksum")
        manifest = msgspec.convert(fields, Manifest)
        same = checksum == _checksum(fields) and encode_manifest(manifest) == content
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
        msgspec.ValidationError,
        JournalError,
    ) as e:
        raise _damaged(path, f"{type(e).__name__}: {e}") from e
    if not same:
        raise _damaged(path, "its checksum does not match its content")
    if (manifest.format, manifest.version) != (FORMAT, VERSION):
        raise JournalError(
            f"{path}: {manifest.format} version {manifest.version}; this program reads {FORMAT} {VERSION}"
        )
    if manifest.status not in (IMPORTING, RECORDING, COMPLETE):
        raise _damaged(path, f"unknown status {manifest.status!r}")
    check_geometry(manifest.slot_size, manifest.frame_slots)
    if manifest.complete:
        _check_segments(manifest, path)
    return manifest


def load_manifest(directory: str | os.PathLike[str]) -> Manifest:
    """The manifest of a journal, complete or not.

    Raises
    ------
    JournalError : no journal there, unreadable, or damaged.
    """
    path = Path(directory) / MANIFEST_NAME
    try:
        if path.stat().st_size > MAX_MANIFEST_SIZE:
            raise _damaged(str(path), f"larger than {MAX_MANIFEST_SIZE} bytes")
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise JournalError(
            f"{directory}: no journal here ({MANIFEST_NAME} is missing)", path=str(path)
        ) from error
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}", path=str(path)) from error
    return decode_manifest(content, str(path))


def load_complete_manifest(directory: str | os.PathLike[str]) -> Manifest:
    """The manifest of a finished journal.

    Raises
    ------
    UnfinishedJournalError : the import was interrupted, or is still going on.
    JournalError : as `load_manifest`.
    """
    manifest = load_manifest(directory)
    if not manifest.complete:
        raise UnfinishedJournalError(
            f"{directory}: this journal is unfinished: its import was interrupted, or is still running. "
            "Run the same import again and it goes on where it was, or starts over with --restart.",
            path=str(directory),
            status=manifest.status,
        )
    return manifest


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(fields)).hexdigest()


def _damaged(path: str, why: str) -> JournalError:
    return JournalError(
        f"{path}: the manifest is damaged ({why}). Restore the journal from a copy.", path=path
    )


def _check_segments(manifest: Manifest, path: str) -> None:
    """Hold the manifest against itself: a reader computes every offset from these numbers."""
    sequence, slots = manifest.first_sequence, 0
    if sequence < 0 or not manifest.segments:
        raise _damaged(path, "a complete journal has at least one segment, and no negative sequence")
    if manifest.header_size % BLOCK_SIZE or not 0 < manifest.header_size <= MAX_HEADER_SIZE:
        raise _damaged(path, f"a header of {manifest.header_size} bytes")
    for entry in manifest.segments:
        if not _HASH.match(entry.running_hash):
            raise _damaged(path, f"segment {entry.name}: the running hash is not 64 hexadecimal digits")
        full, rest = divmod(entry.slot_count, manifest.frame_slots)
        size = manifest.header_size + full * manifest.full_frame_size + BLOCK_SIZE
        size += frame_size(rest, manifest.slot_size) if rest else 0
        expected = (segment_name(sequence), sequence, size)
        if entry.slot_count < 0 or (entry.name, entry.first_sequence, entry.size) != expected:
            raise _damaged(path, f"segment {entry.name} does not follow from the ones before")
        if rest and entry is not manifest.segments[-1]:
            raise _damaged(path, f"segment {entry.name} ends in a short frame")
        sequence, slots = entry.end_sequence, slots + entry.slot_count
    if (manifest.slot_count, manifest.last_sequence) != (slots, sequence - 1):
        raise _damaged(path, f"{slots} slots in segments, {manifest.slot_count} in total")
    if manifest.frame_count != -(-slots // manifest.frame_slots):
        raise _damaged(path, f"{manifest.frame_count} frames can't hold {slots} slots")
    if manifest.running_hash != manifest.segments[-1].running_hash:
        raise _damaged(path, "running hash differs from the last segment's")
