"""Uniswap V2 and V3, declared as venues like any other.

V2 is the constant-product pool that a venue is by default. A V3 pool stands within a range of its tick map, where it is
one too: with virtual reserves x = L / sqrt(P) and y = L * sqrt(P). A piece ends where the price meets the next
initialized tick, or the end of what the search has looked at; a piece without liquidity is crossed by no input at all.

Source: Uniswap v3-core 1.0.0, UniswapV3Pool.swap; v3-periphery 1.4.4, lens/QuoterV2. Events: UniswapV2Pair,
UniswapV2Factory, UniswapV3Pool, UniswapV3Factory, PancakeV3Pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import find, read, row
from disruptor.handlers import constant_product
from disruptor.handlers import messages as m
from disruptor.handlers.constant_product import net_rates
from disruptor.handlers.fixed_point import OVERFLOW
from disruptor.handlers.pools import pools
from disruptor.handlers.quoting import NO_REASON, NOTHING_SWAPPED, OUTPUT_UNAVAILABLE, Trade
from disruptor.handlers.tick_bitmap import next_initialized_above, next_initialized_below
from disruptor.handlers.tick_math import MAX_TICK, MIN_TICK, sqrt_ratio_at_tick
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT, quote
from disruptor.handlers.venues import GAS_PAIR, CreationLog, PoolLog, Venue
from disruptor.handlers.wide import (
    add,
    bit_length,
    is_zero,
    load,
    load_signed,
    mul,
    negate,
    store,
    sub,
    to_f64,
    u256,
)
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit
from disruptor.status import OK

#: UNITS: gas. A swap by kind; an initialized tick crossed.
GAS_V2, GAS_V3, GAS_TICK = GAS_PAIR, 110_000, 25_000
_MILLION = 1_000_000
_MILLIONTH = 1e-6
_TWO_MINUS_96 = 2.0**-96
#: Words of the tick bitmap looked at for the end of a piece. An optimum is rarely further away.
_WORDS = 8
#: Pieces without liquidity skipped at one go: every look-out, and every tick, of a map with spacing 1.
_MAX_EMPTY = 16_384
_ANY = U256(2**256 - 1)


@jit
def _tradable(state: Any, pool: Any) -> bool:
    p = read(state.pools, pool)
    return (p["sqrt_price_x96"][0] | p["sqrt_price_x96"][1] | p["sqrt_price_x96"][2]) != 0


@jit
def _rates(state: Any, pool: Any) -> Any:
    """A pool without liquidity at its price keeps the price's rate: beyond the gap it can only be worse."""
    p = read(state.pools, pool)
    root = to_f64(load(p["sqrt_price_x96"])) * _TWO_MINUS_96
    return net_rates(root * root, p["fee"])


@jit
def _price(state: Any, pool: Any, zero_for_one: Any) -> Any:
    p = read(state.pools, pool)
    whole = load(p["sqrt_price_x96"])
    dropped = max(np.int64(bit_length(whole)) - 128, np.int64(0))
    root = whole >> dropped
    return mul(root, root), u256(np.uint64(1)), 2 * dropped - 192, np.int64(p["fee"])


@jit
def _gas(state: Any, pool: Any, crossed: Any) -> Any:
    return np.int64(GAS_V3) + np.int64(GAS_TICK) * np.int64(crossed)


@jit
def _piece(state: Any, pool: Any, k: Any, zero_for_one: Any, number: Any) -> bool:
    """The range at the pool's price, then one range after another; those without liquidity are skipped."""
    cell = row(state.hop_cells, k)
    if number == 0:
        p = read(state.pools, pool)
        cell["kept"] = np.float64(_MILLION - np.int64(p["fee"])) * _MILLIONTH
        cell["tick"] = p["tick"]
        cell["sqrt_price"] = to_f64(load(p["sqrt_price_x96"])) * _TWO_MINUS_96
        store(cell["liquidity"], load(p["liquidity"]))
    elif not _cross(state, k):
        return False
    return _enter(state, k)


