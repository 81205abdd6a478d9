"""Recorded logs from any number of files, directories and globs, as one run of batches in block order.

Files are told apart by content and put in order before any is read: by the block ranges in cryo-style names;
else by the numbers in names that differ in nothing else; else by the first block of each. Ranges that do not
meet leave *gaps*, which the source names; what is missing there is for the stream's consumer to judge.

A file counts as what it was when it was opened. Bytes that are appended later are not read; a file that
shrinks or is rewritten meanwhile is an error. That the logs of one file are in order is not judged here.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from disruptor.errors import InputError
from disruptor.feeds.columns import LogBatch
from disruptor.feeds.compression import RecordedFile, UnknownContentError, open_recorded
from disruptor.feeds.recognise import CSV, PARQUET, holds_logs, read_head, recognise

_RANGE = re.compile(r"(\d+)_to_(\d+)")
_NUMBER = re.compile(r"\d+")


class ParquetFacts(NamedTuple):
    """What a Parquet file's footer tells."""

    rows: int
    chain_id: int | None


class LogSource:
    """All logs of some recorded files.

    Parameters
    ----------
    paths : files, directories (their chunks; other files in them are left out) and glob patterns
    batch_rows : most rows in a batch

    Attributes
    ----------
    files : list of Path, in the order in which they are read; rows name them by index
    ignored : list of Path, files of directories that hold no logs
    chunk_gaps : list of (first, last) block missing between chunks, from the ranges in their names
    chain_id : int or None, where a format tells
    total_bytes, bytes_read : of file (compressed bytes), for progress

    Raises
    ------
    InputError : a missing file, a pattern or directory without logs, an empty file, an unknown kind or
        compression; while iterating, whatever the readers find, and "no logs" when there was none at all.
    """

    def __init__(self, paths: Sequence[str | Path], *, batch_rows: int = 16384) -> None:
        assert batch_rows >= 1
        self.ignored: list[Path] = []
        self._batch_rows = batch_rows
        self._kinds: dict[Path, str] = {}
        self.chain_id: int | None = None
        self.bytes_read = 0
        found = [file for path in paths for file in self._expand(str(path))]
        if not found:
            raise InputError("no source given: name at least one file, directory or pattern")
        self.files = self._in_order(found)
        self.chunk_gaps = find_gaps(self.files)
        self.total_bytes = sum(file.stat().st_size for file in self.files)
        self._learn_chain_id()

    def __iter__(self) -> Iterator[LogBatch]:
        """Read all files; each batch's arrays are reused for the next one."""
        self.bytes_read = 0
        logs = 0
        for index, path in enumerate(self.files):
            for batch in self._read(path, index, self._batch_rows):
                logs += len(batch.rows)
                yield batch
        if logs == 0:
            raise InputError(f"no logs in {_few(self.files)}: nothing to do; check the source")

    # Which files

    def _expand(self, path: str) -> list[Path]:
        """The files that one argument stands for."""
        if os.path.isdir(path):
            return self._chunks(Path(path))
        if os.path.exists(path):
            return [self._recognised(Path(path))]
        if not glob.has_magic(path):
            raise InputError(f"{path}: no such file or directory; check the path", file=path)
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise InputError(f"{path}: no file matches this pattern", file=path)
        return [file for match in matches for file in self._expand(match)]

    def _recognised(self, path: Path) -> Path:
        self._kinds[path] = recognise(read_head(path), path)
        return path

    def _chunks(self, folder: Path) -> list[Path]:
        """The files of a directory that hold logs; hidden files and marker files are never looked at."""
        chunks = []
        for path in _listed(folder):
            if path.name.startswith((".", "_")) or not path.is_file():
                continue
            try:
                head = read_head(path)
                kind = recognise(head, path)
            except UnknownContentError:
                self.ignored.append(path)
                continue
            if holds_logs(head, kind, path):
                self._kinds[path] = kind
                chunks.append(path)
            else:
                self.ignored.append(path)
        if not chunks:
            raise InputError(
                f"{folder}: is a directory without chunks: none of its {len(self.ignored)} files holds logs; "
                "check the path",
                file=str(folder),
            )
        return chunks

    # In which order

    def _in_order(self, files: list[Path]) -> list[Path]:
        """Files in block order, as far as names or first blocks tell."""
        if len(files) < 2:
            return files
        if all(block_range(file) for file in files):
            return sorted(files, key=lambda file: (block_range(file) or (0, 0), file.name))
        skeletons = {_NUMBER.sub("#", file.name) for file in files}
        if len(skeletons) == 1 and "#" in skeletons.pop():
            return sorted(files, key=lambda file: ([int(n) for n in _NUMBER.findall(file.name)], file.name))
        return sorted(files, key=self._first_block)

    def _first_block(self, path: Path) -> int:
        """Block of a file's first log; -1 for a file without logs."""
        with closing(self._read(path, 0, 1)) as batches:
            for batch in batches:
                if len(batch.rows):
                    return int(batch.rows["block_number"][0])
        return -1

    # Reading

    def _read(self, path: Path, index: int, batch_rows: int) -> Generator[LogBatch]:
        """Hand one file to the reader of its kind."""
        before = self.bytes_read

        def open_stream() -> Any:
            self.bytes_read = before  # a reader may open its file twice
            return open_recorded(path, self._count)

        kind = self._kinds[path]
        if kind == PARQUET:
            yield from self._read_parquet(path, index, batch_rows)
        elif kind == CSV:
            from disruptor.feeds import csv_reader

            yield from csv_reader.read_logs(str(path), index, open_stream, batch_rows)
        else:
            from disruptor.feeds import json_reader

            yield from json_reader.read_logs(path, index, open_stream, batch_rows)

    def _read_parquet(self, path: Path, index: int, batch_rows: int) -> Iterator[LogBatch]:
        """Read a Parquet file by path, watching its size; progress goes by rows."""
        from disruptor.feeds import parquet_reader

        with RecordedFile(path) as watch:
            facts = parquet_facts(path)
            if facts.chain_id is not None and self.chain_id not in (None, facts.chain_id):
                raise InputError(
                    f"{path}: is of chain {facts.chain_id}, the files before of chain {self.chain_id}; "
                    "read one chain at a time",
                    file=str(path),
                )
            done, before = 0, self.bytes_read
            for batch in parquet_reader.read_logs(str(path), index, batch_rows):
                watch.check_unchanged()
                done += len(batch.rows)
                self.bytes_read = before + watch.size * done // max(facts.rows, 1)
                yield batch
            watch.check_unchanged()
            self.bytes_read = before + watch.size

    def _count(self, count: int) -> None:
        self.bytes_read += count

    def _learn_chain_id(self) -> None:
        first = next((file for file in self.files if self._kinds[file] == PARQUET), None)
        if first is not None:
            self.chain_id = parquet_facts(first).chain_id


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: can't be listed ({error.strerror})", file=str(folder)) from None


