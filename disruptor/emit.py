"""`emit(out, Message)`: how a handler puts an output on the output ring.

The message is known when the loop is compiled, so its id and layout are constants: a message type is given to numba as
a type of its own, without data. The output's header carries its identity: the causing event's sequence, the handler's
number, and the ordinal within (event, handler).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.core.imputils import lower_constant
from numba.extending import models, overload, register_model, typeof_impl

from disruptor.jit import inline
from disruptor.message import MessageType
from disruptor.status import TOO_MANY_OUTPUTS

OUT_CELL_DTYPE = np.dtype(
    [
        ("next", "<i8"),  # position of the next output: counts all outputs ever emitted
        ("limit", "<i8"),  # position that the running handler must not reach
        ("mask", "<i8"),  # output ring capacity - 1
        ("sequence", "<i8"),  # of the causing event
        ("event_time_ns", "<i8"),
        ("ordinal", "<i8"),
        ("stride", "<i8"),  # 64-bit words of a slot
        ("handler", "<u4"),
        ("padding", "<u4"),
    ],
    align=True,
)


class _NumbaMessage(types.Opaque):
    """Numba's type of one message type; carries the declaration to `overload`."""

    def __init__(self, declaration: MessageType) -> None:
        self.declaration = declaration
        super().__init__(name=f"Message({declaration.name}, {declaration.schema_hash:016x})")


register_model(_NumbaMessage)(models.OpaqueModel)


@typeof_impl.register(MessageType)
def _typeof_message(value: MessageType, _context: Any) -> _NumbaMessage:
    return _NumbaMessage(value)


@lower_constant(_NumbaMessage)
def _constant_message(context: Any, _builder: Any, _type: Any, _value: Any) -> Any:
    return context.get_dummy_value()


def emit(out: Any, message: MessageType) -> Any:
    """Take the next output slot for a message and return it for filling.

    Parameters
    ----------
    out : the handler's third argument
    message : MessageType, a global of the handler's module

    Returns
    -------
    record of the message's slot dtype: header filled, payload zero. Set fields by name. `flags` starts at 0.

    Invariants
    ----------
    Emitting more than the declared `max_outputs` fails the event with TOO_MANY_OUTPUTS; the surplus goes to a scratch slot.
    """
    return getattr(out, message.name)[_next_slot(out, np.uint16(message.type_id))]


@overload(emit, strict=False)
def _emit(out: Any, message: Any) -> Any:
    if not isinstance(message, _NumbaMessage):
        raise numba.errors.TypingError("emit: the second argument must be a message type (a global of the module)")
    name, type_id = message.declaration.name, np.uint16(message.declaration.type_id)
    scope: dict[str, Any] = {"_next_slot": _next_slot, "type_id": type_id}
    exec(f"def impl(out, message):\n    return out.{name}[_next_slot(out, type_id)]", scope)
    return scope["impl"]


@inline
def _next_slot(out, type_id):  # type: ignore[no-untyped-def]
    cell = out.cell[0]
    position = cell["next"]
    if position < cell["limit"]:
        at = position & cell["mask"]
        cell["next"] = position + 1
    else:
        out.fault[0] = TOO_MANY_OUTPUTS
        at = cell["mask"] + 1
    stride = cell["stride"]
    for k in range(at * stride, at * stride + stride):
        out.words[k] = np.uint64(0)
    header = out.headers[at]
    header["sequence"] = cell["sequence"]
    header["source_sequence"] = cell["ordinal"]
    header["event_time_ns"] = cell["event_time_ns"]
    header["type_id"] = type_id
    header["source_id"] = cell["handler"]
    cell["ordinal"] += 1
    return at
