"""What a trade with one pool would pay, whatever kind of pool it is: the answers of Uniswap's own quoters.

V2 answers as UniswapV2Library does, V3 as QuoterV2. An exact input may be used up only in part (V3 runs out of
liquidity, or meets the limit); an exact output that a V3 pool can't pay in full is refused, unless a limit was given.
Nothing is changed here, and nothing is asked about whether the tracked state is the chain's: callers do that.

Source: Uniswap v2-periphery 1.1.0, UniswapV2Library; v3-periphery 1.4.4, lens/QuoterV2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from disruptor.access import read
from disruptor.handlers import reverts
from disruptor.handlers.fixed_point import OVERFLOW, checked_mul
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.reverts import INSUFFICIENT_LIQUIDITY
from disruptor.handlers.uniswap_v2 import get_amount_in, get_amount_out
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT, quote
from disruptor.handlers.wide import is_zero, load, negate, u256
from disruptor.handlers.wide_type import U256
from disruptor.jit import jit
from disruptor.status import OK

# Statuses of quotes beside those of `disruptor.handlers.reverts`.
UNKNOWN_POOL = 200
NOT_CREATED = 201
INCOMPLETE = 202
FEE_UNKNOWN = 203
LIMIT_NOT_TAKEN = 204
AFTER_END = 205
BEYOND_U256 = 206
HOPS_APART = 207
OUTPUT_UNAVAILABLE = 210
NOTHING_SWAPPED = 211
OUTPUT_ABOVE_RESERVE = 212
OUTPUT_IS_RESERVE = 213
PAIR_PAYS_NOTHING = 214
NO_REASON = 215

_LIBRARY, _PAIR = "UniswapV2Library", "UniswapV2"
#: What QuoterV2 says for a pool, or a callback of its own, that reverts without a reason.
_QUOTER = "Unexpected error"
#: What an answer says for each status: the contract's own words where it has any.
REASONS: dict[int, str] = {
    **reverts.REASONS,
    reverts.INSUFFICIENT_INPUT_AMOUNT: f"{_LIBRARY}: INSUFFICIENT_INPUT_AMOUNT",
    reverts.INSUFFICIENT_OUTPUT_AMOUNT: f"{_LIBRARY}: INSUFFICIENT_OUTPUT_AMOUNT",
    reverts.INSUFFICIENT_LIQUIDITY: f"{_LIBRARY}: INSUFFICIENT_LIQUIDITY",
    reverts.RESERVE_OVERFLOW: f"{_PAIR}: OVERFLOW",
    OVERFLOW: "ds-math-mul-overflow",
    OUTPUT_UNAVAILABLE: _QUOTER,
    NOTHING_SWAPPED: _QUOTER,
    OUTPUT_ABOVE_RESERVE: "ds-math-sub-underflow",
    OUTPUT_IS_RESERVE: "division by zero",
    NO_REASON: _QUOTER,
    reverts.PRICE_OVERFLOW: _QUOTER,
    reverts.NO_LIQUIDITY: _QUOTER,
    PAIR_PAYS_NOTHING: f"{_PAIR}: INSUFFICIENT_OUTPUT_AMOUNT",
    UNKNOWN_POOL: "unknown pool",
    NOT_CREATED: "pool not created yet",
    INCOMPLETE: "incomplete pool",
    FEE_UNKNOWN: "fee unknown",
    LIMIT_NOT_TAKEN: "price limit on other than one Uniswap V3 pool",
    AFTER_END: "block after the end of the stream",
    BEYOND_U256: "amount beyond uint256",
    HOPS_APART: "hop takes another token than the one before pays",
}
_NO_LIMIT = U256(0)
_NOTHING = U256(0)


class Trade(NamedTuple):
    """What a trade does.

    status : int64; `OK`, or a key of `REASONS`, and then nothing else has a meaning
    amount_in, amount_out : U256
    partial : bool, the exact amount was not used up
    sqrt_price, tick, liquidity : U256, int64, U256: of a V3 pool after the trade, else 0
    """

    status: Any
    amount_in: Any
    amount_out: Any
    partial: Any
    sqrt_price: Any
    tick: Any
    liquidity: Any


@jit
def trade(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> Trade:
    """What a trade with a pool would do; changes nothing.

    Parameters
    ----------
    pool : id of a pool of any kind, within the table
    zero_for_one : bool, token0 comes in
    exact_in : bool, `amount` comes in; else it goes out
    amount : U256, raw units
    limit : U256, Q64.96, where a V3 pool's price stops; 0 for none. V2 pools look at none
    """
    kind = read(state.pools, pool)["kind"]
    if kind == KIND_UNISWAP_V2:
        return _trade_v2(state, pool, zero_for_one, exact_in, amount)
    if kind == KIND_UNISWAP_V3:
        return _trade_v3(state, pool, zero_for_one, exact_in, amount, limit)
    return _refused(UNKNOWN_POOL)


@jit
def quote_exact_in(state: Any, pool: Any, zero_for_one: Any, amount: U256) -> tuple[int, U256, bool]:
    """What an input buys of a pool of any kind: (status, amount out, whether only a part of the input was used)."""
    t = trade(state, pool, zero_for_one, True, amount, _NO_LIMIT)
    return t.status, t.amount_out, t.partial


@jit
def quote_exact_out(state: Any, pool: Any, zero_for_one: Any, amount: U256) -> tuple[int, U256, bool]:
    """What buys an output of a pool of any kind: (status, amount in, False), for an output is paid in full or not."""
    t = trade(state, pool, zero_for_one, False, amount, _NO_LIMIT)
    return t.status, t.amount_in, t.partial


@jit
def _refused(status: Any) -> Trade:
    return Trade(np.int64(status), u256(0), u256(0), False, u256(0), np.int64(0), u256(0))


@jit
def _trade_v2(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256) -> Trade:
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
def _trade_v3(state: Any, pool: Any, zero_for_one: Any, exact_in: Any, amount: U256, limit: U256) -> Trade:
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
