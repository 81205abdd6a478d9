"""Pool tracking: every Uniswap V2-style and V3 pool, to the last unit.

V2: `Sync` is the authority; a pair's other events change nothing (after an unsynced donation a `Burn` does not even
match the reserves). V3: `Initialize` and `Swap` carry price and tick, `Swap` also the liquidity in range; mints and
burns change the tick map, and the liquidity when the range holds the current tick. `Burn` of zero only collects fees.

A tick map that contradicts itself (a burn of more than is there) makes the pool incomplete: an event was missed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import assign, claim_id, insert, read, remove, row
from disruptor.handler import handler
from disruptor.handlers.messages import (
    FLAG_BORN,
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
    UniswapV3Initialize,
    UniswapV3Mint,
    UniswapV3SetFeeProtocol,
    UniswapV3State,
    UniswapV3Swap,
    UniswapV3TickState,
)
from disruptor.handlers.pools import (
    PRICE_KNOWN,
    RESERVES_KNOWN,
    TICKS_KNOWN,
    chain,
    market,
    pairs,
    pool_directory,
    pools,
    ticks,
    tokens,
)
from disruptor.handlers.price import float_price_v2, float_price_v3
from disruptor.handlers.word_math import add_delta128, add_signed128, negate128
from disruptor.jit import jit
from disruptor.status import OK

_MILLION = 1_000_000
_ZERO, _SIGN = np.uint64(0), np.uint64(63)
_TWO_64 = 2.0**64
_LOSES_STATE = ~(RESERVES_KNOWN | PRICE_KNOWN | TICKS_KNOWN) & 0xFFFFFFFF


@jit
def _epoch(state: Any) -> Any:
    return read(state.chain, 0)["epoch"]


@jit
def _publish_market(state: Any, pool: Any, price: Any, sequence: Any, time_ns: Any) -> None:
    """Rewrite a pool's hot row from an approximate price; fee unknown or 100 % leaves no quotes."""
    p = read(state.pools, pool)
    line = row(state.market, pool)
    kept = np.float64(_MILLION - np.int64(p["fee"])) / np.float64(_MILLION)
    quoted = kept > 0.0
    line["last_price"] = price
    line["bid"] = price * kept if quoted else 0.0
    line["ask"] = price / kept if quoted else 0.0
    line["timestamp"] = np.uint64(time_ns)
    line["sequence"] = np.uint64(sequence)
    line["venue_id"] = np.uint32(pool)
    line["instrument_id"] = p["pair"]


@jit
def _publish_v2(state: Any, pool: Any, event: Any) -> None:
    p = read(state.pools, pool)
    price = float_price_v2(p["reserve0"][0], p["reserve0"][1], p["reserve1"][0], p["reserve1"][1])
    _publish_market(state, pool, price, event["sequence"], event["event_time_ns"])


@jit
def _publish_v3(state: Any, pool: Any, event: Any) -> None:
    p = read(state.pools, pool)
    price = float_price_v3(p["sqrt_price_x96"][0], p["sqrt_price_x96"][1], p["sqrt_price_x96"][2])
    _publish_market(state, pool, price, event["sequence"], event["event_time_ns"])


@handler(BlockStart, tables=[chain])
def on_block_start(state: Any, event: Any, out: Any) -> Any:
    """Remember the block that the following events belong to."""
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
    if p["kind"] == 0:
        _enter(state, event)
    if (event["flags"] & FLAG_BORN) != 0:
        p["epoch"] = _epoch(state)
        p["flags"] |= RESERVES_KNOWN if p["kind"] == KIND_UNISWAP_V2 else TICKS_KNOWN


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
    at = insert(state.pairs, event["token0"], event["token1"])
    pair = row(state.pairs, at)
    pair["token0"] = event["token0"]
    pair["token1"] = event["token1"]
    p = row(state.pools, pool)
    p["kind"] = event["kind"]
    p["fee"] = event["fee"]
    p["token0"] = event["token0"]
    p["token1"] = event["token1"]
    p["pair"] = np.uint32(at)
    p["next_in_pair"] = pair["first_pool"]
    pair["first_pool"] = pool + np.uint32(1)
    pair["pool_count"] += np.uint32(1)


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


