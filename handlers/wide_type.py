"""Wide unsigned integers as one machine value each: their type, their operators, and how functions on them compile.

A `U256` is an integer modulo 2^256, as in Solidity; a `U512` holds a product of two, a `U128` two words. In compiled
code each is one LLVM integer (i128, i256, i512). Tuples of words, the alternative, make kernels long to read and numba
slow, because every word is a variable of its own to infer, to lower and to optimise; LLVM splits a wide integer into
the same registers by itself, and folds constants such as `u256(1) << 96`.

Called from Python, or with the JIT off, the same names are the classes below: Python integers that know their width,
so that `<<` drops the bits above it. A module-level constant may be an instance.

Operators: `== != < <= > >=` (unsigned), `& | ^` of two values of one width, `<< >>` by an int64. There is no `+`:
arithmetic wraps, or reports, by the name of the function that is called (`disruptor.handlers.wide`,
`disruptor.handlers.fixed_point`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar, SupportsInt, TypeVar

import numba.extending
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.imputils import lower_constant
from numba.core.typing import templates
from numba.extending import lower_builtin, models, register_model, typeof_impl

F = TypeVar("F", bound=Callable[..., Any])
W = TypeVar("W", bound="WideInt")

# numba's own annotations describe the undecorated functions.
intrinsic: Any = numba.extending.intrinsic
_templates: Any = templates
_types: Any = types


class WideInt(int):
    """A Python integer modulo 2^bits."""

    bits: ClassVar[int]
    mask: ClassVar[int]

    def __new__(cls: type[W], value: SupportsInt) -> W:
        return int.__new__(cls, int(value) & cls.mask)

    def __and__(self: W, other: int) -> W:
        return type(self)(int(self) & int(other))

    def __or__(self: W, other: int) -> W:
        return type(self)(int(self) | int(other))

    def __xor__(self: W, other: int) -> W:
        return type(self)(int(self) ^ int(other))

    def __lshift__(self: W, count: int) -> W:
        return type(self)(int(self) << int(count) if 0 <= count < self.bits else 0)

    def __rshift__(self: W, count: int) -> W:
        return type(self)(int(self) >> int(count) if 0 <= count < self.bits else 0)


class U128(WideInt):
    """An integer modulo 2^128: two words."""

    bits, mask = 128, 2**128 - 1


class U256(WideInt):
    """An integer modulo 2^256."""

    bits, mask = 256, 2**256 - 1


class U512(WideInt):
    """An integer modulo 2^512."""

    bits, mask = 512, 2**512 - 1


_CLASSES: dict[int, Any] = {128: U128, 256: U256, 512: U512}
_WIDTHS: dict[type, int] = {np.uint64: 64, U128: 128, U256: 256, U512: 512}


def width(value: Any) -> int:
    """Bits of a wide integer or of a word; a plain Python integer counts as a U256."""
    return _WIDTHS.get(type(value), 256)


def of_width(bits: int, value: SupportsInt) -> Any:
    """An integer modulo 2^bits as a word (64 bits) or a wide integer."""
    return np.uint64(int(value) & 2**64 - 1) if bits == 64 else _CLASSES[bits](value)


class Wide(types.Type):
    """Numba's type of unsigned integers of `bits` bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"Wide({bits})")


@register_model(Wide)
class _WideModel(models.PrimitiveModel):
    """One LLVM integer, which passes between functions by way of registers.

    A wide result comes back in memory, written word by word. LLVM would hand it on with one vector load, which has to
    wait until all those stores have reached the cache: 13 ns for every function that returns another's result. `freeze`
    has no machine code, but is no plain copy, so words are loaded as they were stored.
    """

    def __init__(self, manager: Any, fe_type: Wide) -> None:
        super().__init__(manager, fe_type, ir.IntType(fe_type.bits))  # type: ignore[no-untyped-call]

    def from_argument(self, builder: Any, value: Any) -> Any:
        return _frozen(builder, value)

    def from_return(self, builder: Any, value: Any) -> Any:
        return _frozen(builder, value)


def _frozen(builder: Any, value: Any) -> Any:
    frozen = ir.Instruction(builder.block, value.type, "freeze", [value])
    builder._insert(frozen)
    return frozen


@typeof_impl.register(WideInt)
def _typeof_wide(value: WideInt, _context: Any) -> Wide:
    return Wide(value.bits)


