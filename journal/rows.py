"""Slots as rows: by name, in plain values, with nothing but the journal's own schema.

A row is `sequence, type`, what its slot's header says (`source_sequence, event_time_ns, flags, source_id`), then the
message's fields; one of the same name as those is called `payload_<name>`. The sequence is the place in the
journal; a slot whose own header says another has that as `header_sequence`. A slot of a type that the schema does
not describe has type null, `type_id`, and `payload` in hex: its bytes are there all the same.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disruptor.journal.layout import Bytes
from disruptor.journal.schema import Schema, StoredMessage
from disruptor.message import HEADER_SIZE, header_dtype

Row = dict[str, Any]
Chosen = NDArray[np.bool_]

_HEADER = ("source_sequence", "event_time_ns", "flags", "source_id")
_TAKEN = frozenset({"sequence", "header_sequence", "type", "type_id", *_HEADER})


def type_ids(slots: Bytes) -> NDArray[np.uint16]:
    """The type id of each of (n, slot_size) slots."""
    found: NDArray[np.uint16] = _headers(slots)["type_id"]
    return found


def column_name(field: str) -> str:
    """The name under which a row has a message's field.

    >>> column_name("price"), column_name("flags")
    ('price', 'payload_flags')
    """
    return f"payload_{field}" if field in _TAKEN else field


def rows(slots: Bytes, first_sequence: int, schema: Schema, chosen: Chosen | None = None) -> list[Row]:
    """Decode slots, in their order.

    Parameters
    ----------
    slots : (n, slot_size) uint8, consecutive from `first_sequence` on
    chosen : (n,) bool, which of them; default all
    """
    wanted = np.arange(len(slots)) if chosen is None else np.flatnonzero(chosen)
    slots = np.ascontiguousarray(slots[wanted])
    headers = _headers(slots)
    kinds = headers["type_id"]
    own = headers["sequence"].tolist()
    columns = [headers[name].tolist() for name in _HEADER]
    made: list[Row] = []
    for index, (place, kind) in enumerate(zip(wanted.tolist(), kinds.tolist(), strict=True)):
        message = schema.get(kind)
        row: Row = {"sequence": first_sequence + place, "type": message.name if message else None}
        if message is None:
            row["type_id"] = kind
        if own[index] != row["sequence"]:
            row["header_sequence"] = own[index]
        row.update((name, column[index]) for name, column in zip(_HEADER, columns, strict=True))
        made.append(row)
    for kind in np.unique(kinds).tolist():
        where = np.flatnonzero(kinds == kind)
        _fill(made, where.tolist(), slots[where], schema.get(kind))
    return made


def text(row: Row) -> str:
    """A row for people: header fields only where they say something.

    >>> text({"sequence": 7, "type": "Tick", "flags": 0, "pool": 3})
    '7 Tick pool=3'
    """
    name = row["type"] or f"type {row['type_id']}"
    rest = (
        f"{key}={value}"
        for key, value in row.items()
        if key not in ("sequence", "type", "type_id") and (key not in _HEADER or value)
    )
    return " ".join((str(row["sequence"]), name, *rest))


def line(row: Row) -> str:
    """A row as one line of JSON."""
    return json.dumps(row, allow_nan=False, separators=(",", ":"))


def _fill(made: list[Row], where: list[int], slots: Bytes, message: StoredMessage | None) -> None:
    """Add the fields of one message to its rows."""
    if message is None:
        for index, slot in zip(where, slots, strict=True):
            made[index]["payload"] = "0x" + slot[HEADER_SIZE:].tobytes().hex()
        return
    for field in message.fields:
        name = column_name(field.name)
        for index, value in zip(where, field.values(slots), strict=True):
            made[index][name] = value


def _headers(slots: Bytes) -> np.ndarray[Any, Any]:
    size = slots.shape[1]
    return np.ascontiguousarray(slots).reshape(-1).view(header_dtype(size))
