"""Block headers out of files: JSON or JSONL as `eth_getBlockBy*` answers, CSV, cryo's `blocks` Parquet.

Tables are read column by column. JSON is decoded by msgspec into one small object per block, which leaves out
the transactions that full answers carry, and is a table from there on: a header is read once per run.
"""

from __future__ import annotations

import io
import itertools
import operator
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from disruptor.errors import InputError
from disruptor.feeds.arrow_columns import fixed_column, integer_column, timestamp_column
from disruptor.feeds.compression import open_recorded
from disruptor.feeds.csv_reader import LineFail, line_error
from disruptor.feeds.recognise import JSON, UTF8_MARK, read_head, recognise
from disruptor.feeds.tables import TablePart, match_columns, read_parts

#: One header as read: what is unknown has no bit in `known`.
READ_DTYPE = np.dtype(
    [
        ("number", "<i8"),
        ("timestamp", "<i8"),  # seconds; -1 unknown
        ("base_fee", "<u8"),
        ("gas_used", "<u8"),
        ("gas_limit", "<u8"),
        ("hash", "u1", (32,)),
        ("parent_hash", "u1", (32,)),
        ("known", "<i4"),
    ]
)
HAS_HASH, HAS_PARENT, HAS_TIMESTAMP, HAS_BASE_FEE, HAS_GAS_USED, HAS_GAS_LIMIT = 1, 2, 4, 8, 16, 32

_ALIASES = {
    "number": ("number", "block_number"),
    "hash": ("hash", "block_hash"),
    "parent_hash": ("parent_hash", "parentHash"),
    "timestamp": ("timestamp", "block_timestamp"),
    "base_fee": ("base_fee_per_gas", "baseFeePerGas", "base_fee"),
    "gas_used": ("gas_used", "gasUsed"),
    "gas_limit": ("gas_limit", "gasLimit"),
}
_COUNTS = {"base_fee": HAS_BASE_FEE, "gas_used": HAS_GAS_USED, "gas_limit": HAS_GAS_LIMIT}
_HASHES = {"hash": HAS_HASH, "parent_hash": HAS_PARENT}
_CHUNK_ROWS = 1 << 16
_TEXT_BUFFER_BYTES = 1 << 20


class ReadHeaders(NamedTuple):
    """Some headers of one file: rows (n,) READ_DTYPE, positions (n,) int64 (line, row or element)."""

    rows: npt.NDArray[Any]
    positions: npt.NDArray[np.int64]


class _Answer(msgspec.Struct):
    """The parts of a block that we use, under all their names."""

    number: int | str | None = None
    block_number: int | str | None = None
    hash: str | None = None
    block_hash: str | None = None
    parentHash: str | None = None
    parent_hash: str | None = None
    timestamp: int | str | None = None
    block_timestamp: int | str | None = None
    baseFeePerGas: int | str | None = None
    base_fee_per_gas: int | str | None = None
    base_fee: int | str | None = None
    gasUsed: int | str | None = None
    gas_used: int | str | None = None
    gasLimit: int | str | None = None
    gas_limit: int | str | None = None
    log_index: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    logIndex: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    result: _Answer | list[_Answer] | None = None


_ONE = msgspec.json.Decoder(_Answer)
_MANY = msgspec.json.Decoder(_Answer | list[_Answer])


def read_headers(path: Path) -> Iterator[ReadHeaders]:
    """Yield the headers of one file as they come.

    Raises
    ------
    InputError : an unknown kind of file, other columns, or a bad value; with file and position.
    """
    kind = recognise(read_head(path), path)
    if kind == JSON:
        yield from _read_json(path)
        return
    for part in read_parts(path, kind, lambda found: _choose(found, path)):
        yield _from_columns(part)


# Tables.


def _choose(found: list[str], path: Path) -> dict[str, str]:
    if "log_index" in found:
        raise InputError(f"{path}: holds logs, not block headers: give it as a source", file=str(path))
    return match_columns(found, _ALIASES, ("number",), path, "block headers")


