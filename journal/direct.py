"""File operations of a recording: every write is on the device when it returns, and files are made ahead of need.

A write goes past the page cache (`O_DIRECT`) and returns when the device has it (`O_DSYNC`): nothing that was
acknowledged waits in memory, and nothing else that the process or its neighbours have dirtied is flushed with it.
Where a file system refuses `O_DIRECT` (some tmpfs, some network file systems) a write goes through the page cache and
`fdatasync` follows; `is_direct` says which it is.

A synced write into space that was only reserved makes the file system note what has become data: 250 µs instead of
140 on ext4, and many times that where others use its journal too. So files are filled with zeros when they are
prepared, as far as there is time until they are wanted (`hurry`); reserved space reads as zeros all the same.
"""

from __future__ import annotations

import errno
import mmap
import os

import numpy as np

from disruptor.journal.layout import BLOCK_SIZE, Bytes
from disruptor.journal.storage import Storage

#: Bytes of one write of zeros, and of the buffer through which unaligned content goes.
_STEP = 1 << 20


def aligned(size: int) -> Bytes:
    """A zeroed buffer of whole pages that direct writes take as it is."""
    return np.frombuffer(mmap.mmap(-1, max(size, BLOCK_SIZE)), np.uint8)


class DirectStorage(Storage):
    """Storage whose writes are durable when they return. `prepare` may run on a thread of its own.

    Attributes
    ----------
    is_direct : whether files are written past the page cache; None until the first was made
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__(directory)
        self.is_direct: bool | None = None
        self._prepared: dict[str, int] = {}
        self._hurried: set[str] = set()
        self._zeros = aligned(_STEP)

    def prepare(self, name: str, size: int) -> None:
        """Make a file of zeros ahead of its `create`. Its name and size are durable when this returns.

        Raises
        ------
        OSError : no space, among others; then there is no such file.
        """
        fd = self._open(name, os.O_CREAT | os.O_EXCL)
        try:
            self.reserve(fd, size)
            os.fsync(fd)
            self.sync_directory()
            self._fill(name, size)
        except BaseException:
            os.close(fd)
            self.remove(name)
            raise
        self._prepared[name] = fd

    def hurry(self, name: str) -> None:
        """This file is wanted now: its preparation need not write more zeros."""
        self._hurried.add(name)

    def create(self, name: str, size: int) -> int:
        """The file of this name that was prepared, or one prepared now."""
        if name not in self._prepared:
            self.hurry(name)
            self.prepare(name, size)
        self._hurried.discard(name)
        return self._prepared.pop(name)

    def reopen(self, name: str) -> int | None:
        """A file that is there, to be written on; None if it is not."""
        try:
            return self._open(name, 0)
        except FileNotFoundError:
            return None

    def write(self, fd: int, content: Bytes, offset: int) -> None:
        """Put whole blocks on the device at `offset`, a multiple of 4096."""
        if content.__array_interface__["data"][0] % BLOCK_SIZE:
            buffer = aligned(len(content))[: len(content)]
            buffer[:] = content
            content = buffer
        super().write(fd, content, offset)
        if not self.is_direct:
            os.fdatasync(fd)

    def read_behind(self, name: str, offset: int) -> Bytes:
        """A file's bytes from an offset to its end."""
        return np.fromfile(self.path(name), np.uint8, offset=offset)

    def drop_prepared(self) -> None:
        """Remove what was prepared and not used."""
        while self._prepared:
            name, fd = self._prepared.popitem()
            os.close(fd)
            self.remove(name)

    def _open(self, name: str, flags: int) -> int:
        flags |= os.O_RDWR | os.O_CLOEXEC | os.O_DSYNC
        if self.is_direct is not False:
            try:
                fd = os.open(self.path(name), flags | os.O_DIRECT, 0o644)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                # The file may have been made all the same; it is opened again, without O_EXCL.
                flags &= ~os.O_EXCL
            else:
                self.is_direct = True
                return fd
        fd = os.open(self.path(name), flags, 0o644)
        self.is_direct = False
        return fd

    def _fill(self, name: str, size: int) -> None:
        """Write zeros from the front, without waiting for each, until the file is wanted."""
        fd = os.open(self.path(name), os.O_WRONLY | os.O_CLOEXEC | (os.O_DIRECT if self.is_direct else 0))
        try:
            for offset in range(0, size, _STEP):
                if name in self._hurried:
                    break
                Storage.write(self, fd, self._zeros[: min(_STEP, size - offset)], offset)
            os.fsync(fd)
        finally:
            os.close(fd)
