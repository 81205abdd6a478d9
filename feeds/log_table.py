"""From a table of logs to log rows: the gathering that Parquet and CSV share.

Columns are gathered one after the other rather than row by row: a batch of rows stays in the cache between
them, and every loop is a short leaf. Raw bytes and hex are told apart by length: a 20-byte address is 20
bytes or `0x` and 40 digits, never both. Only `data` has no fixed length; it is hex where its column is
text, or where the addresses are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from disruptor.errors import InputError
from disruptor.feeds.arrow_columns import (
    ByteColumn,
    Bytes,
    Fail,
    Int64s,
    byte_column,
    check_gathered,
    integer_column,
    is_bytes,
    place_of,
    shown,
    timestamp_column,
)
from disruptor.feeds.column_kernels import decode_data, gather_topic_list
from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH, LOG_DTYPE, REMOVED, LogBatch

#: What a column may be called, by the name that this package uses.
ALIASES: dict[str, tuple[str, ...]] = {
    "block_number": ("block_number", "blockNumber"),
    "log_index": ("log_index", "logIndex"),
    "address": ("address",),
    "data": ("data",),
    "transaction_index": ("transaction_index", "tx_index", "transactionIndex"),
    "transaction_hash": ("transaction_hash", "tx_hash", "transactionHash"),
    "block_hash": ("block_hash", "blockHash"),
    "timestamp": ("block_timestamp", "timestamp", "blockTimestamp"),
    "removed": ("removed",),
    "topics": ("topics",),
    "topic0": ("topic0",),
    "topic1": ("topic1",),
    "topic2": ("topic2",),
    "topic3": ("topic3",),
}
_REQUIRED = ("block_number", "log_index", "address", "data")
_HASHES = (("block_hash", "block_hash", HAS_BLOCK_HASH), ("transaction_hash", "tx_hash", HAS_TX_HASH))
_TOPICS = ("topic0", "topic1", "topic2", "topic3")


def choose_columns(found: list[str], path: str) -> dict[str, str]:
    """Which column of a file is which: canonical name -> name in the file.

    Raises
    ------
    InputError : a required column is missing; the message names missing and found ones.

    >>> choose_columns(["tx_hash", "block_number", "log_index", "address", "data", "topics"], "x.csv")["data"]
    'data'
    """
    chosen: dict[str, str] = {}
    for name, aliases in ALIASES.items():
        match = next((alias for alias in aliases if alias in found), None)
        if match is not None:
            chosen[name] = match
    missing = [name for name in _REQUIRED if name not in chosen]
    if "topics" not in chosen:
        missing += [name for name in _TOPICS if name not in chosen]
    if missing:
        raise InputError(
            f"{path}: not a table of logs: column {', '.join(missing)} missing; "
            f"found {', '.join(found) or 'none'}: give the logs as cryo or ethereum-etl write them",
            file=path,
            missing=missing,
            found=found,
        )
    return chosen


def build_batch(
    arrays: Mapping[str, Any], positions: Int64s, file_index: int, fail: Fail, room: npt.NDArray[Any]
) -> LogBatch:
    """Gather the Arrow arrays of one batch into rows.

    Parameters
    ----------
    arrays : canonical name -> pyarrow Array, all of one length n; as `choose_columns` names them
    positions : (n,) int64, line or row of each log in its file
    file_index : index into the source's files
    fail : makes the InputError for (row of the batch, text)
    room : (>= n,) LOG_DTYPE, overwritten: the rows of the result

    Returns
    -------
    LogBatch : the blob may be a view into the Arrow buffer of `data`, which it keeps alive.

    Raises
    ------
    InputError : a value is missing, malformed or out of range.
    """
    rows = room[: len(positions)]
    rows.view(np.uint8)[:] = 0
    rows["position"], rows["file"] = positions, file_index
    for name in ("block_number", "log_index"):
        rows[name] = integer_column(arrays[name], name, fail, required=True)
    rows["transaction_index"] = _optional_integers(arrays, "transaction_index", fail)
    rows["timestamp"] = timestamp_column(arrays["timestamp"], fail) if "timestamp" in arrays else -1
    address = byte_column(arrays["address"])
    present = _gather(address, rows, "address", "address", fail)
    if not present.all():
        raise fail(int(np.argmin(present)), "address: missing")
    for name, field, flag in _HASHES:
        if name in arrays:
            rows["flags"] |= _gather(byte_column(arrays[name]), rows, field, name, fail) * np.uint8(flag)
    if "removed" in arrays:
        rows["flags"] |= _truth_column(arrays["removed"], fail) * np.uint8(REMOVED)
    _gather_topics(arrays, rows, fail)
    return LogBatch(rows, _gather_data(byte_column(arrays["data"]), _is_hex(address), rows, fail))


def _optional_integers(arrays: Mapping[str, Any], name: str, fail: Fail) -> Any:
    return integer_column(arrays[name], name, fail) if name in arrays else -1


def _truth_column(array: Any, fail: Fail) -> Bytes:
    """A column of booleans, or of the words true and false; 0 where there is none."""
    if is_bytes(array.type):
        words = pc.utf8_lower(array.cast(pa.large_string()).fill_null(""))
        known = pc.is_in(words, pa.array(["true", "false", ""], pa.large_string()))
        if (bad := known.index(False).as_py()) >= 0:
            raise fail(bad, f"removed: expected true or false, found {words[bad].as_py()!r}")
        array = pc.equal(words, "true")
    return np.asarray(array.cast(pa.bool_()).fill_null(False).to_numpy(zero_copy_only=False), np.uint8)


def _is_hex(address: ByteColumn) -> bool:
    """Whether this batch writes bytes as hex: its first address tells, where the type does not."""
    return address.textual or (
        len(address.offsets) > 1 and int(address.offsets[1] - address.offsets[0]) == 42
    )


def _gather(column: ByteColumn, rows: npt.NDArray[Any], field: str, name: str, fail: Fail) -> Bytes:
    """Copy a column of fixed width into a field of the rows; returns which rows have a value."""
    assert LOG_DTYPE.fields is not None
    kind, at = LOG_DTYPE.fields[field][:2]
    return _gather_at(column, rows, int(at), int(kind.itemsize), name, fail)


def _gather_at(
    column: ByteColumn, rows: npt.NDArray[Any], at: int, width: int, name: str, fail: Fail
) -> Bytes:
    present = np.zeros(len(rows), np.uint8)
    target = rows.view(np.uint8).reshape(len(rows), LOG_DTYPE.itemsize)
    check_gathered(column, target, at, width, present, name, fail)
    return present


def _gather_topics(arrays: Mapping[str, Any], rows: npt.NDArray[Any], fail: Fail) -> None:
    assert LOG_DTYPE.fields is not None
    first = int(LOG_DTYPE.fields["topics"][1])
    if "topics" in arrays:
        column = byte_column(arrays["topics"])
        place = place_of(column, 32, first, LOG_DTYPE.itemsize)
        counts = np.zeros(len(rows), np.uint8)
        flat = rows.view(np.uint8)
        row = gather_topic_list(column.offsets, column.values, column.validity, place, flat, counts)
        if row < len(rows):
            raise fail(row, f"topics: expected up to 4 of 0x and 64 hex digits, found {shown(column, row)}")
        rows["topic_count"] = counts
        return
    for number, name in enumerate(_TOPICS):
        present = _gather_at(byte_column(arrays[name]), rows, first + 32 * number, 32, name, fail)
        gaps = (present != 0) & (rows["topic_count"] != number)
        if gaps.any():
            raise fail(int(np.argmax(gaps)), f"{name}: given, but the topic before it is missing")
        rows["topic_count"] += present


def _gather_data(column: ByteColumn, is_hex: bool, rows: npt.NDArray[Any], fail: Fail) -> Bytes:
    """Point the rows at their data; hex is decoded into a new blob, raw bytes stay where they are."""
    base, end = int(column.offsets[0]), int(column.offsets[-1])
    if end - base >= 2**31:
        raise fail(0, "data: more than 2 GiB in one batch")
    if not (column.textual or is_hex):
        rows["data_offset"] = column.offsets[:-1] - base
        rows["data_length"] = column.offsets[1:] - column.offsets[:-1]
        if len(column.validity):
            bits = np.unpackbits(column.validity, bitorder="little")
            rows["data_length"] *= bits[column.first_bit : column.first_bit + len(rows)]
        return column.values[base:end]
    blob = np.empty((end - base) // 2, np.uint8)
    place = place_of(column)
    row = decode_data(column.offsets, column.values, column.validity, place, rows, blob)
    if row < len(rows):
        raise fail(row, f"data: expected 0x and an even number of hex digits, found {shown(column, row)}")
    return blob
