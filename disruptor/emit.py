"""`emit(out, Message)`: how a handler puts an output on the output ring.

The message is known when the loop is compiled, so its id and layout are constants: a message type is given to numba as
a type of its own, without data. The output's header carries its identity: the causing event's sequence, the handler's
number, and the ordinal within (event, handler).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

from disruptor import references
from disruptor.message import MessageType, header_dtype
from disruptor.references import MessageConstant, OutputRef
from disruptor.status import TOO_MANY_OUTPUTS


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
    Emitting more than the declared `max_outputs` fails the event with TOO_MANY_OUTPUTS; the surplus goes to
    a scratch slot.
    """
    cell = out.cell[0]
    position = cell["next"]
    if position < cell["limit"]:
        at = position & cell["mask"]
        cell["next"] = position + 1
    else:
        out.fault[0] = TOO_MANY_OUTPUTS
        at = cell["mask"] + 1
    out.slots[at] = 0
    record = out.slots[at].view(message.slot_dtype(out.layout.slot_size))[0]
    header = out.slots[at].view(header_dtype(out.layout.slot_size))[0]
    header["sequence"], header["source_sequence"] = cell["sequence"], cell["ordinal"]
    header["event_time_ns"], header["source_id"] = cell["event_time_ns"], cell["handler"]
    header["type_id"] = message.type_id
    cell["ordinal"] += 1
    return record


@overload(emit, strict=False)
def _emit(out: Any, message: Any) -> Any:
    if not isinstance(message, MessageConstant):
        raise numba.errors.TypingError(
            "emit: the second argument must be a message type (a global of the module)"
        )
    if not isinstance(out, OutputRef):
        return None
    type_id = np.uint16(message.declaration.type_id)
    sequence, source_sequence, event_time_ns, kind, source_id = (
        f"header_{n}" if n in message.declaration.fields else n
        for n in ("sequence", "source_sequence", "event_time_ns", "type_id", "source_id")
    )

    def compiled(out: Any, message: Any) -> Any:
        cell = references.cell_at(out)
        position = cell["next"]
        if position < cell["limit"]:
            at = position & cell["mask"]
            cell["next"] = position + 1
        else:
            references.out_fault_at(out)["code"] = TOO_MANY_OUTPUTS
            at = cell["mask"] + 1
        references.zero_slot(out, at)
        record = references.slot_at(out, at, message)
        record[sequence] = cell["sequence"]
        record[source_sequence] = cell["ordinal"]
        record[event_time_ns] = cell["event_time_ns"]
        record[kind] = type_id
        record[source_id] = cell["handler"]
        cell["ordinal"] += 1
        return record

    return compiled


def cell_of(out: Any) -> Any:
    """The output ring's cell (`disruptor.references.OUT_CELL_DTYPE`)."""
    return out.cell[0]


@overload(cell_of, strict=False)
def _compiled_cell_of(out: Any) -> Any:
    return lambda out: references.cell_at(out)


def fault_of(out: Any) -> Any:
    """What a handler or accessor did that it must not, as a status; OK otherwise."""
    return out.fault[0]


@overload(fault_of, strict=False)
def _compiled_fault_of(out: Any) -> Any:
    return lambda out: references.out_fault_at(out)["code"]


def output_at(out: Any, at: Any, message: MessageType) -> Any:
    """The output slot `at`, seen as a message."""
    return out.slots[at].view(message.slot_dtype(out.layout.slot_size))[0]


@overload(output_at, strict=False)
def _compiled_output_at(out: Any, at: Any, message: Any) -> Any:
    return lambda out, at, message: references.slot_at(out, at, message)


def type_at(out: Any, at: Any) -> Any:
    """Type id of the output slot `at`."""
    return out.slots[at].view(header_dtype(out.layout.slot_size))[0]["type_id"]


@overload(type_at, strict=False)
def _compiled_type_at(out: Any, at: Any) -> Any:
    return lambda out, at: references.type_id_at(out, at)
