"""The code that compiled loops run for the functions of `disruptor.access`: a few loads and an addition each.

They are given to numba as lowered code rather than as overloads, each of which would be a function compiled anew for
every table: that was half of what a loop took to compile.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.extending import type_callable
from numba.np.numpy_support import as_dtype

from disruptor.references import BUCKETS, FAULT, LINKS, META, ROWS, TOUCHED, TableRef, element, load_address
from disruptor.status import ROW_OUT_OF_BOUNDS

#: Bytes of a cache line.
_LINE = 64
NOT_YOURS = "this table belongs to another module: read it with `read`, or list it in tables=[...]"


def _pointer(context: Any, builder: Any, table: TableRef, descriptor: Any, word: int, index: Any) -> Any:
    """Value of the record `index` (int64, or None for the first) of one of a table's arrays."""
    address = load_address(builder, descriptor, word)
    if index is not None:
        address = builder.add(address, builder.mul(index, index.type(element(table, word).size)))
    return builder.inttoptr(address, context.get_value_type(element(table, word)))


def _define(function: Any, result: Any, build: Any, *operands: Any) -> None:
    """Give numba a function on tables directly, as one piece of code.

    An `@overload` would be compiled as a function of its own for each table, which is most of what a loop costs to
    compile. `result(table)` is the type it returns, or raises; `build(context, builder, table, values)` its code,
    with integer operands cast to int64.
    """

    def typed(table: Any, *rest: Any) -> Any:
        fits = isinstance(table, TableRef) and all(isinstance(t, types.Integer) for t in rest)
        return result(table) if fits else None

    # Numba reads the arity off the typer.
    typers = (
        lambda table: typed(table),
        lambda table, a: typed(table, a),
        lambda table, a, b: typed(table, a, b),
    )
    type_callable(function)(lambda _context: typers[len(operands)])

    @lower_builtin(function, TableRef, *operands)
    def lower_it(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        values = [args[0]]
        values += [
            context.cast(builder, v, t, types.int64) for v, t in zip(args[1:], sig.args[1:], strict=True)
        ]
        return build(context, builder, sig.args[0], values)


def _checked_index(context: Any, builder: Any, table: TableRef, values: list[Any]) -> Any:
    """An index, or that of the scratch row and a fault where it is outside the table."""
    descriptor, index = values
    capacity = _field(context, builder, table, descriptor, META, "capacity")
    outside = builder.icmp_unsigned(">=", index, capacity)
    with builder.if_then(outside, likely=False):
        fault = builder.inttoptr(load_address(builder, descriptor, FAULT), ir.IntType(64).as_pointer())
        builder.store(ir.IntType(64)(ROW_OUT_OF_BOUNDS), fault)
    return builder.select(outside, capacity, index)


def _note(builder: Any, descriptor: Any, index: Any) -> None:
    """Put a row on its table's list of written rows, unless it is there: see `disruptor.chain`."""
    head = load_address(builder, descriptor, TOUCHED)
    place = builder.add(index, index.type(1))
    pointer = ir.IntType(64).as_pointer()
    link = builder.inttoptr(builder.add(head, builder.mul(place, place.type(8))), pointer)
    first = builder.inttoptr(head, pointer)
    with builder.if_then(builder.icmp_signed("==", builder.load(link), place.type(0))):
        builder.store(builder.load(first), link)
        builder.store(place, first)


def _field(_context: Any, builder: Any, table: TableRef, descriptor: Any, word: int, name: str) -> Any:
    offset = element(table, word).offset(name)
    address = load_address(builder, descriptor, word)
    return builder.load(
        builder.inttoptr(builder.add(address, address.type(offset)), ir.IntType(64).as_pointer())
    )


def _store(builder: Any, descriptor: Any, word: int, index: Any, value: Any) -> None:
    address = load_address(builder, descriptor, word)
    if index is not None:
        address = builder.add(address, builder.mul(index, index.type(8)))
    builder.store(value, builder.inttoptr(address, ir.IntType(64).as_pointer()))


def _prefetch(builder: Any, address: Any, size: int) -> None:
    """Ask for the cache lines of `size` bytes, to be written."""
    pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag]), "llvm.prefetch.p0i8"
    )
    for offset in sorted({*range(0, size, _LINE), size - 1}):
        line = builder.inttoptr(builder.add(address, address.type(offset)), pointer)
        builder.call(function, [line, flag(1), flag(3), flag(1)])  # for writing, to all caches, data


def _writable(table: TableRef) -> Any:
    if table.declaration[1] == "foreign":
        raise numba.errors.TypingError(NOT_YOURS)
    return element(table, ROWS)


def _access(context: Any, builder: Any, table: TableRef, values: list[Any]) -> Any:
    if table.declaration[1] == "plain":
        return _pointer(context, builder, table, values[0], ROWS, values[1])
    index = _checked_index(context, builder, table, values)
    return _pointer(context, builder, table, values[0], ROWS, index)


