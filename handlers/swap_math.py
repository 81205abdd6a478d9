"""Uniswap V3's SwapMath and LiquidityMath: one step of a swap at constant liquidity, and what a crossed tick adds.

A step moves the price towards a target until the amount is used up or the target is reached. The fee is taken from the
input: what was offered beyond the input, where the price stops short of the target, else the input's share rounded up.

Amounts are magnitudes here, with a flag for what is exact; the contract has one signed number for both.

Source: Uniswap v3-core 1.0.0, libraries/SwapMath.sol and LiquidityMath.sol.
"""

from __future__ import annotations

from typing import Any

from disruptor.handlers.fixed_point import mul_div, mul_div_rounding_up
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.reverts import (
    FEE_OUT_OF_RANGE,
    LIQUIDITY_OVERFLOW,
    LIQUIDITY_UNDERFLOW,
    PRICE_OUT_OF_RANGE,
)
from disruptor.handlers.sqrt_price_math import (
    next_price_from_input,
    next_price_from_output,
    token0_between,
    token1_between,
)
from disruptor.handlers.wide import (
    U128,
    U256,
    add,
    bit_length,
    high,
    is_negative,
    is_zero,
    mul,
    mul_wide,
    narrow,
    sub,
    u256,
    widen,
)
from disruptor.jit import jit
from disruptor.status import OK

MILLION = 1_000_000
_MILLION = U256(MILLION)
_NOTHING = U256(0)
#: Division by 1,000,000 as a product: x * ceil(2^147 / 10^6) / 2^147 is less than x * 10^6 / 2^147 / 10^6 too large,
#: for x below 2^127 less than the millionth that would change the floor.
_SHORT_BITS = 107
_MILLIONTH, _MILLIONTH_SHIFT = U128(-(-(2**147) // MILLION)), 147 - 128
_LIQUIDITY_BITS = 128


@jit
def compute_swap_step(
    price: U256, target: U256, liquidity: U256, remaining: U256, exact_in: Any, fee: Any
) -> tuple[int, U256, U256, U256, U256]:
    """Swap at constant liquidity until the amount is used up or the price reaches its target.

    Parameters
    ----------
    price, target : U256, Q64.96 below 2^160; a target at or below the price means zero for one
    liquidity : U256 below 2^128
    remaining : U256 below 2^255, of the input if `exact_in`, else of the output
    fee : int64, millionths

    Returns
    -------
    (status, price, amount_in, amount_out, fee_amount) : `OK`; `FEE_OUT_OF_RANGE` from 100 % on, `PRICE_OUT_OF_RANGE`
        where a price is zero, or a status of `next_price_from_input`. `fee_amount` comes on top of `amount_in`.

    Source
    ------
    SwapMath.computeSwapStep.
    """
    never_inlined()
    if fee < 0 or fee >= MILLION:
        return FEE_OUT_OF_RANGE, price, _NOTHING, _NOTHING, _NOTHING
    if is_zero(price) or is_zero(target):
        return PRICE_OUT_OF_RANGE, price, _NOTHING, _NOTHING, _NOTHING
    zero_for_one = price >= target
    status, after = OK, target
    if exact_in:
        offered = less_fee(remaining, fee)
        amount_in = amount_in_between(price, target, liquidity, zero_for_one)
        if offered < amount_in:
            status, after = next_price_from_input(price, liquidity, offered, zero_for_one)
            amount_in = amount_in_between(price, after, liquidity, zero_for_one)
        amount_out = amount_out_between(price, after, liquidity, zero_for_one)
        if after != target:
            return status, after, amount_in, amount_out, sub(remaining, amount_in)
    else:
        amount_out = amount_out_between(price, target, liquidity, zero_for_one)
        if remaining < amount_out:
            status, after = next_price_from_output(price, liquidity, remaining, zero_for_one)
            amount_out = amount_out_between(price, after, liquidity, zero_for_one)
        amount_in = amount_in_between(price, after, liquidity, zero_for_one)
        if amount_out > remaining:
            amount_out = remaining
    if status != OK:
        return status, price, _NOTHING, _NOTHING, _NOTHING
    status, fee_amount = mul_div_rounding_up(amount_in, u256(fee), u256(MILLION - fee))
    return status, after, amount_in, amount_out, fee_amount


@jit
def less_fee(amount: U256, fee: Any) -> U256:
    """An input without its fee: amount * (1,000,000 - fee) / 1,000,000, rounded down."""
    if bit_length(amount) > _SHORT_BITS:
        _, rest = mul_div(amount, u256(MILLION - fee), _MILLION)
        return rest
    product = mul(narrow(amount), narrow(u256(MILLION - fee)))
    return widen(high(mul_wide(product, _MILLIONTH)) >> _MILLIONTH_SHIFT)


@jit
def amount_in_between(price: U256, to: U256, liquidity: U256, zero_for_one: Any) -> U256:
    """What moving the price takes in, rounded up."""
    if zero_for_one:
        return token0_between(price, to, liquidity, True)
    return token1_between(price, to, liquidity, True)


@jit
def amount_out_between(price: U256, to: U256, liquidity: U256, zero_for_one: Any) -> U256:
    """What moving the price pays out, rounded down."""
    if zero_for_one:
        return token1_between(price, to, liquidity, False)
    return token0_between(price, to, liquidity, False)


@jit
def add_delta(liquidity: U256, change: U256) -> tuple[int, U256]:
    """Liquidity after a signed change.

    Parameters
    ----------
    liquidity : U256 below 2^128
    change : U256, an i128 in two's complement

    Returns
    -------
    (status, liquidity) : `OK`; `LIQUIDITY_UNDERFLOW` or `LIQUIDITY_OVERFLOW` and the sum modulo 2^256.

    Source
    ------
    LiquidityMath.addDelta, which reverts with LS and LA.
    """
    total = add(liquidity, change)
    if is_negative(total):
        return LIQUIDITY_UNDERFLOW, total
    if bit_length(total) > _LIQUIDITY_BITS:
        return LIQUIDITY_OVERFLOW, total
    return OK, total
