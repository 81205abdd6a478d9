"""Writing slots: header, the 48 bytes that all logs share, and the marks that say a pool is incomplete.

A slot is written in two steps, `begin_slot` and `commit_slot`: a log that turns out to be malformed just is
not committed. `source_sequence` is the row's ordinal in the source (counted from 0, dropped rows too) for
slots that a log caused, -1 for those that the encoder made (block and transaction structure, registrations
from files).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.feeds.columns import HAS_TX_HASH
from disruptor.feeds.encode_words import LOW32, S16, S32, WORDS_PER_SLOT, ZERO, bytes_at, copy_hash
from disruptor.handlers.messages import FLAG_HASH_UNKNOWN, PoolIncomplete
from disruptor.jit import inline
from disruptor.message import HEADER_SIZE

_TYPE_MASK = np.uint64(0xFFFF)
_INCOMPLETE = PoolIncomplete.type_id
_PAYLOAD = HEADER_SIZE >> 3
#: All messages of logs have the transaction hash at the same place.
AT_SLOT_TX_HASH = HEADER_SIZE + 16


@inline
def count(stream: Any, kind: int, row: Any) -> None:
    """Count one of a kind; the first one's file and position are kept. Mutates `stream`."""
    if stream["counts"][kind] == 0:
        stream["first_file"][kind] = row["file"]
        stream["first_position"][kind] = row["position"]
    stream["counts"][kind] += 1


@inline
def pair32(low: int, high: int) -> Any:
    """Two u32 fields as one word; -1 is stored as 0xFFFFFFFF, which is `NO_ID`."""
    return (np.uint64(np.int64(low)) & LOW32) | (np.uint64(np.int64(high)) << S32)


@inline
def begin_slot(slots: Any, stream: Any, type_id: int, flags: int, source: int) -> Any:
    """Zero the next slot and write its header; returns the slot's record. Mutates `slots`."""
    sequence = stream["sequence"]
    slot = slots[sequence & stream["mask"]]
    for k in range(WORDS_PER_SLOT):
        slot["words"][k] = ZERO
    slot["words"][0] = np.uint64(sequence)
    slot["words"][1] = np.uint64(np.int64(source))
    slot["words"][2] = np.uint64(stream["block_time_ns"])
    all_flags = np.uint64(np.int64(flags | stream["block_flags"]))
    slot["words"][3] = np.uint64(np.int64(type_id)) | (all_flags << S16)
    return slot


@inline
def add_flags(slot: Any, flags: int) -> None:
    """Set more header flags of a slot that was begun."""
    slot["words"][3] |= np.uint64(np.int64(flags)) << S16


@inline
def commit_slot(slots: Any, stream: Any) -> None:
    """Make the slot that was begun part of the stream. Mutates `stream`."""
    slot = slots[stream["sequence"] & stream["mask"]]
    stream["types"][np.int64(slot["words"][3] & _TYPE_MASK)] += 1
    stream["sequence"] += 1


@inline
def begin_log_slot(slots: Any, stream: Any, type_id: int, pool: int, row: Any) -> Any:
    """Begin the slot of the row: header and the 48 bytes that all logs share, but for their own field."""
    has_hash = row["flags"] & HAS_TX_HASH
    slot = begin_slot(slots, stream, type_id, 0 if has_hash else FLAG_HASH_UNKNOWN, stream["ordinal"])
    slot["words"][_PAYLOAD] = pair32(pool, row["log_index"])
    slot["words"][_PAYLOAD + 1] = pair32(row["transaction_index"], 0)
    if has_hash:
        copy_hash(slot, AT_SLOT_TX_HASH, bytes_at(row["tx_hash"]))
    return slot


@inline
def write_incomplete_at(
    slots: Any, stream: Any, pool: int, reason: int, block: int, index: int, source: int
) -> None:
    """Write PoolIncomplete; `pool` -1 means all pools known so far."""
    slot = begin_slot(slots, stream, _INCOMPLETE, 0, source)
    slot["words"][_PAYLOAD] = pair32(pool, reason)
    slot["words"][_PAYLOAD + 1] = np.uint64(np.int64(block))
    slot["words"][_PAYLOAD + 2] = pair32(index, 0)
    commit_slot(slots, stream)


@inline
def write_incomplete(slots: Any, stream: Any, pool: int, reason: int, row: Any) -> None:
    """Write PoolIncomplete because of the row."""
    block, index = row["block_number"], row["log_index"]
    write_incomplete_at(slots, stream, pool, reason, block, index, stream["ordinal"])


@inline
def is_before_state(pool: Any, row: Any) -> Any:
    """Whether the state given for a pool already holds the row."""
    block = pool["state_block"]
    if row["block_number"] != block:
        return row["block_number"] < block
    return row["log_index"] <= pool["state_log_index"]
