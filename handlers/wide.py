"""Wide unsigned integers in kernels: conversions, loads and stores, sums and products that wrap, signed readings.

The types and their operators are in `disruptor.handlers.wide_type`. Each function has two bodies of one meaning: the
Python one below, and the LLVM code that its decorator names, which is what a kernel gets. No function raises,
allocates or keeps state, and all are defined for every argument. Kernels read like the contracts:

    product = mul_wide(liquidity << 96, sub(upper, lower))

Signed numbers are two's complement in the same types, as the chain stores them. Division, and arithmetic that reports
what does not fit, are in `disruptor.handlers.fixed_point`.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from numba.core import types

from disruptor.handlers.wide_code import (
    WIDE256,
    WIDE512,
    add_ir,
    as_count,
    as_float,
    as_word,
    between,
    bit_length_ir,
    compare_ir,
    comparison,
    from_field,
    from_integer,
    from_words,
    high_ir,
    integer_ir,
    join_ir,
    load_ir,
    mul_ir,
    mul_wide_ir,
    negate_ir,
    same_width,
    split_ir,
    store_ir,
    sub_ir,
    to_f64_ir,
    to_field,
    truncate_ir,
    widen_ir,
)
from disruptor.handlers.wide_type import U256, U512, WideInt, lowered

W = TypeVar("W", bound=WideInt)
Limbs = npt.NDArray[np.uint64]
Words = tuple[np.uint64, np.uint64, np.uint64, np.uint64]


def _width_of(value: W) -> type[W]:
    """The class of a wide integer; a plain Python integer counts as a U256."""
    return type(value) if isinstance(value, WideInt) else U256


def _signed(value: WideInt) -> int:
    bits = _width_of(value).bits
    return int(value) - (int(value) >> (bits - 1) << bits)


# --- in and out ---------------------------------------------------------------------------------------------


@lowered(from_integer, integer_ir)
def u256(value: int) -> U256:
    """A machine integer (any width, signed or not) as a U256; a negative one as two's complement."""
    return U256(int(value))


@lowered(from_words, join_ir)
def join256(w3: np.uint64, w2: np.uint64, w1: np.uint64, w0: np.uint64) -> U256:
    """Four 64-bit words, most significant first, as a U256."""
    return U256(int(w3) << 192 | int(w2) << 128 | int(w1) << 64 | int(w0))


@lowered(between(types.UniTuple(types.uint64, 4), WIDE256), split_ir)
def split256(value: U256) -> Words:
    """The four 64-bit words of a U256, most significant first."""
    return tuple(np.uint64(int(value) >> shift & 2**64 - 1) for shift in (192, 128, 64, 0))  # type: ignore[return-value]


@lowered(as_word, truncate_ir(64))
def low64(value: WideInt) -> np.uint64:
    """The lowest 64 bits."""
    return np.uint64(int(value) & 2**64 - 1)


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
def store(field: Limbs, value: WideInt) -> None:
    """Write the lowest limbs of a value into a field of a record; what is above them is dropped.

    Parameters
    ----------
    field : (n,) uint64, nested in a record, mutated
        Limbs, least significant first; no more than the value has.
    value : wide integer
        A signed one is stored as two's complement, which drops nothing if it fits.
    """
    for k in range(len(field)):
        field[k] = np.uint64(int(value) >> 64 * k & 2**64 - 1)


@lowered(between(WIDE512, WIDE256), widen_ir)
def widen(value: U256) -> U512:
    """The same number as a U512."""
    return U512(value)


@lowered(between(WIDE256, WIDE512), truncate_ir(256))
def narrow(value: U512) -> U256:
    """The lower half of a U512."""
    return U256(value)


@lowered(between(WIDE256, WIDE512), high_ir)
def high(value: U512) -> U256:
    """The upper half of a U512."""
    return U256(int(value) >> 256)


@lowered(as_float, to_f64_ir)
def to_f64(value: WideInt) -> np.float64:
    """The float64 nearest to a wide integer, ties to even.

    DETERMINISM: one rounding. The top 64 bits, with any lost bit folded into their last (eleven bits below the float's
    own), round as the whole number would; scaling by a power of two is exact.
    """
    return np.float64(float(int(value)))


# --- arithmetic that wraps ----------------------------------------------------------------------------------


@lowered(same_width, add_ir)
def add(a: W, b: W) -> W:
    """a + b modulo the width."""
    return _width_of(a)(int(a) + int(b))


@lowered(same_width, sub_ir)
def sub(a: W, b: W) -> W:
    """a - b modulo the width."""
    return _width_of(a)(int(a) - int(b))


@lowered(same_width, mul_ir)
def mul(a: W, b: W) -> W:
    """a * b modulo the width."""
    return _width_of(a)(int(a) * int(b))


@lowered(between(WIDE512, WIDE256, WIDE256), mul_wide_ir)
def mul_wide(a: U256, b: U256) -> U512:
    """a * b, exactly."""
    return U512(int(a) * int(b))


@lowered(same_width, negate_ir)
def negate(value: W) -> W:
    """-value modulo the width: the negative in two's complement, and its inverse."""
    return _width_of(value)(-int(value))


# --- questions ----------------------------------------------------------------------------------------------


@lowered(comparison, compare_ir("icmp_unsigned", "=="))
def is_zero(value: WideInt) -> bool:
    """Is it 0?"""
    return int(value) == 0


@lowered(comparison, compare_ir("icmp_signed", "<"))
def is_negative(value: WideInt) -> bool:
    """Is it negative, read as two's complement?"""
    return _signed(value) < 0


@lowered(comparison, compare_ir("icmp_signed", "<"))
def less_signed(a: W, b: W) -> bool:
    """Is a < b, both read as two's complement?"""
    return _signed(a) < _signed(b)


@lowered(as_count, bit_length_ir)
def bit_length(value: WideInt) -> int:
    """Bits up to the highest set one: 0 for zero."""
    return int(value).bit_length()
