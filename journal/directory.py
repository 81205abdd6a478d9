"""Who may write into a directory: nobody's files are ever overwritten but an unfinished journal's own.

The lock file stays behind, empty: removing it would let two writers hold locks on two files of one name. The
kernel drops a lock with its owner, so a writer that was killed keeps nobody out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import msgspec

from disruptor.errors import JournalError, UnfinishedJournalError
from disruptor.journal.compressed import SUFFIX
from disruptor.journal.manifest import MANIFEST_NAME, Manifest, load_manifest
from disruptor.journal.storage import INDEX_NAME, LOCK_NAME, SNAPSHOTS_NAME, Storage, reported

#: Differences between two commands that a message names.
_SHOWN = 3
_RECORDING_FILE = re.compile(
    r"(tail-[0-9]{12}\.dst|incarnations\.json(\.tmp)?|snapshots|readers|journal\.head(\.tmp)?|maintenance\.lock"
    r"|[0-9]{20}\.dsj\.zst(\.tmp)?)\Z"
)
_SEGMENT_FILE = re.compile(r"[0-9]{20}\.dsj\Z")


def is_segment_name(name: str) -> bool:
    """Whether a file is named as a segment is.

    >>> is_segment_name("00000000000000000000.dsj"), is_segment_name("notes.dsj")
    (True, False)
    """
    return _SEGMENT_FILE.match(name) is not None


def is_journal(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a directory that holds a journal: whole, unfinished or damaged. Reads no file."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries]
            return MANIFEST_NAME in names or any(is_segment_name(name.removesuffix(SUFFIX)) for name in names)
    except OSError:
        return False


def _own(name: str) -> bool:
    known = (MANIFEST_NAME, MANIFEST_NAME + ".tmp", LOCK_NAME, INDEX_NAME, SNAPSHOTS_NAME)
    return name in known or is_segment_name(name)


def _own_in_recording(name: str) -> bool:
    return _own(name) or _RECORDING_FILE.match(name) is not None


def claim_recording(storage: Storage, begun: Manifest) -> tuple[int, Manifest | None]:
    """Take an empty directory, or one with the recording that `begun` describes.

    Returns
    -------
    (lock, the manifest of the recording that is there)

    Raises
    ------
    JournalError : a finished, imported, damaged or another journal, other files, or another writer.
    """
    lock = _take(storage, _own_in_recording)
    try:
        return lock, _same_recording(storage, begun)
    except BaseException:
        storage.close(lock)
        raise


def _same_recording(storage: Storage, begun: Manifest) -> Manifest | None:
    names = storage.names()
    if MANIFEST_NAME not in names:
        if any(is_segment_name(name.removesuffix(SUFFIX)) or name.endswith(".dst") for name in names):
            raise JournalError(
                f"{storage.directory}: segments without {MANIFEST_NAME}: a damaged journal; choose another directory"
            )
        return None
    found = load_manifest(storage.directory)
    if not found.recording:
        what = "a complete journal" if found.complete else "an unfinished import"
        raise JournalError(
            f"{storage.directory}: holds {what}, and only a recording is gone on with: choose another directory"
        )
    shown = _differing(found, begun, ("first_sequence", "last_sequence"))
    if shown:
        raise JournalError(
            f"{storage.directory}: holds a recording of something else ({shown}): choose another directory"
        )
    return found


def claim(storage: Storage, restart: bool, begun: Manifest | None = None) -> tuple[int, bool]:
    """Take an empty directory, or one with an unfinished journal that may go or be gone on with.

    Parameters
    ----------
    restart : an unfinished journal's files may be removed
    begun : the manifest with which this writer begins, if it can go on where another of the same stopped

    Returns
    -------
    (lock, whether the journal that `begun` describes is there, unfinished)

    Raises
    ------
    UnfinishedJournalError : another unfinished journal is there; says what differs.
    JournalError : a complete or damaged journal, other files, or another writer.
    """
    lock = _take(storage, _own)
    try:
        return lock, _clear_unfinished(storage, restart, begun)
    except BaseException:
        storage.close(lock)
        raise


def _take(storage: Storage, own: Callable[[str], bool]) -> int:
    """Make the directory if need be, and lock it; refuse files that are no journal's."""
    with reported(str(storage.directory), "creating the journal directory"):
        storage.make_directory()
        if MANIFEST_NAME in storage.names() and load_manifest(storage.directory).recording:
            own = _own_in_recording
        others = [name for name in storage.names() if not own(name)]
        if others:
            raise JournalError(
                f"{storage.directory}: holds other files ({others[0]}): choose an empty directory"
            )
        lock = storage.lock()
    if lock is None:
        raise JournalError(
            f"{storage.directory}: another process is writing this journal: wait for it to end"
        )
    return lock


def _clear_unfinished(storage: Storage, restart: bool, begun: Manifest | None) -> bool:
    """Go on with an unfinished journal, or remove its segments; refuse whatever else is there."""
    with reported(str(storage.directory), "clearing the journal directory"):
        names = storage.names()
        segments = [name for name in names if is_segment_name(name)]
        if MANIFEST_NAME in names:
            found = load_manifest(storage.directory)
            if found.complete:
                raise JournalError(
                    f"{storage.directory}: already holds a complete journal, which is never overwritten: "
                    "choose another directory, or remove this one yourself"
                )
            if found.recording:
                raise JournalError(
                    f"{storage.directory}: holds a recording, which no import overwrites: choose another directory"
                )
            if not restart:
                _refuse_another(storage, found, begun)
                return True
        elif segments:
            raise JournalError(
                f"{storage.directory}: segments without {MANIFEST_NAME}: a damaged journal; choose "
                "another directory"
            )
        for name in segments:
            storage.remove(name)
    return False


def _refuse_another(storage: Storage, found: Manifest, begun: Manifest | None) -> None:
    """Refuse to go on with an unfinished journal that this writer did not begin."""
    if begun is None or "command" not in found.summary:
        raise UnfinishedJournalError(
            f"{storage.directory}: holds an unfinished journal that can't be gone on with: import with --restart "
            "to replace it, or choose another directory"
        )
    shown = _differing(found, begun)
    if shown:
        raise UnfinishedJournalError(
            f"{storage.directory}: holds an unfinished import of another command ({shown}): run that one "
            "again to go on, or add --restart to start over"
        )


def _differing(found: Manifest, begun: Manifest, aside: tuple[str, ...] = ()) -> str:
    """The first facts in which two manifests differ, for a message; empty if they do not."""
    before, now = _flat(msgspec.to_builtins(found)), _flat(msgspec.to_builtins(begun))
    names = (before.keys() | now.keys()) - set(aside)
    differing = sorted(name for name in names if before.get(name) != now.get(name))
    shown = "; ".join(f"{n}: was {before.get(n)}, is {now.get(n)}" for n in differing[:_SHOWN])
    return f"{shown} and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else shown


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Facts of a manifest by one name each; those of the command without the way to them."""
    flat: dict[str, Any] = {}
    command = fields["summary"].pop("command", None)
    flat.update(command if isinstance(command, dict) else {"command": command})
    for name, value in fields.items():
        if name in ("identity", "settings", "summary"):
            flat.update((f"{name}.{key}", part) for key, part in value.items())
        else:
            flat[name] = value
    return flat
