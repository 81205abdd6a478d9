"""Who may write into a directory: nobody's files are ever overwritten but an unfinished journal's own.

The lock file stays behind, empty: removing it would let two writers hold locks on two files of one name. The
kernel drops a lock with its owner, so a writer that was killed keeps nobody out.
"""

from __future__ import annotations

import os
import re

from disruptor.errors import JournalError, UnfinishedJournalError
from disruptor.journal.manifest import MANIFEST_NAME, load_manifest
from disruptor.journal.storage import INDEX_NAME, LOCK_NAME, Storage, reported

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
            return any(entry.name == MANIFEST_NAME or is_segment_name(entry.name) for entry in entries)
    except OSError:
        return False


def _own(name: str) -> bool:
    return name in (MANIFEST_NAME, MANIFEST_NAME + ".tmp", LOCK_NAME, INDEX_NAME) or is_segment_name(name)


def claim(storage: Storage, restart: bool) -> int:
    """Take an empty directory, or one with an unfinished journal that may go; return the lock."""
    with reported(str(storage.directory), "creating the journal directory"):
        storage.make_directory()
        others = [name for name in storage.names() if not _own(name)]
        if others:
            raise JournalError(
                f"{storage.directory}: holds other files ({others[0]}): choose an empty directory"
            )
        lock = storage.lock()
    if lock is None:
        raise JournalError(
            f"{storage.directory}: another process is writing this journal: wait for it to end"
        )
    try:
        _clear_unfinished(storage, restart)
    except BaseException:
        storage.close(lock)
        raise
    return lock


def _clear_unfinished(storage: Storage, restart: bool) -> None:
    """Remove an unfinished journal's segments; refuse whatever else is there."""
    with reported(str(storage.directory), "clearing the journal directory"):
        names = storage.names()
        segments = [name for name in names if is_segment_name(name)]
        if MANIFEST_NAME in names:
            if load_manifest(storage.directory).complete:
                raise JournalError(
                    f"{storage.directory}: already holds a complete journal, which is never overwritten: "
                    "choose another directory, or remove this one yourself"
                )
            if not restart:
                raise UnfinishedJournalError(
                    f"{storage.directory}: holds an unfinished journal: import with --restart to replace it"
                )
        elif segments:
            raise JournalError(
                f"{storage.directory}: segments without {MANIFEST_NAME}: a damaged journal; choose "
                "another directory"
            )
        for name in segments:
            storage.remove(name)
