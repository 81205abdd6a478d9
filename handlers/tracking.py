"""Pool tracking: every Uniswap V2-style and V3 pool, to the last unit.

V2: `Sync` is the authority; a pair's other events change nothing (after an unsynced donation a `Burn` does not even
match the reserves). V3: `Initialize` and `Swap` carry price and tick, `Swap` also the liquidity in range; mints and
burns change the tick map, and the liquidity when the range holds the current tick. `Burn` of zero only collects fees.
Fee growth and observations are in no log: they follow from making each swap again, which also checks it
(`disruptor.handlers.audit`).

A tick map that contradicts itself (a burn of more than is there) makes the pool incomplete: an event was missed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import assign, claim_id, insert, read, row
from disruptor.handler import handler
from disruptor.handlers.audit import (
    audit_counters,
    audit_failures,
    audit_stream,
    audit_v2_swap,
    audit_v3_swap,
    note_block,
    remember_reserves,
    v2_before,
)
from disruptor.handlers.fee_growth import collect_protocol, pay_flash
from disruptor.handlers.hot_market import publish_v2, publish_v3
from disruptor.handlers.lookahead import V2_SYNC, V3_RANGE, V3_SWAP
from disruptor.handlers.messages import (
    FLAG_AMOUNT_OVERFLOW,
    FLAG_BORN,
    FLAG_FEES_GIVEN,
    FLAG_REFUTED,
    KIND_UNISWAP_V2,
    KIND_UNISWAP_V3,
    NO_ID,
    BlockStart,
    PoolIncomplete,
    PoolRegistered,
    PoolSeen,
    TokenRegistered,
    UniswapV2State,
    UniswapV2Swap,
    UniswapV2Sync,
    UniswapV3Burn,
    UniswapV3CollectProtocol,
    UniswapV3Flash,
    UniswapV3IncreaseObservationCardinalityNext,
    UniswapV3Initialize,
    UniswapV3Mint,
    UniswapV3SetFeeProtocol,
    UniswapV3State,
    UniswapV3Swap,
    UniswapV3TickState,
)
from disruptor.handlers.observations import grow_observations, start_observations
from disruptor.handlers.pools import (
    FEES_KNOWN,
    PRICE_KNOWN,
    RESERVES_KNOWN,
    TICKS_KNOWN,
    UNVERIFIED,
    chain,
    market,
    pairs,
    pool_directory,
    pools,
    ticks,
    tokens,
)
from disruptor.handlers.tick_bitmap import tick_bitmap
from disruptor.handlers.uniswap_v3_tables import step_notes, v3_fees
from disruptor.handlers.v3_ranges import change_range, give_fees, give_tick
from disruptor.handlers.wide import add, is_negative, is_zero, load, load_signed, negate, store, to_f64
from disruptor.jit import jit
from disruptor.status import OK

_LOSES_STATE = ~(RESERVES_KNOWN | PRICE_KNOWN | TICKS_KNOWN | FEES_KNOWN) & 0xFFFFFFFF
_V3_TABLES = (pools, market, v3_fees)
_AUDIT_TABLES = (pools, v2_before, audit_counters, audit_failures)


@jit
def _epoch(state: Any) -> Any:
    return read(state.chain, 0)["epoch"]


@handler(BlockStart, tables=[chain, audit_stream])
def on_block_start(state: Any, event: Any, out: Any) -> Any:
    """Remember the block that the following events belong to."""
    note_block(state, event)
    c = row(state.chain, 0)
    c["previous_timestamp"] = c["timestamp"]
    c["chain_id"] = event["chain_id"]
    c["block_number"] = event["number"]
    c["timestamp"] = event["timestamp"]
    c["base_fee"] = event["base_fee"]
    c["gas_used"] = event["gas_used"]
    c["gas_limit"] = event["gas_limit"]
    assign(c["block_hash"], event["hash"])


@handler(TokenRegistered, tables=[tokens], max_inserts=1)
def on_token_registered(state: Any, event: Any, out: Any) -> Any:
    """Give a token its row."""
    if claim_id(state.tokens, event["token"]):
        t = row(state.tokens, event["token"])
        assign(t["address"], event["address"])
        t["decimals"] = event["decimals"]


@handler(PoolSeen, tables=[pool_directory], max_inserts=1)
def on_pool_seen(state: Any, event: Any, out: Any) -> Any:
    """Give an address that emits pool-like logs an id; nothing is known of it."""
    if claim_id(state.pool_directory, event["pool"]):
        assign(row(state.pool_directory, event["pool"])["address"], event["address"])


@handler(PoolRegistered, tables=[pool_directory, pools, pairs], max_inserts={pool_directory: 1, pairs: 1})
def on_pool_registered(state: Any, event: Any, out: Any) -> Any:
    """Enter a pool into its pair. A pool born in the stream starts out known: empty."""
    pool = event["pool"]
    if not claim_id(state.pool_directory, pool):
        return
    p = row(state.pools, pool)
    born = (event["flags"] & FLAG_BORN) != 0
    if p["kind"] == 0:
        _enter(state, event)
    elif born:
        _correct(state, event)
    if born:
        p["epoch"] = _epoch(state)
        p["flags"] |= TICKS_KNOWN if p["kind"] == KIND_UNISWAP_V3 else RESERVES_KNOWN


@jit
def _enter(state: Any, event: Any) -> None:
    pool = event["pool"]
    d = row(state.pool_directory, pool)
    assign(d["address"], event["address"])
    assign(d["token0_address"], event["token0_address"])
    assign(d["token1_address"], event["token1_address"])
    assign(d["factory"], event["factory"])
    d["tick_spacing"] = event["tick_spacing"]
    d["kind"] = event["kind"]
    # By number, for a factory may announce a pair's tokens in either order: it is one pair all the same.
    lower, higher = min(event["token0"], event["token1"]), max(event["token0"], event["token1"])
    at = insert(state.pairs, lower, higher)
    pair = row(state.pairs, at)
    pair["token0"] = lower
    pair["token1"] = higher
    p = row(state.pools, pool)
    p["kind"] = event["kind"]
    p["fee"] = event["fee"]
    p["tick_spacing"] = event["tick_spacing"]
    p["token0"] = event["token0"]
    p["token1"] = event["token1"]
    p["pair"] = np.uint32(at)
    p["next_in_pair"] = pair["first_pool"]
    pair["first_pool"] = pool + np.uint32(1)
    pair["pool_count"] += np.uint32(1)


@jit
def _correct(state: Any, event: Any) -> None:
    """A birth tells anew what an earlier announcement may have got wrong."""
    pool = event["pool"]
    p = row(state.pools, pool)
    p["fee"] = event["fee"]
    p["tick_spacing"] = event["tick_spacing"]
    d = row(state.pool_directory, pool)
    assign(d["factory"], event["factory"])
    d["tick_spacing"] = event["tick_spacing"]


@handler(PoolIncomplete, tables=[pools, chain, market])
def on_pool_incomplete(state: Any, event: Any, out: Any) -> Any:
    """One pool's state is no longer certain, or (NO_ID) that of all."""
    if event["pool"] == NO_ID:
        row(state.chain, 0)["epoch"] += np.uint32(1)
    else:
        row(state.pools, event["pool"])["flags"] &= np.uint32(_LOSES_STATE)
        row(state.market, event["pool"])["sequence"] = np.uint64(event["sequence"])


