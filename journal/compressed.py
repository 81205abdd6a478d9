"""A segment compressed where it stands: a file that any zstd reads, of which a part can be read without the rest.

    00000000000000000000.dsj.zst
    ┌────────────┬────────────┬─────┬────────────────┬─────────────────┐
    │ zstd frame │ zstd frame │ ... │ directory      │ seek table      │
    │ of chunk 0 │ of chunk 1 │     │ skippable frame│ skippable frame │
    └────────────┴────────────┴─────┴────────────────┴─────────────────┘

Each chunk of `CHUNK_SIZE` bytes of the segment (the last may be shorter) is a zstd frame of its own, so whoever wants a
journal frame decompresses the one or two chunks that it lies in. `zstd -d` gives the segment back, since it passes over
skippable frames; the seek table is that of zstd's seekable format, for tools that know it.

The directory is for us. It has the CRC32C of every chunk as compressed, so that a changed byte is noticed even where
zstd would not mind; of itself too; and the seek table follows from it byte for byte. Nothing in the file depends on
time or machine but for zstd's own choices.

    directory, content of a skippable frame with magic 0x184D2A50
    offset  size  field
    0       8     magic           "DSRPZST1"
    8       4     crc             CRC32C of all that follows in the directory
    12      4     chunk_size      bytes of the segment in each chunk but the last
    16      8     original_size   bytes of the segment
    24      4     chunk_count
    28      4     reserved        zero
    32      8 each                entries: size of the chunk's frame u4, its CRC32C u4

The largest chunk count is that of a segment of 64 GiB; sizes are checked before anything is allocated by them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from disruptor.errors import CorruptFrameError
from disruptor.journal.layout import Bytes, crc32c

SUFFIX = ".zst"
CHUNK_SIZE = 1 << 20
MAX_CHUNK_SIZE = 16 << 20
MAX_CHUNKS = 1 << 16
DEFAULT_LEVEL = 3
LEVELS = range(1, 20)

DIRECTORY_MAGIC = int.from_bytes(b"DSRPZST1", "little")
DIRECTORY_DTYPE = np.dtype(
    [
        ("magic", "<u8"),
        ("crc", "<u4"),
        ("chunk_size", "<u4"),
        ("original_size", "<i8"),
        ("chunk_count", "<u4"),
        ("reserved", "<u4"),
    ]
)
CHUNK_DTYPE = np.dtype([("size", "<u4"), ("crc", "<u4")])
_CRC_START = 12

#: A frame that zstd passes over: magic, size of the content. And the seekable format's own numbers.
_SKIPPABLE = struct.Struct("<II")
_OURS_MAGIC, _SEEK_TABLE_MAGIC, _SEEKABLE_MAGIC = 0x184D2A50, 0x184D2A5E, 0x8F92EAB1
_SEEK_ENTRY, _SEEK_FOOTER = struct.Struct("<II"), struct.Struct("<IBI")

Chunks = NDArray[Any]


class ChunkCompressor:
    """Compresses a segment front to back.

    Parameters
    ----------
    level : of zstd, 1 to 19
    """

    def __init__(self, level: int = DEFAULT_LEVEL) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=True)
        self._entries: list[tuple[int, int]] = []
        self._original = 0

    def chunk(self, content: Bytes) -> Bytes:
        """The bytes to write for the next `CHUNK_SIZE` bytes of the segment; fewer only for the last."""
        made = np.frombuffer(self._zstd.compress(content.data), np.uint8)
        self._entries.append((len(made), crc32c(made)))
        self._original += len(content)
        return made

    def end(self) -> Bytes:
        """The bytes to write behind the last chunk."""
        return np.frombuffer(_end(np.array(self._entries, CHUNK_DTYPE), self._original, CHUNK_SIZE), np.uint8)


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where each chunk's frame begins, its entry, and the sizes before compression."""

    chunks: Chunks
    starts: NDArray[np.int64]
    chunk_size: int
    original_size: int

    def length(self, number: int) -> int:
        """Bytes of the segment in a chunk."""
        return min(self.chunk_size, self.original_size - number * self.chunk_size)


