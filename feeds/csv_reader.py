"""Logs from CSV files: ethereum-etl's layout (one `topics` column) and the one with `topic0` to `topic3`.

Arrow splits lines into columns of bytes in a helper thread, one block ahead; kernels parse the bytes. Letting
Arrow convert numbers would lose the line of a bad one. A blank line comes out as a row of empty values:
it is dropped here, so line numbers stay right. Values hold no line breaks, so a row is a line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from disruptor.errors import InputError
from disruptor.feeds.ahead import one_ahead
from disruptor.feeds.columns import LOG_DTYPE, LogBatch
from disruptor.feeds.log_table import build_batch, choose_columns

DEFAULT_BATCH_ROWS = 1 << 14
#: Also the longest line: a log's data can't reach this size within a block's gas.
BLOCK_BYTES = 16 << 20
_HEADER_BYTES_MAX = 1 << 16
_BAD_ROW = re.compile(r"Row #(?P<row>\d+): Expected (?P<expected>\d+) columns, got (?P<found>\d+)")


def read_logs(
    path: str,
    file_index: int,
    open_stream: Callable[[], BinaryIO],
    batch_rows: int = DEFAULT_BATCH_ROWS,
) -> Iterator[LogBatch]:
    """Yield the logs of one CSV file in file order.

    Parameters
    ----------
    path : for messages
    file_index : stored in the rows' `file`
    open_stream : gives the file's bytes from the start, already decompressed; called twice
    batch_rows : rows of a batch at most

    Yields
    ------
    LogBatch : rows are reused for the next batch; `position` is the line in the file; the header is line 1.

    Raises
    ------
    InputError : other columns, a line with too few or too many of them, or a bad value; with file and line.
    """
    with open_stream() as stream:
        names = choose_columns(read_header(stream, path), path)
    room = np.zeros(batch_rows, LOG_DTYPE)
    for table, lines in read_table(path, open_stream, list(names.values())):
        for start in range(0, len(lines), batch_rows):
            part = table.slice(start, batch_rows)
            positions = lines[start : start + batch_rows]
            arrays = {name: part.column(used) for name, used in names.items()}
            yield build_batch(arrays, positions, file_index, LineFail(path, positions), room)


class LineFail:
    """Makes the error for a row whose line, or position counted in another unit, is known."""

    def __init__(self, path: str, lines: npt.NDArray[np.int64], unit: str = "line") -> None:
        self._path, self._lines, self._unit = path, lines, unit

    def __call__(self, row: int, what: str) -> InputError:
        return line_error(self._path, int(self._lines[row]), what, self._unit)


def line_error(path: str, line: int, what: str, unit: str = "line") -> InputError:
    """An error with file and position."""
    return InputError(f"{path}: {unit} {line}: {what}", file=path, position=line)


def read_header(stream: BinaryIO, path: str) -> list[str]:
    """Column names in the first line.

    >>> read_header(io.BytesIO(b'number,"hash"\\n1,0x\\n'), "blocks.csv")
    ['number', 'hash']
    """
    line = stream.readline(_HEADER_BYTES_MAX)
    try:
        text = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise line_error(path, 1, "expected the names of the columns, found bytes that are no text") from None
    if not text:
        raise line_error(path, 1, "expected the names of the columns, found nothing")
    try:
        return next(csv.reader(io.StringIO(text)))
    except csv.Error as problem:
        raise line_error(path, 1, f"expected the names of the columns: {problem}") from None


def read_table(
    path: str, open_stream: Callable[[], BinaryIO], columns: list[str]
) -> Iterator[tuple[Any, npt.NDArray[np.int64]]]:
    """Yield blocks of a CSV file: a pyarrow RecordBatch of binary columns, and the line of each row.

    Raises
    ------
    InputError : a line with too few or too many columns, or longer than a block.
    """
    line = 2
    with open_stream() as stream:
        try:
            with closing(one_ahead(_open(stream, columns))) as blocks:
                for block in blocks:
                    lines = np.arange(line, line + block.num_rows, dtype=np.int64)
                    line += block.num_rows
                    yield _without_blank_lines(block, lines)
        except pa.ArrowException as problem:
            raise _parse_error(path, line, str(problem)) from None


def _open(stream: BinaryIO, columns: list[str]) -> Iterator[Any]:
    """Arrow's reader, as an iterator that also opens in the helper thread."""
    yield from pa.csv.open_csv(
        stream,
        # Arrow tells the line of a bad row only when it doesn't use its own threads. It tells it in a text:
        # its call-back for bad rows drops those that are no UTF-8.
        read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        parse_options=pa.csv.ParseOptions(ignore_empty_lines=False),
        convert_options=pa.csv.ConvertOptions(
            column_types={name: pa.binary() for name in columns},
            include_columns=columns,
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )


def _without_blank_lines(block: Any, lines: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.int64]]:
    empty = np.ones(block.num_rows, np.bool_)
    for column in block.columns:
        offsets = np.frombuffer(column.buffers()[1], np.int32)[
            column.offset : column.offset + len(column) + 1
        ]
        empty &= offsets[1:] == offsets[:-1]
        if not empty.any():
            return block, lines
    return block.filter(pa.array(~empty)), lines[~empty]


def _parse_error(path: str, line: int, problem: str) -> InputError:
    if bad := _BAD_ROW.search(problem):
        what = f"expected {bad['expected']} columns, found {bad['found']}: repair or remove the line"
        return line_error(path, int(bad["row"]), what)
    if "straddling" in problem:
        return line_error(path, line, f"here or further on, a line longer than {BLOCK_BYTES} bytes")
    return line_error(
        path, line, f"here or further on, can't be read as CSV ({' '.join(problem.split())[:200]})"
    )
