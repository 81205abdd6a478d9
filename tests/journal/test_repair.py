"""Repair keeps all before the first damage, loses only what it said it would, and never the damaged journal."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.errors import JournalError
from disruptor.journal.incarnations import load_incarnations
from disruptor.journal.layout import Bytes
from disruptor.journal.recorder import Recorder
from disruptor.journal.recording_reader import open_journal
from disruptor.journal.repair import plan_repair, repair
from disruptor.journal.verify import verify
from disruptor.message import message, u32, u64

TICK = message("Tick", 1001, {"pool": u32, "price": u64})


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 4
    path.write_bytes(content)


def held(directory: Path) -> Bytes:
    return np.concatenate([frame.slots.copy() for frame in open_journal(directory).frames()])


def test_a_finished_journal_keeps_what_comes_before_the_damage(tiny: Path, slots: Bytes) -> None:
    """Frames of four slots, three to a segment: the sixth frame is hurt."""
    second = sorted(tiny.glob("*.dsj"))[1]
    flip(second, 3 * 4096 + 100)
    plan = plan_repair(tiny)
    assert (plan.needed, plan.first_sequence, plan.end, plan.lost) == (True, 0, 20, 10)
    assert not verify(tiny).ok
    done, aside = repair(tiny)
    assert done == plan and aside == f"{tiny}.damaged" and not verify(aside).ok
    assert verify(tiny).ok and np.array_equal(held(tiny), slots[:20])
    assert open_journal(tiny).summary["repaired"] == {"kept_to": 19, "lost_to": 29}
    assert not plan_repair(tiny).needed and repair(tiny)[1] is None


def test_a_lost_manifest_loses_no_event(tiny: Path, slots: Bytes) -> None:
    (tiny / "journal.json").write_bytes(b"{}")
    plan, _ = repair(tiny)
    assert plan.lost == 0 and verify(tiny).ok and np.array_equal(held(tiny), slots)


def test_a_recording_is_one_afterwards(tmp_path: Path) -> None:
    directory, options = tmp_path / "j", recording_options()
    ticks = ticks_of(30)
    for start in (0, 15):
        with Recorder(str(directory), **options) as recorder:
            for at in range(start, start + 15, 3):
                recorder.write(ticks[at : at + 3])
    flip(sorted(directory.glob("*.dsj"))[0], 2 * 4096 + 90)
    with pytest.raises(JournalError, match="damaged here"):
        held(directory)
    plan, _ = repair(directory)
    assert (plan.end, plan.lost) == (4, 26)
    assert verify(directory).status == "stopped" and np.array_equal(held(directory), ticks[:4])
    assert len(load_incarnations(directory)) == 3
    with Recorder(str(directory), **options) as recorder:
        recorder.write(ticks[4:])
        assert recorder.incarnation == 4
    assert np.array_equal(held(directory), ticks)


def test_killed_between_the_moves_it_goes_on(
    tiny: Path, slots: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(sorted(tiny.glob("*.dsj"))[1], 4096 + 100)
    moves, rename = [], os.rename

    def killed(source: Any, target: Any) -> None:
        moves.append(source)
        if len(moves) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        repair(tiny)
    monkeypatch.undo()
    assert not tiny.exists()
    assert plan_repair(tiny).end == 12
    assert repair(tiny)[1] == f"{tiny}.damaged"
    assert verify(tiny).ok and np.array_equal(held(tiny), slots[:12])


def test_what_is_no_damage_is_refused(tmp_path: Path, unfinish: Callable[..., None], tiny: Path) -> None:
    directory = tmp_path / "live"
    with Recorder(str(directory), **recording_options()), pytest.raises(JournalError, match="is writing"):
        plan_repair(directory)
    unfinish(tiny)
    with pytest.raises(JournalError, match="run the same import again"):
        repair(tiny)
    with pytest.raises(JournalError, match="no such directory"):
        repair(tmp_path / "none")


def ticks_of(count: int) -> Bytes:
    slots = np.zeros((count, 64), np.uint8)
    rows = slots.reshape(-1).view(TICK.slot_dtype(64))
    rows["sequence"], rows["type_id"], rows["price"] = np.arange(count), TICK.type_id, np.arange(count) + 1
    return slots


def recording_options() -> dict[str, Any]:
    sizes = {"slot_size": 64, "frame_slots": 4, "segment_bytes": 5 * 4096}
    return {"messages": [TICK], "identity": {"source": "test"}, "settings": {}, **sizes}
