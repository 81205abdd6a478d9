"""Where blocks begin in a journal, as far as its schema has them.

The chain's structure is in the stream (`BlockStart`), so a journal can be asked by block and by time. It is known
here by name alone: a journal of messages without a `BlockStart` of this shape has no blocks, which is no error.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from disruptor.journal.layout import Bytes
from disruptor.journal.rows import type_ids
from disruptor.journal.schema import Schema, StoredField, StoredMessage

NUMBER, TIME = "number", "timestamp"


class BlockMark(NamedTuple):
    """Where a block begins: sequence, number, time in seconds (0 where nobody told)."""

    sequence: int
    number: int
    time: int


class BlockFinder:
    """Finds the beginnings of blocks in slots.

    >>> BlockFinder({}).known
    False
    """

    def __init__(self, schema: Schema) -> None:
        self._message = next((m for m in schema.values() if m.name == "BlockStart"), None)
        self._number = _u64(self._message, NUMBER)
        self._time = _u64(self._message, TIME)

    @property
    def known(self) -> bool:
        """Whether the journal has blocks at all."""
        return self._number is not None

    def marks(self, slots: Bytes, first_sequence: int) -> list[BlockMark]:
        """Every block that begins in (n, slot_size) slots, in order."""
        if self._message is None or self._number is None:
            return []
        at = np.flatnonzero(type_ids(slots) == self._message.type_id)
        found = slots[at]
        numbers = self._number.values(found)
        times: list[Any] = [0] * len(at) if self._time is None else self._time.values(found)
        where = (first_sequence + at).tolist()
        return [BlockMark(*mark) for mark in zip(where, numbers, times, strict=True)]


def _u64(message: StoredMessage | None, name: str) -> StoredField | None:
    field = message.field(name) if message is not None else None
    return field if field is not None and field.type == "u64" else None
