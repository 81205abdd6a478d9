"""Snapshot files: whole or not there, and no byte of one can change unnoticed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from disruptor.errors import CapacityError, CorruptSnapshotError, SnapshotError
from disruptor.journal.snapshot_file import SnapshotFiles, check_file, load, read_header, write_snapshot
from disruptor.processor import plain_allocate
from disruptor.state import State
from disruptor.state_image import copy_rows, view_rows
from tests.disruptor.test_restore import POOLS, ROOM, TABLES, filled, rows_of
from tests.journal.test_snapshot_layout import FACTS


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return write_snapshot(SnapshotFiles(tmp_path), view_rows(filled()), FACTS)


def fresh() -> State:
    return State(TABLES, ROOM, plain_allocate)


def test_what_was_written_is_loaded(written: Path) -> None:
    assert written.name == "00000000000000000041.dss"
    state, snapshot = fresh(), read_header(written)
    load(snapshot, state)
    check_file(snapshot)
    assert rows_of(state) == rows_of(filled())
    assert state.digest() == filled().digest() == snapshot.header.state_digest
    assert snapshot.facts == FACTS


def test_the_same_state_gives_the_same_file(written: Path, tmp_path: Path) -> None:
    again = write_snapshot(SnapshotFiles(tmp_path / "new" / "folder"), copy_rows(filled()), FACTS)
    assert again.read_bytes() == written.read_bytes()


def unchanged(state: State, before: bytes) -> bool:
    return state.memory.tobytes() == before


@pytest.mark.parametrize("step", range(8))
def test_a_flipped_bit_anywhere_is_noticed_and_leaves_the_state_fresh(written: Path, step: int) -> None:
    content, state = written.read_bytes(), fresh()
    before = state.memory.tobytes()
    # The JSON of the header is long and has one checksum: a few of its bytes stand for all.
    places = [*range(0, 140), *range(140, 4096, 61), *range(4096, len(content))]
    for at in places[step::8]:
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        written.write_bytes(changed)
        with pytest.raises(SnapshotError, match=r"41\.dss"):
            load(read_header(written), state)
        assert unchanged(state, before), at


def test_a_file_cut_anywhere_or_added_to_is_noticed(written: Path) -> None:
    content = written.read_bytes()
    for size in (0, 7, 127, 128, 4095, 4096, len(content) - 33, len(content) - 1):
        written.write_bytes(content[:size])
        with pytest.raises(CorruptSnapshotError):
            read_header(written)
    written.write_bytes(content + b"\0")
    with pytest.raises(CorruptSnapshotError, match="cut or added to"):
        read_header(written)


def test_a_file_cut_after_its_header_was_read_is_noticed(written: Path) -> None:
    snapshot, state = read_header(written), fresh()
    before = state.memory.tobytes()
    os.truncate(written, 4100)
    for read in (lambda: load(snapshot, state), lambda: check_file(snapshot)):
        with pytest.raises(CorruptSnapshotError, match="cut at byte 4100"):
            read()
    assert unchanged(state, before)


def test_a_renamed_file_a_folder_and_a_pipe_are_none(written: Path, tmp_path: Path) -> None:
    other = written.rename(tmp_path / "00000000000000000042.dss")
    with pytest.raises(CorruptSnapshotError, match="it includes sequence 41"):
        read_header(other)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        with pytest.raises(CorruptSnapshotError, match="not a file"):
            read_header(tmp_path / name)
    with pytest.raises(SnapshotError, match="No such file"):
        read_header(tmp_path / "nothing")


def test_rows_that_do_not_fit_leave_the_state_fresh(written: Path) -> None:
    for tables, room, kind in (
        ([POOLS], ROOM, SnapshotError),
        (TABLES, {**ROOM, "ticks": 3}, CapacityError),
    ):
        state = State(tables, room, plain_allocate)
        before = state.memory.tobytes()
        with pytest.raises(kind):
            load(read_header(written), state)
        assert unchanged(state, before)


class Failing(SnapshotFiles):
    """The file operation number `turn` fails, as a full disk does."""

    def __init__(self, directory: Path, turn: int) -> None:
        super().__init__(directory)
        self._left = turn

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in ("create", "hold", "write", "sync", "rename", "sync_directory", "make_directory"):
            return found
        self._left -= 1
        if self._left == 0:
            raise OSError(28, "No space left on device")
        return found


def turns() -> Iterator[int]:
    return iter(range(1, 30))


def test_whatever_fails_while_writing_the_name_holds_a_whole_snapshot_or_none(tmp_path: Path) -> None:
    image, failed = view_rows(filled()), 0
    for turn in turns():
        folder = tmp_path / str(turn)
        try:
            write_snapshot(Failing(folder, turn), image, FACTS)
        except SnapshotError as error:
            failed += 1
            assert "No space left" in str(error) and "free some space" in str(error)
            names = os.listdir(folder) if folder.exists() else []
            assert not [name for name in names if name.endswith(".tmp")]
            for name in names:  # only the directory's own sync came after the name
                check_file(read_header(folder / name))
        else:
            break
    assert 10 < failed < 29 and turn == failed + 1


def test_what_a_killed_writer_left_is_removed_and_what_one_is_writing_is_not(tmp_path: Path) -> None:
    files = SnapshotFiles(tmp_path)
    fd = files.create("00000000000000000003.dss.77.tmp", 10)
    files.hold(fd)
    os.close(files.create("00000000000000000004.dss.78.tmp", 10))
    written = write_snapshot(files, view_rows(filled()), FACTS)
    assert sorted(os.listdir(tmp_path)) == ["00000000000000000003.dss.77.tmp", written.name]
    os.close(fd)
    write_snapshot(files, view_rows(filled()), FACTS)
    assert os.listdir(tmp_path) == [written.name]
