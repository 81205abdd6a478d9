"""Run files of the external sort: one sorted run of logs on disk, written once and read in windows.

A run file is its rows (`LOG_DTYPE`) followed by their data in row order, so `data_offset` counts from the
first byte behind the rows and only ever rises; one read of rows and one of data fill a window. Native
layout: a run never outlives the process that wrote it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.errors import DisruptorError
from disruptor.feeds.columns import LOG_DTYPE, LogBatch

Rows = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Run:
    """A sorted file: `row_count` rows, then `byte_count` bytes of data."""

    path: Path
    row_count: int
    byte_count: int


def write_run(batches: Iterable[LogBatch], path: Path, row_count: int, byte_count: int) -> Run:
    """Write `batches` (in order, data contiguous) as one run of exactly `row_count` rows.

    The rows' `data_offset` is changed in place. Raises DisruptorError when the disk is full.
    """
    row_at, data_at = 0, row_count * LOG_DTYPE.itemsize
    byte_start = data_at
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for batch in batches:
            rows = batch.rows
            rows["data_offset"] += data_at - byte_start
            _write_all(descriptor, rows.view(np.uint8), row_at)
            _write_all(descriptor, batch.blob, data_at)
            row_at, data_at = row_at + rows.nbytes, data_at + batch.blob.nbytes
    except OSError as problem:
        raise write_error(problem, path.parent) from None
    finally:
        os.close(descriptor)
    assert (row_at, data_at) == (byte_start, byte_start + byte_count)
    return Run(path, row_count, byte_count)


def _write_all(descriptor: int, array: Bytes, offset: int) -> None:
    rest = memoryview(array.data)
    while len(rest):
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


def write_error(problem: OSError, directory: Path) -> DisruptorError:
    """What to tell the user when a temporary file can't be written."""
    full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "no room left for the temporary files" if full else f"temporary files fail: {problem.strerror}"
    return DisruptorError(
        f"sort: {what} in {directory}: free some space, or point TMPDIR at a larger file system",
        directory=str(directory),
        errno=problem.errno,
    )


class RunReader:
    """Reads one run file a window at a time."""

    def __init__(self, run: Run) -> None:
        self._run, self._next_row, self._loaded = run, 0, 0
        self._descriptor = os.open(run.path, os.O_RDONLY)

    def fill_rows(self, rows: Rows) -> int:
        """Load as many rows as there are or fit; returns the bytes of data that the first one needs."""
        self._loaded = min(len(rows), self._run.row_count - self._next_row)
        _read_all(self._descriptor, rows[: self._loaded].view(np.uint8), self._next_row * LOG_DTYPE.itemsize)
        return int(rows[0]["data_length"]) if self._loaded else 0

    def fill_blob(self, rows: Rows, blob: Bytes) -> int:
        """Load the data of the rows just loaded, as far as it fits; returns how many rows are complete."""
        if not self._loaded:
            return 0
        start = int(rows[0]["data_offset"])
        ends = rows["data_offset"][: self._loaded] + rows["data_length"][: self._loaded] - start
        row_count = int(np.searchsorted(ends, len(blob), side="right"))
        assert row_count >= 1
        at = self._run.row_count * LOG_DTYPE.itemsize + start
        _read_all(self._descriptor, blob[: int(ends[row_count - 1])], at)
        self._next_row += row_count
        return row_count

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


def _read_all(descriptor: int, array: Bytes, offset: int) -> None:
    rest = memoryview(array.data)
    while len(rest):
        count = os.preadv(descriptor, [rest], offset)
        if count == 0:
            raise DisruptorError(
                "sort: a temporary file was cut short by somebody else: run the command again"
            )
        rest, offset = rest[count:], offset + count
