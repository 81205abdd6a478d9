"""Uniswap V2's arithmetic for any fee: quotes both ways, and the pair's own check of a swap.

A pair keeps x * y from falling, the fee left out of x. The contracts count the fee in thousandths: of an input, 997 of
1000 parts trade. Forks have other fees, here in millionths: (1,000,000 - fee) of 1,000,000 parts. For 3000 millionths
that is 997,000 of 1,000,000, the same fraction after cancelling, and floor(a / b) = floor(ka / kb): the same amounts.
Only where an overflow reverts would differ, so a fee of whole thousandths is counted in thousandths, and reverts where
the contract does.

Amounts and reserves are U256: the library takes a uint256 for an amount, and what is too large must be refused as it
refuses it.

Source: Uniswap v2-periphery 1.1.0, UniswapV2Library; v2-core 1.0.1, UniswapV2Pair.swap and _update.
"""

from __future__ import annotations

from typing import Any

from disruptor.handlers.division import divide_by_128, quotient_of_128
from disruptor.handlers.fixed_point import checked_add, checked_mul, divide
from disruptor.handlers.inlining import always_inlined, never_inlined
from disruptor.handlers.reverts import (
    FEE_OUT_OF_RANGE,
    INSUFFICIENT_INPUT_AMOUNT,
    INSUFFICIENT_LIQUIDITY,
    INSUFFICIENT_OUTPUT_AMOUNT,
    K_DECREASED,
    RESERVE_OVERFLOW,
)
from disruptor.handlers.wide import (
    U128,
    U256,
    add,
    bit_length,
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
_THOUSAND = 1_000
_RESERVE_BITS = 112
#: Numbers below, which is all but those of the most inflated tokens, fit 128 bits with 20 bits of fee and a carry.
_LONG = U256(1 << 107)
_NOTHING, _NONE_ABOVE = U256(0), U128(0)


@jit
def parts(fee: Any) -> tuple[int, int]:
    """How many parts of an input trade, and of how many: 997 of 1000 for a fee (int64) of 3000 millionths."""
    if fee % _THOUSAND == 0:
        return _THOUSAND - fee // _THOUSAND, _THOUSAND
    return MILLION - fee, MILLION


@jit
def get_amount_out(amount_in: U256, reserve_in: U256, reserve_out: U256, fee: Any) -> tuple[int, U256]:
    """The most that an input buys.

    Parameters
    ----------
    amount_in, reserve_in, reserve_out : U256, raw units
    fee : int64, millionths, 0..1,000,000

    Returns
    -------
    (status, amount_out) : `OK`; `INSUFFICIENT_INPUT_AMOUNT`, `INSUFFICIENT_LIQUIDITY`, `FEE_OUT_OF_RANGE`, or
        `OVERFLOW` of `fixed_point` where the library's SafeMath reverts, with 0.

    Source
    ------
    UniswapV2Library.getAmountOut.
    """
    always_inlined()
    if (amount_in | reserve_in | reserve_out) >= _LONG:
        return _long_amount_out(amount_in, reserve_in, reserve_out, fee)
    status = _check_input(amount_in, reserve_in, reserve_out, fee)
    if status != OK:
        return status, _NOTHING
    kept, whole = parts(fee)
    traded = mul(narrow(amount_in), narrow(u256(kept)))
    numerator = mul_wide(traded, narrow(reserve_out))
    denominator = add(mul(narrow(reserve_in), narrow(u256(whole))), traded)
    return OK, widen(quotient_of_128(numerator, denominator))  # below the reserve, hence short


@jit
def _check_input(amount_in: U256, reserve_in: U256, reserve_out: U256, fee: Any) -> int:
    if fee < 0 or fee > MILLION:
        return FEE_OUT_OF_RANGE
    if is_zero(amount_in):
        return INSUFFICIENT_INPUT_AMOUNT
    return INSUFFICIENT_LIQUIDITY if is_zero(reserve_in) or is_zero(reserve_out) else OK


@jit
def _long_amount_out(amount_in: U256, reserve_in: U256, reserve_out: U256, fee: Any) -> tuple[int, U256]:
    """`get_amount_out` of numbers whose products may overflow."""
    never_inlined()
    status = _check_input(amount_in, reserve_in, reserve_out, fee)
    if status != OK:
        return status, _NOTHING
    kept, whole = parts(fee)
    status, traded = checked_mul(amount_in, u256(kept))
    if status != OK:
        return status, _NOTHING
    status, numerator = checked_mul(traded, reserve_out)
    if status != OK:
        return status, _NOTHING
    status, scaled = checked_mul(reserve_in, u256(whole))
    if status != OK:
        return status, _NOTHING
    status, denominator = checked_add(scaled, traded)
    if status != OK:
        return status, _NOTHING
    amount_out, _ = divide(numerator, denominator)
    return OK, amount_out


@jit
def get_amount_in(amount_out: U256, reserve_in: U256, reserve_out: U256, fee: Any) -> tuple[int, U256]:
    """The least that buys an output.

    Parameters
    ----------
    amount_out, reserve_in, reserve_out : U256, raw units
    fee : int64, millionths, 0..999,999

    Returns
    -------
    (status, amount_in) : `OK`; `INSUFFICIENT_OUTPUT_AMOUNT`, `INSUFFICIENT_LIQUIDITY` (also for all of the reserve,
        where the library underflows or divides by zero), `FEE_OUT_OF_RANGE` (at 100 % no input buys anything), or
        `OVERFLOW` of `fixed_point`, with 0.

    Source
    ------
    UniswapV2Library.getAmountIn.
    """
    if fee < 0 or fee >= MILLION:
        return FEE_OUT_OF_RANGE, _NOTHING
    if is_zero(amount_out):
        return INSUFFICIENT_OUTPUT_AMOUNT, _NOTHING
    if is_zero(reserve_in) or amount_out >= reserve_out:
        return INSUFFICIENT_LIQUIDITY, _NOTHING
    if (reserve_in | reserve_out) >= _LONG:
        return _long_amount_in(amount_out, reserve_in, reserve_out, fee)
    kept, whole = parts(fee)
    numerator = mul(mul_wide(narrow(reserve_in), narrow(amount_out)), u256(whole))
    denominator = mul(narrow(sub(reserve_out, amount_out)), narrow(u256(kept)))
    quotient, _ = divide_by_128(_NONE_ABOVE, numerator, denominator)
    return OK, add(quotient, u256(1))


@jit
def _long_amount_in(amount_out: U256, reserve_in: U256, reserve_out: U256, fee: Any) -> tuple[int, U256]:
    """`get_amount_in` of numbers whose products may overflow."""
    never_inlined()
    kept, whole = parts(fee)
    status, product = checked_mul(reserve_in, amount_out)
    if status != OK:
        return status, _NOTHING
    status, numerator = checked_mul(product, u256(whole))
    if status != OK:
        return status, _NOTHING
    status, denominator = checked_mul(sub(reserve_out, amount_out), u256(kept))
    if status != OK:
        return status, _NOTHING
    quotient, _ = divide(numerator, denominator)
    return checked_add(quotient, u256(1))


@jit
def amount_received(reserve: U256, amount_out: U256, balance: U256) -> U256:
    """What a pair finds it was paid of one token: what its balance has beyond the reserve less what it paid out.

    The caller promises amount_out <= reserve.
    """
    expected = sub(reserve, amount_out)
    return sub(balance, expected) if balance > expected else u256(0)


@jit
def check_outputs(reserve0: U256, reserve1: U256, amount0_out: U256, amount1_out: U256) -> int:
    """Whether a pair starts to pay: `OK`, `INSUFFICIENT_OUTPUT_AMOUNT` or `INSUFFICIENT_LIQUIDITY`."""
    if is_zero(amount0_out) and is_zero(amount1_out):
        return INSUFFICIENT_OUTPUT_AMOUNT
    if amount0_out >= reserve0 or amount1_out >= reserve1:
        return INSUFFICIENT_LIQUIDITY
    return OK


@jit
def k_holds(
    reserve0: U256,
    reserve1: U256,
    amount0_out: U256,
    amount1_out: U256,
    balance0: U256,
    balance1: U256,
    fee: Any,
) -> int:
    """Whether a pair accepts a swap: all that `swap` requires of amounts and balances.

    Parameters
    ----------
    reserve0, reserve1 : U256, before the swap
    amount0_out, amount1_out : U256, as asked of the pair
    balance0, balance1 : U256, of the pair once it was paid: the next `Sync`
    fee : int64, millionths, 0..1,000,000

    Returns
    -------
    int64 status : `OK`; in the pair's order `INSUFFICIENT_OUTPUT_AMOUNT`, `INSUFFICIENT_LIQUIDITY`,
        `INSUFFICIENT_INPUT_AMOUNT`, `RESERVE_OVERFLOW` (a balance that no reserve can hold), `K_DECREASED`; or
        `FEE_OUT_OF_RANGE`.

    Source
    ------
    UniswapV2Pair.swap and _update. Differs: a balance above uint112 is reported before the product is looked at.
    """
    if fee < 0 or fee > MILLION:
        return FEE_OUT_OF_RANGE
    status = check_outputs(reserve0, reserve1, amount0_out, amount1_out)
    if status != OK:
        return status
    paid0 = amount_received(reserve0, amount0_out, balance0)
    paid1 = amount_received(reserve1, amount1_out, balance1)
    if is_zero(paid0) and is_zero(paid1):
        return INSUFFICIENT_INPUT_AMOUNT
    if bit_length(balance0 | balance1) > _RESERVE_BITS:
        return RESERVE_OVERFLOW
    kept, whole = parts(fee)
    taken, scale = u256(whole - kept), u256(whole)
    adjusted0 = sub(mul(balance0, scale), mul(paid0, taken))
    adjusted1 = sub(mul(balance1, scale), mul(paid1, taken))
    required = mul_wide(mul(reserve0, reserve1), u256(whole * whole))
    return OK if mul_wide(adjusted0, adjusted1) >= required else K_DECREASED
