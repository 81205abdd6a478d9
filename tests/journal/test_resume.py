"""Going on after an interruption gives the journal that an undisturbed writer gives, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.errors import JournalError, UnfinishedJournalError
from disruptor.journal.layout import Bytes
from disruptor.journal.verify import verify
from disruptor.journal.writer import JournalWriter
from tests.support.killing import killed

COMMAND = {"sources": ["a"], "sort": False}


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def go_on(directory: Path, options: dict[str, Any], slots: Bytes, **changes: Any) -> int:
    """Write all slots as `COMMAND` would; the slots that were kept."""
    with JournalWriter(directory, **{**options, "command": COMMAND, **changes}) as writer:
        for start in range(0, len(slots), 7):
            writer.append(slots[start : start + 7], start)
        writer.finish({"first_block": 7, "warnings": {"removed_logs": 2}})
    return writer.slots_kept


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize("tail", ["cut", "zeros", "bytes"])
def test_from_any_cut_the_journal_becomes_the_same(
    tiny: Path,
    unfinish: Callable[..., None],
    options: dict[str, Any],
    slots: Bytes,
    segment: int,
    tail: str,
) -> None:
    """Segments before the cut may not have been cut to their size; those behind it may still be there."""
    expected = contents(tiny)
    names = sorted(name for name in expected if name.endswith(".dsj"))
    whole = expected[names[segment]]
    for size in (0, 100, 4096, 4100, 8192, 12000, 12288, 16384, 16400, len(whole)):
        size = min(size, len(whole))
        unfinish(tiny, {"command": COMMAND})
        rest = {"cut": b"", "zeros": bytes(20480 - size), "bytes": b"\x5a" * (20480 - size)}[tail]
        (tiny / names[segment]).write_bytes(whole[:size] + rest)
        for name in names[segment + 1 :] if size % 4096 else ():
            (tiny / name).unlink()
        kept = go_on(tiny, options, slots)
        assert contents(tiny) == expected
        slots_before = min(3, max(0, (size - 4096) // 4096)) * 4
        assert kept >= 12 * segment + min(slots_before, 4 if segment == 2 else 12)


def test_a_missing_segment_and_all_behind_it_are_written_again(
    tiny: Path, unfinish: Callable[..., None], options: dict[str, Any], slots: Bytes
) -> None:
    expected = contents(tiny)
    unfinish(tiny, {"command": COMMAND})
    (tiny / f"{12:020d}.dsj").unlink()
    assert go_on(tiny, options, slots) == 12
    assert contents(tiny) == expected


def test_a_whole_journal_that_only_lacks_its_manifest_is_kept(
    tiny: Path, unfinish: Callable[..., None], options: dict[str, Any], slots: Bytes
) -> None:
    expected = contents(tiny)
    unfinish(tiny, {"command": COMMAND})
    assert go_on(tiny, options, slots) == 30
    assert contents(tiny) == expected and verify(tiny).ok


def test_other_slots_than_before_are_refused_and_nothing_is_touched(
    tiny: Path, unfinish: Callable[..., None], options: dict[str, Any], slots: Bytes
) -> None:
    unfinish(tiny, {"command": COMMAND})
    before = contents(tiny)
    other = slots.copy()
    other[14, 3] ^= 1
    for changed in (other, slots[:24], slots[:29], slots[:5], np.concatenate([slots, slots])):
        with pytest.raises(JournalError, match=r"the sources give other events.*--restart"):
            go_on(tiny, options, changed)
        assert contents(tiny) == before
    assert go_on(tiny, options, other, restart=True) == 0
    assert verify(tiny).ok


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"command": {**COMMAND, "sources": ["b"]}}, r"sources: was \['a'\], is \['b'\]"),
        ({"command": {**COMMAND, "sort": True}}, "sort: was False, is True"),
        ({"settings": {"chain_id": 2}}, "settings.chain_id: was 1, is 2"),
        ({"identity": {"source": "else"}}, "identity.source: was test, is else"),
        ({"segment_bytes": 6 * 4096}, "segment_bytes: was 20480, is 24576"),
        ({"command": None}, "can't be gone on with"),
    ],
)
def test_another_command_is_refused_with_what_differs(
    tiny: Path,
    unfinish: Callable[..., None],
    options: dict[str, Any],
    slots: Bytes,
    change: dict[str, Any],
    named: str,
) -> None:
    unfinish(tiny, {"command": COMMAND})
    before = contents(tiny)
    with pytest.raises(UnfinishedJournalError, match=named):
        go_on(tiny, options, slots, **change)
    assert contents(tiny) == before


def test_a_journal_that_nobody_can_go_on_with_says_so(
    tiny: Path, unfinish: Callable[..., None], options: dict[str, Any], slots: Bytes
) -> None:
    unfinish(tiny)
    with pytest.raises(UnfinishedJournalError, match="--restart"):
        go_on(tiny, options, slots)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_killed_again_and_again_it_becomes_the_same(
    tmp_path: Path,
    options: dict[str, Any],
    some_slots: Callable[..., Bytes],
    write: Callable[..., None],
    seed: int,
    part: int,
) -> None:
    """Kills at random moments: of writing, of confirming, of going on, of ending segments."""
    chance = random.Random(seed * 100 + part)
    slots = some_slots(600)
    write(tmp_path / "whole", slots)
    expected = contents(tmp_path / "whole")
    broken = tmp_path / "broken"

    def write_on(report: Callable[[], int]) -> None:
        with JournalWriter(broken, **options, command=COMMAND) as writer:
            for start in range(0, 600, 5):
                writer.append(slots[start : start + 5], start)
                report()
            writer.finish({"first_block": 7, "warnings": {"removed_logs": 2}})

    kills = sum(killed(write_on, chance.randrange(1, 121)) for _ in range(12))
    assert kills > 3
    if contents(broken) != expected:
        kept = go_on(broken, options, slots)
        assert 0 <= kept <= 600
    assert contents(broken) == expected and verify(broken).ok
