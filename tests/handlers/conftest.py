"""The built-in handlers on events made by hand: no feed, no journal, one compiled loop for all tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from disruptor.config.loader import load_settings
from disruptor.handlers.messages import BUILT_IN
from disruptor.message import MessageType
from disruptor.processor import plain_allocate
from disruptor.replay.program import build_handler_set, build_processor
from disruptor.replay.state_out import pool_lines
from tests.harness import SMALL, plain

BY_ID = {message.type_id: message for message in BUILT_IN}
Event = tuple[MessageType, dict[str, Any]]


def fill(record: Any, name: str, value: Any) -> None:
    """Store an integer of any width or a byte string."""
    target = record[name]
    if isinstance(value, bytes):
        record[name] = np.frombuffer(value, np.uint8)
    elif isinstance(target, np.ndarray):
        octets = (value % 2 ** (8 * target.nbytes)).to_bytes(target.nbytes, "little")
        record[name] = np.frombuffer(octets, np.uint64)
    else:
        record[name] = value


class Engine:
    """Takes events, gives the outputs that they cause."""

    def __init__(self, *sets: str) -> None:
        settings, _ = load_settings(None, [*SMALL, *sets])
        self.processor = build_processor(build_handler_set(settings), settings, plain_allocate)

    def feed(self, events: Iterable[Event]) -> list[dict[str, Any]]:
        """Process events in order; their outputs as dicts."""
        first, events = self.processor.next_sequence, list(events)
        slots = np.zeros((len(events), 192), np.uint8)
        for k, (message, fields) in enumerate(events):
            record = slots[k].view(message.slot_dtype())[0]
            record["sequence"], record["type_id"] = first + k, message.type_id
            for name, value in fields.items():
                fill(record, name, value)
        found: list[dict[str, Any]] = []

        def take(outputs: Any) -> None:
            for slot in outputs:
                message = BY_ID[int(slot.view("<u2")[12])]
                record = slot.view(message.slot_dtype())[0]
                found.append({n: plain(record[n]) for n in record.dtype.names if not n.startswith("_")})
                found[-1]["type"] = message.name

        self.processor.process(slots, first, first + len(events), take, base=first)
        return found

    def pools(self) -> list[dict[str, Any]]:
        """Pools as `--state-out` tells them, in the order of their ids."""
        return list(pool_lines(self.processor.state))

    def counters(self) -> dict[str, int]:
        row = self.processor.state.rows("swap_counters")[0]
        return {name: int(row[name]) for name in row.dtype.names}


@pytest.fixture
def engine() -> Callable[..., Engine]:
    """Makes an engine with settings."""
    return Engine
