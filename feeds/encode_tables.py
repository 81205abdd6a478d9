"""From Python objects to the arrays that the encoder's kernels read: pools, factories, gaps, headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from disruptor.feeds.columns import LOG_DTYPE, LogBatch
from disruptor.feeds.encode_state import CANDIDATE_DTYPE, HEADER_DTYPE, ROW_DTYPE, SLOT_DTYPE, Array
from disruptor.handlers.pools import NO_FEE

#: Candidates are built this many at a time.
CANDIDATE_CHUNK = 16_384


def batch_views(batch: LogBatch) -> tuple[Array, Array]:
    """Rows (as ROW_DTYPE) and blob as kernels take them.

    Read-only arrays are copied: they would be a second compile.
    """
    rows, blob = batch.rows, batch.blob
    assert rows.dtype == LOG_DTYPE, rows.dtype
    if not (rows.flags.writeable and rows.flags.c_contiguous):
        rows = np.array(rows, order="C")
    if not (blob.flags.writeable and blob.flags.c_contiguous):
        blob = np.array(blob, order="C")
    return rows.view(ROW_DTYPE), blob


def slot_words(slots: Array) -> Array:
    """A (capacity, 192) uint8 ring as (capacity,) SLOT_DTYPE."""
    assert slots.dtype == np.uint8 and slots.ndim == 2 and slots.shape[1] == 192, (slots.dtype, slots.shape)
    assert slots.flags.c_contiguous and slots.ctypes.data % 64 == 0, "slots: contiguous and 64-byte aligned"
    return slots.view(SLOT_DTYPE).reshape(-1)


def gap_table(gaps: Sequence[tuple[int, int]]) -> Array:
    """Gaps (first missing, last missing) as an ascending (n, 2) int64 array."""
    table = np.array(sorted(gaps), np.int64).reshape(len(gaps), 2)
    assert (table[:, 0] <= table[:, 1]).all(), gaps
    return table


def factory_table(factories: Mapping[bytes, int]) -> Array:
    """V2 factories' fees as (n, 4) uint64 rows (top, mid, low, fee in millionths)."""
    table = np.zeros((len(factories), 4), np.uint64)
    for row, (address, fee) in enumerate(factories.items()):
        table[row, :3] = address_keys([address])[0]
        table[row, 3] = fee
    return table


def address_keys(addresses: Sequence[bytes]) -> Array:
    """Addresses of 20 bytes as an (n, 3) uint64 array of (top, mid, low)."""
    raw = np.frombuffer(b"".join(addresses), np.uint8).reshape(len(addresses), 20)
    keys = np.empty((len(addresses), 3), np.uint64)
    keys[:, 0] = np.ascontiguousarray(raw[:, :4]).view(">u4")[:, 0]
    keys[:, 1:] = np.ascontiguousarray(raw[:, 4:]).view(">u8")
    return keys


def candidate_rows(entries: Sequence[Any]) -> Array:
    """Pools of a pools file as candidates for registration, in the given order."""
    rows = np.zeros(len(entries), CANDIDATE_DTYPE)
    if not entries:
        return rows
    for name in ("address", "token0", "token1"):
        rows[name] = address_keys([getattr(entry, name) for entry in entries])
    rows["factory"] = address_keys([entry.factory or bytes(20) for entry in entries])
    for name in ("kind", "fee", "default_fee", "tick_spacing"):
        values = [getattr(entry, name) for entry in entries]
        rows[name] = [-1 if value is None or value == NO_FEE else value for value in values]
    states = [entry.state for entry in entries]
    rows["state_block"] = [-1 if state is None else state.block for state in states]
    rows["state_log_index"] = [-1 if state is None else state.log_index for state in states]
    return rows


def candidate_chunks(entries: Iterable[Any]) -> Iterator[tuple[list[Any], Array]]:
    """Entries with their candidate rows, a bounded number at a time."""
    chunk: list[Any] = []
    for entry in entries:
        chunk.append(entry)
        if len(chunk) == CANDIDATE_CHUNK:
            yield chunk, candidate_rows(chunk)
            chunk = []
    if chunk:
        yield chunk, candidate_rows(chunk)


def header_table(headers: Any) -> Array:
    """Headers by ascending number as the kernels read them; empty for None."""
    if headers is None:
        return np.zeros(0, HEADER_DTYPE)
    table = np.asarray(headers)
    assert table.dtype == HEADER_DTYPE and (np.diff(table["number"]) > 0).all()
    return table
