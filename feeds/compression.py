"""A recorded file as one stream of bytes: plain, gzip, xz or zstd by its first bytes, never silently short.

The file's size is taken when it is opened and the stream is exactly that many bytes of file: a log that is
still being written is read up to there, and a file that turns out shorter is an error. A compressed stream
must end where its last member says so; what a library would return for a truncated one is not trusted
(zstandard returns the part it got without a word). Several members in a row are one stream, as the tools
that made them mean it.

Decompression runs in a thread of its own, a few blocks ahead, because it releases the GIL and costs as much
as scanning. Memory: `_BLOCKS_AHEAD` blocks plus what 8 KiB of compressed input expand to.
"""

from __future__ import annotations

import io
import lzma
import os
import queue
import stat
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from disruptor.errors import InputError

#: First bytes of the formats that are read.
MAGIC = {"gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd"}
#: First bytes of formats that are not, with their names.
UNREAD = {
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "lz4",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x5d\x00\x00": "lzma (the old format)",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"\x1f\x9d": "compress (.Z)",
    b"Rar!": "rar",
}
_HEAD_BYTES = 16
_PIECE_BYTES = 8192
_BLOCK_BYTES = 1 << 20
_BLOCKS_AHEAD = 4


class UnknownContentError(InputError):
    """A file that is of no kind that is read, as opposed to a damaged one."""


class _Decompressor(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, piece: bytes, /) -> bytes: ...


def compression_of(head: bytes, path: Path) -> str | None:
    """Name of the compression that a file's first bytes announce; None for none.

    Raises
    ------
    UnknownContentError : a known compression that is not read.

    >>> compression_of(b"\\x1f\\x8b\\x08", Path("x"))
    'gzip'
    """
    for name, magic in MAGIC.items():
        if head.startswith(magic):
            return name
    for magic, name in UNREAD.items():
        if head.startswith(magic):
            raise UnknownContentError(
                f"{path}: is {name}, which is not read; unpack it, or use gzip, xz or zstd", file=str(path)
            )
    return None


def _decompressor(compression: str) -> Any:
    if compression == "gzip":
        return zlib.decompressobj(wbits=31)
    if compression == "xz":
        return lzma.LZMADecompressor(format=lzma.FORMAT_XZ)
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj()


