"""Who still reads a journal, and from where: so that no segment goes from under a reader.

A reader has a file of its own in JOURNAL/readers/ with the sequence from which it still reads, its *epoch*, and holds
a `flock` on it. The kernel drops the lock with its owner, so the file of a dead reader holds nothing back: whoever can
take the lock may remove the file. Who the reader is (as `disruptor.owner` names processes) is there for messages.

Registering and purging exclude each other: a reader registers under a shared lock on the journal's directory, a purge
holds the exclusive one while it looks at readers and removes segments. So a reader is seen by the purge, or it sees
what the purge has left.

A reader that may not write there is not registered, and reads all the same: purging does not wait for it.

    offset  size  field
    0       8     magic      "DSRPREAD"
    8       4     crc        CRC32C of all that follows
    12      4     reserved   zero
    16      8     sequence   the first that is still read
    24      128   owner      pid, start time, boot, pid namespace
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from disruptor.journal.layout import Bytes, crc32c
from disruptor.layout import OWNER_DTYPE
from disruptor.owner import this_process

READERS_NAME = "readers"
SUFFIX = ".reader"
READER_MAGIC = int.from_bytes(b"DSRPREAD", "little")
READER_DTYPE = np.dtype(
    [
        ("magic", "<u8"),
        ("crc", "<u4"),
        ("reserved", "<u4"),
        ("sequence", "<i8"),
        ("owner", OWNER_DTYPE),
    ]
)
_CRC_START = 12
#: How often a record is read that its reader may be writing at the moment.
_READS = 20


@dataclass(frozen=True, slots=True)
class FoundReader:
    """A living reader: its process, and the first sequence that it still reads; 0 where that can't be read."""

    pid: int
    sequence: int


class Registration:
    """A reader's place, held until `close`.

    Parameters
    ----------
    directory : of the journal
    sequence : the first that will be read

    Raises
    ------
    OSError : nothing can be written there.
    """

    def __init__(self, directory: Path, sequence: int) -> None:
        self._folder = directory / READERS_NAME
        self._record = np.zeros(1, READER_DTYPE)
        self._record["magic"], self._record["owner"] = READER_MAGIC, this_process()
        self._path = self._folder / f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"
        staged = self._path.with_suffix(".tmp")
        self._folder.mkdir(exist_ok=True)
        self._fd = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            self.advance(sequence)
            # Only a file that is locked and filled gets the name that a purge looks for.
            os.rename(staged, self._path)
        except BaseException:
            os.close(self._fd)
            with suppress(OSError):
                os.unlink(staged)
            raise

    def advance(self, sequence: int) -> None:
        """Say that nothing before a sequence is read any more."""
        self._record["sequence"] = sequence
        content = self._record.view(np.uint8)
        self._record["crc"] = crc32c(content[_CRC_START:])
        os.pwrite(self._fd, content.data, 0)

    def close(self) -> None:
        """Give up the place; the directory goes with its last reader."""
        with suppress(OSError):
            os.unlink(self._path)
        os.close(self._fd)
        with suppress(OSError):
            self._folder.rmdir()


@contextmanager
def directory_lock(directory: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the lock on a journal's directory that keeps registering and purging apart."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def register(directory: str | os.PathLike[str], sequence: int) -> Registration | None:
    """Register the calling process as a reader from a sequence on; None where it may not write.

    Waits for a purge that is going on.
    """
    path = Path(directory)
    try:
        with directory_lock(path, exclusive=False):
            return Registration(path, sequence)
    except OSError:
        return None


def readers(directory: str | os.PathLike[str]) -> list[FoundReader]:
    """Everyone who reads a journal at the moment; what dead readers left behind is removed where that may be done."""
    folder = Path(directory) / READERS_NAME
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [found for name in names if name.endswith(SUFFIX) and (found := _reader(folder / name))]


def _reader(path: Path) -> FoundReader | None:
    """The reader that a file is of, if it lives."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None  # gone since it was listed, or nothing that a reader of ours made
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(fd)
    except OSError:
        return None
    else:
        with suppress(OSError):
            os.unlink(path)
        return None
    finally:
        os.close(fd)


def _read(fd: int) -> FoundReader:
    """What a living reader says; what can't be read keeps everything."""
    for _ in range(_READS):
        content: Bytes = np.frombuffer(os.pread(fd, READER_DTYPE.itemsize, 0), np.uint8)
        if len(content) < READER_DTYPE.itemsize:
            break
        record = content.view(READER_DTYPE)[0]
        if record["magic"] == READER_MAGIC and record["crc"] == crc32c(content[_CRC_START:]):
            return FoundReader(int(record["owner"]["pid"]), max(0, int(record["sequence"])))
    return FoundReader(-1, 0)
