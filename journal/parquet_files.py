"""Files of columns: Parquet or Arrow IPC behind one shape, written and read a batch at a time.

Each file's metadata has one key of ours, `disruptor`, a JSON object. In Parquet it is written last, with the footer;
an Arrow file has its schema first, so there it must be known when the file begins.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from disruptor.errors import JournalError
from disruptor.journal.layout import canonical_json

PARQUET, ARROW = "parquet", "arrow"
FORMATS = (PARQUET, ARROW)
#: Rows that a reader of Parquet decodes at a time.
READ_ROWS = 8192
_KEY = b"disruptor"


class ColumnWriter:
    """A file of columns being written: one row group, or one record batch, a call.

    Parameters
    ----------
    path : its suffix is the format
    schema : its columns
    facts : what the metadata says; plain JSON
    dictionary : columns that may be stored as a dictionary of their values (Parquet)
    """

    def __init__(self, path: Path, schema: pa.Schema, facts: dict[str, Any], dictionary: list[str]) -> None:
        self.rows = 0
        self._schema = schema.with_metadata({_KEY: canonical_json(facts)})
        self._file = path.open("xb", buffering=1 << 20)
        if path.suffix == f".{PARQUET}":
            self._writer = pq.ParquetWriter(
                self._file,
                self._schema,
                compression="zstd",
                use_dictionary=dictionary,
                write_page_checksum=True,
            )
        else:
            options = pa.ipc.IpcWriteOptions(compression="zstd")
            self._writer = pa.ipc.new_file(self._file, self._schema, options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._writer.write_batch(batch.replace_schema_metadata(self._schema.metadata))
        self.rows += len(batch)

    def finish(self) -> None:
        """Write the footer, and put the file on the device."""
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abort(self) -> None:
        """Give up the file."""
        with suppress(OSError, pa.ArrowException):
            self._writer.close()
        if hasattr(self._writer, "is_open"):
            self._writer.is_open = False  # else its destructor tries again, and complains to stderr
        with suppress(OSError):
            self._file.close()


class ColumnFile:
    """A file of columns, opened to be read.

    Attributes
    ----------
    schema : without metadata
    facts : what `ColumnWriter` was given; empty where the file is another program's
    rows : how many

    Raises
    ------
    JournalError : it can't be read as what its suffix says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with arrow_errors(path):
            if path.suffix == f".{PARQUET}":
                self._file: Any = pq.ParquetFile(path, page_checksum_verification=True)
                schema, self.rows = self._file.schema_arrow, self._file.metadata.num_rows
            else:
                self._file = pa.ipc.open_file(pa.OSFile(str(path)))
                schema = self._file.schema
                self.rows = self._file.count_rows()
        self.schema = schema.remove_metadata()
        self.facts = _facts(path, (schema.metadata or {}).get(_KEY, b"{}"))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows in their order; each batch is checked to be what Arrow calls valid.

        Raises
        ------
        JournalError : the file is damaged.
        """
        with arrow_errors(self.path):
            for batch in self._parquet() if self.path.suffix == f".{PARQUET}" else self._arrow():
                batch.validate(full=True)
                yield batch

    def close(self) -> None:
        """Close the file."""
        if hasattr(self._file, "close"):
            self._file.close()

    def _parquet(self) -> Iterator[pa.RecordBatch]:
        # One row group at a time: a reader of all of them keeps what it has read of each.
        for group in range(self._file.num_row_groups):
            yield from self._file.iter_batches(batch_size=READ_ROWS, row_groups=[group])

    def _arrow(self) -> Iterator[pa.RecordBatch]:
        for number in range(self._file.num_record_batches):
            yield self._file.get_batch(number)


@contextmanager
def arrow_errors(path: Path) -> Iterator[None]:
    """Turn what Arrow raises over a file into one line with its name."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        what = " ".join(str(error).split())[:200]
        raise JournalError(
            f"{path}: can't be read: {what or type(error).__name__}: make the archive again, or restore it from a copy",
            path=str(path),
        ) from error


@contextmanager
def staged_directory(target: Path) -> Iterator[Path]:
    """A directory that gets its name when the block has ended well, and is removed when it has not.

    Raises
    ------
    JournalError : the target exists and is not an empty directory, or the folder above it can't be written.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise JournalError(f"{target}: exists already: choose a new directory", path=str(target))
    staged = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        staged.mkdir()
    except OSError as error:
        raise JournalError(f"{target}: can't be made: {error.strerror}", path=str(target)) from error
    try:
        yield staged
        _sync(staged)
        os.rename(staged, target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise


def _facts(path: Path, content: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise JournalError(f"{path}: its metadata can't be read: make the archive again", path=str(path))
    return facts


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
