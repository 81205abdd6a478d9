"""Message types: a fixed layout with a name, an explicit stable type id and a schema hash.

Fields are laid out as C does (natural alignment; u128 and i128 on 16 bytes), so a message can be shared with any
language. A slot on a ring is a 32-byte header followed by the payload:

    offset  field            type   meaning
    0       sequence         i64    the event's own sequence; on outputs the causing event's
    8       source_sequence  i64    the source's own count; on outputs the ordinal within (event, handler)
    16      event_time_ns    i64    chain time, ns since the epoch; 0 where unknown
    24      type_id          u16
    26      flags            u16    meaning depends on the type
    28      source_id        u32    the feed; on outputs the handler's number
    32      payload

Wide integers are little-endian 64-bit limbs: u128 is `<u8[2]`, u256 `<u8[4]`; signed ones in two's complement.
A layout never changes: a changed message is a new type id.
"""

from __future__ import annotations

import functools
import hashlib
import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from disruptor.errors import DefinitionError

HEADER_FIELDS: tuple[tuple[str, str], ...] = (
    ("sequence", "<i8"),
    ("source_sequence", "<i8"),
    ("event_time_ns", "<i8"),
    ("type_id", "<u2"),
    ("flags", "<u2"),
    ("source_id", "<u4"),
)
HEADER_SIZE = 32
TYPE_ID_OFFSET = 24
DEFAULT_SLOT_SIZE = 192
#: Ids below this one are the engine's, declared with `built_in_message`.
FIRST_USER_TYPE_ID = 1000
MAX_TYPE_ID = 4095
#: A header field under which a slot hides the payload's field of the same name: no payload may use these.
_HIDDEN_HEADER_NAMES = frozenset(f"header_{name}" for name, _ in HEADER_FIELDS)
#: Parts of a handler's `out` that are not messages.
_OUTPUT_PARTS = frozenset({"cell", "fault", "headers", "words", "mask", "capacity"})


@dataclass(frozen=True)
class FieldType:
    """A field's type: numpy base type, element count (0 for a scalar), alignment in bytes."""

    name: str
    base: str
    count: int
    alignment: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype of one field."""
        return np.dtype((self.base, (self.count,))) if self.count else np.dtype(self.base)


u8 = FieldType("u8", "<u1", 0, 1)
u16 = FieldType("u16", "<u2", 0, 2)
u32 = FieldType("u32", "<u4", 0, 4)
u64 = FieldType("u64", "<u8", 0, 8)
i8 = FieldType("i8", "<i1", 0, 1)
i16 = FieldType("i16", "<i2", 0, 2)
i32 = FieldType("i32", "<i4", 0, 4)
i64 = FieldType("i64", "<i8", 0, 8)
f32 = FieldType("f32", "<f4", 0, 4)
f64 = FieldType("f64", "<f8", 0, 8)
u128 = FieldType("u128", "<u8", 2, 16)
i128 = FieldType("i128", "<u8", 2, 16)
u256 = FieldType("u256", "<u8", 4, 8)
i256 = FieldType("i256", "<u8", 4, 8)


def byte_string(length: int) -> FieldType:
    """A field of `length` raw bytes.

    >>> byte_string(20).dtype
    dtype(('u1', (20,)))
    """
    if length < 1:
        raise DefinitionError(f"byte_string: length must be at least 1, not {length}")
    return FieldType(f"bytes{length}", "<u1", length, 1)


def is_name(name: object) -> bool:
    """Whether a declaration may use this as a name: an identifier, no keyword, no leading underscore."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name) and name[0] != "_"


def check_fields(owner: str, fields: Mapping[str, FieldType]) -> None:
    """Refuse an empty field list, names that Python could not write, and types that are none."""
    if not isinstance(fields, Mapping) or not fields:
        raise DefinitionError(f"{owner}: needs at least one field: a mapping of names to field types")
    for name, kind in fields.items():
        if not is_name(name):
            raise DefinitionError(
                f"{owner}: field {name!r}: the name must be an identifier, not a keyword, without leading _"
            )
        if not isinstance(kind, FieldType):
            raise DefinitionError(
                f"{owner}: field {name}: {kind!r} is no field type (u8..u256, i8..i256, f32, f64, byte_string(n))"
            )