@handler(UniswapV2Sync, tables=[pools, market])
def on_v2_sync(state: Any, event: Any, out: Any) -> Any:
    """Reserves as the pair states them."""
    if read(state.pools, event["pool"])["kind"] == KIND_UNISWAP_V2:
        _set_reserves(state, event)


@jit
def _set_reserves(state: Any, event: Any) -> None:
    p = row(state.pools, event["pool"])
    p["reserve0"][0] = event["reserve0"][0]
    p["reserve0"][1] = event["reserve0"][1]
    p["reserve1"][0] = event["reserve1"][0]
    p["reserve1"][1] = event["reserve1"][1]
    p["flags"] |= np.uint32(RESERVES_KNOWN)
    p["epoch"] = _epoch(state)
    _publish_v2(state, event["pool"], event)


@handler(UniswapV2Swap, tables=[market])
def on_v2_swap(state: Any, event: Any, out: Any) -> Any:
    """Count the volume; the reserves come with `Sync`."""
    if read(state.pools, event["pool"])["kind"] == KIND_UNISWAP_V2:
        moved = _approximate(event["amount0_in"]) + _approximate(event["amount0_out"])
        row(state.market, event["pool"])["volume"] += moved


@jit
def _approximate(limbs: Any) -> Any:
    """A u128, or the low half of a wider integer, as a float."""
    return np.float64(limbs[0]) + np.float64(limbs[1]) * _TWO_64


@handler(UniswapV3State, tables=[pools, market])
def on_v3_state(state: Any, event: Any, out: Any) -> Any:
    """Price, liquidity and fee protocol given with the pools file; its ticks follow."""
    p = row(state.pools, event["pool"])
    _set_price(state, event)
    _set_liquidity(p, event["liquidity"][0], event["liquidity"][1])
    p["fee_protocol"] = event["fee_protocol"]
    p["epoch"] = _epoch(state)
    p["flags"] = np.uint32(PRICE_KNOWN | TICKS_KNOWN if event["ticks_complete"] != 0 else PRICE_KNOWN)


@handler(UniswapV3TickState, tables=[ticks], max_inserts=1)
def on_v3_tick_state(state: Any, event: Any, out: Any) -> Any:
    """One initialized tick of a given state."""
    t = row(state.ticks, insert(state.ticks, event["pool"], event["tick"]))
    t["pool"] = event["pool"]
    t["tick"] = event["tick"]
    for k in range(2):
        t["liquidity_gross"][k] = event["liquidity_gross"][k]
        t["liquidity_net"][k] = event["liquidity_net"][k]


@handler(UniswapV3Initialize, tables=[pools, market])
def on_v3_initialize(state: Any, event: Any, out: Any) -> Any:
    """A V3 pool's first price. Nothing can have been minted before it, so the (empty) tick map is whole."""
    p = row(state.pools, event["pool"])
    if p["kind"] != KIND_UNISWAP_V3:
        return
    _set_price(state, event)
    if (p["flags"] & PRICE_KNOWN) == 0:
        p["flags"] |= np.uint32(PRICE_KNOWN | TICKS_KNOWN)
        p["epoch"] = _epoch(state)


@handler(UniswapV3Swap, tables=[pools, market])
def on_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """Price, tick and liquidity as the pool states them."""
    p = row(state.pools, event["pool"])
    if p["kind"] == KIND_UNISWAP_V3:
        _set_price(state, event)
        _set_liquidity(p, event["liquidity"][0], event["liquidity"][1])
        p["flags"] |= np.uint32(PRICE_KNOWN)
        row(state.market, event["pool"])["volume"] += _magnitude(event["amount0"])


@jit
def _magnitude(amount: Any) -> Any:
    """|amount| of an i256 within u128, as a float; larger ones count as 0."""
    if amount[3] >> _SIGN == _ZERO:
        return _approximate(amount) if amount[2] == _ZERO and amount[3] == _ZERO else np.float64(0.0)
    high, low = negate128(amount[1], amount[0])
    return np.float64(low) + np.float64(high) * _TWO_64