class RecordedFile(io.RawIOBase):
    """The bytes of a file up to its size at opening; reading past a shrunken end is an error.

    Attributes
    ----------
    path : Path
    size : int, bytes at opening
    consumed : int, bytes handed out so far
    """

    def __init__(self, path: Path, on_read: Callable[[int], None] | None = None) -> None:
        super().__init__()
        self.path = path
        self._file = open_plain(path)
        facts = os.fstat(self._file.fileno())
        self.size, self._modified_ns = facts.st_size, facts.st_mtime_ns
        self.consumed = 0
        self._on_read = on_read

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, target: Any, /) -> int:
        """Fill `target` as far as the file goes."""
        wanted = min(len(target), self.size - self.consumed)
        if wanted == 0:
            self.check_unchanged()
            return 0
        try:
            got = self._file.readinto(memoryview(target)[:wanted])
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if got == 0:
            raise self._shrunk(self.consumed)
        self.consumed += got
        if self._on_read is not None:
            self._on_read(got)
        return int(got)

    def check_unchanged(self) -> None:
        """Raise if the file shrank, or was rewritten in place, since it was opened. Growing is fine."""
        facts = os.fstat(self._file.fileno())
        if facts.st_size < self.size:
            raise self._shrunk(facts.st_size)
        if facts.st_size == self.size and facts.st_mtime_ns != self._modified_ns:
            raise InputError(
                f"{self.path}: was rewritten while it was read; run again when nothing writes to it",
                file=str(self.path),
            )

    def _shrunk(self, end: int) -> InputError:
        return InputError(
            f"{self.path}: ends at byte {end} but had {self.size} bytes when it was opened: it shrank "
            "while it was read; run again when nothing writes to it",
            file=str(self.path),
            position=end,
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def open_plain(path: Path) -> io.FileIO:
    """Open a file for reading, with an InputError for whatever the system says against it."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError(f"{path}: is no regular file; recorded logs are read from files", file=str(path))
        return io.FileIO(path, "rb")
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: can't be read ({error.strerror}); check the path", file=str(path))


def decompress(file: RecordedFile, compression: str) -> Iterator[bytes]:
    """All members of a compressed file, in pieces of what 8 KiB expand to.

    Raises
    ------
    InputError : damaged or truncated data, or something else behind the last member.
    """
    piece = file.read(_PIECE_BYTES) or b""
    while piece:
        decoder = _decompressor(compression)
        while not decoder.eof:
            if not piece:
                raise _damaged(file, compression, "the stream is cut off, its end is missing")
            yield _decode(file, compression, decoder, piece)
            piece = decoder.unused_data if decoder.eof else file.read(_PIECE_BYTES) or b""
        piece = _next_member(file, compression, piece)


def _decode(file: RecordedFile, compression: str, decoder: _Decompressor, piece: bytes) -> bytes:
    try:
        return decoder.decompress(piece)
    except (zlib.error, lzma.LZMAError) as error:
        raise _damaged(file, compression, str(error)) from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # named, so that plain and gzip input never import zstandard
            raise
        raise _damaged(file, compression, str(error)) from None


def _next_member(file: RecordedFile, compression: str, piece: bytes) -> bytes:
    """First bytes of the member that follows, behind any padding of zeros; empty at the end of the file."""
    piece = piece.lstrip(b"\0")
    while len(piece) < len(MAGIC[compression]):
        more = file.read(_PIECE_BYTES) or b""
        if not more:
            break
        piece = (piece + more).lstrip(b"\0")
    if piece and not piece.startswith(MAGIC[compression]):
        raise _damaged(file, compression, "something else follows the end of the stream")
    return piece


def _damaged(file: RecordedFile, compression: str, why: str) -> InputError:
    return InputError(
        f"{file.path}: damaged {compression} data near byte {file.consumed} of {file.size}: {why}; "
        "fetch or compress the file again",
        file=str(file.path),
        position=file.consumed,
    )


class DecompressedFile(io.RawIOBase):
    """The decompressed bytes of a file, produced a few blocks ahead by a thread."""

    def __init__(self, file: RecordedFile, compression: str) -> None:
        super().__init__()
        self._file, self._compression = file, compression
        self._blocks: queue.Queue[bytes | BaseException | None] = queue.Queue(_BLOCKS_AHEAD)
        self._abandoned = False
        self._block = memoryview(b"")
        self._ended = False
        self._thread = threading.Thread(
            target=self._produce, name=f"decompress {file.path.name}", daemon=True
        )
        self._thread.start()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, target: Any, /) -> int:
        """Copy what is there, waiting for the thread when that is nothing; 0 at the end."""
        while not self._block and not self._ended:
            block = self._blocks.get()
            if isinstance(block, BaseException):
                self._ended = True
                raise block
            self._ended = block is None
            self._block = memoryview(block or b"")
        count = min(len(target), len(self._block))
        target[:count] = self._block[:count]
        self._block = self._block[count:]
        return count

    def _produce(self) -> None:
        pending: list[bytes] = []
        size = 0
        try:
            for piece in decompress(self._file, self._compression):
                pending.append(piece)
                size += len(piece)
                if size >= _BLOCK_BYTES:
                    self._blocks.put(b"".join(pending))
                    pending, size = [], 0
                if self._abandoned:
                    return
            self._blocks.put(b"".join(pending))
            self._blocks.put(None)
        except BaseException as error:  # handed to the reader, who raises it
            self._blocks.put(b"".join(pending))
            self._blocks.put(error)

    def close(self) -> None:
        """Stop the thread and close the file."""
        if self.closed:
            return
        self._abandoned = True
        # The thread looks at the flag after each put, and puts at most three more: there is room once
        # emptied.
        while not self._blocks.empty():
            self._blocks.get_nowait()
        self._thread.join()
        self._file.close()
        super().close()


def open_recorded(path: Path, on_read: Callable[[int], None] | None = None) -> io.RawIOBase:
    """Open a recorded file as a stream of its decompressed bytes.

    Parameters
    ----------
    path : the file
    on_read : called with the number of bytes of file (compressed bytes) each time some were read; from
    another
        thread when the file is compressed

    Raises
    ------
    InputError : a missing or unreadable file, or a compression that is not read. Reading raises it for a
    file that
        shrinks and for damaged or truncated data.
    """
    with open_plain(path) as probe:
        compression = compression_of(probe.read(_HEAD_BYTES), path)
    file = RecordedFile(path, on_read)
    return file if compression is None else DecompressedFile(file, compression)