@handler(UniswapV2State, tables=[pools, market])
def on_v2_state(state: Any, event: Any, out: Any) -> Any:
    """Reserves given with the pools file."""
    _set_reserves(state, event)
    row(state.pools, event["pool"])["flags"] |= _refuted(event)


@jit
def _refuted(event: Any) -> Any:
    return np.uint32(UNVERIFIED) if (event["flags"] & FLAG_REFUTED) != 0 else np.uint32(0)


@handler(UniswapV2Sync, tables=[pools, market, v2_before, audit_stream], ahead=V2_SYNC)
def on_v2_sync(state: Any, event: Any, out: Any) -> Any:
    """Reserves as the pair states them."""
    if read(state.pools, event["pool"])["kind"] == KIND_UNISWAP_V2:
        remember_reserves(state, event)
        _set_reserves(state, event)


@jit
def _set_reserves(state: Any, event: Any) -> None:
    p = row(state.pools, event["pool"])
    store(p["reserve0"], load(event["reserve0"]))
    store(p["reserve1"], load(event["reserve1"]))
    p["flags"] |= np.uint32(RESERVES_KNOWN)
    p["epoch"] = _epoch(state)
    publish_v2(state, event["pool"], event["sequence"], event["event_time_ns"])


@handler(UniswapV2Swap, tables=[pools, market, *_AUDIT_TABLES])
def on_v2_swap(state: Any, event: Any, out: Any) -> Any:
    """Check the swap and count the volume; the reserves came with `Sync`."""
    if read(state.pools, event["pool"])["kind"] == KIND_UNISWAP_V2:
        audit_v2_swap(state, event)
        moved = add(load(event["amount0_in"]), load(event["amount0_out"]))
        row(state.market, event["pool"])["volume"] += to_f64(moved)


