"""The file that a segment is in: plain as it was written, or compressed since. Readers see the same bytes.

The name that a manifest or a listing has is always the plain one. While a segment is being compressed both files may be
there for a moment (see `disruptor.journal.compact`): then the plain one counts.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from typing import Protocol

from disruptor.journal.compressed import SUFFIX, CompressedSegment
from disruptor.journal.directory import is_segment_name
from disruptor.journal.layout import Bytes


class SegmentFile(Protocol):
    """An open segment, whatever it is stored as.

    Attributes
    ----------
    size : bytes of the segment when it was opened
    """

    size: int

    def read_at(self, buffer: Bytes, offset: int) -> int:
        """Put bytes from `offset` on into `buffer`; returns how many, at least one before the end, 0 there.

        Raises
        ------
        CorruptFrameError : what is stored there is damaged; says what is wrong, without the place.
        OSError : reading failed.
        """

    def close(self) -> None:
        """Close the file."""


class PlainSegment:
    """A segment as it was written."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read_at(self, buffer: Bytes, offset: int) -> int:
        """Read once."""
        return os.preadv(self._fd, [buffer.data], offset)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def open_segment(path: str | os.PathLike[str]) -> SegmentFile:
    """Open a segment by its plain name.

    Raises
    ------
    OSError : it is there in neither form, can't be opened, or is no regular file: a pipe would wait for ever.
    CorruptFrameError : it is compressed, and what it says of itself is damaged.
    """
    plain = os.fspath(path)
    try:
        return PlainSegment(_open_regular(plain))
    except FileNotFoundError as missing:
        try:
            fd = _open_regular(plain + SUFFIX)
        except FileNotFoundError:
            raise missing from None
    return CompressedSegment(fd)


def segment_exists(path: str | os.PathLike[str]) -> bool:
    """Whether a segment is there in either form."""
    return any(os.path.isfile(os.fspath(path) + suffix) for suffix in ("", SUFFIX))


def stored_size(path: str | os.PathLike[str]) -> int:
    """Bytes that a segment takes on disk as it is stored."""
    plain = os.fspath(path)
    return os.path.getsize(plain if os.path.exists(plain) else plain + SUFFIX)


def segment_names(names: Iterable[str]) -> list[str]:
    """The plain names of the segments among some file names, sorted, each once.

    >>> segment_names(["00000000000000000004.dsj.zst", "00000000000000000000.dsj", "notes.dsj.zst"])
    ['00000000000000000000.dsj', '00000000000000000004.dsj']
    """
    plain = (name.removesuffix(SUFFIX) for name in names)
    return sorted({name for name in plain if is_segment_name(name)})


def _open_regular(path: str) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "is no regular file", path)
    return fd
