"""One at a time: whoever compresses or purges a journal's segments holds its maintenance lock.

The lock file goes when the work is done. A process that waits for nobody takes the lock only on the file that has the
name at that moment, so removing it lets no two hold it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from disruptor.errors import JournalError

MAINTENANCE_NAME = "maintenance.lock"
_TRIES = 100


@contextmanager
def maintenance(directory: str | os.PathLike[str]) -> Iterator[None]:
    """Keep others from compressing and purging for the length of the block.

    Raises
    ------
    JournalError : another process does so just now, or the directory can't be written.
    """
    path = Path(directory) / MAINTENANCE_NAME
    for _ in range(_TRIES):
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror or error}", path=str(path)) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            break
        if _is_at(path, fd):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
                os.close(fd)
            return
        os.close(fd)
    raise JournalError(f"{directory}: another process compresses or purges this journal: wait for it to end")


def failed(path: str, action: str, error: OSError) -> JournalError:
    """What to say when the operating system refuses a step; the journal is whole at every one of them."""
    return JournalError(
        f"{path}: {action} failed: {error.strerror or error}. The journal is whole: run the same command again "
        "when that is mended",
        path=path,
    )


def _is_at(path: Path, fd: int) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    own = os.fstat(fd)
    return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)
