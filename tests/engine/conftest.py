"""Records for the output tests: slots of a type filled from plain Python values."""

from __future__ import annotations

import numpy as np
import pytest

from disruptor.message import MessageType
from disruptor.replay.request import OutputContext

BLOCK = 17_000_000


def make_records(message: MessageType, rows: list[dict]) -> np.ndarray:
    """Slots of `message`; wide integers and byte strings are given as int and bytes."""
    records = np.zeros(len(rows), dtype=message.slot_dtype())
    for index, row in enumerate(rows):
        for name, value in row.items():
            kind = message.fields.get(name)
            if isinstance(value, bytes):
                records[name][index] = np.frombuffer(value, dtype=np.uint8)
            elif kind is not None and kind.count:
                width = kind.count * 8
                raw = value.to_bytes(width, "little", signed=value < 0)
                records[name][index] = np.frombuffer(raw, dtype="<u8")
            else:
                records[name][index] = value
    return records


def make_context(message: MessageType, count: int, **changes: object) -> OutputContext:
    """A context in which record i is log i of transaction i, in one block."""
    columns = {
        "block": np.full(count, BLOCK, dtype=np.uint64),
        "tx_hash": np.array([[i % 256] * 32 for i in range(count)], dtype=np.uint8).reshape(count, 32),
        "has_tx": np.ones(count, dtype=np.bool_),
        "log_index": np.arange(count, dtype=np.int64),
    }
    return OutputContext(message=message, **{**columns, **changes})


@pytest.fixture
def records():
    return make_records


@pytest.fixture
def context():
    return make_context
