"""State and outputs as one machine word each, so that passing them to a handler or helper costs nothing.

Numba passes a tuple of arrays by value: a state of twenty tables is 6 KB copied for each call that LLVM does not
inline, and thousands of values for its passes to shuffle, which is what made loops slow to compile and slower to
run. So inside compiled code a state is the address of a block of table descriptors, a table the address of its
descriptor, and an output ring the address of its own. What a table's rows look like is known from the *layout*, a
compile-time constant.

    descriptor (64 bytes)   0 rows   8 meta   16 buckets   24 links   32 fault   40 touched   (addresses)
    output     (64 bytes)   0 slots  8 cell   16 fault

With the JIT off the same names work on `NamedTuple`s of arrays (`disruptor.access`, `disruptor.emit`), and kernels in
tests may be given those too.
"""

from __future__ import annotations

import hashlib
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_constant, lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import models, overload, register_model, typeof_impl

from disruptor.jit import JIT_DISABLED
from disruptor.message import TYPE_ID_OFFSET, MessageType
from disruptor.table import BUCKET_DTYPE, META_DTYPE, Table, TableArrays
from disruptor.views import CheckedView, NotedView, PlainView, ReadOnlyView

#: Called from kernels with one argument less than Python's type checker would see.
intrinsic: Any = numba.extending.intrinsic

DESCRIPTOR_WORDS = 8
FAULT_DTYPE = np.dtype([("code", "<i8")], align=True)
LINK_DTYPE = np.dtype([("next", "<i8")], align=True)
OUT_CELL_DTYPE = np.dtype(
    [
        ("next", "<i8"),  # position of the next output: counts all outputs ever emitted
        ("limit", "<i8"),  # position that the running handler must not reach
        ("mask", "<i8"),  # output ring capacity - 1
        ("sequence", "<i8"),  # of the causing event
        ("event_time_ns", "<i8"),
        ("ordinal", "<i8"),
        ("handler", "<u4"),
        ("padding", "<u4"),
    ],
    align=True,
)
ROWS, META, BUCKETS, LINKS, FAULT, TOUCHED = range(6)
_SLOTS, _CELL, _OUT_FAULT = range(3)
_VIEWS: dict[str, Any] = {
    "plain": PlainView,
    "checked": CheckedView,
    "noted": NotedView,
    "foreign": ReadOnlyView,
}


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class StateLayout:
    """The tables of a state in order, each with the variant of access that one module's handlers have to it.

    variants : "plain", "checked", "noted" or "foreign" (a table of another module) by table name
    extensions : what functions find by the state's type when they are compiled; each has a `key` that tells it, and all
        that its code reaches, from any other
    """

    def __init__(self, tables: list[Table], variants: dict[str, str], extensions: Sequence[Any] = ()) -> None:
        self.tables, self.variants = list(tables), dict(variants)
        self.names = [t.name for t in tables]
        self.extensions = tuple(extensions)
        self.State: Any = namedtuple("State", self.names)  # type: ignore[misc]
        setattr(self.State, "extensions", self.extensions)  # noqa: B010

    def key(self) -> str:
        """What tells the layout from any other, in few characters.

        It is part of a numba type's name, and that of the name of every function which takes it: with whole schemas in
        it a loop's machine code was 13 MB, nearly all of it names.
        """
        parts = [f"{t.schema()}={self.variants[t.name]}" for t in self.tables]
        return _short("|".join([*parts, *(extension.key for extension in self.extensions)]))


class OutputLayout:
    """The slot size of an output ring."""

    def __init__(self, slot_size: int) -> None:
        self.slot_size = slot_size


class _Word(types.Type):
    """A numba type whose values are one address."""

    def __init__(self, name: str, declaration: Any) -> None:
        self.declaration = declaration
        super().__init__(name=name)


class StateRef(_Word):
    """Address of a block of descriptors; attributes are the tables."""


class TableRef(_Word):
    """Address of a table's descriptor; `declaration` is (Table, variant)."""


class OutputRef(_Word):
    """Address of an output ring's descriptor."""


