"""What a log means: found by topic and emitter together, since topics collide between protocols.

Pool logs of unknown emitters are kept under an id of their own (PoolSeen), so that a later replay with more
pools can use them. One that can't be decoded leaves a mark there, or that replay would take the pool for
complete; most such logs are of contracts that are no pools, so `strict` lets them pass. Transfers matter only
where a registered pool is a party.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.feeds.address_map import find
from disruptor.feeds.encode_decode import (
    MALFORMED,
    decode,
    find_spec,
    has_shape,
    spec_of_factory,
    spec_of_kind,
)
from disruptor.feeds.encode_registry import intern_token, register, see_pool
from disruptor.feeds.encode_slots import (
    begin_log_slot,
    commit_slot,
    count,
    is_before_state,
    pair32,
    write_incomplete,
)
from disruptor.feeds.encode_state import (
    BEFORE_STATE,
    FOREIGN_TOPICS,
    IGNORED,
    OK,
    UNDECODABLE,
    UNDECODABLE_LOGS,
    UNDECODABLE_UNKNOWN,
    UNKNOWN_POOL,
)
from disruptor.feeds.encode_words import (
    ZERO,
    bytes_at,
    is_padded_address,
    load_address,
    load_be64,
    store32,
    store_address,
)
from disruptor.feeds.topics import IN_DATA, ROLE_FACTORY, ROLE_POOL
from disruptor.handlers.messages import (
    KIND_UNKNOWN,
    REASON_UNDECODABLE,
    Erc20Transfer,
)
from disruptor.jit import inline
from disruptor.message import HEADER_SIZE

_TRANSFER = Erc20Transfer.type_id
_DIRECTION = HEADER_SIZE + Erc20Transfer.offsets["direction"]
_TOKEN_WORD = (HEADER_SIZE + Erc20Transfer.offsets["token"]) >> 3
_AMOUNT_WORD = (HEADER_SIZE + Erc20Transfer.offsets["amount"]) >> 3
_COUNTERPARTY = HEADER_SIZE + Erc20Transfer.offsets["counterparty"]
_IN, _OUT, _BETWEEN = np.uint64(1), np.uint64(2), np.uint64(3)
_PAD = 12  # zero bytes before an address in its word
# Where topics begin within the row's 128 topic bytes.
_TOPIC1, _TOPIC2 = 32, 64


@inline
def encode_meaning(row: Any, blob: Any, slots: Any, stream: Any, tables: Any) -> Any:
    """Dispatch a log on its topic's role, and count the slots that it wrote for its transaction."""
    spec = find_spec(row, stream)
    role = stream["specs"][spec]["role"] if spec >= 0 else 0
    if role == ROLE_FACTORY:
        spec = spec_of_factory(row, spec, stream)
    if spec < 0:
        count(stream, IGNORED, row)
        return OK
    before = stream["sequence"]
    if role == ROLE_POOL:
        status = encode_pool_event(row, blob, spec, slots, stream, tables)
    elif role == ROLE_FACTORY:
        status = encode_creation(row, blob, spec, slots, stream, tables)
    else:
        status = encode_transfer(row, blob, spec, slots, stream, tables)
    stream["transaction_slots"] += stream["sequence"] - before
    return status


@inline
def encode_pool_event(row: Any, blob: Any, spec: int, slots: Any, stream: Any, tables: Any) -> Any:
    """Encode a log whose topic is a pool's."""
    top, mid, low = load_address(bytes_at(row["address"]), 0)
    pool = find(tables.pool_table, top, mid, low)
    kind = tables.pools[pool]["kind"] if pool >= 0 else KIND_UNKNOWN
    known = kind != KIND_UNKNOWN
    spec = spec_of_kind(row, spec, kind, stream)
    if spec < 0:
        count(stream, FOREIGN_TOPICS, row)
        return OK
    if known and is_before_state(tables.pools[pool], row):
        count(stream, BEFORE_STATE, row)
        return OK
    if decode(row, blob, spec, pool, slots, stream) == MALFORMED:
        if pool < 0:
            pool = see_pool(slots, stream, tables, top, mid, low)
        write_incomplete(slots, stream, pool, REASON_UNDECODABLE, row)
        if known:
            return reject(row, stream)
        count(stream, UNDECODABLE_UNKNOWN, row)
        return OK
    if pool < 0:
        pool = see_pool(slots, stream, tables, top, mid, low)
        decode(row, blob, spec, pool, slots, stream)
    if not known:
        count(stream, UNKNOWN_POOL, row)
    tables.pools[pool]["active"] = 1
    commit_slot(slots, stream)
    return OK


@inline
def reject(row: Any, stream: Any) -> Any:
    """Count an undecodable log; strict runs stop at it."""
    count(stream, UNDECODABLE_LOGS, row)
    return UNDECODABLE if stream["strict"] else OK


@inline
def encode_creation(row: Any, blob: Any, spec: int, slots: Any, stream: Any, tables: Any) -> Any:
    """A factory's log in the stream registers its pool, born here."""
    candidate = tables.candidate[0]
    if not read_creation(candidate, row, blob, spec, slots, stream):
        return reject(row, stream)
    candidate["birth"] = 1
    register(candidate, row, stream["ordinal"], slots, stream, tables)
    return OK