@lower_constant(Wide)
def _constant(_context: Any, _builder: Any, wide: Wide, value: WideInt) -> Any:
    return ir.Constant(ir.IntType(wide.bits), int(value))


def lowered(rule: Callable[..., Any], emit: Callable[..., Any]) -> Callable[[F], F]:
    """Give a function its compiled body; called from Python, it stays what it is.

    rule : from the numba types of the arguments to a signature, or None where they don't fit
    emit : from (builder, signature, values) to the value; an array argument comes as its address

    A decorator, so that rule and emitted code are part of the function's syntax, and with it of the identity of the
    handlers that use it.
    """

    def generic(_template: Any, args: Any, kws: Any) -> Any:
        return None if kws else rule(*args)

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = [
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(sig.args, args, strict=True)
        ]
        result = emit(builder, sig, *values)
        return context.get_dummy_value() if result is None else result

    def register(function: F) -> F:
        body = {"key": function, "generic": generic}
        template = type(f"{function.__name__}_template", (_templates.AbstractTemplate,), body)
        _templates.infer_global(function, _types.Function(template))
        _lower_any(function)(build)
        return function

    return register


def _lower_any(function: Any) -> Any:
    lower: Any = lower_builtin
    return lower(function, types.VarArg(types.Any))


def _means(operation: Any) -> Callable[[F], F]:
    """Let an intrinsic be what one of Python's operators means for wide integers."""

    def register(function: Any) -> Any:
        template = _templates.make_intrinsic_template(operation, function._defn, function.__name__)
        _templates.infer_global(operation, _types.Function(template))
        return function

    return register


def _comparison(symbol: str, a: Any, b: Any) -> Any:
    if not (isinstance(a, Wide) and a == b):
        return None
    return types.boolean(a, b), lambda _context, builder, _sig, args: builder.icmp_unsigned(symbol, *args)


def _bitwise(name: str, a: Any, b: Any) -> Any:
    if not (isinstance(a, Wide) and a == b):
        return None
    return a(a, b), lambda _context, builder, _sig, args: getattr(builder, name)(*args)


def _shift(name: str, value: Any, count: Any) -> Any:
    """A shift that yields 0 when the count, read as unsigned, is not below the width."""
    if not (isinstance(value, Wide) and isinstance(count, types.Integer)):
        return None

    def build(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        wide, by = args
        inside = builder.icmp_unsigned("<", by, ir.Constant(by.type, value.bits))
        shifted = getattr(builder, name)(wide, builder.zext(by, wide.type))
        return builder.select(inside, shifted, ir.Constant(wide.type, 0))

    return value(value, types.int64), build


@_means(operator.eq)
@intrinsic
def _equal(_typing_context: Any, a: Any, b: Any) -> Any:
    return _comparison("==", a, b)


@_means(operator.ne)
@intrinsic
def _differ(_typing_context: Any, a: Any, b: Any) -> Any:
    return _comparison("!=", a, b)


@_means(operator.lt)
@intrinsic
def _less(_typing_context: Any, a: Any, b: Any) -> Any:
    return _comparison("<", a, b)


@_means(operator.le)
@intrinsic
def _at_most(_typing_context: Any, a: Any, b: Any) -> Any:
    return _comparison("<=", a, b)


@_means(operator.gt)
@intrinsic
def _more(_typing_context: Any, a: Any, b: Any) -> Any:
    return _comparison(">", a, b)


@_means(operator.ge)
@intrinsic
def _at_least(_typing_context: Any, a: Any, b: Any) -> Any:
    return _comparison(">=", a, b)


@_means(operator.and_)
@intrinsic
def _and(_typing_context: Any, a: Any, b: Any) -> Any:
    return _bitwise("and_", a, b)


@_means(operator.or_)
@intrinsic
def _or(_typing_context: Any, a: Any, b: Any) -> Any:
    return _bitwise("or_", a, b)


@_means(operator.xor)
@intrinsic
def _xor(_typing_context: Any, a: Any, b: Any) -> Any:
    return _bitwise("xor", a, b)


@_means(operator.lshift)
@intrinsic
def _shift_left(_typing_context: Any, value: Any, count: Any) -> Any:
    return _shift("shl", value, count)


@_means(operator.rshift)
@intrinsic
def _shift_right(_typing_context: Any, value: Any, count: Any) -> Any:
    return _shift("lshr", value, count)
