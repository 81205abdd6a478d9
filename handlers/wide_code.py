"""What functions on wide integers take, and the LLVM code that a kernel gets for them.

A *rule* maps the numba types of the arguments to a signature, or to None where they don't fit; an *emitter* (`..._ir`)
maps builder, signature and values to the resulting value. `disruptor.handlers.wide` pairs them with the Python
functions of the same meaning; `wide_type.lowered` says how.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from llvmlite import ir
from numba.core import types

from disruptor.handlers.wide_type import Wide

_BIT, _I64, _I256 = (ir.IntType(bits) for bits in (1, 64, 256))
#: Numba's types of an unsigned integer of so many bits.
UNSIGNED: dict[int, Any] = {64: types.uint64, 128: Wide(128), 256: Wide(256), 512: Wide(512)}


# --- which arguments fit, and what comes back ---------------------------------------------------------------


def _bits(kind: Any) -> int:
    """Width of a numba type; 0 if it is neither a word nor a wide integer."""
    return kind.bits if isinstance(kind, Wide) else 64 if kind == types.uint64 else 0


def _one_width(kinds: tuple[Any, ...]) -> bool:
    return _bits(kinds[0]) > 0 and all(kind == kinds[0] for kind in kinds)


def same_width(*kinds: Any) -> Any:
    """Words or wide integers of one width to another of it."""
    return kinds[0](*kinds) if _one_width(kinds) else None


def double_width(*kinds: Any) -> Any:
    """One or two of a width to one of twice that."""
    fits = _one_width(kinds) and 2 * _bits(kinds[0]) in UNSIGNED
    return UNSIGNED[2 * _bits(kinds[0])](*kinds) if fits else None


def half_width(kind: Any) -> Any:
    """A wide integer to one of half its width."""
    return UNSIGNED[kind.bits // 2](kind) if isinstance(kind, Wide) else None


def comparison(*kinds: Any) -> Any:
    """One or two of a width to a boolean."""
    return types.boolean(*kinds) if _one_width(kinds) else None


def selection(condition: Any, a: Any, b: Any) -> Any:
    """A boolean and two of a width to one of it."""
    return a(types.boolean, a, b) if _one_width((a, b)) and condition == types.boolean else None


def funnel(high: Any, low: Any, count: Any) -> Any:
    """Two of a width and a count of bits to one of it."""
    fits = _one_width((high, low)) and isinstance(count, types.Integer)
    return high(high, low, types.int64) if fits else None


def to_count(kind: Any) -> Any:
    """To an int64."""
    return types.int64(kind) if _bits(kind) else None


def to_float(kind: Any) -> Any:
    """To a float64."""
    return types.float64(kind) if _bits(kind) else None


def to_word(kind: Any) -> Any:
    """To a uint64."""
    return types.uint64(kind) if _bits(kind) else None


def to_words(kind: Any) -> Any:
    """A U256 to four words."""
    return types.UniTuple(types.uint64, 4)(kind) if _bits(kind) == 256 else None


def from_words(*kinds: Any) -> Any:
    """Four integers, each taken as a uint64, to a U256."""
    fits = len(kinds) == 4 and all(isinstance(kind, types.Integer) for kind in kinds)
    return UNSIGNED[256](*[types.uint64] * 4) if fits else None


def from_integer(kind: Any) -> Any:
    """A machine integer to a U256."""
    return UNSIGNED[256](kind) if isinstance(kind, types.Integer) else None


def _limbs(field: Any) -> int:
    """Limbs of a field; 0 if it is no row of uint64."""
    is_row = isinstance(field, types.NestedArray) and field.dtype == types.uint64 and field.ndim == 1
    return field.shape[0] if is_row else 0


def from_field(field: Any) -> Any:
    """A field of up to four limbs to a U256."""
    return UNSIGNED[256](field) if 1 <= _limbs(field) <= 4 else None


def to_field(field: Any, kind: Any) -> Any:
    """A field, and a value with at least its limbs, to nothing."""
    return types.void(field, kind) if 64 <= 64 * _limbs(field) <= _bits(kind) else None


# --- the code that kernels get ------------------------------------------------------------------------------


def extend_ir(builder: Any, sig: Any, value: Any) -> Any:
    """To the width of the result; only signed machine integers carry a sign."""
    wanted = ir.IntType(sig.return_type.bits)
    return (builder.sext if getattr(sig.args[0], "signed", False) else builder.zext)(value, wanted)


def low_ir(builder: Any, sig: Any, value: Any) -> Any:
    """The lowest bits, as many as the result has."""
    wanted = ir.IntType(_bits(sig.return_type))
    return value if wanted.width == value.type.width else builder.trunc(value, wanted)


def high_ir(builder: Any, _sig: Any, value: Any) -> Any:
    return _halves(builder, value)[0]


def pair_ir(builder: Any, sig: Any, *parts: Any) -> Any:
    """Parts of one width, most significant first, side by side."""
    wide, step = ir.IntType(sig.return_type.bits), parts[0].type.width
    value = builder.zext(parts[0], wide)
    for part in parts[1:]:
        value = builder.or_(builder.shl(value, ir.Constant(wide, step)), builder.zext(part, wide))
    return value


def split_ir(builder: Any, _sig: Any, value: Any) -> Any:
    result = ir.Constant(ir.ArrayType(_I64, 4), ir.Undefined)
    for k, word in enumerate(reversed(_words(builder, value))):
        result = builder.insert_value(result, word, k)
    return result


def load_ir(extend: str) -> Callable[..., Any]:
    """One load of all limbs. Alignment 1: fields of packed records lie anywhere."""

    def emit(builder: Any, sig: Any, address: Any) -> Any:
        stored = ir.IntType(64 * sig.args[0].shape[0])
        value = builder.load(builder.bitcast(address, stored.as_pointer()), align=1)
        return value if stored.width == 256 else getattr(builder, extend)(value, _I256)

    return emit


def store_ir(builder: Any, sig: Any, address: Any, value: Any) -> None:
    stored = ir.IntType(64 * sig.args[0].shape[0])
    value = value if stored.width == value.type.width else builder.trunc(value, stored)
    builder.store(value, builder.bitcast(address, stored.as_pointer()), align=1)


def add_ir(builder: Any, _sig: Any, a: Any, b: Any) -> Any:
    return builder.add(a, b)


def sub_ir(builder: Any, _sig: Any, a: Any, b: Any) -> Any:
    return builder.sub(a, b)


def negate_ir(builder: Any, _sig: Any, value: Any) -> Any:
    return builder.sub(ir.Constant(value.type, 0), value)


def mul_ir(builder: Any, _sig: Any, a: Any, b: Any) -> Any:
    """The product modulo the width."""
    if a.type.width == 64:
        return builder.mul(a, b)
    (a1, a0), (b1, b0) = _halves(builder, a), _halves(builder, b)
    cross = builder.add(mul_ir(builder, None, a0, b1), mul_ir(builder, None, a1, b0))
    shift = ir.Constant(a.type, a.type.width // 2)
    return builder.add(mul_wide_ir(builder, None, a0, b0), builder.shl(builder.zext(cross, a.type), shift))


def mul_wide_ir(builder: Any, _sig: Any, a: Any, b: Any) -> Any:
    """The whole product of two integers from four of their halves, down to machine words.

    LLVM's own expansion of a 512-bit product takes 40 multiplications for what needs 16.
    """
    wide = ir.IntType(2 * a.type.width)
    if a.type.width == 64:
        return builder.mul(builder.zext(a, wide), builder.zext(b, wide))
    (a1, a0), (b1, b0) = _halves(builder, a), _halves(builder, b)
    shift = ir.Constant(wide, a.type.width // 2)
    low, cross, crossed, high = (
        builder.zext(mul_wide_ir(builder, None, x, y), wide)
        for x, y in ((a0, b0), (a0, b1), (a1, b0), (a1, b1))
    )
    outer = builder.or_(low, builder.shl(high, ir.Constant(wide, a.type.width)))
    return builder.add(builder.add(outer, builder.shl(cross, shift)), builder.shl(crossed, shift))


def compare_ir(comparison: str, symbol: str) -> Callable[..., Any]:
    """Against the second argument, or against zero."""

    def emit(builder: Any, _sig: Any, a: Any, b: Any = None) -> Any:
        return getattr(builder, comparison)(symbol, a, ir.Constant(a.type, 0) if b is None else b)

    return emit


def choose_ir(builder: Any, _sig: Any, condition: Any, a: Any, b: Any) -> Any:
    return builder.select(condition, a, b)


def funnel_ir(builder: Any, _sig: Any, high: Any, low: Any, count: Any) -> Any:
    """The low part is shifted right twice, by 1 and by the rest, so that no shift is by the width."""
    bits = high.type.width
    count = builder.and_(count, ir.Constant(_I64, bits - 1))
    rest = builder.xor(count, ir.Constant(_I64, bits - 1))
    left, right = (builder.zext(n, high.type) if bits > 64 else n for n in (count, rest))
    moved = builder.lshr(builder.lshr(low, ir.Constant(low.type, 1)), right)
    return builder.or_(builder.shl(high, left), moved)


def bit_length_ir(builder: Any, _sig: Any, value: Any) -> Any:
    """By words: LLVM would count a wide integer's zeros in vector registers, which takes longer to fill."""
    length = ir.Constant(_I64, 0)
    for k, word in enumerate(_words(builder, value)):
        zeros = builder.ctlz(word, ir.Constant(_BIT, 0))
        here = builder.sub(ir.Constant(_I64, 64 * (k + 1)), zeros)
        length = builder.select(builder.icmp_unsigned("!=", word, ir.Constant(_I64, 0)), here, length)
    return length


