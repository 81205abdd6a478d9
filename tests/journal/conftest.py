"""One tiny journal, written the same way by every test of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from disruptor.journal.layout import Bytes
from disruptor.journal.manifest import MANIFEST_NAME, encode_manifest, load_manifest
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


BLOCK = message("BlockStart", 1002, {"number": u64, "timestamp": u64})


def make_chain(blocks: int = 10, ticks: int = 3) -> Bytes:
    """`blocks` blocks of a `BlockStart` and some `Tick`s: number 100 + i at 1000 + 12 i seconds; sequences from 0."""
    count = blocks * (1 + ticks)
    slots = np.zeros((count, 64), np.uint8)
    begins = np.arange(count) % (1 + ticks) == 0
    blocks_view = slots.reshape(-1).view(BLOCK.slot_dtype(64))
    ticks_view = slots.reshape(-1).view(TICK.slot_dtype(64))
    blocks_view["sequence"] = np.arange(count)
    blocks_view["type_id"] = np.where(begins, BLOCK.type_id, TICK.type_id)
    blocks_view["number"][begins] = 100 + np.arange(blocks)
    blocks_view["timestamp"][begins] = 1000 + 12 * np.arange(blocks)
    ticks_view["pool"][~begins] = np.arange(count)[~begins]
    ticks_view["price"][~begins] = 7
    return slots


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """A finished journal of 10 blocks, 40 slots, 10 frames in 4 segments."""
    write_tiny(tmp_path / "chain", make_chain(), messages=[TICK, BLOCK])
    return tmp_path / "chain"


@pytest.fixture(scope="session")
def chain_slots() -> Callable[..., Bytes]:
    return make_chain


@pytest.fixture(scope="session")
def chain_messages() -> list[Any]:
    return [TICK, BLOCK]


def mark_unfinished(directory: Path, summary: dict[str, Any] | None = None) -> None:
    """Put back the manifest that a finished journal had while it was written."""
    whole = load_manifest(directory)
    none = {"first_sequence": 0, "last_sequence": -1, "slot_count": 0, "frame_count": 0, "segments": []}
    before = msgspec.structs.replace(
        whole, status="importing", running_hash="00" * 32, summary=summary or {}, **none
    )
    (directory / MANIFEST_NAME).write_bytes(encode_manifest(before))


@pytest.fixture(scope="session")
def unfinish() -> Callable[..., None]:
    return mark_unfinished
