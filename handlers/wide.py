"""Wide unsigned integers in kernels: conversions, loads and stores, sums and products that wrap, signed readings.

The types and their operators are in `disruptor.handlers.wide_type`. Each function has two bodies of one meaning: the
Python one below, and the LLVM code that its decorator names, which is what a kernel gets. No function raises,
allocates or keeps state, and all are defined for every argument. Kernels read like the contracts:

    product = mul_wide(liquidity << 96, sub(upper, lower))

Functions named for U256 and U512 take the other widths too where that makes sense: words (uint64), U128, U256, U512.
Signed numbers are two's complement in the same types, as the chain stores them. Division, and arithmetic that reports
what does not fit, are in `disruptor.handlers.fixed_point`.
"""

from __future__ import annotations

from typing import Any, SupportsInt, TypeVar

import numpy as np
import numpy.typing as npt

from disruptor.handlers.wide_code import (
    add_ir,
    bit_length_ir,
    choose_ir,
    compare_ir,
    comparison,
    double_width,
    extend_ir,
    from_field,
    from_integer,
    from_words,
    funnel,
    funnel_ir,
    half_width,
    high_ir,
    load_ir,
    low_ir,
    mul_ir,
    mul_wide_ir,
    negate_ir,
    pair_ir,
    same_width,
    selection,
    split_ir,
    store_ir,
    sub_ir,
    to_count,
    to_f64_ir,
    to_field,
    to_float,
    to_word,
    to_words,
)
from disruptor.handlers.wide_type import U128 as U128
from disruptor.handlers.wide_type import U256 as U256
from disruptor.handlers.wide_type import U512 as U512
from disruptor.handlers.wide_type import lowered, of_width, width

W = TypeVar("W", bound=SupportsInt)
Limbs = npt.NDArray[np.uint64]
Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


# --- in and out ---------------------------------------------------------------------------------------------


@lowered(from_integer, extend_ir)
def u256(value: SupportsInt) -> U256:
    """A machine integer (any width, signed or not) as a U256; a negative one as two's complement."""
    return U256(int(value))


@lowered(from_words, pair_ir)
def join256(w3: np.uint64, w2: np.uint64, w1: np.uint64, w0: np.uint64) -> U256:
    """Four 64-bit words, most significant first, as a U256."""
    return U256(int(w3) << 192 | int(w2) << 128 | int(w1) << 64 | int(w0))


@lowered(to_words, split_ir)
def split256(value: U256) -> Words:
    """The four 64-bit words of a U256, most significant first."""
    w3, w2, w1, w0 = (of_width(64, int(value) >> shift) for shift in (192, 128, 64, 0))
    return w3, w2, w1, w0


@lowered(to_word, low_ir)
def low64(value: SupportsInt) -> np.uint64:
    """The lowest 64 bits."""
    return of_width(64, value)


@lowered(from_field, load_ir("zext"))
def load(field: Limbs) -> U256:
    """An unsigned field of a record as a U256.

    Parameters
    ----------
    field : (n,) uint64, n <= 4, nested in a record
        Limbs, least significant first.
    """
    return U256(int.from_bytes(field.tobytes(), "little"))


@lowered(from_field, load_ir("sext"))
def load_signed(field: Limbs) -> U256:
    """A signed field of a record (two's complement), with its sign extended to 256 bits. See `load`."""
    return U256(int.from_bytes(field.tobytes(), "little", signed=True))


@lowered(to_field, store_ir)
def store(field: Limbs, value: SupportsInt) -> None:
    """Write the lowest limbs of a value into a field of a record; what is above them is dropped.

    Parameters
    ----------
    field : (n,) uint64, nested in a record, mutated
        Limbs, least significant first; no more than the value has.
    value : word or wide integer
        A signed one is stored as two's complement, which drops nothing if it fits.
    """
    for k in range(len(field)):
        field[k] = of_width(64, int(value) >> 64 * k)


@lowered(to_float, to_f64_ir)
def to_f64(value: SupportsInt) -> np.float64:
    """The float64 nearest to an unsigned integer, ties to even.

    DETERMINISM: one rounding. The top 64 bits, with any lost bit folded into their last (eleven bits below the float's
    own), round as the whole number would; scaling by a power of two is exact.
    """
    return np.float64(float(int(value)))


# --- between widths -----------------------------------------------------------------------------------------


@lowered(double_width, extend_ir)
def widen(value: SupportsInt) -> Any:
    """The same number, in twice the width: a U256 as a U512."""
    return of_width(2 * width(value), value)


@lowered(half_width, low_ir)
def narrow(value: SupportsInt) -> Any:
    """The lower half: of a U512 a U256."""
    return of_width(width(value) // 2, value)


@lowered(half_width, high_ir)
def high(value: SupportsInt) -> Any:
    """The upper half: of a U512 a U256."""
    return of_width(width(value) // 2, int(value) >> width(value) // 2)


@lowered(double_width, pair_ir)
def pair(upper: W, lower: W) -> Any:
    """Two halves as one: of two words a U128."""
    return of_width(2 * width(lower), int(upper) << width(lower) | int(lower))


@lowered(double_width, mul_wide_ir)
def mul_wide(a: W, b: W) -> Any:
    """a * b, exactly: of two U256 a U512."""
    return of_width(2 * width(a), int(a) * int(b))


# --- within one width ---------------------------------------------------------------------------------------


@lowered(same_width, add_ir)
def add(a: W, b: W) -> W:
    """a + b modulo the width."""
    return of_width(width(a), int(a) + int(b))


@lowered(same_width, sub_ir)
def sub(a: W, b: W) -> W:
    """a - b modulo the width."""
    return of_width(width(a), int(a) - int(b))


@lowered(same_width, mul_ir)
def mul(a: W, b: W) -> W:
    """a * b modulo the width."""
    return of_width(width(a), int(a) * int(b))


@lowered(same_width, negate_ir)
def negate(value: W) -> W:
    """-value modulo the width: the negative in two's complement, and its inverse."""
    return of_width(width(value), -int(value))


@lowered(funnel, funnel_ir)
def shift_in(upper: W, lower: W, count: int) -> W:
    """The upper half of both, shifted left by `count` modulo the width: bits of `lower` come in."""
    bits = width(upper)
    return of_width(bits, ((int(upper) << bits | int(lower)) << (int(count) % bits)) >> bits)


@lowered(selection, choose_ir)
def choose(condition: bool, a: W, b: W) -> W:
    """`a` if the condition holds, else `b`, without a branch: for conditions that nobody can predict."""
    return a if condition else b


# --- questions ----------------------------------------------------------------------------------------------


@lowered(comparison, compare_ir("icmp_unsigned", "=="))
def is_zero(value: SupportsInt) -> bool:
    """Is it 0?"""
    return int(value) == 0


@lowered(comparison, compare_ir("icmp_signed", "<"))
def is_negative(value: SupportsInt) -> bool:
    """Is it negative, read as two's complement?"""
    return _signed(value) < 0


@lowered(comparison, compare_ir("icmp_signed", "<"))
def less_signed(a: W, b: W) -> bool:
    """Is a < b, both read as two's complement?"""
    return _signed(a) < _signed(b)


@lowered(to_count, bit_length_ir)
def bit_length(value: SupportsInt) -> int:
    """Bits up to the highest set one: 0 for zero."""
    return int(value).bit_length()


def _signed(value: SupportsInt) -> int:
    bits = width(value)
    return int(value) - (int(value) >> bits - 1 << bits)