@inline
def register_creation(row: Any, blob: Any, slots: Any, stream: Any, tables: Any) -> Any:
    """A factory's log from beside the stream registers its pool as of mid-life."""
    spec = find_spec(row, stream)
    if spec < 0 or stream["specs"][spec]["role"] != ROLE_FACTORY:
        return OK
    spec = spec_of_factory(row, spec, stream)
    if spec < 0:
        return OK
    candidate = tables.candidate[0]
    if not read_creation(candidate, row, blob, spec, slots, stream):
        return reject(row, stream)
    register(candidate, row, -1, slots, stream, tables)
    return OK


@inline
def read_creation(candidate: Any, row: Any, blob: Any, spec: int, slots: Any, stream: Any) -> Any:
    """Read a creation log into the scratch candidate; False when it is malformed or can't be true."""
    if decode(row, blob, spec, 0, slots, stream) & MALFORMED:
        return False
    event = stream["specs"][spec]
    set_key_of_word(candidate["token0"], row, blob, event["token0"])
    set_key_of_word(candidate["token1"], row, blob, event["token1"])
    set_key_of_word(candidate["address"], row, blob, event["pool"])
    set_key(candidate["factory"], bytes_at(row["address"]), 0)
    candidate["kind"] = event["kind"]
    candidate["fee"] = number_at(row, blob, event["fee"])
    candidate["default_fee"] = event["default_fee"]
    candidate["tick_spacing"] = number_at(row, blob, event["tick_spacing"])
    candidate["state_block"] = -1
    candidate["state_log_index"] = -1
    candidate["birth"] = 0
    address = candidate["address"]
    if (address[0] | address[1] | address[2]) == ZERO:
        return False
    return is_ascending(candidate["token0"], candidate["token1"])


@inline
def set_key_of_word(key: Any, row: Any, blob: Any, place: int) -> None:
    """Read the address in the word at a spec's place into an array (top, mid, low)."""
    if place >= IN_DATA:
        set_key(key, blob, row["data_offset"] + (place - IN_DATA) + _PAD)
    else:
        set_key(key, bytes_at(row["topics"]), place + _PAD)


@inline
def number_at(row: Any, blob: Any, place: int) -> Any:
    """The low 64 bits of the word at a spec's place; -1 where there is none."""
    if place < 0:
        return np.int64(-1)
    if place >= IN_DATA:
        return np.int64(load_be64(blob, row["data_offset"] + (place - IN_DATA) + 24))
    return np.int64(load_be64(bytes_at(row["topics"]), place + 24))


@inline
def set_key(key: Any, raw: Any, at: int) -> None:
    """Read 20 bytes at `at` into an array (top, mid, low)."""
    key[0], key[1], key[2] = load_address(raw, at)


@inline
def is_ascending(first: Any, second: Any) -> Any:
    """Whether one address is strictly below another, as factories sort tokens."""
    for k in range(3):
        if first[k] != second[k]:
            return first[k] < second[k]
    return False


@inline
def registered_party(row: Any, at: int, pool_table: Any, pools: Any) -> Any:
    """Id of the registered pool in the topic at byte `at` of the topics, or -1."""
    top, mid, low = load_address(bytes_at(row["topics"]), at + _PAD)
    pool = find(pool_table, top, mid, low)
    return pool if pool >= 0 and pools[pool]["kind"] != KIND_UNKNOWN else -1


@inline
def encode_transfer(row: Any, blob: Any, spec: int, slots: Any, stream: Any, tables: Any) -> Any:
    """Encode an ERC-20 transfer from or to a registered pool; any other is ignored."""
    topics = bytes_at(row["topics"])
    padded = is_padded_address(topics, _TOPIC1) and is_padded_address(topics, _TOPIC2)
    sender, receiver = -1, -1
    if padded and has_shape(row, stream["specs"][spec]):
        sender = registered_party(row, _TOPIC1, tables.pool_table, tables.pools)
        receiver = registered_party(row, _TOPIC2, tables.pool_table, tables.pools)
    if sender < 0 and receiver < 0:
        count(stream, IGNORED, row)
    else:
        write_transfer(row, blob, sender, receiver, slots, stream, tables.token_table)
    return OK


@inline
def write_transfer(
    row: Any, blob: Any, sender: int, receiver: int, slots: Any, stream: Any, token_table: Any
) -> None:
    """Write Erc20Transfer, the token's registration before it if new. At most two slots."""
    top, mid, low = load_address(bytes_at(row["address"]), 0)
    token = intern_token(slots, stream, token_table, top, mid, low, stream["ordinal"])
    pool = sender if sender >= 0 else receiver
    other = receiver if sender >= 0 else -1
    direction = _IN if sender < 0 else (_OUT if receiver < 0 else _BETWEEN)
    slot = begin_log_slot(slots, stream, _TRANSFER, pool, row)
    store32(slot, _DIRECTION, direction)
    slot["words"][_TOKEN_WORD] = pair32(token, other)
    for k in range(4):
        slot["words"][_AMOUNT_WORD + k] = load_be64(blob, row["data_offset"] + 24 - 8 * k)
    top, mid, low = load_address(bytes_at(row["topics"]), (_TOPIC1 if sender < 0 else _TOPIC2) + _PAD)
    store_address(slot, _COUNTERPARTY, top, mid, low)
    commit_slot(slots, stream)
