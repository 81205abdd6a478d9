"""Slots as plain objects: events as they came in and outputs as they left, with references as what they refer to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.handler_set import HandlerSet
from disruptor.message import HEADER_FIELDS, MessageType, header_dtype
from disruptor.replay.table_rows import TableRows

_HEADER = tuple(name for name, _ in HEADER_FIELDS)


class ShownSlots:
    """Decodes the slots of one run.

    Parameters
    ----------
    handlers : what runs; their messages are the known ones
    rows : its tables
    """

    def __init__(self, handlers: HandlerSet, rows: TableRows) -> None:
        self._handlers, self._rows = handlers, rows
        self._messages = {m.type_id: m for m in (*handlers.inputs, *handlers.outputs)}

    def name(self, type_id: int) -> str:
        """The name of a message type, or its number."""
        return self._messages[type_id].name if type_id in self._messages else f"type {type_id}"

    def event(self, slot: npt.NDArray[np.uint8]) -> dict[str, Any]:
        """An input slot: `sequence, type`, then the fields; one of a header's name is called `payload_<name>`."""
        return self._fields(slot, {})

    def output(self, slot: npt.NDArray[np.uint8]) -> dict[str, Any]:
        """An output slot: `sequence, type, handler`, then the fields."""
        number = int(slot.view(header_dtype(len(slot)))[0]["source_id"])
        return self._fields(slot, {"handler": self._handlers.handlers[number].name})

    def _fields(self, slot: npt.NDArray[np.uint8], more: dict[str, Any]) -> dict[str, Any]:
        header = slot.view(header_dtype(len(slot)))[0]
        type_id = int(header["type_id"])
        found: dict[str, Any] = {"sequence": int(header["sequence"]), "type": self.name(type_id), **more}
        message: MessageType | None = self._messages.get(type_id)
        if message is None:
            return found
        record = slot.view(message.slot_dtype(len(slot)))[0]
        for name, kind in message.fields.items():
            shown = f"payload_{name}" if name in found or name in _HEADER else name
            found[shown] = self._rows.shown(kind, record[name])
        return found