@handler(UniswapV3State, tables=[*_V3_TABLES])
def on_v3_state(state: Any, event: Any, out: Any) -> Any:
    """Price, liquidity and fees given with the pools file; its ticks follow."""
    p = row(state.pools, event["pool"])
    _set_price(state, event)
    store(p["liquidity"], load(event["liquidity"]))
    p["fee_protocol"] = event["fee_protocol"]
    p["epoch"] = _epoch(state)
    p["flags"] = np.uint32(PRICE_KNOWN | TICKS_KNOWN if event["ticks_complete"] != 0 else PRICE_KNOWN)
    p["flags"] |= _refuted(event)
    if (event["flags"] & FLAG_FEES_GIVEN) != 0:
        p["flags"] |= np.uint32(FEES_KNOWN)
        give_fees(state, event)


@handler(UniswapV3TickState, tables=[ticks, tick_bitmap], max_inserts=1)
def on_v3_tick_state(state: Any, event: Any, out: Any) -> Any:
    """One initialized tick of a given state."""
    give_tick(state, event)


@handler(UniswapV3Initialize, tables=[*_V3_TABLES])
def on_v3_initialize(state: Any, event: Any, out: Any) -> Any:
    """A V3 pool's first price. Nothing can have been minted before it, so the (empty) tick map is whole."""
    p = row(state.pools, event["pool"])
    if p["kind"] != KIND_UNISWAP_V3:
        return
    _set_price(state, event)
    if (p["flags"] & PRICE_KNOWN) == 0:
        p["flags"] |= np.uint32(PRICE_KNOWN | TICKS_KNOWN | FEES_KNOWN)
        p["epoch"] = _epoch(state)
        start_observations(state, event["pool"], read(state.chain, 0)["timestamp"])


@handler(UniswapV3Swap, tables=[*_V3_TABLES, *_AUDIT_TABLES, ticks, step_notes], ahead=V3_SWAP)
def on_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """Check the swap and its fees; price, tick and liquidity as the pool states them."""
    p = row(state.pools, event["pool"])
    if p["kind"] != KIND_UNISWAP_V3:
        return
    if not audit_v3_swap(state, event):
        p["flags"] &= np.uint32(~FEES_KNOWN & 0xFFFFFFFF)
    _set_price(state, event)
    store(p["liquidity"], load(event["liquidity"]))
    p["flags"] |= np.uint32(PRICE_KNOWN)
    row(state.market, event["pool"])["volume"] += to_f64(_magnitude(load_signed(event["amount0"])))


@jit
def _magnitude(amount: Any) -> Any:
    return negate(amount) if is_negative(amount) else amount


