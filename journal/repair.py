"""Repair: a new journal of what can be believed, beside the damaged one, which is kept.

What comes behind the first damage can't be vouched for as one stream: an event may be missing. So what is kept is
everything before it, and nothing else; whatever a recorder would cut by itself (`Problem.is_trace`) is no damage. The
new journal is written whole and synced under another name before the damaged directory is moved aside:

    DIR ──► DIR.damaged      (DIR.damaged-2, … if there is one)
    DIR.repairing ──► DIR

Killed between the two moves, DIR is missing and both others are there: the same command goes on from there.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from disruptor.errors import JournalError
from disruptor.journal.incarnations import INCARNATIONS_NAME
from disruptor.journal.problem import Problem
from disruptor.journal.recorder import Recorder
from disruptor.journal.schema import declared
from disruptor.journal.storage import SNAPSHOTS_NAME, Storage
from disruptor.journal.survey import BEING_RECORDED, BEING_WRITTEN, UNFINISHED, Survey, survey
from disruptor.journal.writer import JournalWriter


@dataclass(frozen=True)
class RepairPlan:
    """What a repair would do.

    Attributes
    ----------
    needed : whether there is damage
    damage : what is wrong
    first_sequence, end : what is kept: `first_sequence` to `end - 1`
    last_seen : the last sequence that anything sound or damaged was found of; `end` to it would be lost
    """

    directory: str
    state: str
    needed: bool
    damage: tuple[Problem, ...]
    first_sequence: int
    end: int
    last_seen: int

    @property
    def lost(self) -> int:
        """Slots, sound or not, that the repaired journal would not have."""
        return max(0, self.last_seen + 1 - self.end)

    def to_json(self) -> dict[str, Any]:
        """All of it, for `--json`."""
        return {
            "journal": self.directory,
            "state": self.state,
            "needed": self.needed,
            "kept": max(0, self.end - self.first_sequence),
            "kept_to": self.end - 1,
            "lost": self.lost,
            "lost_to": self.last_seen if self.lost else None,
            "damage": [str(problem) for problem in self.damage],
        }


def plan_repair(directory: str | os.PathLike[str]) -> RepairPlan:
    """Look what a repair would keep and lose; changes nothing.

    Raises
    ------
    JournalError : being written; an unfinished import, purged, or nothing that could be read.
    """
    path = _found(Path(directory))
    found = survey(path)
    _refuse(found)
    damage, end, last = list(found.problems), None, -1
    first = int(found.names[0][:20]) if found.names else 0
    following = first
    for one in found.frames():
        if isinstance(one, Problem):
            if not one.is_trace:
                damage.append(one)
                end = following if end is None else end
            last = max(last, one.last_sequence or -1)
            continue
        if one.first_sequence != following and end is None:
            end = following
        following = one.first_sequence + one.count
        last = max(last, following - 1)
    damage = [problem for problem in dict.fromkeys(damage) if not problem.is_trace]
    return RepairPlan(
        str(directory),
        found.state,
        bool(damage),
        tuple(damage),
        first,
        following if end is None else end,
        last,
    )


def repair(directory: str | os.PathLike[str]) -> tuple[RepairPlan, str | None]:
    """Put a sound journal in place of a damaged one; where the damaged one is now, None if nothing was wrong.

    Raises
    ------
    JournalError : as `plan_repair`, or an I/O error; the damaged journal is never changed.
    """
    path, aside = Path(directory), _free(Path(f"{Path(directory)}.damaged"))
    plan = plan_repair(directory)
    if not plan.needed and path.is_dir():
        return plan, None
    made = Path(f"{path}.repairing")
    if path.is_dir():
        lock = Storage(path).lock()
        if lock is None:
            raise JournalError(f"{path}: another process is writing this journal: wait for it to end")
        try:
            shutil.rmtree(made, ignore_errors=True)
            _write(path, made, plan)
            os.rename(path, aside)
        finally:
            os.close(lock)
    else:
        aside = _moved(path)
    os.rename(made, path)
    Storage(path.parent if str(path.parent) else Path(".")).sync_directory()
    return plan, str(aside)


def _write(path: Path, made: Path, plan: RepairPlan) -> None:
    """Write what is kept, whole and synced, under another name."""
    found = survey(path)
    options = _options(found)
    if found.is_recording:
        made.mkdir()
        if (path / INCARNATIONS_NAME).exists():
            shutil.copy2(path / INCARNATIONS_NAME, made / INCARNATIONS_NAME)
        with Recorder(str(made), first_sequence=plan.first_sequence, **options) as recorder:
            for slots, _ in _kept(found, plan.end):
                recorder.write(slots)
    else:
        summary = {} if found.manifest is None else found.manifest.summary
        with JournalWriter(made, **options) as writer:
            for slots, first in _kept(found, plan.end):
                writer.append(slots, first)
            writer.finish({**summary, "repaired": {"kept_to": plan.end - 1, "lost_to": plan.last_seen}})
    if (path / SNAPSHOTS_NAME).is_dir():
        (made / SNAPSHOTS_NAME).mkdir()
        for snapshot in sorted((path / SNAPSHOTS_NAME).glob("*.dss")):
            if int(snapshot.stem) < plan.end:
                shutil.copy2(snapshot, made / SNAPSHOTS_NAME / snapshot.name)


def _kept(found: Survey, end: int) -> Any:
    """Sound slots up to a sequence, with the first of each piece."""
    for one in found.frames():
        if isinstance(one, Problem) or one.first_sequence >= end:
            continue
        assert one.payload is not None
        slots = one.payload.reshape(one.count, found.geometry.slot_size)
        yield slots[: end - one.first_sequence], one.first_sequence


def _options(found: Survey) -> dict[str, Any]:
    """The arguments of a writer that goes on as this journal's did."""
    assert found.header is not None
    content = json.loads(found.header.identity)
    messages = declared(json.loads(found.header.schema))
    if messages is None:
        raise JournalError(
            f"{found.directory}: its messages can't be declared by this version: restore from a copy"
        )
    geometry = found.geometry
    return {
        "messages": messages,
        "identity": content["identity"],
        "settings": content["settings"],
        "slot_size": geometry.slot_size,
        "frame_slots": geometry.frame_slots,
        "segment_bytes": geometry.segment_bytes,
    }


def _refuse(found: Survey) -> None:
    if found.state in (BEING_WRITTEN, BEING_RECORDED):
        raise JournalError(f"{found.directory}: another process is writing this journal: wait for it to end")
    if found.state == UNFINISHED:
        raise JournalError(
            f"{found.directory}: an unfinished import is no damage: run the same import again and it goes on"
        )
    if found.head is not None:
        raise JournalError(
            f"{found.directory}: its beginning was purged: restore the damaged segment from a copy"
        )
    if found.header is None:
        raise JournalError(f"{found.directory}: no segment's header can be believed: restore from a copy")


def _found(path: Path) -> Path:
    """The journal, or where an interrupted repair has left it."""
    return path if path.is_dir() or not Path(f"{path}.repairing").is_dir() else _moved(path)


def _moved(path: Path) -> Path:
    aside = [p for p in path.parent.glob(f"{path.name}.damaged*") if p.is_dir()]
    if not aside or not Path(f"{path}.repairing").is_dir():
        raise JournalError(f"{path}: no such directory")
    return max(aside, key=lambda p: p.stat().st_mtime)


def _free(path: Path) -> Path:
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found