@jit
def _cross(state: Any, k: Any) -> bool:
    """Step over the tick at the end of a piece: liquidity changes if it is initialized."""
    cell = row(state.hop_cells, k)
    end = cell["boundary_tick"]
    if end <= MIN_TICK or end >= MAX_TICK:
        return False
    falling = cell["zero_for_one"] != 0
    if cell["boundary_initialized"] != 0:
        at = find(state.ticks, cell["pool"], end)
        if at < 0:
            return False
        net = load_signed(read(state.ticks, at)["liquidity_net"])
        liquidity = load(cell["liquidity"])
        store(cell["liquidity"], sub(liquidity, net) if falling else add(liquidity, net))
        cell["crossed"] += np.uint32(1)
    cell["tick"] = end - np.int32(1) if falling else end
    cell["sqrt_price"] = _root_at(end)
    return True


@jit
def _root_at(tick: Any) -> Any:
    _, ratio = sqrt_ratio_at_tick(np.int64(tick))
    return to_f64(ratio) * _TWO_MINUS_96


@jit
def _end_of_piece(state: Any, pool: Any, tick: Any, falling: Any) -> Any:
    """(tick, initialized): the next initialized tick, or where the look-out of `_WORDS` ends."""
    spacing = max(np.int64(read(state.pools, pool)["tick_spacing"]), np.int64(1))
    compressed = np.int64(tick) // spacing
    if falling:
        found, initialized = next_initialized_below(state, pool, compressed, _WORDS)
        return max(found * spacing, np.int64(MIN_TICK)), initialized
    found, initialized = next_initialized_above(state, pool, compressed + 1, _WORDS)
    return min(found * spacing, np.int64(MAX_TICK)), initialized


@jit
def _enter(state: Any, k: Any) -> bool:
    """Compute the piece that begins at the cell's price; pieces without liquidity are skipped."""
    cell = row(state.hop_cells, k)
    falling = cell["zero_for_one"] != 0
    for _ in range(_MAX_EMPTY):
        end, initialized = _end_of_piece(state, cell["pool"], cell["tick"], falling)
        cell["boundary_tick"], cell["boundary_initialized"] = np.int32(end), np.uint32(initialized)
        liquidity = to_f64(load(cell["liquidity"]))
        if liquidity > 0.0:
            here, there = cell["sqrt_price"], _root_at(end)
            if falling:
                cell["depth_in"], cell["depth_out"] = liquidity / here, liquidity * here
                input_room = liquidity / there - cell["depth_in"]
            else:
                cell["depth_in"], cell["depth_out"] = liquidity * here, liquidity / here
                input_room = liquidity * there - cell["depth_in"]
            cell["room"] = max(input_room, 0.0) / cell["kept"]
            return True
        if not _cross(state, k):
            return False
    return False