@jit
def _set_price(state: Any, event: Any) -> None:
    p = row(state.pools, event["pool"])
    for k in range(4):
        p["sqrt_price_x96"][k] = event["sqrt_price_x96"][k]
    p["tick"] = event["tick"]
    _publish_v3(state, event["pool"], event)


@jit
def _set_liquidity(p: Any, low: Any, high: Any) -> None:
    p["liquidity"][0] = low
    p["liquidity"][1] = high


@handler(UniswapV3SetFeeProtocol, tables=[pools])
def on_v3_set_fee_protocol(state: Any, event: Any, out: Any) -> Any:
    """The protocol's share of fees, packed as slot0 packs it: token0 in the low four bits."""
    p = row(state.pools, event["pool"])
    if p["kind"] == KIND_UNISWAP_V3:
        p["fee_protocol"] = event["fee_protocol0_new"] | (event["fee_protocol1_new"] << np.uint32(4))


@handler(UniswapV3Mint, tables=[pools, ticks, market], max_inserts={ticks: 2})
def on_v3_mint(state: Any, event: Any, out: Any) -> Any:
    """Liquidity added to a range."""
    _change_range(state, event, event["liquidity"][0], event["liquidity"][1])


@handler(UniswapV3Burn, tables=[pools, ticks, market], max_inserts={ticks: 2})
def on_v3_burn(state: Any, event: Any, out: Any) -> Any:
    """Liquidity taken from a range; a burn of zero only credits fees."""
    high, low = negate128(event["liquidity"][1], event["liquidity"][0])
    _change_range(state, event, low, high)


@jit
def _change_range(state: Any, event: Any, low: Any, high: Any) -> None:
    """Apply a signed liquidity change (i128 words) to both ends of a range and, if in range, to the pool."""
    p = row(state.pools, event["pool"])
    if p["kind"] != KIND_UNISWAP_V3 or (low == 0 and high == 0):
        return
    status = OK
    if (p["flags"] & TICKS_KNOWN) != 0:
        negative_high, negative_low = negate128(high, low)
        status = _change_tick(state, event["pool"], event["tick_lower"], (low, high), (low, high))
        if status == OK:
            status = _change_tick(
                state, event["pool"], event["tick_upper"], (low, high), (negative_low, negative_high)
            )
    if (p["flags"] & PRICE_KNOWN) != 0 and event["tick_lower"] <= p["tick"] < event["tick_upper"]:
        sum_status, sum_high, sum_low = add_delta128(p["liquidity"][1], p["liquidity"][0], high, low)
        if sum_status == OK:
            _set_liquidity(p, sum_low, sum_high)
        else:
            status = sum_status
    if status != OK:
        p["flags"] &= np.uint32(_LOSES_STATE)
    line = row(state.market, event["pool"])
    line["sequence"] = np.uint64(event["sequence"])
    line["timestamp"] = np.uint64(event["event_time_ns"])


@jit
def _change_tick(state: Any, pool: Any, tick: Any, gross: Any, net: Any) -> Any:
    """Add to a tick's gross and net liquidity, given as (low, high) words; a tick without liquidity is removed."""
    at = insert(state.ticks, pool, tick)
    t = row(state.ticks, at)
    t["pool"] = pool
    t["tick"] = tick
    status, high, low = add_delta128(t["liquidity_gross"][1], t["liquidity_gross"][0], gross[1], gross[0])
    if status == OK:
        t["liquidity_gross"][0] = low
        t["liquidity_gross"][1] = high
        status, high, low = add_signed128(t["liquidity_net"][1], t["liquidity_net"][0], net[1], net[0])
        t["liquidity_net"][0] = low
        t["liquidity_net"][1] = high
    if t["liquidity_gross"][0] == 0 and t["liquidity_gross"][1] == 0:
        remove(state.ticks, pool, tick)
    return status


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
    on_v3_mint,
    on_v3_burn,
)
