"""Registering pools and tokens: from creation logs and from pools files, by the same rules.

The first registration of an address wins. The same pool again is fine: a creation log met later tells that
the stream holds the pool's whole life (FLAG_BORN), a pools file may add state. Different tokens, kind or
fee are a conflict, and the pool is marked incomplete. A creation log counts as birth only while nothing of
the pool was written: anyone can emit a `PairCreated`, and a false birth would wipe a pool's state. V2's
creation log names no fee, so a registered V2 fee is never contradicted by one.

Nor may a false announcement bar an honest pool. A contract is created before it can log anything, so a creation log
that contradicts a pool which has logged already is a lie, and only counted. Between two announcements of a pool that
has not, the later one's fee and spacing hold: the first can have been made before there was a contract.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.feeds.address_map import find, insert
from disruptor.feeds.encode_slots import (
    add_flags,
    begin_log_slot,
    begin_slot,
    commit_slot,
    count,
    is_before_state,
    pair32,
    write_incomplete_at,
)
from disruptor.feeds.encode_state import (
    BEFORE_STATE,
    DUPLICATE_POOLS,
    POOL_CONFLICTS,
)
from disruptor.feeds.encode_words import store_address
from disruptor.handlers.messages import (
    FLAG_BORN,
    FLAG_HASH_UNKNOWN,
    FLAG_WITH_STATE,
    KIND_UNISWAP_V2,
    KIND_UNKNOWN,
    NO_ID,
    REASON_CONFLICT,
    PoolRegistered,
    PoolSeen,
    TokenRegistered,
)
from disruptor.handlers.pools import NO_FEE
from disruptor.jit import inline
from disruptor.message import HEADER_SIZE

_PAYLOAD = HEADER_SIZE >> 3
_TOKEN_REGISTERED, _POOL_SEEN = TokenRegistered.type_id, PoolSeen.type_id
_POOL_REGISTERED = PoolRegistered.type_id
_TOKEN_ADDRESS = HEADER_SIZE + TokenRegistered.offsets["address"]
_SEEN_ADDRESS = HEADER_SIZE + PoolSeen.offsets["address"]
_KIND_WORD = (HEADER_SIZE + PoolRegistered.offsets["transaction_index"]) >> 3
_TOKENS_WORD = (HEADER_SIZE + PoolRegistered.offsets["token0"]) >> 3
_FEE_WORD = (HEADER_SIZE + PoolRegistered.offsets["fee"]) >> 3
_ADDRESS = HEADER_SIZE + PoolRegistered.offsets["address"]
_FACTORY = HEADER_SIZE + PoolRegistered.offsets["factory"]
_TOKEN0_ADDRESS = HEADER_SIZE + PoolRegistered.offsets["token0_address"]
_TOKEN1_ADDRESS = HEADER_SIZE + PoolRegistered.offsets["token1_address"]
_UNKNOWN_DECIMALS = 255
#: `active` of a pool that has logged something, and of one of which only a birth is known.
_LOGGED, _ANNOUNCED = 1, 2
_UNKNOWN_INDEX = NO_ID


@inline
def intern_token(slots: Any, stream: Any, token_table: Any, top: Any, mid: Any, low: Any, source: int) -> Any:
    """Id of a token; a new one is registered first. At most one slot."""
    token = find(token_table, top, mid, low)
    if token >= 0:
        return token
    token = stream["tokens"]
    insert(token_table, top, mid, low, token)
    stream["tokens"] += 1
    slot = begin_slot(slots, stream, _TOKEN_REGISTERED, 0, source)
    slot["words"][_PAYLOAD] = pair32(token, _UNKNOWN_DECIMALS)
    store_address(slot, _TOKEN_ADDRESS, top, mid, low)
    commit_slot(slots, stream)
    return token


@inline
def add_pool(stream: Any, tables: Any, top: Any, mid: Any, low: Any) -> Any:
    """Give an address the next pool id, of unknown kind. The tables must have room."""
    pools = tables.pools
    pool = stream["pools"]
    insert(tables.pool_table, top, mid, low, pool)
    stream["pools"] += 1
    pools[pool]["kind"] = KIND_UNKNOWN
    pools[pool]["state_block"] = -1
    pools[pool]["active"] = 0
    return pool


@inline
def see_pool(slots: Any, stream: Any, tables: Any, top: Any, mid: Any, low: Any) -> Any:
    """Give an unregistered emitter of pool logs an id, and say so. One slot."""
    pool = add_pool(stream, tables, top, mid, low)
    slot = begin_slot(slots, stream, _POOL_SEEN, 0, stream["ordinal"])
    slot["words"][_PAYLOAD] = pair32(pool, 0)
    store_address(slot, _SEEN_ADDRESS, top, mid, low)
    commit_slot(slots, stream)
    return pool


@inline
def register(candidate: Any, row: Any, source: int, slots: Any, stream: Any, tables: Any) -> Any:
    """Register a candidate of the stream's row of ordinal `source`, or of a file when `source` is -1.

    At most three slots. Returns whether the state that the candidate brings is to be written next.
    """
    address = candidate["address"]
    pool = find(tables.pool_table, address[0], address[1], address[2])
    if pool >= 0 and tables.pools[pool]["kind"] != KIND_UNKNOWN:
        return register_again(candidate, pool, row, source, slots, stream, tables)
    first, second = candidate["token0"], candidate["token1"]
    token0 = intern_token(slots, stream, tables.token_table, first[0], first[1], first[2], source)
    token1 = intern_token(slots, stream, tables.token_table, second[0], second[1], second[2], source)
    born = candidate["birth"] != 0 and pool < 0
    if pool < 0:
        pool = add_pool(stream, tables, address[0], address[1], address[2])
    known = tables.pools[pool]
    known["kind"] = candidate["kind"]
    known["token0"] = token0
    known["token1"] = token1
    known["fee"] = effective_fee(candidate, stream, tables.factories)
    known["tick_spacing"] = max(candidate["tick_spacing"], 0)
    known["active"] = _ANNOUNCED if born else known["active"]
    known["state_block"] = candidate["state_block"]
    known["state_log_index"] = candidate["state_log_index"]
    write_registration(candidate, pool, known, born, row, source, slots, stream)
    return candidate["state_block"] >= 0


@inline
def effective_fee(candidate: Any, stream: Any, factories: Any) -> Any:
    """The candidate's fee; without one, V2 has that of its factory or the default, others their venue's, if any."""
    if candidate["fee"] >= 0:
        return candidate["fee"]
    if candidate["kind"] != KIND_UNISWAP_V2:
        return candidate["default_fee"] if candidate["default_fee"] >= 0 else NO_FEE
    factory = candidate["factory"]
    for f in range(factories.shape[0]):
        if factories[f, 0] == factory[0] and factories[f, 1] == factory[1] and factories[f, 2] == factory[2]:
            return np.int64(factories[f, 3])
    return stream["default_fee"]


@inline
def register_again(
    candidate: Any, pool: int, row: Any, source: int, slots: Any, stream: Any, tables: Any
) -> Any:
    """A registered pool comes again: a birth, added state, a repetition, or a conflict. At most one slot."""
    known = tables.pools[pool]
    if source >= 0 and is_before_state(known, row):
        count(stream, BEFORE_STATE, row)
        return False
    if is_conflicting(candidate, known, tables.token_table):
        count_candidate(stream, POOL_CONFLICTS, row, source)
        if candidate["birth"] and known["active"] == _LOGGED:
            return False
        if (
            candidate["birth"]
            and known["active"] == _ANNOUNCED
            and is_same(candidate, known, tables.token_table)
        ):
            known["fee"], known["tick_spacing"] = candidate["fee"], candidate["tick_spacing"]
            write_registration(candidate, pool, known, True, row, source, slots, stream)
            return False
        block = row["block_number"] if source >= 0 else 0
        index = row["log_index"] if source >= 0 else _UNKNOWN_INDEX
        write_incomplete_at(slots, stream, pool, REASON_CONFLICT, block, index, source)
        return False
    if candidate["birth"] and not known["active"]:
        known["active"] = _ANNOUNCED
        learn(candidate, known)
        write_registration(candidate, pool, known, True, row, source, slots, stream)
        return False
    if candidate["state_block"] >= 0 and known["state_block"] < 0 and not known["active"]:
        known["state_block"] = candidate["state_block"]
        known["state_log_index"] = candidate["state_log_index"]
        learn(candidate, known)
        write_registration(candidate, pool, known, False, row, source, slots, stream)
        return True
    count_candidate(stream, DUPLICATE_POOLS, row, source)
    return False


@inline
def count_candidate(stream: Any, kind: int, row: Any, source: int) -> None:
    """Count for a row of the stream, or, for a candidate from a file, without a position."""
    if source >= 0:
        count(stream, kind, row)
    else:
        stream["counts"][kind] += 1


@inline
def is_conflicting(candidate: Any, known: Any, token_table: Any) -> Any:
    """Whether the candidate contradicts what is registered: kind, tokens, or the fee or spacing it names."""
    if not is_same(candidate, known, token_table):
        return True
    if candidate["fee"] >= 0 and known["fee"] != NO_FEE and candidate["fee"] != known["fee"]:
        return True
    if candidate["tick_spacing"] < 0 or known["tick_spacing"] == 0:
        return False
    return known["tick_spacing"] != candidate["tick_spacing"]


@inline
def is_same(candidate: Any, known: Any, token_table: Any) -> Any:
    """Whether the candidate has the kind and the tokens that are registered."""
    first, second = candidate["token0"], candidate["token1"]
    if known["kind"] != candidate["kind"] or known["token0"] != find(
        token_table, first[0], first[1], first[2]
    ):
        return False
    return known["token1"] == find(token_table, second[0], second[1], second[2])


@inline
def learn(candidate: Any, known: Any) -> None:
    """Fill in a fee or spacing that nobody had said. Mutates `known`."""
    if known["fee"] == NO_FEE and candidate["fee"] >= 0:
        known["fee"] = candidate["fee"]
    if known["tick_spacing"] == 0 and candidate["tick_spacing"] > 0:
        known["tick_spacing"] = candidate["tick_spacing"]


@inline
def write_registration(
    candidate: Any, pool: int, known: Any, born: bool, row: Any, source: int, slots: Any, stream: Any
) -> None:
    """Write PoolRegistered for a pool whose row is filled in. One slot."""
    if source >= 0:
        slot = begin_log_slot(slots, stream, _POOL_REGISTERED, pool, row)
    else:
        slot = begin_slot(slots, stream, _POOL_REGISTERED, FLAG_HASH_UNKNOWN, -1)
        slot["words"][_PAYLOAD] = pair32(pool, _UNKNOWN_INDEX)
        slot["words"][_KIND_WORD] = pair32(_UNKNOWN_INDEX, 0)
    flags = FLAG_BORN if born else 0
    if candidate["state_block"] >= 0:
        flags |= FLAG_WITH_STATE
    add_flags(slot, flags)
    slot["words"][_KIND_WORD] |= pair32(0, known["kind"])
    slot["words"][_TOKENS_WORD] = pair32(known["token0"], known["token1"])
    slot["words"][_FEE_WORD] = pair32(known["fee"], known["tick_spacing"])
    store_key(slot, _ADDRESS, candidate["address"])
    store_key(slot, _FACTORY, candidate["factory"])
    store_key(slot, _TOKEN0_ADDRESS, candidate["token0"])
    store_key(slot, _TOKEN1_ADDRESS, candidate["token1"])
    commit_slot(slots, stream)
    stream["last_pool"] = pool


@inline
def store_key(slot: Any, offset: int, key: Any) -> None:
    """Store an address given as an array (top, mid, low)."""
    store_address(slot, offset, key[0], key[1], key[2])