def to_f64_ir(builder: Any, _sig: Any, value: Any) -> Any:
    """The 64 bits from the highest set one on, as a float, times a power of two made from its exponent (bias 1023)."""
    zero = ir.Constant(_I64, 0)
    top, after, lost, position, below = (*_words(builder, value)[:1], zero, zero, zero, zero)
    for k, (lower, word) in enumerate(pairwise(_words(builder, value)), start=1):
        used = builder.icmp_unsigned("!=", word, zero)
        top, after = builder.select(used, word, top), builder.select(used, lower, after)
        lost = builder.select(used, below, lost)
        position = builder.select(used, ir.Constant(_I64, 64 * k), position)
        below = builder.or_(below, lower)
    zeros = builder.and_(builder.ctlz(top, ir.Constant(_BIT, 0)), ir.Constant(_I64, 63))
    leading = funnel_ir(builder, None, top, after, zeros)
    lost = builder.icmp_unsigned("!=", builder.or_(lost, builder.shl(after, zeros)), zero)
    mantissa = builder.uitofp(builder.or_(leading, builder.zext(lost, _I64)), ir.DoubleType())
    exponent = builder.add(builder.sub(position, zeros), ir.Constant(_I64, 1023))
    return builder.fmul(
        mantissa, builder.bitcast(builder.shl(exponent, ir.Constant(_I64, 52)), ir.DoubleType())
    )


def _words(builder: Any, value: Any) -> list[Any]:
    """The 64-bit words, least significant first."""
    if value.type.width == 64:
        return [value]
    shifts = (ir.Constant(value.type, 64 * k) for k in range(value.type.width // 64))
    return [builder.trunc(builder.lshr(value, shift), _I64) for shift in shifts]


def _halves(builder: Any, value: Any) -> tuple[Any, Any]:
    half = ir.IntType(value.type.width // 2)
    upper = builder.lshr(value, ir.Constant(value.type, half.width))
    return builder.trunc(upper, half), builder.trunc(value, half)
