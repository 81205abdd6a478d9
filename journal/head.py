"""`journal.head`: from where on a journal is there, after its oldest segments were purged.

What is gone stays known: the entry of each purged segment, with its running hash, as the manifest of a finished journal
has them. So a manifest stays as it was written, a recording that is finished later lists all its segments, proofs stay
what they are, and the first segment that is left must follow from the last that went.

The file is replaced, atomically, before the first segment of a purge goes. So whatever an interrupted purge has left is
named by it: a segment that lies before the head is no part of the journal any more, one that is missing behind it is
damage.

    {"format": "disruptor-head", "version": 1, "segments": the purged ones, as in the manifest,
     "checksum": SHA-256 of the other fields as JSON without spaces}
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from disruptor.errors import JournalError
from disruptor.journal.layout import canonical_json, segment_name
from disruptor.journal.manifest import MAX_MANIFEST_SIZE, SegmentEntry

HEAD_NAME = "journal.head"
HEAD_FORMAT, HEAD_VERSION = "disruptor-head", 1
_HASH = re.compile(r"[0-9a-f]{64}\Z")


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The segments that were purged, from the journal's first on; at least one."""

    format: str = HEAD_FORMAT
    version: int = HEAD_VERSION
    segments: list[SegmentEntry]

    @property
    def first_sequence(self) -> int:
        """The first sequence that is left."""
        return self.segments[-1].end_sequence

    @property
    def journal_first_sequence(self) -> int:
        """The first sequence of the journal as it was written."""
        return self.segments[0].first_sequence

    @property
    def segment_number(self) -> int:
        """The number of the first segment that is left."""
        return len(self.segments)

    @property
    def chain(self) -> bytes:
        """The running hash with which that segment begins."""
        return bytes.fromhex(self.segments[-1].running_hash)

    def why(self, directory: str | os.PathLike[str]) -> str:
        """One line for whoever asks for what is gone."""
        last = self.first_sequence - 1
        return (
            f"{directory}: sequences {self.journal_first_sequence} to {last} were purged. What begins at the start "
            f"can't be had from this journal any more: begin at {last + 1} or later, a replay with --from-snapshot"
        )


def encode_head(head: Head) -> bytes:
    """The file's bytes: canonical JSON, indented by one, with the checksum among the fields."""
    fields = msgspec.to_builtins(head)
    return canonical_json({**fields, "checksum": _checksum(fields)}, indent=1) + b"\n"


def load_head(directory: str | os.PathLike[str]) -> Head | None:
    """What was purged of a journal; None if nothing was.

    Raises
    ------
    JournalError : the file is there and can't be read, or is not what was written.
    """
    path = Path(directory) / HEAD_NAME
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MANIFEST_SIZE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}", path=str(path)) from error
    try:
        fields = json.loads(content)
        checksum = fields.pop("checksum")
        head = msgspec.convert(fields, Head)
        sound = checksum == _checksum(fields) and encode_head(head) == content and _makes_sense(head)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, JournalError) as error:
        raise _damaged(path) from error
    if not sound:
        raise _damaged(path)
    return head


def is_purged(directory: str | os.PathLike[str], sequence: int) -> bool:
    """Whether a sequence is purged by now, for whoever finds its segment gone while reading."""
    try:
        head = load_head(directory)
    except JournalError:
        return False
    return head is not None and sequence < head.first_sequence


def _makes_sense(head: Head) -> bool:
    entries = head.segments
    return (
        (head.format, head.version) == (HEAD_FORMAT, HEAD_VERSION)
        and len(entries) > 0
        and entries[0].first_sequence >= 0
        and all(_HASH.match(entry.running_hash) and entry.slot_count > 0 for entry in entries)
        and all(entry.name == segment_name(entry.first_sequence) for entry in entries)
        and all(one.end_sequence == other.first_sequence for one, other in pairwise(entries))
    )


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(fields)).hexdigest()


def _damaged(path: Path) -> JournalError:
    return JournalError(
        f"{path}: says which segments were purged, and is damaged: restore it from a copy", path=str(path)
    )
