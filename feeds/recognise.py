"""What a recorded file is, told by its content; extensions are never looked at.

A file is opened once for its first 64 KiB (decompressed) and, for Parquet, its last ones. `recognise` names
the kind or says why there is none. Whether a file of a known kind *holds logs* is a second question, asked
only for the files of a directory, where headers, reports and other tables may lie beside the chunks; a file
that the user named goes to its reader, which says exactly what is wrong with it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from disruptor.errors import InputError
from disruptor.feeds.compression import UnknownContentError, open_plain, open_recorded

JSON, CSV, PARQUET = "json", "csv", "parquet"
PARQUET_MAGIC = b"PAR1"
#: A byte order mark that some exporters write.
UTF8_MARK = b"\xef\xbb\xbf"

_HEAD_BYTES = 1 << 16
_FOOTER_BYTES = 1 << 18
_HEADER_CELL = re.compile(rb'\s*"?[A-Za-z_][A-Za-z0-9_ .]*"?\s*')


def read_head(path: Path) -> bytes:
    """The first 64 KiB of a file's decompressed content, without a byte order mark; b"" for an empty file."""
    with open_recorded(path) as stream:
        head = bytearray()
        while len(head) < _HEAD_BYTES:
            piece = stream.read(_HEAD_BYTES - len(head))
            if not piece:
                break
            head += piece
    return bytes(head).removeprefix(UTF8_MARK)


def recognise(head: bytes, path: Path) -> str:
    """Kind of a file with this head: `JSON`, `CSV` or `PARQUET`.

    Raises
    ------
    UnknownContentError : content of no known kind.
    InputError : an empty file.

    >>> recognise(b'{"address":"0x', Path("logs.txt")), recognise(b"block_number,log_index\\n1,2", Path("x"))
    ('json', 'csv')
    """
    if head.startswith(PARQUET_MAGIC):
        if not _begins_plainly(path):
            raise InputError(f"{path}: is Parquet inside a compressed file; unpack it first", file=str(path))
        return PARQUET
    text = head.lstrip(b" \t\r\n")
    if not text:
        raise InputError(f"{path}: is empty; leave it out, or fetch it again", file=str(path))
    if text[:1] in (b"{", b"["):
        return JSON
    cells = text.split(b"\n", 1)[0].rstrip(b"\r").split(b",")
    if len(cells) > 1 and all(_HEADER_CELL.fullmatch(cell) for cell in cells):
        return CSV
    raise UnknownContentError(
        f"{path}: is no recorded log that can be read: it begins with {text[:24]!r}; known are JSON, JSONL, "
        "CSV with a header line and Parquet, plain or gzip, xz or zstd",
        file=str(path),
    )


def _begins_plainly(path: Path) -> bool:
    with open_plain(path) as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def holds_logs(head: bytes, kind: str, path: Path) -> bool:
    """Whether a file of a directory looks like logs: it names topics and data, or can't be judged."""
    if kind == PARQUET:
        return _footer_names(path, (b"topic0", b"topics"))
    names = head.split(b"\n", 1)[0] if kind == CSV else head
    has_topics = b"topics" in names or b"topic0" in names
    return has_topics and any(word in names for word in (b"log_index", b"logIndex"))


def _footer_names(path: Path, words: tuple[bytes, ...]) -> bool:
    """Whether a Parquet footer has one of the names; True when it is cut off, for the reader to say so."""
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _FOOTER_BYTES))
        footer = file.read()
    return not footer.endswith(PARQUET_MAGIC) or any(word in footer for word in words)
