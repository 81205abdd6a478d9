"""Compressing where segments stand: the journal stays the same to every reader, whatever stops the work."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from disruptor.errors import CorruptFrameError, JournalError
from disruptor.journal.compact import CompactPlan, compact, plan_compact
from disruptor.journal.describe import describe
from disruptor.journal.directory import is_journal
from disruptor.journal.dump import Wanted, dump
from disruptor.journal.layout import Bytes
from disruptor.journal.maintenance import MAINTENANCE_NAME, maintenance
from disruptor.journal.proof import check, prove
from disruptor.journal.reader import JournalReader
from disruptor.journal.storage import Storage
from disruptor.journal.verify import verify


def read(journal: Path, start: int | None = None) -> bytes:
    return b"".join(frame.slots.tobytes() for frame in JournalReader(journal).frames(start))


def names(journal: Path) -> list[str]:
    return sorted(path.name for path in journal.iterdir() if ".dsj" in path.name)


def run(journal: Path, **options: Any) -> dict[str, Any]:
    return compact(plan_compact(journal), **options)


def test_a_compressed_journal_is_the_same_to_all_that_read(tiny: Path, slots: Bytes) -> None:
    proof, whole = prove(tiny), describe(tiny)
    before = sum(path.stat().st_size for path in tiny.glob("*.dsj"))
    answer = run(tiny)
    assert names(tiny) == [f"{name:020d}.dsj.zst" for name in (0, 12, 24)]
    assert (answer["segments"], answer["size"], answer["problems"]) == (3, before, [])
    assert answer["compressed_size"] == sum(path.stat().st_size for path in tiny.glob("*.zst")) < before
    assert read(tiny) == slots.tobytes() and read(tiny, 13) == slots[13:].tobytes()
    assert verify(tiny).ok and check(proof, tiny) == [] and is_journal(tiny)
    assert describe(tiny) == {**whole, "stored_size": answer["compressed_size"]}
    assert whole["stored_size"] == before
    rows = list(dump(tiny, Wanted(from_sequence=11, to_sequence=13)).rows())
    assert [row["sequence"] for row in rows if isinstance(row, dict)] == [11, 12, 13]
    assert plan_compact(tiny).entries == [] and plan_compact(tiny).compressed == 3
    assert not (tiny / MAINTENANCE_NAME).exists()


def test_a_plan_changes_nothing(tiny: Path) -> None:
    before = {path.name: path.read_bytes() for path in tiny.iterdir()}
    plan = plan_compact(tiny)
    assert [entry.first_sequence for entry in plan.entries] == [0, 12, 24]
    assert plan.size == sum(len(content) for name, content in before.items() if name.endswith(".dsj"))
    assert {path.name: path.read_bytes() for path in tiny.iterdir()} == before


def test_age_decides_and_stays(tiny: Path) -> None:
    for age, path in zip((300, 200, 10), sorted(tiny.glob("*.dsj")), strict=True):
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    plan = plan_compact(tiny, older_than_s=100, now=1_000_000)
    assert [entry.first_sequence for entry in plan.entries] == [0, 12] and plan.younger == 1
    compact(plan)
    assert [path.stat().st_mtime for path in sorted(tiny.glob("*.zst"))] == [999_700, 999_800]


def test_a_reader_goes_on_over_a_segment_that_is_compressed_meanwhile(tiny: Path, slots: Bytes) -> None:
    frames = JournalReader(tiny).frames()
    got = next(frames).slots.tobytes()
    run(tiny)
    got += b"".join(frame.slots.tobytes() for frame in frames)
    assert got == slots.tobytes()


def test_a_damaged_segment_stays_as_it_is(tiny: Path) -> None:
    second = sorted(tiny.glob("*.dsj"))[1]
    content = bytearray(second.read_bytes())
    content[5000] ^= 1
    second.write_bytes(content)
    answer = run(tiny)
    assert answer["segments"] == 2 and second.read_bytes() == content
    assert answer["problems"] == [
        f"{second.name}: offset 4096: padding: bytes that must be zero are not: left as it is"
    ]
    assert names(tiny) == ["00000000000000000000.dsj.zst", second.name, "00000000000000000024.dsj.zst"]


def test_damage_of_a_compressed_segment_is_found_at_its_place(tiny: Path, slots: Bytes) -> None:
    run(tiny)
    second = tiny / "00000000000000000012.dsj.zst"
    whole = second.read_bytes()
    for at in range(0, len(whole), 41):
        second.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        (problem,) = verify(tiny).problems
        assert second.with_suffix("").name in problem and not describe(tiny)["ok"]
        got = b""
        with pytest.raises(CorruptFrameError, match="compressed"):
            for frame in JournalReader(tiny).frames():
                got += frame.slots.tobytes()
        assert got == slots[:12].tobytes()


class Stops(Storage):
    """A storage whose process dies at the n-th operation: that one and all after it do not happen."""

    def __init__(self, directory: Path, after: int) -> None:
        super().__init__(directory)
        self.left = after

    def __getattribute__(self, name: str) -> Any:
        if name in (
            "create",
            "write",
            "set_time",
            "sync",
            "close",
            "rename",
            "remove",
            "replace",
            "sync_directory",
        ):
            self.left -= 1
            if self.left < 0:
                raise Died
        return super().__getattribute__(name)


class Died(BaseException):
    """Not an error that anybody handles."""


def test_whatever_stops_the_work_the_journal_is_whole_and_the_next_run_goes_on(
    tmp_path: Path, write: Callable[..., None], some_slots: Callable[..., Bytes]
) -> None:
    slots, after, died = some_slots(14), 0, True
    while died:
        journal = tmp_path / f"journal{after}"
        write(journal, slots)
        died = False
        try:
            compact(plan_compact(journal), storage=Stops(journal, after))
        except Died:
            died = True
        assert read(journal) == slots.tobytes() and verify(journal).ok
        run(journal)
        assert names(journal) == [f"{name:020d}.dsj.zst" for name in (0, 12)]
        assert read(journal) == slots.tobytes() and verify(journal).ok
        after += 1
    assert after > 20


def test_a_wrong_compressed_file_is_never_taken_for_the_segment(
    tiny: Path, slots: Bytes, tmp_path: Path
) -> None:
    first = tiny / "00000000000000000000.dsj"
    whole = first.read_bytes()
    run(tiny)
    (tiny / f"{first.name}.zst").write_bytes((tiny / "00000000000000000012.dsj.zst").read_bytes())
    first.write_bytes(whole)
    run(tiny)
    assert not first.exists() and read(tiny) == slots.tobytes()


def test_no_room_leaves_the_journal_as_it_was(tiny: Path) -> None:
    class Full(Storage):
        def sync(self, fd: int) -> None:
            raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in tiny.iterdir()}
    with pytest.raises(JournalError, match="compressing failed: No space left on device"):
        run(tiny, storage=Full(tiny))
    assert {path.name: path.read_bytes() for path in tiny.iterdir()} == before


def test_one_at_a_time(tiny: Path) -> None:
    with maintenance(tiny), pytest.raises(JournalError, match="another process compresses or purges"):
        run(tiny)
    assert run(tiny)["segments"] == 3


def test_an_unfinished_import_is_left_alone(tiny: Path, unfinish: Any) -> None:
    unfinish(tiny)
    with pytest.raises(JournalError, match="an import that is not finished"):
        plan_compact(tiny)


def test_levels_are_those_of_zstd(tiny: Path) -> None:
    with pytest.raises(JournalError, match="level 0: zstd takes 1 to 19"):
        compact(CompactPlan(tiny, [], 0, 0, 0), level=0)
