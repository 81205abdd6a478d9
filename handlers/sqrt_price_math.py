"""Uniswap V3's SqrtPriceMath: how amounts, liquidity and the square root of the price move one another.

Within a range of constant liquidity L, with s the square root of the price, token0 reserves are L / s and token1
reserves L * s. Every function rounds as the contract does, always in the pool's favour: what is paid in rounds up, what
is paid out rounds down, and a price never moves further than what was paid for.

Prices are Q64.96 below 2^160, liquidity is below 2^128: the caller promises that, as their storage on the chain does.
With that, no difference of amounts can overflow; what else the contract refuses is a status.

Source: Uniswap v3-core 1.0.0, libraries/SqrtPriceMath.sol.
"""

from __future__ import annotations

from typing import Any

from disruptor.handlers.fixed_point import (
    checked_add,
    checked_mul,
    div_rounding_up,
    divide,
    mul_div,
    mul_div_rounding_up,
)
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.reverts import NO_LIQUIDITY, PRICE_OUT_OF_RANGE, PRICE_OVERFLOW
from disruptor.handlers.wide import (
    U256,
    U512,
    add,
    bit_length,
    is_negative,
    is_zero,
    mul,
    mul_wide,
    narrow,
    negate,
    sub,
    u256,
)
from disruptor.jit import jit
from disruptor.status import OK

_RESOLUTION = 96
_LOW96 = U512((1 << _RESOLUTION) - 1)
_NO_REST = U512(0)
_Q96 = U256(1 << _RESOLUTION)
_PRICE_BITS, _BITS = 160, 256
_NOTHING = U256(0)


@jit
def amount0_delta(a: U256, b: U256, liquidity: U256, round_up: Any) -> tuple[int, U256]:
    """Token0 between two prices at constant liquidity: liquidity * (1 / lower - 1 / upper).

    Parameters
    ----------
    a, b : U256, Q64.96, square roots of prices in either order
    liquidity : U256 below 2^128
    round_up : bool, else down

    Returns
    -------
    (status, amount) : `OK`; `PRICE_OUT_OF_RANGE` and 0 where a price is zero.
    """
    if is_zero(a) or is_zero(b):
        return PRICE_OUT_OF_RANGE, _NOTHING
    return OK, token0_between(a, b, liquidity, round_up)


@jit
def token0_between(a: U256, b: U256, liquidity: U256, round_up: Any) -> U256:
    """`amount0_delta` of prices that are not zero.

    The contract divides by one price and then by the other. Rounding twice in one direction is rounding once, so one
    division by their product gives the same number; only where the product is too long are there two.
    """
    never_inlined()
    lower, upper = (b, a) if a > b else (a, b)
    shifted, difference = liquidity << _RESOLUTION, sub(upper, lower)
    if bit_length(lower) + bit_length(upper) <= _BITS:
        product = mul(lower, upper)
        if round_up:
            _, amount = mul_div_rounding_up(shifted, difference, product)
        else:
            _, amount = mul_div(shifted, difference, product)
        return amount
    if round_up:
        _, scaled = mul_div_rounding_up(shifted, difference, upper)
        _, amount = div_rounding_up(scaled, lower)
        return amount
    _, scaled = mul_div(shifted, difference, upper)
    amount, _ = divide(scaled, lower)
    return amount


@jit
def token1_between(a: U256, b: U256, liquidity: U256, round_up: Any) -> U256:
    """Token1 between two prices at constant liquidity: liquidity * (upper - lower). See `amount0_delta`."""
    difference = sub(a, b) if a > b else sub(b, a)
    product = mul_wide(liquidity, difference)
    amount = narrow(product >> _RESOLUTION)
    if round_up and (product & _LOW96) != _NO_REST:
        return add(amount, u256(1))
    return amount


