"""The file operations of a journal's writer, all in one class, so that a test can make any one of them fail.

Writes are sequential `pwrite`s: a full disk is an OSError there, where a store into a mapped file would be
SIGBUS. Segments are preallocated: 7.7 instead of 5.2 GB/s of CPU time on ext4, and a disk that is too small
says so at a segment's start. Closing a finished segment cuts it to what it holds.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from disruptor.errors import JournalError
from disruptor.journal.layout import Bytes

LOCK_NAME = "journal.lock"
#: Made by readers, see `disruptor.journal.index`.
INDEX_NAME = "journal.index"
#: The folder of snapshots, see `disruptor.journal.snapshot_store`.
SNAPSHOTS_NAME = "snapshots"


class Storage:
    """Files of one directory. Names are relative to it; methods raise OSError as it comes.

    >>> Storage("/journals/mainnet").path("journal.json")
    '/journals/mainnet/journal.json'
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def path(self, name: str) -> str:
        """Full path of a file, for messages and system calls."""
        return str(self.directory / name)

    def names(self) -> list[str]:
        """What the directory holds, sorted; empty if there is no directory."""
        return sorted(os.listdir(self.directory)) if self.directory.exists() else []

    def make_directory(self) -> None:
        """Create the directory and what is above it."""
        os.makedirs(self.directory, exist_ok=True)

    def lock(self) -> int | None:
        """Take the writer's lock, or None if another writer has it. The kernel frees a dead owner's."""
        fd = os.open(self.path(LOCK_NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        return fd

    def create(self, name: str, size: int) -> int:
        """A new file with `size` bytes reserved, all zero; it grows as written where that can't be done."""
        fd = os.open(self.path(name), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            self.reserve(fd, size)
        except OSError:
            os.close(fd)
            raise
        return fd

    def reopen(self, name: str) -> int | None:
        """A file that is there, to be written on; None if it is not."""
        try:
            return os.open(self.path(name), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None

    def reserve(self, fd: int, size: int) -> None:
        """Reserve `size` bytes for a file, zero where nothing was written, if its file system can."""
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise

    def write(self, fd: int, content: Bytes, offset: int) -> None:
        """Write all of `content` at `offset`."""
        done = 0
        while done < len(content):  # bounded: pwrite writes at least a byte or raises
            done += os.pwrite(fd, content[done:].data, offset + done)

    def cut(self, fd: int, size: int) -> None:
        """Drop what was reserved past `size`."""
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """Return once the file's content is on the device."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        """Close a file or give up a lock."""
        os.close(fd)

    def replace(self, name: str, content: bytes) -> None:
        """Put a whole file in place of another, atomically and durably."""
        temporary = self.path(name + ".tmp")
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path(name))
        self.sync_directory()

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, in place of what has it."""
        os.replace(self.path(name), self.path(new_name))

    def set_time(self, fd: int, time_ns: int) -> None:
        """Say when a file was last written."""
        os.utime(fd, ns=(time_ns, time_ns))

    def remove(self, name: str) -> None:
        """Delete a file."""
        os.unlink(self.path(name))

    def sync_directory(self) -> None:
        """Make created, renamed and removed names durable."""
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def reported(path: str, action: str, offset: int = 0) -> Iterator[None]:
    """Turn an OSError into a JournalError that says which file, where, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "Free some space, or choose a journal directory on another file system"
        else:
            advice = "Check the directory's permissions and the device"
        raise JournalError(
            f"{path}, offset {offset}: {action} failed: {error.strerror or error}. "
            f"{advice}; what was written so far is kept: run the same command again to go on.",
            path=path,
            offset=offset,
            errno=error.errno,
        ) from error