def _access_to_write(context: Any, builder: Any, table: TableRef, values: list[Any]) -> Any:
    if table.declaration[1] != "noted":
        return _access(context, builder, table, values)
    index = _checked_index(context, builder, table, values)
    _note(builder, values[0], index)
    return _pointer(context, builder, table, values[0], ROWS, index)


def _nbytes(field: Any) -> int:
    return int(as_dtype(field).itemsize)


def define_copies(assign: Any, assign_at: Any) -> None:
    """Give numba the copying of fields: moves of a constant size, instead of a loop over bytes."""

    def kinds(target: Any, source: Any) -> Any:
        fields = isinstance(target, types.NestedArray) and isinstance(source, types.NestedArray)
        return (target, source) if fields and target.dtype == source.dtype else None

    type_callable(assign)(
        lambda _context: (
            lambda target, source: (
                types.none if kinds(target, source) and target.shape == source.shape else None
            )
        )
    )
    type_callable(assign_at)(
        lambda _context: (
            lambda target, offset, source: (
                types.none if kinds(target, source) and isinstance(offset, types.Integer) else None
            )
        )
    )

    def copy(context: Any, builder: Any, kind: Any, target: Any, source: Any, size: Any) -> Any:
        """`target` an address in bytes; `source` a value of the NestedArray `kind`."""
        begin = context.make_array(kind)(context, builder, source).data
        cgutils.raw_memmove(builder, target, begin, size, 1)
        return context.get_dummy_value()

    @lower_builtin(assign, types.NestedArray, types.NestedArray)
    def lower_assign(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target = context.make_array(sig.args[0])(context, builder, args[0]).data
        size = ir.IntType(64)(_nbytes(sig.args[1]))
        return copy(context, builder, sig.args[1], target, args[1], size)

    @lower_builtin(assign_at, types.NestedArray, types.Integer, types.NestedArray)
    def lower_assign_at(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        target = context.make_array(sig.args[0])(context, builder, args[0]).data
        offset = context.cast(builder, args[1], sig.args[1], types.int64)
        size = ir.IntType(64)(_nbytes(sig.args[2]))
        return copy(context, builder, sig.args[2], builder.gep(target, [offset]), args[2], size)


def define_access(**functions: Any) -> None:
    """Give numba the functions of `disruptor.access` on tables of compiled loops; called there, once."""
    index = types.Integer

    def at(word: int) -> Any:
        return lambda context, builder, table, values: _pointer(
            context, builder, table, values[0], word, values[1] if len(values) > 1 else None
        )

    def link(_context: Any, builder: Any, _table: Any, values: list[Any]) -> Any:
        address = builder.add(
            load_address(builder, values[0], LINKS), builder.mul(values[1], values[1].type(8))
        )
        return builder.load(builder.inttoptr(address, ir.IntType(64).as_pointer()))

    def set_link(context: Any, builder: Any, table: TableRef, values: list[Any]) -> Any:
        if table.declaration[1] == "noted":  # a row comes or goes
            _note(builder, values[0], values[1])
        _store(builder, values[0], LINKS, values[1], values[2])
        return context.get_dummy_value()

    def fail(context: Any, builder: Any, _table: Any, values: list[Any]) -> Any:
        _store(builder, values[0], FAULT, None, values[1])
        return context.get_dummy_value()

    def clear(context: Any, builder: Any, table: TableRef, values: list[Any]) -> Any:
        size = element(table, ROWS).size
        address = builder.add(
            load_address(builder, values[0], ROWS), builder.mul(values[1], values[1].type(size))
        )
        cgutils.memset(builder, builder.inttoptr(address, cgutils.voidptr_t), address.type(size), 0)
        return context.get_dummy_value()

    def prefetch(word: int) -> Any:
        def build(context: Any, builder: Any, table: TableRef, values: list[Any]) -> Any:
            size = element(table, word).size
            address = load_address(builder, values[0], word)
            _prefetch(builder, builder.add(address, builder.mul(values[1], values[1].type(size))), size)
            return context.get_dummy_value()

        return build

    def own(context: Any, _builder: Any, _table: Any, _values: list[Any]) -> Any:
        return context.get_dummy_value()

    def is_own(table: TableRef) -> Any:
        _writable(table)
        return types.none

    _define(functions["row"], _writable, _access_to_write, index)
    _define(functions["read"], lambda t: element(t, ROWS), _access, index)
    _define(functions["own"], is_own, own)
    _define(functions["row_at"], lambda t: element(t, ROWS), at(ROWS), index)
    _define(functions["meta_of"], lambda t: element(t, META), at(META))
    _define(functions["bucket_at"], lambda t: element(t, BUCKETS), at(BUCKETS), index)
    _define(functions["link"], lambda t: types.int64, link, index)
    _define(functions["set_link"], lambda t: types.none, set_link, index, index)
    _define(functions["fail"], lambda t: types.none, fail, index)
    _define(functions["prefetch"], lambda t: types.none, prefetch(ROWS), index)
    _define(functions["prefetch_bucket"], lambda t: types.none, prefetch(BUCKETS), index)
    _define(functions["clear"], lambda t: types.none, clear, index)
