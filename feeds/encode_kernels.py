"""The compiled encoder: what Python calls, once a batch.

One row passes three steps: admission (`encode_admission`), chain structure (`encode_structure`), meaning
(`encode_events`). Before each row there must be room for all the slots that a row can cause, so the output
does not depend on where a batch or the ring ends. Leaves take records (a row, the stream's state), not
arrays: numba counts references of every array in every call, and with a tuple of 15 arrays handed down that
cost 3,000 ns a log and half a minute of compilation.
"""

from __future__ import annotations

from typing import Any

from disruptor.compile_cache import entry
from disruptor.feeds.address_map import has_room
from disruptor.feeds.encode_admission import admit, check_order, is_plain
from disruptor.feeds.encode_events import encode_meaning, register_creation
from disruptor.feeds.encode_registry import register
from disruptor.feeds.encode_state import DROPPED, GROW, MAX_SLOTS_PER_LOG, NO_ROOM, OK, STATE_FOLLOWS
from disruptor.feeds.encode_structure import (
    begins_block,
    begins_transaction,
    change_block,
    change_transaction,
    close_block,
    count_log,
)
from disruptor.jit import jit


@entry
def encode_rows(rows: Any, blob: Any, start: int, slots: Any, streams: Any, tables: Any, chain: Any) -> Any:
    """Encode rows from `start` until the batch or the room ends, or something stops it.

    Parameters
    ----------
    rows : (n,) ROW_DTYPE
    blob : (m,) uint8
    start : int
        First row to take.
    slots : (capacity, 24) uint64
        The ring. Mutated.
    streams : (1,) STREAM_DTYPE
        The caller sets `limit` and `mask`. Mutated.
    tables : Tables
        Mutated.
    chain : Chain
        Mutated.

    Returns
    -------
    int64 : the first row not consumed; `streams[0]["status"]` says why it stopped there.
    """
    stream = streams[0]
    stream["status"] = OK
    for i in range(start, rows.shape[0]):
        row = rows[i]
        status = room_for_log(stream, tables)
        if status == OK:
            plain = is_plain(row, stream)
            status = check_order(row, stream) if plain else admit(row, slots, stream, tables, chain)
        if status == OK:
            if begins_block(row, stream):
                change_block(row, slots, stream, chain)
            if begins_transaction(row, stream):
                change_transaction(row, slots, stream)
            count_log(row, stream)
            status = encode_meaning(row, blob, slots, stream, tables)
        if status != OK and status != DROPPED:
            stream["status"] = status
            return i
        stream["ordinal"] += 1
    return rows.shape[0]


@entry
def register_candidates(
    candidates: Any, start: int, no_rows: Any, slots: Any, streams: Any, tables: Any
) -> Any:
    """Register candidates from `start`; stops after one whose state must follow (STATE_FOLLOWS).

    `no_rows` is one blank row: candidates from files have none. Returns the first candidate not consumed.
    """
    stream = streams[0]
    stream["status"] = OK
    for j in range(start, candidates.shape[0]):
        status = room_for_log(stream, tables)
        if status != OK:
            stream["status"] = status
            return j
        if register(candidates[j], no_rows[0], -1, slots, stream, tables):
            stream["status"] = STATE_FOLLOWS
            return j + 1
    return candidates.shape[0]


@entry
def register_creations(rows: Any, blob: Any, start: int, slots: Any, streams: Any, tables: Any) -> Any:
    """Register the pools whose creation logs are among the rows, as of no block; other rows are left out.

    Returns the first row not consumed, with the status in `streams`.
    """
    stream = streams[0]
    stream["status"] = OK
    for i in range(start, rows.shape[0]):
        status = room_for_log(stream, tables)
        if status == OK:
            status = register_creation(rows[i], blob, slots, stream, tables)
        if status != OK:
            stream["status"] = status
            return i
    return rows.shape[0]


@entry
def finish_block(slots: Any, streams: Any) -> None:
    """Write the ends of the open transaction and block."""
    close_block(slots, streams[0])


@jit
def room_for_log(stream: Any, tables: Any) -> Any:
    """OK, NO_ROOM for the slots, or GROW when a table has no room for what one log can add."""
    if stream["sequence"] + MAX_SLOTS_PER_LOG > stream["limit"]:
        return NO_ROOM
    if not has_room(tables.pool_table, stream["pools"], 1) or not has_room(
        tables.token_table, stream["tokens"], 2
    ):
        return GROW
    return OK
