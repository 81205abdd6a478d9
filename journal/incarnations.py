"""The incarnations of a recording: who wrote from which sequence on, and what was cut before.

    incarnations.json   {"checksum": SHA-256 of the rest, "format": "disruptor-incarnations", "version": 1,
                         "instance": 32 hex digits, "incarnations": [{"number", "first_sequence", "cuts"}, ...]}

`instance` is drawn by chance when a recording is begun: what belongs to this one, such as the ring that outlives its
processes, is known by it.

Each recorder is one incarnation, noted durably before it writes its first slot. An output's identity is its
incarnation, sequence, handler and ordinal: so whatever a lost process may have sent, none of its identities comes
again. No clock and no process is named: the journal's events are the same however often it was interrupted.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

import msgspec

from disruptor.errors import JournalError
from disruptor.journal.layout import canonical_json
from disruptor.journal.storage import Storage, reported

INCARNATIONS_NAME = "incarnations.json"
_FORMAT, _VERSION = "disruptor-incarnations", 1
_MAX_SIZE = 64 << 20


class Incarnation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One writer's time: the first sequence it may have written, and what it blanked as torn before."""

    number: int
    first_sequence: int
    cuts: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    version: int
    instance: str
    incarnations: list[Incarnation]


def load_incarnations(directory: Path) -> list[Incarnation]:
    """All incarnations in order; none where there is no file.

    Raises
    ------
    JournalError : damaged.
    """
    file = _load(directory)
    return [] if file is None else file.incarnations


def instance_of(directory: Path) -> str | None:
    """The recording's instance; None where there is no file.

    Raises
    ------
    JournalError : damaged.
    """
    file = _load(directory)
    return None if file is None else file.instance


def _load(directory: Path) -> _File | None:
    path = directory / INCARNATIONS_NAME
    try:
        if path.stat().st_size > _MAX_SIZE:
            raise _damaged(path)
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}", path=str(path)) from error
    try:
        fields = msgspec.json.decode(content)
        fields.pop("checksum")
        file = msgspec.convert(fields, _File)
    except (msgspec.MsgspecError, RecursionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error
    if (file.format, file.version) != (_FORMAT, _VERSION) or _encode(file) != content:
        raise _damaged(path)
    return file


def store_incarnations(storage: Storage, incarnations: list[Incarnation]) -> None:
    """Replace the file, durably; the instance stays, or is drawn."""
    instance = instance_of(storage.directory) or secrets.token_hex(16)
    file = _File(format=_FORMAT, version=_VERSION, instance=instance, incarnations=incarnations)
    with reported(storage.path(INCARNATIONS_NAME), "writing the incarnations"):
        storage.replace(INCARNATIONS_NAME, _encode(file))


def _encode(file: _File) -> bytes:
    fields: dict[str, Any] = msgspec.to_builtins(file)
    fields["checksum"] = hashlib.sha256(canonical_json(fields)).hexdigest()
    return canonical_json(fields, indent=1) + b"\n"


def _damaged(path: Path) -> JournalError:
    return JournalError(f"{path}: this file is damaged. Restore it from a copy.", path=str(path))
