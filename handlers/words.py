"""The primitives of wide integers: one LLVM operation each, with a Python twin.

A wide integer is a row of `np.uint64` words, **most significant first**, as numbers are written: a u128 is
`hi, lo`, a u256 `w3, w2, w1, w0`. Messages and tables store little-endian limbs; functions that take a stored
field say so.

Each function has two bodies with one meaning. Called from Python, or with the JIT off, the body below runs,
on Python integers. In compiled code `_lower` replaces it by one operation on an integer of 64 to 320 bits,
which LLVM turns into the carry chain that one would write by hand (add/adc, mul, shld). Division is missing
on purpose: LLVM expands a wide `udiv` to a loop over bits, or to a libgcc call that is not linked, so
`word_math` divides by words.

No function raises, allocates or keeps state, and all are defined for every argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing import templates
from numba.extending import lower_builtin

F = TypeVar("F", bound=Callable[..., Any])
U64: TypeAlias = np.uint64
U128: TypeAlias = tuple[np.uint64, np.uint64]
U192: TypeAlias = tuple[np.uint64, np.uint64, np.uint64]
U256: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
U320: TypeAlias = tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]
U512: TypeAlias = tuple[
    np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64, np.uint64
]

_COUNT = 0  # in an operand list: an int64 instead of words
_numba_types: Any = types
_numba_templates: Any = templates
_numba_lower: Any = lower_builtin


def _join(*words: U64) -> int:
    value = 0
    for word in words:
        value = value << 64 | int(word)
    return value


def _split(value: int, words: int) -> Any:
    return tuple(np.uint64(value >> 64 * k & (2**64 - 1)) for k in reversed(range(words)))


def _join_ir(builder: Any, words: Any, wide: Any) -> Any:
    value = builder.zext(words[0], wide)
    for word in words[1:]:
        value = builder.or_(builder.shl(value, ir.Constant(wide, 64)), builder.zext(word, wide))
    return value


def _split_ir(builder: Any, value: Any, words: int) -> list[Any]:
    parts = [
        builder.lshr(value, ir.Constant(value.type, 64 * k)) if k else value for k in reversed(range(words))
    ]
    return [builder.trunc(part, ir.IntType(64)) if value.type.width > 64 else part for part in parts]


def _lower(operands: tuple[int, ...], width: int, returns: Any, emit: Callable[..., Any]) -> Callable[[F], F]:
    """Give a function its compiled body: widen the operands to `width` bits, `emit`, split the result.

    `operands` counts each operand's words; `returns` is a count of words, or a numba type. A decorator, so
    that the emitted operation is part of the function's syntax, and with it of the identity of the handlers
    that use it.
    """
    result_type = _numba_types.UniTuple(types.uint64, returns) if isinstance(returns, int) else returns
    argument_types = [t for n in operands for t in ([types.uint64] * n if n else [types.int64])]
    wide = ir.IntType(width)

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values, start = [], 0
        for count in operands:
            stop = start + max(count, 1)
            values.append(_join_ir(builder, args[start:stop], wide) if width > 64 else args[start])
            start = stop
        result = emit(builder, *values)
        if isinstance(returns, int):
            return context.make_tuple(builder, result_type, _split_ir(builder, result, returns))
        return builder.trunc(result, ir.IntType(64)) if result.type.width > 64 else result

    def register(function: F) -> F:
        case = _numba_templates.signature(result_type, *argument_types)
        template = _numba_templates.make_concrete_template(f"{function.__name__}_template", function, [case])
        _numba_templates.infer_global(function, _numba_types.Function(template))
        _numba_lower(function, *argument_types)(build)
        return function

    return register


def _emit_mul(builder: Any, a: Any, b: Any) -> Any:
    return builder.mul(a, b)


def _emit_add(builder: Any, *values: Any) -> Any:
    total = values[0]
    for value in values[1:]:
        total = builder.add(total, value)
    return total


def _emit_sub(bits: int) -> Callable[..., Any]:
    """Subtraction of `bits`-bit operands in a wider integer: the bit above them is the borrow."""

    def emit(builder: Any, a: Any, b: Any) -> Any:
        return builder.and_(builder.sub(a, b), ir.Constant(a.type, 2 ** (bits + 1) - 1))

    return emit


def _emit_shift(operation: str) -> Callable[..., Any]:
    """A shift that yields 0 when the count, read as unsigned, is not below the width."""

    def emit(builder: Any, value: Any, count: Any) -> Any:
        inside = builder.icmp_unsigned("<", count, ir.Constant(count.type, value.type.width))
        return builder.select(inside, getattr(builder, operation)(value, count), ir.Constant(value.type, 0))

    return emit


def _emit_leading_zeros(builder: Any, value: Any) -> Any:
    return builder.ctlz(value, ir.Constant(ir.IntType(1), 0))


def _emit_less(builder: Any, a: Any, b: Any) -> Any:
    return builder.icmp_unsigned("<", a, b)


@_lower((1, 1), 128, 2, _emit_mul)
def mul64(a: U64, b: U64) -> U128:
    """a * b, exactly, as `(hi, lo)`."""
    product: U128 = _split(int(a) * int(b), 2)
    return product


@_lower((1, 1, 1), 128, 2, _emit_add)
def add64(a: U64, b: U64, carry: U64) -> U128:
    """a + b + carry as `(carry, sum)`; carry out is 0..2, and at most 1 if `carry` was 0 or 1."""
    total: U128 = _split(int(a) + int(b) + int(carry), 2)
    return total


@_lower((1, 1), 128, 2, _emit_sub(64))
def sub64(a: U64, b: U64) -> U128:
    """a - b mod 2^64 as `(borrow, difference)`."""
    return np.uint64(a < b), np.uint64((int(a) - int(b)) % 2**64)


@_lower((2, 2), 192, 3, _emit_add)
def add128(a_hi: U64, a_lo: U64, b_hi: U64, b_lo: U64) -> U192:
    """a + b as `(carry, hi, lo)`."""
    total: U192 = _split(_join(a_hi, a_lo) + _join(b_hi, b_lo), 3)
    return total


@_lower((2, 2), 192, 3, _emit_sub(128))
def sub128(a_hi: U64, a_lo: U64, b_hi: U64, b_lo: U64) -> U192:
    """a - b mod 2^128 as `(borrow, hi, lo)`; the borrow is 1 when a < b."""
    difference: U192 = _split((_join(a_hi, a_lo) - _join(b_hi, b_lo)) % 2**129, 3)
    return difference


@_lower((4, 4), 320, 5, _emit_add)
def add256(a3: U64, a2: U64, a1: U64, a0: U64, b3: U64, b2: U64, b1: U64, b0: U64) -> U320:
    """a + b as `(carry, w3, w2, w1, w0)`."""
    total: U320 = _split(_join(a3, a2, a1, a0) + _join(b3, b2, b1, b0), 5)
    return total


@_lower((4, 4), 320, 5, _emit_sub(256))
def sub256(a3: U64, a2: U64, a1: U64, a0: U64, b3: U64, b2: U64, b1: U64, b0: U64) -> U320:
    """a - b mod 2^256 as `(borrow, w3, w2, w1, w0)`; the borrow is 1 when a < b."""
    difference: U320 = _split((_join(a3, a2, a1, a0) - _join(b3, b2, b1, b0)) % 2**257, 5)
    return difference


@_lower((2, 2), 128, types.boolean, _emit_less)
def less128(a_hi: U64, a_lo: U64, b_hi: U64, b_lo: U64) -> bool:
    """Is a < b, unsigned?"""
    return _join(a_hi, a_lo) < _join(b_hi, b_lo)


@_lower((4, 4), 256, types.boolean, _emit_less)
def less256(a3: U64, a2: U64, a1: U64, a0: U64, b3: U64, b2: U64, b1: U64, b0: U64) -> bool:
    """Is a < b, unsigned?"""
    return _join(a3, a2, a1, a0) < _join(b3, b2, b1, b0)


@_lower((1,), 64, types.int64, _emit_leading_zeros)
def leading_zeros64(a: U64) -> int:
    """Zero bits above the highest set one: 0..64, 64 for zero."""
    return 64 - int(a).bit_length()


@_lower((2,), 128, types.int64, _emit_leading_zeros)
def leading_zeros128(hi: U64, lo: U64) -> int:
    """Zero bits above the highest set one: 0..128, 128 for zero."""
    return 128 - _join(hi, lo).bit_length()


@_lower((4,), 256, types.int64, _emit_leading_zeros)
def leading_zeros256(w3: U64, w2: U64, w1: U64, w0: U64) -> int:
    """Zero bits above the highest set one: 0..256, 256 for zero."""
    return 256 - _join(w3, w2, w1, w0).bit_length()


@_lower((2, _COUNT), 128, 2, _emit_shift("shl"))
def shift_left128(hi: U64, lo: U64, count: int) -> U128:
    """Shifted left by `count` bits (int64), mod 2^128; 0 when `count` is not in 0..127."""
    shifted: U128 = _split(_join(hi, lo) << int(count) if 0 <= count < 128 else 0, 2)
    return shifted


@_lower((2, _COUNT), 128, 2, _emit_shift("lshr"))
def shift_right128(hi: U64, lo: U64, count: int) -> U128:
    """Shifted right by `count` bits (int64), zeros coming in; 0 when `count` is not in 0..127."""
    shifted: U128 = _split(_join(hi, lo) >> int(count) if 0 <= count < 128 else 0, 2)
    return shifted


@_lower((4, _COUNT), 256, 4, _emit_shift("shl"))
def shift_left256(w3: U64, w2: U64, w1: U64, w0: U64, count: int) -> U256:
    """Shifted left by `count` bits (int64), mod 2^256; 0 when `count` is not in 0..255."""
    shifted: U256 = _split(_join(w3, w2, w1, w0) << int(count) if 0 <= count < 256 else 0, 4)
    return shifted


@_lower((4, _COUNT), 256, 4, _emit_shift("lshr"))
def shift_right256(w3: U64, w2: U64, w1: U64, w0: U64, count: int) -> U256:
    """Shifted right by `count` bits (int64), zeros coming in; 0 when `count` is not in 0..255."""
    shifted: U256 = _split(_join(w3, w2, w1, w0) >> int(count) if 0 <= count < 256 else 0, 4)
    return shifted