class CompressedSegment:
    """An open compressed segment, read as if it were the segment.

    Parameters
    ----------
    fd : the open file; closed by `close`, and where this raises

    Attributes
    ----------
    size : bytes of the segment

    Raises
    ------
    CorruptFrameError : not such a file, or a damaged one; says what is wrong, without the place.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        try:
            self._directory = _read_directory(fd)
        except (CorruptFrameError, OSError):
            os.close(fd)
            raise
        self.size = self._directory.original_size
        self._zstd = zstandard.ZstdDecompressor()
        self._number, self._content = -1, np.empty(0, np.uint8)  # the chunk that was read last

    def read_at(self, buffer: Bytes, offset: int) -> int:
        """Put bytes from `offset` on into `buffer`; returns how many, 0 at the end.

        Raises
        ------
        CorruptFrameError : the chunk there is damaged.
        OSError : reading failed.
        """
        if offset >= self.size or not len(buffer):
            return 0
        number, start = divmod(offset, self._directory.chunk_size)
        part = self._chunk(number)[start : start + len(buffer)]
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _chunk(self, number: int) -> Bytes:
        if number != self._number:
            directory = self._directory
            entry, length = directory.chunks[number], directory.length(number)
            raw = _read(self._fd, int(entry["size"]), int(directory.starts[number]))
            if crc32c(raw) != entry["crc"]:
                raise CorruptFrameError(f"compressed chunk {number}: the CRC32C differs")
            self._content, self._number = _decompressed(self._zstd, raw, length, number), number
        return self._content


def _decompressed(zstd: zstandard.ZstdDecompressor, raw: Bytes, length: int, number: int) -> Bytes:
    """What a chunk holds; its own claim of a size is checked first, so that it can't ask for absurd memory."""
    try:
        claimed = zstandard.frame_content_size(raw.data)
        content = zstd.decompress(raw.data) if claimed == length else b""
    except zstandard.ZstdError as error:
        raise CorruptFrameError(f"compressed chunk {number}: {error}") from error
    if len(content) != length:
        raise CorruptFrameError(f"compressed chunk {number}: holds {claimed} bytes; expected {length}")
    return np.frombuffer(content, np.uint8)


def _read_directory(fd: int) -> _Directory:
    size = os.fstat(fd).st_size
    footer = _read(fd, _SEEK_FOOTER.size, max(0, size - _SEEK_FOOTER.size)).tobytes()
    frames = _SEEK_FOOTER.unpack(footer)[0] if len(footer) == _SEEK_FOOTER.size else 0
    if not 1 <= frames <= MAX_CHUNKS + 1:
        raise CorruptFrameError("compressed segment: its end is missing or damaged")
    end_size = _end_size(frames - 1)
    end = _read(fd, end_size, max(0, size - end_size))
    start = _SKIPPABLE.size + DIRECTORY_DTYPE.itemsize
    content = end[_SKIPPABLE.size : start + (frames - 1) * CHUNK_DTYPE.itemsize]
    if len(end) != end_size or crc32c(content[_CRC_START:]) != content[8:_CRC_START].view("<u4")[0]:
        raise CorruptFrameError("compressed segment: its directory is damaged")
    head = content[: DIRECTORY_DTYPE.itemsize].view(DIRECTORY_DTYPE)[0]
    chunks = content[DIRECTORY_DTYPE.itemsize :].view(CHUNK_DTYPE).copy()
    chunk_size, original = int(head["chunk_size"]), int(head["original_size"])
    starts = np.concatenate(([0], np.cumsum(chunks["size"], dtype=np.int64)))
    sane = 0 < chunk_size <= MAX_CHUNK_SIZE and -(-original // chunk_size) == len(chunks) > 0
    if not sane or starts[-1] + end_size != size or end.tobytes() != _end(chunks, original, chunk_size):
        raise CorruptFrameError("compressed segment: its directory makes no sense")
    return _Directory(chunks, starts[:-1], chunk_size, original)


def _end(chunks: Chunks, original_size: int, chunk_size: int) -> bytes:
    """Directory and seek table."""
    head = np.zeros(1, DIRECTORY_DTYPE)
    head["magic"], head["chunk_size"], head["original_size"] = DIRECTORY_MAGIC, chunk_size, original_size
    head["chunk_count"] = len(chunks)
    content = np.frombuffer(head.tobytes() + chunks.tobytes(), np.uint8).copy()
    content[8:_CRC_START].view("<u4")[:] = crc32c(content[_CRC_START:])
    directory = _SKIPPABLE.pack(_OURS_MAGIC, len(content)) + content.tobytes()
    table = b"".join(_seek_entries(chunks, original_size, chunk_size)) + _SEEK_ENTRY.pack(len(directory), 0)
    table += _SEEK_FOOTER.pack(len(chunks) + 1, 0, _SEEKABLE_MAGIC)
    return directory + _SKIPPABLE.pack(_SEEK_TABLE_MAGIC, len(table)) + table


def _seek_entries(chunks: Chunks, original_size: int, chunk_size: int) -> Iterator[bytes]:
    for number, size in enumerate(chunks["size"].tolist()):
        yield _SEEK_ENTRY.pack(size, min(chunk_size, original_size - number * chunk_size))


def _end_size(chunk_count: int) -> int:
    directory = _SKIPPABLE.size + DIRECTORY_DTYPE.itemsize + chunk_count * CHUNK_DTYPE.itemsize
    return directory + _SKIPPABLE.size + (chunk_count + 1) * _SEEK_ENTRY.size + _SEEK_FOOTER.size


def _read(fd: int, size: int, offset: int) -> Bytes:
    """Bytes of a file; fewer at its end."""
    buffer, done = np.empty(size, np.uint8), 0
    while done < size:  # bounded: each turn reads at least a byte or ends the loop
        got = os.preadv(fd, [buffer[done:].data], offset + done)
        if got == 0:
            break
        done += got
    return buffer[:done]
