"""What functions on wide integers take, and the LLVM code that a kernel gets for them.

A *rule* maps the numba types of the arguments to a signature, or to None where they don't fit; an *emitter* (`..._ir`)
maps builder, signature and values to the resulting value. `disruptor.handlers.wide` pairs them with the Python
functions of the same meaning; `wide_type.lowered` says how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types

from disruptor.handlers.wide_type import Wide

_I64, _I256, _I512 = (ir.IntType(bits) for bits in (64, 256, 512))
#: Numba's types of the two widths.
WIDE256, WIDE512 = Wide(256), Wide(512)


# --- which arguments fit, and what comes back ---------------------------------------------------------------


def same_width(*args: Any) -> Any:
    """Wide integers of one width to another of it."""
    return args[0](*args) if _one_width(args) else None


def comparison(*args: Any) -> Any:
    """One or two of a width to a boolean."""
    return types.boolean(*args) if _one_width(args) else None


def as_count(value: Any) -> Any:
    """To an int64."""
    return types.int64(value) if isinstance(value, Wide) else None


def as_float(value: Any) -> Any:
    """To a float64."""
    return types.float64(value) if isinstance(value, Wide) else None


def as_word(value: Any) -> Any:
    """To a uint64."""
    return types.uint64(value) if isinstance(value, Wide) else None


def _one_width(args: tuple[Any, ...]) -> bool:
    return isinstance(args[0], Wide) and all(arg == args[0] for arg in args)


def between(result: Any, *given: Any) -> Callable[..., Any]:
    """Exactly these types."""
    return lambda *args: result(*given) if args == given else None


def from_words(*args: Any) -> Any:
    """Four integers, each taken as a uint64, to a U256."""
    fits = len(args) == 4 and all(isinstance(arg, types.Integer) for arg in args)
    return WIDE256(*[types.uint64] * 4) if fits else None


def from_integer(value: Any) -> Any:
    """A machine integer to a U256."""
    return WIDE256(value) if isinstance(value, types.Integer) else None


def _limbs(field: Any) -> bool:
    return isinstance(field, types.NestedArray) and field.dtype == types.uint64 and field.ndim == 1


def from_field(field: Any) -> Any:
    """A field of up to four limbs to a U256."""
    return WIDE256(field) if _limbs(field) and field.shape[0] <= 4 else None


def to_field(field: Any, value: Any) -> Any:
    """A field, and a value with at least its limbs, to nothing."""
    fits = _limbs(field) and isinstance(value, Wide) and 64 * field.shape[0] <= value.bits
    return types.void(field, value) if fits else None


# --- the code that kernels get ------------------------------------------------------------------------------


def integer_ir(builder: Any, sig: Any, value: Any) -> Any:
    return (builder.sext if sig.args[0].signed else builder.zext)(value, _I256)


def join_ir(builder: Any, _sig: Any, *words: Any) -> Any:
    value = builder.zext(words[0], _I256)
    for word in words[1:]:
        value = builder.or_(builder.shl(value, ir.Constant(_I256, 64)), builder.zext(word, _I256))
    return value


def split_ir(builder: Any, _sig: Any, value: Any) -> Any:
    result = ir.Constant(ir.ArrayType(_I64, 4), ir.Undefined)
    for k in range(4):
        word = builder.trunc(builder.lshr(value, ir.Constant(_I256, 64 * (3 - k))), _I64)
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


def widen_ir(builder: Any, _sig: Any, value: Any) -> Any:
    return builder.zext(value, _I512)


def truncate_ir(bits: int) -> Callable[..., Any]:
    """The lowest bits."""
    return lambda builder, _sig, value: builder.trunc(value, ir.IntType(bits))


def high_ir(builder: Any, _sig: Any, value: Any) -> Any:
    return builder.trunc(builder.lshr(value, ir.Constant(_I512, 256)), _I256)


def add_ir(builder: Any, _sig: Any, a: Any, b: Any) -> Any:
    return builder.add(a, b)


def sub_ir(builder: Any, _sig: Any, a: Any, b: Any) -> Any:
    return builder.sub(a, b)


def _halves(builder: Any, value: Any) -> tuple[Any, Any]:
    half = ir.IntType(value.type.width // 2)
    return (
        builder.trunc(builder.lshr(value, ir.Constant(value.type, half.width)), half),
        builder.trunc(value, half),
    )


def _product_ir(builder: Any, a: Any, b: Any) -> Any:
    """The whole product of two integers, twice as wide, from four of their halves, down to machine words.

    LLVM's own expansion of a 512-bit product takes 40 multiplications for what needs 16.
    """
    wide = ir.IntType(2 * a.type.width)
    if a.type.width == 64:
        return builder.mul(builder.zext(a, wide), builder.zext(b, wide))
    (a1, a0), (b1, b0) = _halves(builder, a), _halves(builder, b)
    shift = ir.Constant(wide, a.type.width // 2)
    low, cross, crossed, high = (
        builder.zext(_product_ir(builder, x, y), wide) for x, y in ((a0, b0), (a0, b1), (a1, b0), (a1, b1))
    )
    outer = builder.or_(low, builder.shl(high, ir.Constant(wide, a.type.width)))
    return builder.add(builder.add(outer, builder.shl(cross, shift)), builder.shl(crossed, shift))


def mul_wide_ir(builder: Any, _sig: Any, a: Any, b: Any) -> Any:
    return _product_ir(builder, a, b)


def _low_product_ir(builder: Any, a: Any, b: Any) -> Any:
    """The product modulo the width, down to machine words."""
    if a.type.width == 64:
        return builder.mul(a, b)
    (a1, a0), (b1, b0) = _halves(builder, a), _halves(builder, b)
    cross = builder.add(_low_product_ir(builder, a0, b1), _low_product_ir(builder, a1, b0))
    shift = ir.Constant(a.type, a.type.width // 2)
    return builder.add(_product_ir(builder, a0, b0), builder.shl(builder.zext(cross, a.type), shift))


def mul_ir(builder: Any, _sig: Any, a: Any, b: Any) -> Any:
    return _low_product_ir(builder, a, b)


def compare_ir(comparison: str, symbol: str) -> Callable[..., Any]:
    """Against the second argument, or against zero."""

    def emit(builder: Any, _sig: Any, a: Any, b: Any = None) -> Any:
        return getattr(builder, comparison)(symbol, a, ir.Constant(a.type, 0) if b is None else b)

    return emit


def _bit_length(builder: Any, value: Any) -> Any:
    zeros = builder.ctlz(value, ir.Constant(ir.IntType(1), 0))
    return builder.sub(ir.Constant(value.type, value.type.width), zeros)


def bit_length_ir(builder: Any, _sig: Any, value: Any) -> Any:
    return builder.trunc(_bit_length(builder, value), _I64)


def negate_ir(builder: Any, _sig: Any, value: Any) -> Any:
    return builder.sub(ir.Constant(value.type, 0), value)


def to_f64_ir(builder: Any, _sig: Any, value: Any) -> Any:
    """The top 64 bits as a float, times a power of two, put together from its exponent (bias 1023)."""
    length, most = _bit_length(builder, value), ir.Constant(value.type, 64)
    shift = builder.select(
        builder.icmp_unsigned(">", length, most), builder.sub(length, most), ir.Constant(value.type, 0)
    )
    top = builder.lshr(value, shift)
    lost = builder.icmp_unsigned("!=", builder.shl(top, shift), value)
    top = builder.or_(builder.trunc(top, _I64), builder.zext(lost, _I64))
    exponent = builder.add(builder.trunc(shift, _I64), ir.Constant(_I64, 1023))
    scale = builder.bitcast(builder.shl(exponent, ir.Constant(_I64, 52)), ir.DoubleType())
    return builder.fmul(builder.uitofp(top, ir.DoubleType()), scale)
