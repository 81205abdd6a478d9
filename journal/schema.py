"""The messages that a journal holds, as its own header describes them: no declaration of ours is asked.

So a reader decodes messages of users' modules that it has never seen, and journals of other versions. The
description is input like any other: names, types and offsets are checked against the slot before use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from disruptor.errors import DefinitionError, JournalError
from disruptor.journal.layout import Bytes
from disruptor.message import (
    HEADER_SIZE,
    FieldType,
    MessageType,
    byte_string,
    f32,
    f64,
    i8,
    i16,
    i32,
    i64,
    i128,
    i256,
    u8,
    u16,
    u32,
    u64,
    u128,
    u256,
)

#: Types that numpy has, by the name that a schema gives them.
_SCALARS = {f"{kind}{8 * size}": f"<{kind}{size}" for kind in "ui" for size in (1, 2, 4, 8)}
_SCALARS = {name: base for name, base in _SCALARS.items()} | {"f32": "<f4", "f64": "<f8"}
#: Wider integers: bytes, signed.
_WIDE = {"u128": (16, False), "i128": (16, True), "u256": (32, False), "i256": (32, True)}
_BYTES = re.compile(r"bytes([1-9][0-9]{0,8})\Z")
_NAME = re.compile(r"[A-Za-z_]\w{0,255}\Z", re.ASCII)


_TYPES: dict[str, FieldType] = {
    kind.name: kind for kind in (u8, u16, u32, u64, u128, u256, i8, i16, i32, i64, i128, i256, f32, f64)
}


class _Described(msgspec.Struct):
    """A message as the schema JSON has it; other keys are later versions' own."""

    name: str
    type_id: int
    size: int
    counted: bool
    fields: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class StoredField:
    """A field: its type's name, where it begins in the slot, and its bytes."""

    name: str
    type: str
    start: int
    size: int

    @property
    def base(self) -> str | None:
        """The numpy type of a number of up to 64 bits; None for bytes and wider integers."""
        return _SCALARS.get(self.type)

    @property
    def is_wide(self) -> bool:
        """Whether this is an integer of more than 64 bits."""
        return self.type in _WIDE

    @property
    def signed(self) -> bool:
        """Whether a wide integer is in two's complement."""
        return self.is_wide and _WIDE[self.type][1]

    def values(self, slots: Bytes) -> list[Any]:
        """The field of each slot: integers and floats as they are, wider integers in decimal, bytes in hex.

        Parameters
        ----------
        slots : (n, slot_size) uint8
        """
        part = np.ascontiguousarray(slots[:, self.start : self.start + self.size])
        base = _SCALARS.get(self.type)
        if base is not None:
            values: list[Any] = part.view(base)[:, 0].tolist()
            return [_finite(v) for v in values] if base[1] == "f" else values
        raw = part.tobytes()
        cells = [raw[at : at + self.size] for at in range(0, len(raw), self.size)]
        if self.type in _WIDE:
            return [str(int.from_bytes(cell, "little", signed=_WIDE[self.type][1])) for cell in cells]
        return ["0x" + cell.hex() for cell in cells]


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message type of a journal."""

    name: str
    type_id: int
    size: int
    counted: bool
    fields: tuple[StoredField, ...]

    def field(self, name: str) -> StoredField | None:
        """The field with this name, if there is one."""
        return next((field for field in self.fields if field.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Name, id, size and fields as `[name, type, offset in the payload]`."""
        fields = [[f.name, f.type, f.start - HEADER_SIZE] for f in self.fields]
        own = {"name": self.name, "type_id": self.type_id, "size": self.size, "counted": self.counted}
        return {**own, "fields": fields}


Schema = dict[int, StoredMessage]


def parse_schema(content: bytes, slot_size: int) -> Schema:
    """The messages that a segment's header describes, by type id.

    Raises
    ------
    JournalError : not such a description, or one that does not fit the slot; says which message.
    """
    try:
        described = msgspec.json.decode(content, type=list[_Described])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise JournalError(f"the schema can't be read: {error}") from error
    schema: Schema = {}
    for one in described:
        fields = tuple(_stored_field(one.name, *field) for field in one.fields)
        ends = [field.start + field.size for field in fields]
        fits = (
            0 < one.type_id < 1 << 16
            and _NAME.match(one.name)
            and len({f.name for f in fields}) == len(fields)
        )
        if not fits or one.type_id in schema or max(ends, default=0) > slot_size:
            raise JournalError(f"the schema can't be read: message {one.name[:80]!r} makes no sense")
        schema[one.type_id] = StoredMessage(one.name, one.type_id, one.size, one.counted, fields)
    return schema


def _stored_field(message: str, name: str, kind: str, offset: int) -> StoredField:
    if kind in _SCALARS:
        size = np.dtype(_SCALARS[kind]).itemsize
    elif kind in _WIDE:
        size = _WIDE[kind][0]
    elif match := _BYTES.match(kind):
        size = int(match[1])
    else:
        size = 0
    if not size or offset < 0 or not _NAME.match(name):
        raise JournalError(
            f"the schema can't be read: message {message[:80]!r}, field {name[:80]!r}: {kind[:80]!r} at {offset}"
        )
    return StoredField(name, kind, HEADER_SIZE + offset, size)


def _finite(value: float) -> float | str:
    """JSON has no other floats: those are text."""
    return value if np.isfinite(value) else str(value)


def declared(described: list[dict[str, Any]]) -> list[MessageType] | None:
    """Message types that are stored as a schema describes them; None if there are no such."""
    try:
        made = [_message(one) for one in described]
    except (DefinitionError, KeyError, TypeError, ValueError):
        return None
    return made if [kind.schema() for kind in made] == described else None


def _message(described: dict[str, Any]) -> MessageType:
    fields = {name: _field_type(kind) for name, kind, _ in described["fields"]}
    return MessageType(described["name"], described["type_id"], fields, counted=described["counted"])


def _field_type(name: str) -> FieldType:
    return _TYPES[name] if name in _TYPES else byte_string(int(name.removeprefix("bytes")))
