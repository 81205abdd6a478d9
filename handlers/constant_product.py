"""A pool with two reserves x and y whose product no swap makes fall: Uniswap V2's rules, over the row of `pools`.

These are what a venue has whose declaration names nothing else (`disruptor.handlers.venues`). The reserves are those
in the pool's row, the fee is the one that it was registered with.

Source: Uniswap v2-periphery 1.1.0, UniswapV2Library; v2-core 1.0.1, UniswapV2Pair.swap and _update.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.curve_pieces import product_piece
from disruptor.handlers.fixed_point import OVERFLOW, checked_mul
from disruptor.handlers.quoting import (
    OUTPUT_ABOVE_RESERVE,
    OUTPUT_IS_RESERVE,
    PAIR_PAYS_NOTHING,
    Trade,
)
from disruptor.handlers.reverts import INSUFFICIENT_LIQUIDITY, RESERVE_OVERFLOW
from disruptor.handlers.uniswap_v2 import get_amount_in, get_amount_out
from disruptor.handlers.wide import add, bit_length, is_zero, load, store, sub, to_f64, u256
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit
from disruptor.status import OK

_MILLION = 1_000_000
_MILLIONTH = 1e-6
_RESERVE_BITS = 112
#: The largest reserve that a V2 pair can hold.
_MAX_RESERVE = U256(2**_RESERVE_BITS - 1)
_NOTHING = U256(0)


@jit
def has_reserves(state: Any, pool: Any) -> bool:
    """Whether there is something on both sides."""
    p = read(state.pools, pool)
    has0 = (p["reserve0"][0] | p["reserve0"][1]) != 0
    return has0 and (p["reserve1"][0] | p["reserve1"][1]) != 0


@jit
def net_rates(price: Any, fee: Any) -> Any:
    """What one unit buys both ways (float64) at a price of token0 in token1, and a fee in millionths."""
    kept = np.float64(_MILLION - np.int64(fee)) * _MILLIONTH
    if price > 0.0:
        return kept * price, kept / price
    return 0.0, 0.0


@jit
def rates(state: Any, pool: Any) -> Any:
    """What one unit buys at the margin, both ways."""
    p = read(state.pools, pool)
    return net_rates(to_f64(load(p["reserve1"])) / to_f64(load(p["reserve0"])), p["fee"])


def rates_of(price: Any) -> Any:
    """The marginal rates of a venue that names only its price: a function (state, pool)."""

    def rates(state: Any, pool: Any) -> Any:
        n, d, e, fee = price(state, pool, True)
        falling, _ = net_rates(math.ldexp(to_f64(n) / to_f64(d), int(e)), fee)
        n, d, e, fee = price(state, pool, False)
        _, rising = net_rates(math.ldexp(to_f64(n) / to_f64(d), int(e)), fee)
        return falling, rising

    return rates


@jit
def price(state: Any, pool: Any, zero_for_one: Any) -> Any:
    """(n, d, e, fee): token1 for one token0 is n / d * 2^e before the fee."""
    p = read(state.pools, pool)
    return load(p["reserve1"]), load(p["reserve0"]), np.int64(0), np.int64(p["fee"])


@jit
def piece(state: Any, pool: Any, k: Any, zero_for_one: Any, number: Any) -> bool:
    """The one piece that there is: all of the reserves."""
    if number > 0:
        return False
    p = read(state.pools, pool)
    kept = np.float64(_MILLION - np.int64(p["fee"])) * _MILLIONTH
    reserve0, reserve1 = to_f64(load(p["reserve0"])), to_f64(load(p["reserve1"]))
    depths = (reserve0, reserve1) if zero_for_one else (reserve1, reserve0)
    return product_piece(state, k, depths, kept, np.inf)


@jit
def trade(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> Trade:
    """What the library answers."""
    p = read(state.pools, pool)
    reserve_in, reserve_out = load(p["reserve0"]), load(p["reserve1"])
    if not zero_for_one:
        reserve_in, reserve_out = reserve_out, reserve_in
    fee = np.int64(p["fee"])
    if exact_in:
        status, other = get_amount_out(amount, reserve_in, reserve_out, fee)
        amount_in, amount_out = amount, other
    else:
        status, other = get_amount_in(amount, reserve_in, reserve_out, fee)
        amount_in, amount_out = other, amount
        if status == INSUFFICIENT_LIQUIDITY:
            status = _why_unpaid(amount, reserve_in, reserve_out)
    return Trade(np.int64(status), amount_in, amount_out, False, u256(0), np.int64(0), u256(0))


@jit
def _why_unpaid(amount_out: U256, reserve_in: U256, reserve_out: U256) -> int:
    """What the library stumbles over where a pair can't pay an output: its product comes before its difference."""
    if is_zero(reserve_in) or is_zero(reserve_out):
        return INSUFFICIENT_LIQUIDITY
    status, product = checked_mul(reserve_in, amount_out)
    if status == OK:
        status, product = checked_mul(product, u256(1000))
    if status != OK:
        return OVERFLOW
    return OUTPUT_IS_RESERVE if amount_out == reserve_out else OUTPUT_ABOVE_RESERVE


@jit
def most_in(state: Any, pool: Any, zero_for_one: Any) -> U256:
    """What still fits: a pair reverts rather than hold more than 112 bits."""
    p = read(state.pools, pool)
    return room_of(load(p["reserve0"]) if zero_for_one else load(p["reserve1"]))


@jit
def room_of(reserve: U256) -> U256:
    """What still fits beside a reserve."""
    return sub(_MAX_RESERVE, reserve) if reserve < _MAX_RESERVE else _NOTHING


@jit
def move(state: Any, pool: Any, zero_for_one: Any, amount_in: U256, made: Trade) -> Any:
    """Trade with the pair: what it refuses although the library answers; the row is changed only if it does not."""
    if is_zero(made.amount_out):
        return np.int64(PAIR_PAYS_NOTHING)
    p = row(state.pools, pool)
    paid, left = (p["reserve0"], p["reserve1"]) if zero_for_one else (p["reserve1"], p["reserve0"])
    balance = add(load(paid), amount_in)
    if bit_length(amount_in) > _RESERVE_BITS or bit_length(balance) > _RESERVE_BITS:
        return np.int64(RESERVE_OVERFLOW)
    store(paid, balance)
    store(left, sub(load(left), made.amount_out))
    return np.int64(OK)