def layout_c(fields: Mapping[str, FieldType]) -> tuple[dict[str, int], int, int]:
    """Offsets, total size and alignment of a C struct with these fields."""
    offsets: dict[str, int] = {}
    end, alignment = 0, 1
    for name, kind in fields.items():
        end = -(-end // kind.alignment) * kind.alignment
        offsets[name] = end
        end += kind.dtype.itemsize
        alignment = max(alignment, kind.alignment)
    return offsets, -(-end // alignment) * alignment, alignment


class MessageType:
    """A declared message; see `message`.

    Attributes
    ----------
    name, type_id : str, int
    fields : read-only mapping of field name to FieldType, in layout order
    dtype : numpy dtype of the payload, with C offsets
    schema_hash : 64-bit int over name, id, fields, offsets and `counted`
    counted : whether the message counts as an event in reports (boundaries and transfers do not)
    """

    def __init__(
        self, name: str, type_id: int, fields: Mapping[str, FieldType], *, counted: bool = True
    ) -> None:
        _check_declaration(name, type_id, fields)
        self.name, self.type_id, self.counted = name, type_id, counted
        self.fields: Mapping[str, FieldType] = MappingProxyType(dict(fields))
        offsets, self.size, self.alignment = layout_c(self.fields)
        self.offsets: Mapping[str, int] = MappingProxyType(offsets)
        self.dtype: np.dtype[Any] = np.dtype(
            {
                "names": list(fields),
                "formats": [kind.dtype for kind in fields.values()],
                "offsets": list(self.offsets.values()),
                "itemsize": self.size,
            },
            align=True,
        )
        text = f"{name}:{type_id}:" + ",".join(f"{f}:{k.name}@{self.offsets[f]}" for f, k in fields.items())
        text += f":counted={bool(counted)}"
        self.schema_hash = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    def slot_dtype(self, slot_size: int = DEFAULT_SLOT_SIZE) -> np.dtype[Any]:
        """Header and payload as one flat dtype of `slot_size` bytes.

        A header field whose name the payload also uses is reached as `header_<name>`.
        """
        if HEADER_SIZE + self.size > slot_size:
            raise DefinitionError(
                f"message {self.name}: {self.size} bytes of payload do not fit a slot of {slot_size} bytes "
                f"(at most {slot_size - HEADER_SIZE})"
            )
        header = [f"header_{n}" if n in self.fields else n for n, _ in HEADER_FIELDS]
        header_dtype = np.dtype(list(HEADER_FIELDS))
        assert header_dtype.fields is not None
        return np.dtype(
            {
                "names": header + list(self.fields),
                "formats": [t for _, t in HEADER_FIELDS] + [k.dtype for k in self.fields.values()],
                "offsets": [header_dtype.fields[n][1] for n, _ in HEADER_FIELDS]
                + [HEADER_SIZE + o for o in self.offsets.values()],
                "itemsize": slot_size,
            },
            align=True,
        )

    def schema(self) -> dict[str, Any]:
        """A plain description, enough for a reader that knows nothing else: stored in every journal."""
        return {
            "name": self.name,
            "type_id": self.type_id,
            "size": self.size,
            "counted": self.counted,
            "schema_hash": f"{self.schema_hash:016x}",
            "fields": [[f, k.name, self.offsets[f]] for f, k in self.fields.items()],
        }

    def __repr__(self) -> str:
        return f"<message {self.name} id={self.type_id} {self.size} bytes>"


def _check_declaration(name: str, type_id: int, fields: Mapping[str, FieldType]) -> None:
    if not is_name(name):
        raise DefinitionError(
            f"message {name!r}: the name must be an identifier, not a keyword, without leading _"
        )
    if name in _OUTPUT_PARTS:
        raise DefinitionError(
            f"message {name}: the name is taken by a part of a handler's `out`; choose another"
        )
    if isinstance(type_id, bool) or not isinstance(type_id, int):
        raise DefinitionError(f"message {name}: the type id must be an integer, not {type_id!r}")
    if not 0 < type_id <= MAX_TYPE_ID:
        raise DefinitionError(f"message {name}: type id {type_id} is outside 1..{MAX_TYPE_ID}")
    check_fields(f"message {name}", fields)
    hidden = sorted(_HIDDEN_HEADER_NAMES & fields.keys())
    if hidden:
        raise DefinitionError(
            f"message {name}: field {hidden[0]}: the name is kept for the slot's header; choose another"
        )


def built_in_message(
    name: str, type_id: int, fields: Mapping[str, FieldType], *, counted: bool = True
) -> MessageType:
    """Declare one of the engine's own messages, whose ids lie below `FIRST_USER_TYPE_ID`; else as `message`."""
    declared = MessageType(name, type_id, fields, counted=counted)
    if type_id >= FIRST_USER_TYPE_ID:
        raise DefinitionError(
            f"message {name}: type id {type_id} is a user's; the engine's are 1..{FIRST_USER_TYPE_ID - 1}"
        )
    return declared


def message(name: str, type_id: int, fields: Mapping[str, FieldType], *, counted: bool = True) -> MessageType:
    """Declare a message type.

    Parameters
    ----------
    name : identifier, unique within a handler set
    type_id : explicit and stable; users' messages start at `FIRST_USER_TYPE_ID` (1000)
    fields : name -> one of u8..u64, i8..i64, f32, f64, u128, i128, u256, i256, byte_string(n)
    counted : False for messages that reports do not count as events

    Raises
    ------
    DefinitionError : a bad name, id or field list.

    >>> tick = message("Tick", 1001, {"pool": u32, "price": u128})
    >>> tick.dtype.fields["price"][1], tick.size
    (16, 32)
    """
    declared = MessageType(name, type_id, fields, counted=counted)
    if type_id < FIRST_USER_TYPE_ID:
        raise DefinitionError(
            f"message {name}: type ids below {FIRST_USER_TYPE_ID} are the engine's; "
            f"choose one in {FIRST_USER_TYPE_ID}..{MAX_TYPE_ID}"
        )
    return declared


def check_distinct(messages: list[MessageType]) -> None:
    """Refuse two different messages under one id or one name."""
    by_id: dict[int, MessageType] = {}
    by_name: dict[str, MessageType] = {}
    for m in messages:
        for seen, what in ((by_id.get(m.type_id), "type id"), (by_name.get(m.name), "name")):
            if seen is not None and seen.schema_hash != m.schema_hash:
                raise DefinitionError(
                    f"messages {seen.name} ({seen.type_id}) and {m.name} ({m.type_id}) share a {what}: change one"
                )
        by_id[m.type_id], by_name[m.name] = m, m


@functools.lru_cache(maxsize=64)
def header_dtype(slot_size: int) -> np.dtype[Any]:
    """The slot header as a dtype of `slot_size` bytes: a view on any ring's slots."""
    names = [n for n, _ in HEADER_FIELDS]
    formats = [t for _, t in HEADER_FIELDS]
    return np.dtype({"names": names, "formats": formats, "itemsize": slot_size}, align=True)