@jit
def _trade(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> Trade:
    """What QuoterV2 answers. An output that can't be paid in full is refused, unless a limit was given."""
    limited = not is_zero(limit)
    stop = limit
    if not limited:
        stop = LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT
    o = quote(state, pool, zero_for_one, exact_in, amount, stop)
    amount_in, gone = (o.amount0, o.amount1) if zero_for_one else (o.amount1, o.amount0)
    status, partial = np.int64(o.status), not is_zero(o.remaining)
    if status == OVERFLOW:
        status = np.int64(NO_REASON)
    if status == OK and is_zero(amount_in) and is_zero(gone):
        status = np.int64(NOTHING_SWAPPED)
    if status == OK and partial and not exact_in and not limited:
        status = np.int64(OUTPUT_UNAVAILABLE)
    return Trade(status, amount_in, negate(gone), partial, o.sqrt_price, o.tick, o.liquidity)


@jit
def _move(state: Any, pool: Any, zero_for_one: Any, amount_in: U256, made: Trade) -> Any:
    p = row(state.pools, pool)
    store(p["sqrt_price_x96"], made.sqrt_price)
    store(p["liquidity"], made.liquidity)
    p["tick"] = np.int32(made.tick)
    return np.int64(OK)


_TICKS = ("tick tick_lower", "tick tick_upper")
_V3_SWAP = ("int256 amount0", "int256 amount1", "uint160 sqrt_price_x96", "uint128 liquidity", "tick tick")
_V3_MOVED = ("uint128 liquidity", "uint256 amount0", "uint256 amount1")
_TWO = ("address", "address")
_TOKENS = ("address token0", "address token1")

# fmt: off
UNISWAP_V2 = Venue(
    kind=m.KIND_UNISWAP_V2,
    name="uniswap_v2",
    rates=constant_product.rates,
    gas=GAS_V2,
    creations=(
        CreationLog("0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9",
                    _TOKENS, ("address pool", "uint256")),
    ),
    logs=(
        PoolLog(m.UniswapV2Sync, "1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1",
                (), ("uint112 reserve0", "uint112 reserve1"), settles=True),
        PoolLog(m.UniswapV2Swap, "d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822", _TWO,
                ("uint256 amount0_in", "uint256 amount1_in", "uint256 amount0_out", "uint256 amount1_out")),
        PoolLog(m.UniswapV2Mint, "4c209b5fc8ad50758f13e2e1088ba56a560dff690a1c6fef26394f4c03821c4f",
                ("address",), ("uint256 amount0", "uint256 amount1")),
        PoolLog(m.UniswapV2Burn, "dccd412f0b1252819cb1fd330b93224ca42612892bb3f4f789976e6d81936496",
                _TWO, ("uint256 amount0", "uint256 amount1")),
    ),
)
UNISWAP_V3 = Venue(
    kind=m.KIND_UNISWAP_V3,
    name="uniswap_v3",
    moves={pools: ("sqrt_price_x96", "liquidity", "tick")},
    tradable=_tradable,
    rates=_rates,
    price=_price,
    piece=_piece,
    trade=_trade,
    most_in=_ANY,
    move=_move,
    gas=_gas,
    takes_limit=True,
    creations=(
        CreationLog("783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118",
                    (*_TOKENS, "fee fee"), ("spacing tick_spacing", "address pool")),
    ),
    logs=(
        PoolLog(m.UniswapV3Initialize, "98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95",
                (), ("uint160 sqrt_price_x96", "tick tick")),
        PoolLog(m.UniswapV3Swap, "c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67",
                _TWO, _V3_SWAP),
        # PancakeSwap V3 adds the two protocol fees to the same five words.
        PoolLog(m.UniswapV3Swap, "19b47279256b2a23a1665c810c8d55a1758940ee09377d4f8d26497a3577dc83",
                _TWO, (*_V3_SWAP, "uint128", "uint128")),
        PoolLog(m.UniswapV3Mint, "7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde",
                ("address", *_TICKS), ("address", *_V3_MOVED)),
        PoolLog(m.UniswapV3Burn, "0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c",
                ("address", *_TICKS), _V3_MOVED),
        PoolLog(m.UniswapV3Collect, "70935338e69775456a85ddef226c395fb668b63fa0115f5f20610b388e6ca9c0",
                ("address owner", *_TICKS), ("address", "uint128 amount0", "uint128 amount1")),
        PoolLog(m.UniswapV3Flash, "bdbdb71d7860376ba52b25a5028beea23581364a40522f6bcfb86bb1f2dca633", _TWO,
                ("uint256 amount0", "uint256 amount1", "uint256 paid0", "uint256 paid1")),
        PoolLog(m.UniswapV3SetFeeProtocol, "973d8d92bb299f4af6ce49b52a8adb85ae46b9f214c4c4fc06ac77401237b133", (),
                ("uint8 fee_protocol0_old", "uint8 fee_protocol1_old",
                 "uint8 fee_protocol0_new", "uint8 fee_protocol1_new")),
        PoolLog(m.UniswapV3CollectProtocol, "596b573906218d3411850b26a6b437d6c4522fdb43d2d2386263f86d50b8b151",
                _TWO, ("uint128 amount0", "uint128 amount1")),
        PoolLog(m.UniswapV3IncreaseObservationCardinalityNext,
                "ac49e518f90a358f652e4400164f05a5d8f7e35e7747279bc3a93dbf584e125a",
                (), ("uint16 cardinality_old", "uint16 cardinality_new")),
    ),
)
# fmt: on

#: The venues that every handler set has.
BUILT_IN = (UNISWAP_V2, UNISWAP_V3)
