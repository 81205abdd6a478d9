"""Which rows of the source become part of the stream, and in what order they must come.

A row is dropped when it is a removal, when a later removal names it, when headers say that its block is not
the chain's, or when it has the place (block, log index) of the row before. What is left ascends strictly by
place, in one block per height; anything else stops the encoder with a status, and Python says which file and
position.

Two rows at one place are one log when address, topics and data are equal, and so are the transaction hashes
where both are known. Else nothing here can tell which is the chain's: the first stands, and the pools of both
emitters are incomplete from here on. An emitter that nobody registered is marked too, under the id of a
PoolSeen, since a later replay with more pools may know it. To compare, the number of the last admitted row is
kept, which costs a store. Its emitter and a fingerprint of its content are computed when they are needed, and
at the end of a call, when the row goes away; comparing fingerprints in both cases makes the answer
independent of where batches end. A conflict goes unnoticed with a chance of 2^-64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.feeds.address_map import find
from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH, REMOVED
from disruptor.feeds.encode_decode import find_spec
from disruptor.feeds.encode_registry import see_pool
from disruptor.feeds.encode_slots import count, is_before_state, write_incomplete
from disruptor.feeds.encode_state import (
    BEFORE_STATE,
    CONFLICT,
    DISORDER,
    DROPPED,
    DUPLICATE,
    HASHES_ABSENT,
    LOG_CONFLICTS,
    OK,
    ORPHANED,
    OUT_OF_RANGE,
    REMOVED_FOUND,
    REMOVED_LOGS,
    REMOVED_UNMATCHED,
    REPEATED,
    TWO_HASHES,
)
from disruptor.feeds.encode_words import S32, bytes_at, equal_hash, load_address, load_be64, load_byte
from disruptor.feeds.topics import ROLE_POOL
from disruptor.handlers.messages import KIND_UNKNOWN, NO_ID, REASON_CONFLICT, REASON_REMOVED
from disruptor.jit import inline

_LARGEST_INDEX = NO_ID - 1
# Of the fingerprint: any start, and an odd multiplier that spreads low bits upwards.
_SEED = np.uint64(0x6A09E667F3BCC908)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@inline
def is_plain(row: Any, stream: Any) -> Any:
    """Whether only the order of a row is in question: no removals, no headers."""
    return not (row["flags"] & REMOVED or stream["has_removed"] or stream["has_headers"])


@inline
def admit(row: Any, slots: Any, stream: Any, tables: Any, chain: Any) -> Any:
    """Decide about a row: OK, DROPPED, REPEATED, or the status that stops the encoder.

    Mutates counters, removals and the header looked up; writes PoolIncomplete for a removal without its log.
    """
    if row["flags"] & REMOVED:
        return drop_removal(row, slots, stream, tables, chain.removed)
    if stream["has_removed"] and is_cancelled(row, stream, chain.removed):
        count(stream, REMOVED_LOGS, row)
        return DROPPED
    if stream["has_headers"] and is_orphaned(row, chain.headers, stream):
        count(stream, ORPHANED, row)
        return DROPPED
    return check_order(row, stream)


@inline
def is_out_of_range(row: Any) -> Any:
    """Whether a number of the row does not fit its field."""
    if row["block_number"] < 0 or row["log_index"] < 0 or row["log_index"] > _LARGEST_INDEX:
        return True
    return row["transaction_index"] < -1 or row["transaction_index"] > _LARGEST_INDEX


@inline
def check_order(row: Any, stream: Any) -> Any:
    """OK when the row follows the last one; REPEATED when it has its place; else why not."""
    if is_out_of_range(row):
        return OUT_OF_RANGE
    has_hash = row["flags"] & HAS_BLOCK_HASH
    if not has_hash and stream["counts"][HASHES_ABSENT] == 0:
        count(stream, HASHES_ABSENT, row)
    if row["block_number"] != stream["block_number"]:
        return OK if row["block_number"] > stream["block_number"] else DISORDER
    both = has_hash and stream["block_has_hash"]
    if both and not equal_hash(stream["block_hash"], bytes_at(row["block_hash"])):
        return TWO_HASHES
    if row["log_index"] > stream["log_index"]:
        return OK
    return DISORDER if row["log_index"] < stream["log_index"] else REPEATED


@inline
def look_up_header(headers: Any, stream: Any, number: int) -> Any:
    """Row of a block's header, or -1; the last answer is kept. At most 64 steps. Mutates `stream`."""
    if stream["header_number"] == number:
        return stream["header_row"]
    low, high = 0, headers.shape[0]
    for _ in range(64):
        if low >= high:
            break
        middle = (low + high) >> 1
        if headers[middle]["number"] < number:
            low = middle + 1
        else:
            high = middle
    found = low < headers.shape[0] and headers[low]["number"] == number
    stream["header_number"] = number
    stream["header_row"] = low if found else -1
    return stream["header_row"]


@inline
def is_orphaned(row: Any, headers: Any, stream: Any) -> Any:
    """Whether the row's block hash is not the one that the header of its height has."""
    header = look_up_header(headers, stream, row["block_number"])
    if header < 0 or not headers[header]["has_hash"] or not row["flags"] & HAS_BLOCK_HASH:
        return False
    return not equal_hash(headers[header]["hash"], bytes_at(row["block_hash"]))


@inline
def first_removal_index(number: int, log_index: int, mask: int) -> Any:
    """Where probing for a removal begins."""
    return ((number & 0xFFFFFFFF) * 31 + log_index) & mask


