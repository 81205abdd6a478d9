"""Chain structure in the stream: where blocks and transactions begin and end.

Every block with at least one admitted log gets BlockStart and BlockEnd. A transaction gets its
TransactionEnd only when a log of it wrote a slot: most transactions of a chain touch no pool, and their
ends would swell the stream. The counts in both cover all admitted logs. Gas prices are not in logs, so
TransactionEnd says that they are unknown.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH
from disruptor.feeds.encode_admission import look_up_header
from disruptor.feeds.encode_slots import (
    add_flags,
    begin_slot,
    commit_slot,
    count,
    pair32,
    write_incomplete_at,
)
from disruptor.feeds.encode_state import MISSING_BLOCKS, MISSING_HEADER
from disruptor.feeds.encode_words import bytes_at, equal_hash, remember_hash
from disruptor.handlers.messages import (
    FLAG_GAS_PRICE_UNKNOWN,
    FLAG_HASH_UNKNOWN,
    FLAG_PARENT_UNKNOWN,
    FLAG_TIME_UNKNOWN,
    REASON_MISSING_BLOCK,
    BlockEnd,
    BlockStart,
    TransactionEnd,
)
from disruptor.jit import inline
from disruptor.message import HEADER_SIZE

_BLOCK_START, _TRANSACTION_END, _BLOCK_END = BlockStart.type_id, TransactionEnd.type_id, BlockEnd.type_id
_PAYLOAD = HEADER_SIZE >> 3
_HASH = (HEADER_SIZE + BlockStart.offsets["hash"]) >> 3
_PARENT_HASH = (HEADER_SIZE + BlockStart.offsets["parent_hash"]) >> 3
_TX_HASH = (HEADER_SIZE + TransactionEnd.offsets["tx_hash"]) >> 3
_NS_PER_S = 1_000_000_000
#: Largest block time in seconds whose nanoseconds fit an i64; a later one counts as unknown.
_MAX_TIME_S = (2**63 - 1) // _NS_PER_S


@inline
def begins_block(row: Any, stream: Any) -> Any:
    """Whether an admitted row is of another block than the open one."""
    return not stream["block_open"] or row["block_number"] != stream["block_number"]


@inline
def change_block(row: Any, slots: Any, stream: Any, chain: Any) -> None:
    """Close the open block and open the row's. At most four slots."""
    close_block(slots, stream)
    open_block(row, slots, stream, chain)


@inline
def begins_transaction(row: Any, stream: Any) -> Any:
    """Whether an admitted row is of another transaction than the open one: by hash, else by index."""
    if not stream["transaction_open"]:
        return True
    if row["flags"] & HAS_TX_HASH and stream["transaction_has_hash"]:
        return not equal_hash(stream["tx_hash"], bytes_at(row["tx_hash"]))
    return row["transaction_index"] != stream["transaction_index"]


@inline
def change_transaction(row: Any, slots: Any, stream: Any) -> None:
    """Close the open transaction and open the row's. At most one slot."""
    close_transaction(slots, stream)
    open_transaction(row, stream)


@inline
def count_log(row: Any, stream: Any) -> None:
    """Count an admitted row in its block and transaction."""
    stream["log_index"] = row["log_index"]
    stream["block_logs"] += 1
    stream["transaction_logs"] += 1


@inline
def close_block(slots: Any, stream: Any) -> None:
    """Write the ends of the open transaction and block, if any. At most two slots."""
    if not stream["block_open"]:
        return
    close_transaction(slots, stream)
    slot = begin_slot(slots, stream, _BLOCK_END, 0, -1)
    slot["words"][_PAYLOAD] = np.uint64(stream["block_number"])
    slot["words"][_PAYLOAD + 1] = pair32(stream["block_transactions"], stream["block_logs"])
    commit_slot(slots, stream)
    stream["block_open"] = 0


@inline
def close_transaction(slots: Any, stream: Any) -> None:
    """Write TransactionEnd if a log of the open transaction wrote a slot."""
    if stream["transaction_open"] and stream["transaction_slots"] > 0:
        has_hash = stream["transaction_has_hash"]
        flags = FLAG_GAS_PRICE_UNKNOWN if has_hash else FLAG_GAS_PRICE_UNKNOWN | FLAG_HASH_UNKNOWN
        slot = begin_slot(slots, stream, _TRANSACTION_END, flags, -1)
        slot["words"][_PAYLOAD] = np.uint64(stream["block_number"])
        slot["words"][_PAYLOAD + 2] = pair32(stream["transaction_index"], stream["transaction_logs"])
        if has_hash:
            for k in range(4):
                slot["words"][_TX_HASH + k] = stream["tx_hash"][k]
        commit_slot(slots, stream)
    stream["transaction_open"] = 0


