"""Small tables (headers, pools, tokens) from CSV or Parquet, as Arrow columns by our own names."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.feeds.arrow_columns import Fail
from disruptor.feeds.compression import open_recorded
from disruptor.feeds.csv_reader import LineFail, read_header, read_table
from disruptor.feeds.parquet_reader import RowFail, open_parquet
from disruptor.feeds.recognise import CSV


class TablePart(NamedTuple):
    """Some rows of a table.

    columns : our name -> pyarrow Array, for the columns that the file has
    positions : (n,) int64, line or row of each in its file
    fail : makes the InputError for a row and a text
    """

    columns: dict[str, Any]
    positions: npt.NDArray[np.int64]
    fail: Fail


def match_columns(
    found: list[str], aliases: Mapping[str, tuple[str, ...]], required: tuple[str, ...], path: Path, what: str
) -> dict[str, str]:
    """Which column of a file is which: our name -> name in the file.

    Raises
    ------
    InputError : a required one is missing; the message names missing and found ones.
    """
    chosen = {
        name: next(alias for alias in names if alias in found)
        for name, names in aliases.items()
        if any(alias in found for alias in names)
    }
    if missing := [name for name in required if name not in chosen]:
        present = ", ".join(found) or "none"
        raise InputError(
            f"{path}: not a table of {what}: column {', '.join(missing)} missing; found {present}",
            file=str(path),
            missing=missing,
            found=found,
        )
    return chosen


def read_parts(path: Path, kind: str, choose: Callable[[list[str]], dict[str, str]]) -> Iterator[TablePart]:
    """Read a CSV (plain or compressed) or Parquet file part by part.

    Parameters
    ----------
    path : the file
    kind : `recognise.CSV` or `recognise.PARQUET`
    choose : given the names in the file, answers our name -> name in the file
    """
    if kind == CSV:

        def open_stream() -> BinaryIO:
            return io.BufferedReader(open_recorded(path))

        with open_stream() as stream:
            names = choose(read_header(stream, str(path)))
        for table, lines in read_table(str(path), open_stream, list(names.values())):
            columns = {name: table.column(used) for name, used in names.items()}
            yield TablePart(columns, lines, LineFail(str(path), lines))
        return
    with open_parquet(str(path)) as file:
        names = choose(file.schema_arrow.names)
        first = 1
        for batch in file.iter_batches(columns=list(names.values())):
            columns = {name: batch.column(used) for name, used in names.items()}
            positions = np.arange(first, first + batch.num_rows, dtype=np.int64)
            yield TablePart(columns, positions, RowFail(str(path), first))
            first += batch.num_rows