@inline
def find_removal(removed: Any, row: Any) -> Any:
    """Entry of the removal that names the row, or -1. At most as many probes as entries."""
    number, log_index = row["block_number"], row["log_index"]
    mask = removed.shape[0] - 1
    index = first_removal_index(number, log_index, mask)
    for _ in range(removed.shape[0]):
        entry = removed[index]
        if entry["last_ordinal"] < 0:
            return -1
        if entry["block_number"] == number and entry["log_index"] == log_index:
            if not row["flags"] & HAS_BLOCK_HASH:
                return index
            if equal_hash(entry["hash"], bytes_at(row["block_hash"])):
                return index
        index = (index + 1) & mask
    return -1


@inline
def is_cancelled(row: Any, stream: Any, removed: Any) -> Any:
    """Whether a later row removes this one. Marks that removal as matched."""
    index = find_removal(removed, row)
    if index < 0 or removed[index]["last_ordinal"] < stream["ordinal"]:
        return False
    removed[index]["matched"] = 1
    return True


@inline
def drop_removal(row: Any, slots: Any, stream: Any, tables: Any, removed: Any) -> Any:
    """A removal leaves; without its log in the stream it makes the pool incomplete."""
    if not stream["has_removed"]:
        return REMOVED_FOUND
    index = find_removal(removed, row)
    if index >= 0 and removed[index]["matched"]:
        return DROPPED
    count(stream, REMOVED_UNMATCHED, row)
    top, mid, low = load_address(bytes_at(row["address"]), 0)
    pool = find(tables.pool_table, top, mid, low)
    if pool >= 0 and tables.pools[pool]["kind"] != KIND_UNKNOWN:
        if is_before_state(tables.pools[pool], row):
            count(stream, BEFORE_STATE, row)
        else:
            write_incomplete(slots, stream, pool, REASON_REMOVED, row)
    return DROPPED


@inline
def remember_kept(row: Any, blob: Any, stream: Any) -> None:
    """Keep of the last log admitted what outlives its row. Mutates `stream`."""
    kept = stream["kept_address"]
    kept[0], kept[1], kept[2] = load_address(bytes_at(row["address"]), 0)
    stream["kept_fingerprint"] = fingerprint(row, blob)
    stream["kept_row"] = -1


@inline
def drop_repeated(row: Any, blob: Any, slots: Any, stream: Any, tables: Any) -> Any:
    """Leave out a row at the place of the last log: DROPPED, or CONFLICT when strict. At most three slots.

    The slots belong to the open transaction, that of the log that stands. Mutates `stream`.
    """
    if is_same_log(row, blob, stream):
        count(stream, DUPLICATE, row)
        return DROPPED
    count(stream, LOG_CONFLICTS, row)
    if stream["strict"]:
        return CONFLICT
    before, kept = stream["sequence"], stream["kept_address"]
    first = find(tables.pool_table, kept[0], kept[1], kept[2])
    second = emitter_pool(row, slots, stream, tables)
    if first >= 0:
        mark_conflict(first, row, slots, stream, tables.pools)
    if second >= 0 and second != first:
        mark_conflict(second, row, slots, stream, tables.pools)
    stream["transaction_slots"] += stream["sequence"] - before
    return DROPPED


@inline
def is_same_log(row: Any, blob: Any, stream: Any) -> Any:
    """Whether a row is the last log admitted, whose transaction is the open one."""
    both = row["flags"] & HAS_TX_HASH and stream["transaction_has_hash"]
    if both and not equal_hash(stream["tx_hash"], bytes_at(row["tx_hash"])):
        return False
    return stream["kept_fingerprint"] == fingerprint(row, blob)


@inline
def emitter_pool(row: Any, slots: Any, stream: Any, tables: Any) -> Any:
    """Pool id of a row's emitter; new where it is unknown and the topic a pool's, else -1. At most one slot."""
    top, mid, low = load_address(bytes_at(row["address"]), 0)
    pool = find(tables.pool_table, top, mid, low)
    if pool >= 0:
        return pool
    spec = find_spec(row, stream)
    if spec < 0 or stream["specs"][spec]["role"] != ROLE_POOL:
        return -1
    return see_pool(slots, stream, tables, top, mid, low)


@inline
def mark_conflict(pool: int, row: Any, slots: Any, stream: Any, pools: Any) -> None:
    """Write that a pool is incomplete, unless the state given for it holds the place already."""
    if is_before_state(pools[pool], row):
        count(stream, BEFORE_STATE, row)
    else:
        write_incomplete(slots, stream, pool, REASON_CONFLICT, row)


@inline
def fingerprint(row: Any, blob: Any) -> Any:
    """64-bit fingerprint of a log's address, topics and data, their lengths included."""
    topic_count, length = np.int64(row["topic_count"]), np.int64(row["data_length"])
    found = _SEED ^ np.uint64(topic_count) ^ (np.uint64(length) << S32)
    for part in load_address(bytes_at(row["address"]), 0):
        found = mix(found, part)
    topics, at_data = bytes_at(row["topics"]), row["data_offset"]
    for k in range(4 * topic_count):
        found = mix(found, load_be64(topics, 8 * k))
    for k in range(length >> 3):
        found = mix(found, load_be64(blob, at_data + 8 * k))
    for k in range(length & ~7, length):
        found = mix(found, load_byte(blob, at_data + k))
    return found


@inline
def mix(found: Any, part: Any) -> Any:
    """Take one more word into a fingerprint; the product wraps."""
    product = (found ^ part) * _MULTIPLIER
    return product ^ (product >> S32)