@inline
def open_transaction(row: Any, stream: Any) -> None:
    """Begin the transaction of the row; writes nothing yet."""
    stream["transaction_open"] = 1
    stream["transaction_index"] = row["transaction_index"]
    stream["transaction_has_hash"] = 1 if row["flags"] & HAS_TX_HASH else 0
    stream["transaction_logs"] = 0
    stream["transaction_slots"] = 0
    stream["block_transactions"] += 1
    if row["flags"] & HAS_TX_HASH:
        remember_hash(stream["tx_hash"], bytes_at(row["tx_hash"]))


@inline
def open_block(row: Any, slots: Any, stream: Any, chain: Any) -> None:
    """Write BlockStart for the block of the row, and that blocks are missing before it. At most two slots."""
    number = row["block_number"]
    header = look_up_header(chain.headers, stream, number) if stream["has_headers"] else -1
    stream["block_open"] = 1
    stream["block_number"] = number
    stream["block_logs"] = 0
    stream["block_transactions"] = 0
    if stream["first_block"] < 0:
        stream["first_block"] = number
    seconds = row["timestamp"]
    if header >= 0 and chain.headers[header]["timestamp"] >= 0:
        seconds = chain.headers[header]["timestamp"]
    set_time(stream, seconds)
    write_block_start(row, slots, stream, chain, header)
    missing = pass_gaps(stream, chain.gaps, row)
    if stream["has_headers"] and header < 0:
        count(stream, MISSING_HEADER, row)
        missing = True
    if missing:
        index = row["log_index"]
        write_incomplete_at(slots, stream, -1, REASON_MISSING_BLOCK, number, index, -1)


@inline
def set_time(stream: Any, seconds: int) -> None:
    """Set the time that slots of this block carry; out of range means unknown."""
    known = 0 <= seconds <= _MAX_TIME_S
    stream["block_time_ns"] = seconds * _NS_PER_S if known else 0
    stream["block_flags"] = 0 if known else FLAG_TIME_UNKNOWN


@inline
def pass_gaps(stream: Any, gaps: Any, row: Any) -> Any:
    """Move past every gap that ends before the block of the row; whether there was one."""
    first = stream["gap"]
    for gap in range(first, gaps.shape[0]):
        if gaps[gap, 1] >= row["block_number"]:
            break
        count(stream, MISSING_BLOCKS, row)
        stream["counts"][MISSING_BLOCKS] += gaps[gap, 1] - gaps[gap, 0]
        stream["gap"] = gap + 1
    return stream["gap"] > first


@inline
def write_block_start(row: Any, slots: Any, stream: Any, chain: Any, header: int) -> None:
    """Write BlockStart from the row and, unless `header` is -1, that header."""
    slot = begin_slot(slots, stream, _BLOCK_START, 0, -1)
    slot["words"][_PAYLOAD] = np.uint64(stream["chain_id"])
    slot["words"][_PAYLOAD + 1] = np.uint64(stream["block_number"])
    slot["words"][_PAYLOAD + 2] = np.uint64(stream["block_time_ns"] // _NS_PER_S)
    flags = FLAG_PARENT_UNKNOWN
    if header >= 0:
        flags = write_header_fields(slot, chain.headers, header)
    has_hash = 1
    if row["flags"] & HAS_BLOCK_HASH:
        remember_hash(stream["block_hash"], bytes_at(row["block_hash"]))
    elif header >= 0 and chain.headers[header]["has_hash"]:
        for k in range(4):
            stream["block_hash"][k] = chain.headers[header]["hash"][k]
    else:
        has_hash = 0
        flags |= FLAG_HASH_UNKNOWN
    stream["block_has_hash"] = has_hash
    if has_hash:
        for k in range(4):
            slot["words"][_HASH + k] = stream["block_hash"][k]
    add_flags(slot, flags)
    commit_slot(slots, stream)


@inline
def write_header_fields(slot: Any, headers: Any, header: int) -> Any:
    """Store what a header knows beyond hash and time; returns the flags for what it does not know."""
    slot["words"][_PAYLOAD + 3] = headers[header]["base_fee"]
    slot["words"][_PAYLOAD + 4] = headers[header]["gas_used"]
    slot["words"][_PAYLOAD + 5] = headers[header]["gas_limit"]
    if not headers[header]["has_parent"]:
        return FLAG_PARENT_UNKNOWN
    for k in range(4):
        slot["words"][_PARENT_HASH + k] = headers[header]["parent_hash"][k]
    return 0
