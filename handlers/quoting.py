"""How a quote is answered, whatever kind of pool gives it: `Trade`, and what it says where a contract would refuse.

V2 answers as UniswapV2Library does, V3 as QuoterV2, a venue of a user's own as its contracts do. An exact input may be
used up only in part (V3 runs out of liquidity, or meets the limit). A quote changes nothing, and does not ask whether
the tracked state is the chain's: callers do that.

Source: Uniswap v2-periphery 1.1.0, UniswapV2Library; v3-periphery 1.4.4, lens/QuoterV2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from disruptor.handlers import reverts
from disruptor.handlers.fixed_point import OVERFLOW
from disruptor.handlers.wide import u256
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
def filled(amount_in: U256, amount_out: U256) -> Trade:
    """A trade that takes and pays these amounts, all that was asked for."""
    return Trade(np.int64(OK), amount_in, amount_out, False, u256(0), np.int64(0), u256(0))


@jit
def refused(status: Any) -> Trade:
    """No trade: a status of `REASONS`, or any from 1000 on for a venue of a user's own."""
    return Trade(np.int64(status), u256(0), u256(0), False, u256(0), np.int64(0), u256(0))