class _Constant(types.Opaque):
    """A compile-time object without run-time value."""

    def __init__(self, kind: str, declaration: Any, key: str) -> None:
        self.declaration = declaration
        super().__init__(name=f"{kind}({key})")


class MessageConstant(_Constant):
    """Numba's type of one message type."""


class StateLayoutConstant(_Constant):
    """Numba's type of one state layout."""


class OutputLayoutConstant(_Constant):
    """Numba's type of one output layout."""


class _WordModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, ir.IntType(64))  # type: ignore[no-untyped-call]


for _word in (StateRef, TableRef, OutputRef):
    register_model(_word)(_WordModel)
for _type in (MessageConstant, StateLayoutConstant, OutputLayoutConstant):
    register_model(_type)(models.OpaqueModel)


@typeof_impl.register(MessageType)
def _typeof_message(value: MessageType, _context: Any) -> MessageConstant:
    return MessageConstant("Message", value, f"{value.name}, {value.schema_hash:016x}")


@typeof_impl.register(StateLayout)
def _typeof_state_layout(value: StateLayout, _context: Any) -> StateLayoutConstant:
    return StateLayoutConstant("StateLayout", value, value.key())


@typeof_impl.register(OutputLayout)
def _typeof_output_layout(value: OutputLayout, _context: Any) -> OutputLayoutConstant:
    return OutputLayoutConstant("OutputLayout", value, str(value.slot_size))


@lower_constant(MessageConstant)
@lower_constant(StateLayoutConstant)
@lower_constant(OutputLayoutConstant)
def _no_value(context: Any, _builder: Any, _type: Any, _value: Any) -> Any:
    return context.get_dummy_value()


def _table_ref(table: Table, variant: str) -> TableRef:
    return TableRef(f"TableRef({table.name}, {_short(table.schema())}, {variant})", (table, variant))


@infer_getattr
class _StateAttributes(AttributeTemplate):  # type: ignore[misc]
    key = StateRef

    def generic_resolve(self, state: StateRef, name: str) -> Any:  # type: ignore[override]
        layout = state.declaration
        if name not in layout.names:
            return None
        return _table_ref(layout.tables[layout.names.index(name)], layout.variants[name])


@lower_getattr_generic(StateRef)
def _table_address(_context: Any, builder: Any, state: StateRef, value: Any, name: str) -> Any:
    offset = state.declaration.names.index(name) * DESCRIPTOR_WORDS * 8
    return builder.add(value, value.type(offset))


def load_address(builder: Any, descriptor: Any, word: int) -> Any:
    """One address of a descriptor."""
    pointer = builder.inttoptr(
        builder.add(descriptor, descriptor.type(8 * word)), ir.IntType(64).as_pointer()
    )
    return builder.load(pointer)


def element(table: TableRef, word: int) -> Any:
    """Record type of one element of a table's array."""
    dtype = {ROWS: table.declaration[0].dtype, META: META_DTYPE, BUCKETS: BUCKET_DTYPE}
    return numba.from_dtype(dtype.get(word, LINK_DTYPE if word == LINKS else FAULT_DTYPE))


def describe_tables(
    tables: Sequence[TableArrays],
    fault: npt.NDArray[np.int64],
    touched: Sequence[npt.NDArray[np.int64]] | None = None,
) -> Any:
    """What `bind_state` takes: (8 n,) uint64 descriptors, or with the JIT off the arrays themselves.

    The descriptors hold addresses: the caller keeps tables, `fault` and `touched` alive.

    touched : where each table's written rows are noted, for layouts with noted tables (`disruptor.chain`)
    """
    lists = [()] * len(tables) if touched is None else [(own,) for own in touched]
    parts = [(*table, fault, *own) for table, own in zip(tables, lists, strict=True)]
    if JIT_DISABLED:
        return tuple(part for row in parts for part in row)
    descriptors = np.zeros((max(1, len(tables)), DESCRIPTOR_WORDS), np.uint64)
    for row, arrays in zip(descriptors, parts, strict=False):
        row[: len(arrays)] = [part.ctypes.data for part in arrays]
    return descriptors.reshape(-1)