@jit
def signed_amount0_delta(a: U256, b: U256, change: U256) -> tuple[int, U256]:
    """Token0 that a change of liquidity takes in (rounded up) or, negative, pays out (rounded down).

    Parameters
    ----------
    a, b : U256, Q64.96, the range in either order
    change : U256, an i128 in two's complement

    Returns
    -------
    (status, amount) : as `amount0_delta`; the amount is signed, in two's complement.
    """
    if is_negative(change):
        status, amount = amount0_delta(a, b, negate(change), False)
        return status, negate(amount)
    return amount0_delta(a, b, change, True)


@jit
def signed_amount1_delta(a: U256, b: U256, change: U256) -> U256:
    """Token1 for a change of liquidity, signed. See `signed_amount0_delta`."""
    if is_negative(change):
        return negate(token1_between(a, b, negate(change), False))
    return token1_between(a, b, change, True)


@jit
def next_price_from_input(price: U256, liquidity: U256, amount: U256, zero_for_one: Any) -> tuple[int, U256]:
    """The price after an input of token0 (zero for one) or token1.

    Returns
    -------
    (status, price) : `OK`; `NO_LIQUIDITY`, `PRICE_OUT_OF_RANGE` (price zero), `PRICE_OVERFLOW`, or a status of
        `fixed_point`, each with a price of no meaning.
    """
    if is_zero(price):
        return PRICE_OUT_OF_RANGE, _NOTHING
    if is_zero(liquidity):
        return NO_LIQUIDITY, _NOTHING
    if zero_for_one:
        return next_price_from_amount0(price, liquidity, amount, True)
    return next_price_from_amount1(price, liquidity, amount, True)


@jit
def next_price_from_output(price: U256, liquidity: U256, amount: U256, zero_for_one: Any) -> tuple[int, U256]:
    """The price after an output of token1 (zero for one) or token0. See `next_price_from_input`."""
    if is_zero(price):
        return PRICE_OUT_OF_RANGE, _NOTHING
    if is_zero(liquidity):
        return NO_LIQUIDITY, _NOTHING
    if zero_for_one:
        return next_price_from_amount1(price, liquidity, amount, False)
    return next_price_from_amount0(price, liquidity, amount, False)


@jit
def next_price_from_amount0(price: U256, liquidity: U256, amount: U256, added: Any) -> tuple[int, U256]:
    """The price, rounded up, after token0 is added to or removed from virtual reserves.

    liquidity * price / (liquidity +- amount * price), and with a sum that overflows liquidity / (liquidity / price +
    amount), which rounds differently: the contract's two formulas are not one.
    """
    if is_zero(amount):
        return OK, price
    shifted = liquidity << _RESOLUTION
    product_status, product = checked_mul(amount, price)
    if not added:
        if product_status != OK or product >= shifted:
            return PRICE_OVERFLOW, _NOTHING
        status, found = mul_div_rounding_up(shifted, price, sub(shifted, product))
        return _as_price(status, found)
    sum_status, total = checked_add(shifted, product)
    if product_status == OK and sum_status == OK:
        return mul_div_rounding_up(shifted, price, total)
    reserve, _ = divide(shifted, price)
    status, total = checked_add(reserve, amount)
    if status != OK:
        return status, _NOTHING
    return div_rounding_up(shifted, total)


@jit
def next_price_from_amount1(price: U256, liquidity: U256, amount: U256, added: Any) -> tuple[int, U256]:
    """The price, rounded down, after token1 is added to or removed from virtual reserves: price +- amount / L."""
    if added:
        status, moved = mul_div(amount, _Q96, liquidity)
        if status != OK:
            return status, _NOTHING
        status, found = checked_add(price, moved)
        return _as_price(status, found)
    status, moved = mul_div_rounding_up(amount, _Q96, liquidity)
    if status != OK or moved >= price:
        return PRICE_OVERFLOW, _NOTHING
    return OK, sub(price, moved)


@jit
def _as_price(status: Any, found: U256) -> tuple[int, U256]:
    """What fits a uint160."""
    if status != OK:
        return status, _NOTHING
    if bit_length(found) > _PRICE_BITS:
        return PRICE_OVERFLOW, _NOTHING
    return OK, found