@jit
def _set_price(state: Any, event: Any) -> None:
    p = row(state.pools, event["pool"])
    store(p["sqrt_price_x96"], load(event["sqrt_price_x96"]))
    p["tick"] = event["tick"]
    publish_v3(state, event["pool"], event["sequence"], event["event_time_ns"])


@handler(UniswapV3SetFeeProtocol, tables=[pools])
def on_v3_set_fee_protocol(state: Any, event: Any, out: Any) -> Any:
    """The protocol's share of fees, packed as slot0 packs it: token0 in the low four bits."""
    p = row(state.pools, event["pool"])
    if p["kind"] == KIND_UNISWAP_V3:
        p["fee_protocol"] = event["fee_protocol0_new"] | (event["fee_protocol1_new"] << np.uint32(4))


@handler(UniswapV3CollectProtocol, tables=[v3_fees])
def on_v3_collect_protocol(state: Any, event: Any, out: Any) -> Any:
    """Protocol fees leave the pool."""
    if read(state.pools, event["pool"])["kind"] == KIND_UNISWAP_V3:
        collect_protocol(state, event["pool"], load(event["amount0"]), load(event["amount1"]))


@handler(UniswapV3Flash, tables=[pools, v3_fees])
def on_v3_flash(state: Any, event: Any, out: Any) -> Any:
    """What a flash loan paid goes to the liquidity in range, and to the protocol."""
    p = row(state.pools, event["pool"])
    if p["kind"] != KIND_UNISWAP_V3:
        return
    told = (event["flags"] & FLAG_AMOUNT_OVERFLOW) == 0
    if not told or pay_flash(state, event["pool"], load(event["paid0"]), load(event["paid1"])) != OK:
        p["flags"] &= np.uint32(~FEES_KNOWN & 0xFFFFFFFF)


@handler(UniswapV3IncreaseObservationCardinalityNext, tables=[v3_fees])
def on_v3_increase_observations(state: Any, event: Any, out: Any) -> Any:
    """Room for more observations."""
    if read(state.pools, event["pool"])["kind"] == KIND_UNISWAP_V3:
        grow_observations(state, event["pool"], event["cardinality_new"])


@handler(
    UniswapV3Mint,
    tables=[*_V3_TABLES, ticks, tick_bitmap],
    max_inserts={ticks: 2, tick_bitmap: 2},
    ahead=V3_RANGE,
)
def on_v3_mint(state: Any, event: Any, out: Any) -> Any:
    """Liquidity added to a range."""
    _change_liquidity(state, event, load(event["liquidity"]))


@handler(
    UniswapV3Burn,
    tables=[*_V3_TABLES, ticks, tick_bitmap],
    max_inserts={ticks: 2, tick_bitmap: 2},
    ahead=V3_RANGE,
)
def on_v3_burn(state: Any, event: Any, out: Any) -> Any:
    """Liquidity taken from a range; a burn of zero only credits fees."""
    _change_liquidity(state, event, negate(load(event["liquidity"])))


@jit
def _change_liquidity(state: Any, event: Any, delta: Any) -> None:
    p = row(state.pools, event["pool"])
    if p["kind"] != KIND_UNISWAP_V3 or is_zero(delta):
        return
    if change_range(state, event["pool"], event["tick_lower"], event["tick_upper"], delta) != OK:
        p["flags"] &= np.uint32(_LOSES_STATE)
    line = row(state.market, event["pool"])
    line["sequence"] = np.uint64(event["sequence"])
    line["timestamp"] = np.uint64(event["event_time_ns"])


#: In the order in which they run.
TRACKING = (
    on_block_start,
    on_token_registered,
    on_pool_seen,
    on_pool_registered,
    on_pool_incomplete,
    on_v2_state,
    on_v2_sync,
    on_v2_swap,
    on_v3_state,
    on_v3_tick_state,
    on_v3_initialize,
    on_v3_swap,
    on_v3_set_fee_protocol,
    on_v3_collect_protocol,
    on_v3_flash,
    on_v3_increase_observations,
    on_v3_mint,
    on_v3_burn,
)