def bind_state(layout: StateLayout, tables: Any) -> Any:
    """The `state` of one module's handlers over the tables that the loop was given."""
    kinds = [_VIEWS[layout.variants[name]] for name in layout.names]
    each = len(tables) // max(1, len(kinds))  # arrays of a table
    parts = [tables[each * k : each * k + len(kind._fields)] for k, kind in enumerate(kinds)]
    return layout.State(*(kind(*own) for kind, own in zip(kinds, parts, strict=True)))


@intrinsic
def _bind_state(typing_context: Any, layout: Any, descriptors: Any) -> Any:
    result = StateRef(f"State({layout.name})", layout.declaration)

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(sig.args[1])(context, builder, args[1])
        return builder.ptrtoint(array.data, ir.IntType(64))

    return result(layout, descriptors), build


@overload(bind_state, strict=False)
def _overload_bind_state(layout: Any, tables: Any) -> Any:
    if isinstance(layout, StateLayoutConstant):
        return lambda layout, tables: _bind_state(layout, tables)
    return None


class Output:
    """The `out` of handlers with the JIT off: the output ring's arrays."""

    def __init__(self, layout: OutputLayout, slots: Any, cell: Any, fault: Any) -> None:
        self.layout, self.slots, self.cell, self.fault = layout, slots, cell, fault


def bind_output(layout: OutputLayout, outputs: Any) -> Any:
    """The `out` of all handlers over the output ring that the loop was given."""
    return Output(layout, *outputs)


@intrinsic
def _bind_output(typing_context: Any, layout: Any, descriptors: Any) -> Any:
    result = OutputRef(f"Output({layout.name})", layout.declaration)

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(sig.args[1])(context, builder, args[1])
        return builder.ptrtoint(array.data, ir.IntType(64))

    return result(layout, descriptors), build


@overload(bind_output, strict=False)
def _overload_bind_output(layout: Any, outputs: Any) -> Any:
    if isinstance(layout, OutputLayoutConstant):
        return lambda layout, outputs: _bind_output(layout, outputs)
    return None


def _out_record(word: int, dtype: np.dtype[Any]) -> Any:
    record = numba.from_dtype(dtype)

    @intrinsic
    def get(typing_context: Any, out: Any) -> Any:
        def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.inttoptr(load_address(builder, args[0], word), context.get_value_type(record))

        return record(out), build

    return get


cell_at = _out_record(_CELL, OUT_CELL_DTYPE)
out_fault_at = _out_record(_OUT_FAULT, FAULT_DTYPE)


@intrinsic
def slot_at(typing_context: Any, out: Any, at: Any, message: Any) -> Any:
    """The output slot `at` as a record of the message's slot dtype."""
    slot_size = out.declaration.slot_size
    record = numba.from_dtype(message.declaration.slot_dtype(slot_size))

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _slot_address(builder, args[0], args[1], slot_size)
        return builder.inttoptr(address, context.get_value_type(record))

    return record(out, types.int64, message), build


@intrinsic
def type_id_at(typing_context: Any, out: Any, at: Any) -> Any:
    """Type id in the header of the output slot `at`."""
    slot_size = out.declaration.slot_size

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _slot_address(builder, args[0], args[1], slot_size)
        address = builder.add(address, address.type(TYPE_ID_OFFSET))
        return builder.load(builder.inttoptr(address, ir.IntType(16).as_pointer()))

    return types.uint16(out, types.int64), build


@intrinsic
def zero_slot(typing_context: Any, out: Any, at: Any) -> Any:
    """Fill the output slot `at` with zeros."""
    slot_size = out.declaration.slot_size

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _slot_address(builder, args[0], args[1], slot_size)
        cgutils.memset(builder, builder.inttoptr(address, cgutils.voidptr_t), address.type(slot_size), 0)
        return context.get_dummy_value()

    return types.none(out, types.int64), build


def _slot_address(builder: Any, out: Any, at: Any, slot_size: int) -> Any:
    return builder.add(load_address(builder, out, _SLOTS), builder.mul(at, at.type(slot_size)))