def block_range(path: Path) -> tuple[int, int] | None:
    """Block range in a chunk's name.

    >>> block_range(Path("ethereum__logs__18000000_to_18000999.parquet"))
    (18000000, 18000999)
    """
    found = _RANGE.search(path.name)
    return (int(found[1]), int(found[2])) if found else None


def find_gaps(files: Sequence[Path]) -> list[tuple[int, int]]:
    """Blocks between the ranges of files in order, as (first missing, last missing).

    >>> find_gaps([Path("logs_10_to_19.csv"), Path("logs_30_to_39.csv")])
    [(20, 29)]
    """
    gaps: list[tuple[int, int]] = []
    end: int | None = None
    for file in files:
        blocks = block_range(file)
        if blocks is None:
            continue
        if end is not None and blocks[0] > end + 1:
            gaps.append((end + 1, blocks[0] - 1))
        end = blocks[1] if end is None else max(end, blocks[1])
    return gaps


def parquet_facts(path: Path) -> ParquetFacts:
    """Row count and chain id of a Parquet file, from its footer.

    Raises
    ------
    InputError : no readable footer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata: Any = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: damaged or cut off Parquet ({error}); fetch it again", file=str(path)
        ) from None
    if metadata.num_row_groups == 0:
        return ParquetFacts(metadata.num_rows, None)
    group = metadata.row_group(0)
    for i in range(group.num_columns):
        column = group.column(i)
        if (
            column.path_in_schema == "chain_id"
            and column.statistics is not None
            and column.statistics.has_min_max
        ):
            return ParquetFacts(metadata.num_rows, int(column.statistics.min))
    return ParquetFacts(metadata.num_rows, None)


def _few(files: Sequence[Path]) -> str:
    shown = ", ".join(str(file) for file in files[:3])
    return shown if len(files) <= 3 else f"{shown} and {len(files) - 3} more"
