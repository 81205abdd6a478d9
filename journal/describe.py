"""What a journal holds, at a glance and in numbers: `describe` and `stats`, of a journal in any state.

Both read and check every byte, so what they say of a journal that they call whole holds.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from disruptor.journal.blocks import BlockFinder, BlockMark
from disruptor.journal.layout import VERSION, Bytes
from disruptor.journal.problem import Problem
from disruptor.journal.rows import type_ids
from disruptor.journal.segment_file import stored_size
from disruptor.journal.survey import Survey, survey


def describe(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """What a journal is and holds: sizes, sequences, identity, messages, segments, and what is wrong with it.

    Raises
    ------
    JournalError : nothing there that could be a journal, or nothing of it can be read.
    """
    found = survey(directory)
    first, last, frames = None, None, 0
    for frame in found.frames():
        if not isinstance(frame, Problem):
            first = frame.first_sequence if first is None else first
            last, frames = frame.first_sequence + frame.count - 1, frames + 1
    segments = found.segments
    return {
        **_heading(found),
        "version": VERSION,
        **asdict(found.geometry),
        "first_sequence": first,
        "last_sequence": last,
        "purged_before": None if found.head is None else found.head.first_sequence,
        "slots": sum(segment.slots for segment in segments) + found.tail_slots,
        "frames": frames,
        "size": sum(segment.size for segment in segments),
        "stored_size": sum(_stored(found.directory / segment.name) for segment in segments),
        "running_hash": segments[-1].running_hash if segments else "",
        **_facts(found),
        **_recording(found),
        "messages": [message.to_json() for message in found.schema.values()],
        "segments": [_segment(asdict(segment)) for segment in segments],
        **_problems(found),
    }


def _stored(path: Path) -> int:
    """Bytes that a segment takes on disk; 0 where it is missing."""
    try:
        return stored_size(path)
    except OSError:
        return 0


def stats(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """How many slots of each type there are, over which blocks and times.

    Raises
    ------
    JournalError : nothing there that could be a journal, or nothing of it can be read.
    """
    found = survey(directory)
    kinds, blocks, frames = _Kinds(), _Blocks(BlockFinder(found.schema)), 0
    for frame in found.frames():
        if not isinstance(frame, Problem) and frame.payload is not None:
            slots = frame.payload.reshape(frame.count, found.geometry.slot_size)
            kinds.add(slots, frame.first_sequence)
            blocks.add(slots, frame.first_sequence)
            frames += 1
    slots_read = sum(kinds.count.values())
    counted = sum(n for kind, n in kinds.count.items() if kind in found.schema and found.schema[kind].counted)
    lost = [p for p in found.problems if p.sequence is not None and p.last_sequence is not None]
    return {
        **_heading(found),
        "slots": slots_read,
        "events": counted,
        "slots_lost": sum((p.last_sequence or 0) - (p.sequence or 0) + 1 for p in lost),
        "frames": frames,
        "segments": len(found.segments),
        "size": sum(segment.size for segment in found.segments),
        **blocks.to_json(slots_read),
        "types": kinds.to_json(found),
        **_problems(found),
    }


class _Kinds:
    """Slots by type: how many, the first and the last."""

    def __init__(self) -> None:
        self.count: Counter[int] = Counter()
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def add(self, slots: Bytes, first_sequence: int) -> None:
        ids = type_ids(slots)
        for kind, count in zip(*(part.tolist() for part in np.unique(ids, return_counts=True)), strict=True):
            where = np.flatnonzero(ids == kind)
            self.count[kind] += count
            self._first.setdefault(kind, first_sequence + int(where[0]))
            self._last[kind] = first_sequence + int(where[-1])

    def to_json(self, found: Survey) -> dict[str, Any]:
        """By name; a type that the schema does not describe by its number."""
        names = {kind: found.schema[kind].name if kind in found.schema else str(kind) for kind in self.count}
        return {
            names[kind]: {"slots": n, "first_sequence": self._first[kind], "last_sequence": self._last[kind]}
            for kind, n in sorted(self.count.items())
        }


@dataclass
class _Blocks:
    """The blocks that begin in a journal."""

    finder: BlockFinder
    count: int = 0
    first: BlockMark | None = None
    last: BlockMark | None = None

    def add(self, slots: Bytes, first_sequence: int) -> None:
        marks = self.finder.marks(slots, first_sequence)
        if marks:
            self.first, self.last = self.first or marks[0], marks[-1]
            self.count += len(marks)

    def to_json(self, slots: int) -> dict[str, Any]:
        """Numbers, and times where they are known."""
        first, last = self.first, self.last
        return {
            "blocks": self.count,
            "first_block": first.number if first else None,
            "last_block": last.number if last else None,
            "first_time": (first.time or None) if first else None,
            "last_time": (last.time or None) if last else None,
            "slots_per_block": round(slots / self.count, 2) if self.count else None,
        }


def _heading(found: Survey) -> dict[str, Any]:
    return {"journal": str(found.directory), "state": found.state, "ok": found.ok}


def _problems(found: Survey) -> dict[str, Any]:
    return {"problems": [problem.to_json() for problem in found.problems]}


def _facts(found: Survey) -> dict[str, Any]:
    """Identity, settings and summary, by the manifest, else by a segment's header."""
    if found.manifest is not None:
        fields = msgspec.to_builtins(found.manifest)
        return {name: fields[name] for name in ("identity", "settings", "summary")}
    try:
        inside = msgspec.json.decode(found.header.identity) if found.header else {}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        inside = {}
    inside = inside if isinstance(inside, dict) else {}
    return {name: inside.get(name) for name in ("identity", "settings")} | {"summary": None}


def _recording(found: Survey) -> dict[str, Any]:
    """Of a recording: what lies behind its segments, and who wrote it."""
    if not found.is_recording:
        return {}
    past = found.incarnations
    return {
        "tail_slots": found.tail_slots,
        "incarnations": [msgspec.to_builtins(one) for one in past],
    }


def _segment(fields: dict[str, Any]) -> dict[str, Any]:
    fields.pop("end_mark_seen")
    return fields