def _from_columns(part: TablePart) -> ReadHeaders:
    rows = np.zeros(len(part.positions), READ_DTYPE)
    rows["timestamp"] = -1
    for name, column in part.columns.items():
        if name in _HASHES:
            rows[name], present = fixed_column(column, 32, name, part.fail)
            rows["known"] |= present * np.int32(_HASHES[name])
        elif name == "timestamp":
            rows[name] = timestamp_column(column, part.fail)
        else:
            counts = integer_column(column, name, part.fail, required=name == "number")
            rows["known"] |= (counts >= 0) * np.int32(_COUNTS.get(name, 0))
            rows[name] = np.maximum(counts, 0)
    rows["known"] |= (rows["timestamp"] >= 0) * np.int32(HAS_TIMESTAMP)
    return ReadHeaders(rows, part.positions)


# JSON.


def _read_json(path: Path) -> Iterator[ReadHeaders]:
    with io.BufferedReader(open_recorded(path), _TEXT_BUFFER_BYTES) as stream:
        first = stream.readline().removeprefix(UTF8_MARK)
        line_by_line = _is_one_line(first)
        if not line_by_line:
            yield from _in_chunks(path, _elements(path, first + stream.read()), "element")
            return
        yield from _in_chunks(path, _lines(path, first, stream), "line")


def _is_one_line(first: bytes) -> bool:
    """Whether the file is JSONL: its first line is a whole object. A blank one says nothing, so it is."""
    if first.lstrip()[:1] == b"[":
        return False
    try:
        _ONE.decode(first)
    except (msgspec.ValidationError, UnicodeDecodeError):
        return True
    except msgspec.DecodeError:
        return not first.strip() or first.rstrip().endswith(b"}")
    return True


def _elements(path: Path, text: bytes) -> Iterator[tuple[int, _Answer]]:
    try:
        whole = _MANY.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise InputError(f"{path}: can't be read as block headers: {problem}", file=str(path)) from None
    yield from enumerate(_unwrapped(whole), 1)


def _lines(path: Path, first: bytes, stream: IO[bytes]) -> Iterator[tuple[int, _Answer]]:
    line, text = 1, first
    while text:
        if text.strip():
            try:
                answers = _unwrapped(_ONE.decode(text))
            except (msgspec.DecodeError, UnicodeDecodeError) as problem:
                what = f"can't be read as a block header: {problem}"
                raise line_error(str(path), line, what) from None
            for answer in answers:
                yield line, answer
        line, text = line + 1, stream.readline()


def _unwrapped(answer: _Answer | list[_Answer]) -> list[_Answer]:
    """The blocks in an answer, with or without the envelope of JSON-RPC around it or around each."""
    outer = answer if isinstance(answer, list) else [answer]
    blocks: list[_Answer] = []
    for item in outer:
        inner = item if item.result is None else item.result
        blocks += inner if isinstance(inner, list) else [inner]
    return blocks


def _in_chunks(path: Path, answers: Iterator[tuple[int, _Answer]], unit: str) -> Iterator[ReadHeaders]:
    """Columns out of a bounded number of answers at a time: from there on JSON is a table like the others."""
    while chunk := list(itertools.islice(answers, _CHUNK_ROWS)):
        positions = np.array([position for position, _ in chunk], np.int64)
        blocks = [answer for _, answer in chunk]
        fail = LineFail(str(path), positions, unit)
        for row, block in enumerate(blocks):
            if block.log_index is not msgspec.UNSET or block.logIndex is not msgspec.UNSET:
                raise fail(row, "is a log, not a block header: give the file as a source")
        columns = {name: _column(blocks, aliases) for name, aliases in _ALIASES.items()}
        yield _from_columns(TablePart(columns, positions, fail))


def _column(blocks: list[_Answer], aliases: tuple[str, ...]) -> Any:
    """One field of all blocks as an Arrow array, by any name; numbers and text mixed become text."""
    values: list[Any] = [None] * len(blocks)
    for alias in aliases:
        found = list(map(operator.attrgetter(alias), blocks))
        if found.count(None) < len(found):
            values = [
                first if first is not None else second for first, second in zip(values, found, strict=True)
            ]
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.large_string())
