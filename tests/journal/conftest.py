"""One tiny journal, written the same way by every test of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.journal.layout import Bytes
from disruptor.journal.writer import JournalWriter
from disruptor.message import message, u32, u64

TICK = message("Tick", 1001, {"pool": u32, "price": u64})
#: Header, three frames and the end mark: 20 KiB.
TINY: dict[str, Any] = {
    "slot_size": 64,
    "frame_slots": 4,
    "segment_bytes": 5 * 4096,
    "messages": [TICK],
    "identity": {"source": "test"},
    "settings": {"chain_id": 1},
}


def make_slots(count: int, slot_size: int = 64) -> Bytes:
    """Slots whose bytes all differ from their neighbours."""
    return (
        (np.arange(count * slot_size, dtype=np.uint64) * 2654435761 >> 13)
        .astype(np.uint8)
        .reshape(count, slot_size)
    )


def write_tiny(
    directory: Path, slots: Bytes, cuts: Iterable[int] = (), first_sequence: int = 0, **options: Any
) -> None:
    """Write `slots` in the batches that `cuts` mark, and finish."""
    edges = [0, *sorted(cuts), len(slots)]
    with JournalWriter(directory, **{**TINY, **options}) as writer:
        for start, end in pairwise(edges):
            writer.append(slots[start:end], first_sequence + start)
        writer.finish({"first_block": 7, "warnings": {"removed_logs": 2}})


@pytest.fixture
def slots() -> Bytes:
    """Thirty slots: two full segments of three frames, and one of a full and a short frame."""
    return make_slots(30)


@pytest.fixture
def tiny(tmp_path: Path, slots: Bytes) -> Path:
    """A finished journal of `slots`."""
    write_tiny(tmp_path / "journal", slots)
    return tmp_path / "journal"


@pytest.fixture(scope="session")
def write() -> Callable[..., None]:
    return write_tiny


@pytest.fixture(scope="session")
def options() -> dict[str, Any]:
    """Arguments of the tiny journal's writer."""
    return dict(TINY)


@pytest.fixture(scope="session")
def some_slots() -> Callable[..., Bytes]:
    return make_slots
