"""The compiled encoder: what Python calls, once a batch.

One row passes three steps: admission (`encode_admission`), chain structure (`encode_structure`), meaning
(`encode_events`). Before each row there must be room for all the slots that a row can cause, so the output
does not depend on where a batch or the ring ends.

What is handed down is cheap to hand down: records (a row, a slot, the stream's state) are addresses, and so
is the log data (`encode_words.bytes_at`). Helpers are marked `inline`, not `jit`, because numba compiles a
`jit` function anew for each constant that it is called with: 157 compiles instead of 86. And nothing here is
reference-counted. Together (2-core Zen 4 VM): 78 ns a log instead of 200, 8 s of compiling instead of 19.
"""

from __future__ import annotations

from typing import Any

from disruptor.compile_cache import entry_uncounted
from disruptor.feeds.address_map import has_room
from disruptor.feeds.encode_admission import admit, check_order, drop_repeated, is_plain, remember_kept
from disruptor.feeds.encode_events import encode_meaning, register_creation
from disruptor.feeds.encode_registry import register
from disruptor.feeds.encode_state import (
    DROPPED,
    GROW,
    MAX_SLOTS_PER_LOG,
    NO_ROOM,
    OK,
    REPEATED,
    STATE_FOLLOWS,
)
from disruptor.feeds.encode_structure import (
    begins_block,
    begins_transaction,
    change_block,
    change_transaction,
    close_block,
    count_log,
)
from disruptor.feeds.encode_words import bytes_at
from disruptor.jit import inline


@entry_uncounted
def encode_rows(rows: Any, blob: Any, start: int, slots: Any, streams: Any, tables: Any, chain: Any) -> Any:
    """Encode rows from `start` until the batch or the room ends, or something stops it.

    Parameters
    ----------
    rows : (n,) ROW_DTYPE
    blob : (m,) uint8
    start : int
        First row to take.
    slots : (capacity,) SLOT_DTYPE
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
    stream, data, taken = streams[0], bytes_at(blob), rows.shape[0]
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
            stream["kept_row"] = i
            status = encode_meaning(row, data, slots, stream, tables)
        elif status == REPEATED:
            if stream["kept_row"] >= 0:
                remember_kept(rows[stream["kept_row"]], data, stream)
            status = drop_repeated(row, data, slots, stream, tables)
        if status != OK and status != DROPPED:
            stream["status"], taken = status, i
            break
        stream["ordinal"] += 1
    if stream["kept_row"] >= 0:
        remember_kept(rows[stream["kept_row"]], data, stream)
    return taken


@entry_uncounted
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


@entry_uncounted
def register_creations(rows: Any, blob: Any, start: int, slots: Any, streams: Any, tables: Any) -> Any:
    """Register the pools whose creation logs are among the rows, as of no block; other rows are left out.

    Returns the first row not consumed, with the status in `streams`.
    """
    stream, data = streams[0], bytes_at(blob)
    stream["status"] = OK
    for i in range(start, rows.shape[0]):
        status = room_for_log(stream, tables)
        if status == OK:
            status = register_creation(rows[i], data, slots, stream, tables)
        if status != OK:
            stream["status"] = status
            return i
    return rows.shape[0]


@entry_uncounted
def finish_block(slots: Any, streams: Any) -> None:
    """Write the ends of the open transaction and block."""
    close_block(slots, streams[0])


@inline
def room_for_log(stream: Any, tables: Any) -> Any:
    """OK, NO_ROOM for the slots, or GROW when a table has no room for what one log can add."""
    if stream["sequence"] + MAX_SLOTS_PER_LOG > stream["limit"]:
        return NO_ROOM
    if not has_room(tables.pool_table, stream["pools"], 1) or not has_room(
        tables.token_table, stream["tokens"], 2
    ):
        return GROW
    return OK
