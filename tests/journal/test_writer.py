"""The writer: the same bytes however batched, nobody's files overwritten, no error leaves a wrong journal."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disruptor.errors import DefinitionError, JournalError, UnfinishedJournalError
from disruptor.journal.directory import is_journal
from disruptor.journal.layout import Bytes
from disruptor.journal.manifest import load_manifest
from disruptor.journal.reader import JournalReader
from disruptor.journal.storage import Storage
from disruptor.journal.verify import verify
from disruptor.journal.writer import JournalWriter
from disruptor.message import byte_string, message

#: SHA-256 of the first segment of the tiny journal. It changes with the format only: then raise the version.
GOLDEN = "8775e4e43973c3927b61c992a0080fa3181e114783df04f64ece51200ed164bc"


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def read(directory: Path) -> bytes:
    return b"".join(frame.slots.tobytes() for frame in JournalReader(directory).frames())


def test_golden_bytes(tiny: Path) -> None:
    assert hashlib.sha256((tiny / f"{0:020d}.dsj").read_bytes()).hexdigest() == GOLDEN


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, 30)))
def test_bytes_do_not_depend_on_batches(
    tmp_path_factory: pytest.TempPathFactory, write: Callable[..., None], some_slots: Any, cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("batches")
    write(folder / "one", some_slots(30))
    write(folder / "two", some_slots(30), cuts)
    assert contents(folder / "one") == contents(folder / "two")


def test_every_frame_but_the_last_is_full(tiny: Path) -> None:
    assert [frame.count for frame in JournalReader(tiny).frames()] == [4] * 7 + [2]


def test_finish_returns_what_the_manifest_says(tmp_path: Path, options: dict[str, Any], slots: Bytes) -> None:
    with JournalWriter(tmp_path, **options) as writer:
        writer.append(slots, 100)
        manifest = writer.finish({"pools": 3})
    assert manifest == load_manifest(tmp_path)
    assert (manifest.first_sequence, manifest.last_sequence, manifest.slot_count) == (100, 129, 30)
    assert manifest.summary == {"pools": 3} and manifest.status == "complete"
    assert [entry.first_sequence for entry in manifest.segments] == [100, 112, 124]


def test_a_caller_may_reuse_its_array(tmp_path: Path, options: dict[str, Any], slots: Bytes) -> None:
    expected = slots.tobytes()
    with JournalWriter(tmp_path, **options) as writer:
        writer.append(slots, 0)
        slots[:] = 0
        writer.finish({})
    assert read(tmp_path) == expected


def test_a_gap_in_the_sequences_is_refused(tmp_path: Path, options: dict[str, Any], slots: Bytes) -> None:
    with JournalWriter(tmp_path, **options) as writer:
        writer.append(slots[:3], 5)
        with pytest.raises(JournalError, match="append at sequence 9; the next one is 8"):
            writer.append(slots[3:], 9)


def test_a_complete_journal_is_never_overwritten(
    tiny: Path, write: Callable[..., None], slots: Bytes
) -> None:
    before = contents(tiny)
    for restart in (False, True):
        with pytest.raises(JournalError, match="complete journal"):
            write(tiny, slots, restart=restart)
    assert contents(tiny) == before


def test_an_exception_leaves_an_unfinished_journal_that_restart_replaces(
    tmp_path: Path, write: Callable[..., None], options: dict[str, Any], slots: Bytes
) -> None:
    with pytest.raises(KeyError), JournalWriter(tmp_path, **options) as writer:
        writer.append(slots, 50)
        raise KeyError
    with pytest.raises(UnfinishedJournalError, match="--restart"):
        JournalReader(tmp_path)
    with pytest.raises(UnfinishedJournalError, match="--restart"):
        write(tmp_path, slots)
    write(tmp_path, slots, restart=True)
    assert read(tmp_path) == slots.tobytes() and verify(tmp_path).ok


def test_other_files_are_not_touched(tmp_path: Path, write: Callable[..., None], slots: Bytes) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(JournalError, match=r"thesis\.txt"):
        write(tmp_path, slots, restart=True)
    assert contents(tmp_path) == {"thesis.txt": b"precious"}


def test_segments_without_a_manifest_are_not_touched(
    tiny: Path, write: Callable[..., None], slots: Bytes
) -> None:
    (tiny / "journal.json").unlink()
    before = contents(tiny)
    with pytest.raises(JournalError, match=r"without journal\.json"):
        write(tiny, slots, restart=True)
    assert contents(tiny) == before


def test_one_writer_at_a_time(tmp_path: Path, options: dict[str, Any], slots: Bytes) -> None:
    with JournalWriter(tmp_path, **options) as first:
        with pytest.raises(JournalError, match="another process"):
            JournalWriter(tmp_path, **options, restart=True)
        first.append(slots, 0)
        first.finish({})
    assert read(tmp_path) == slots.tobytes()


def test_a_closed_writer_says_so(tmp_path: Path, options: dict[str, Any], slots: Bytes) -> None:
    writer = JournalWriter(tmp_path, **options)
    writer.finish({})
    for call in (lambda: writer.append(slots, 0), lambda: writer.finish({})):
        with pytest.raises(JournalError, match="closed"):
            call()


def test_impossible_settings_leave_no_directory(tmp_path: Path, options: dict[str, Any]) -> None:
    wide = message("Wide", 1002, {"text": byte_string(64)})
    for change in ({"segment_bytes": 4096}, {"slot_size": 63}, {"identity": {"a": {1, 2}}}):
        with pytest.raises(JournalError, match="journal: "):
            JournalWriter(tmp_path / "new", **{**options, **change})
    with pytest.raises(DefinitionError, match="Wide"):
        JournalWriter(tmp_path / "new", **{**options, "messages": [wide]})
    assert not (tmp_path / "new").exists()


def test_a_path_that_is_a_file_is_an_error(tmp_path: Path, options: dict[str, Any]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="File exists"):
        JournalWriter(tmp_path / "file", **options)


class FailingStorage(Storage):
    """Fails the n-th operation and all after it, as a full disk or a killed process would.

    `before`: it does nothing; `torn`: half of its work; `after`: all of it, and the caller never knows.
    """

    def __init__(self, directory: Path, fail_at: int, mode: str) -> None:
        super().__init__(directory)
        self.left, self.mode = fail_at, mode
        self.counting = threading.Lock()  # the sync of one segment runs beside the writes of the next

    def step(self, half: Callable[[], Any], whole: Callable[[], Any]) -> Any:
        with self.counting:
            self.left -= 1
            left = self.left
        if left > 0:
            return whole()
        if left == 0 and self.mode != "before":
            (half if self.mode == "torn" else whole)()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def make_directory(self) -> None:
        self.step(lambda: None, super().make_directory)

    def create(self, name: str, size: int) -> int:
        whole = super().create
        fd: int = self.step(lambda: os.close(whole(name, size // 2)), lambda: whole(name, size))
        return fd

    def write(self, fd: int, content: Bytes, offset: int) -> None:
        whole = super().write
        self.step(
            lambda: whole(fd, content[: len(content) // 2 + 1], offset), lambda: whole(fd, content, offset)
        )

    def cut(self, fd: int, size: int) -> None:
        whole = super().cut
        self.step(lambda: None, lambda: whole(fd, size))

    def sync(self, fd: int) -> None:
        whole = super().sync
        self.step(lambda: None, lambda: whole(fd))

    def replace(self, name: str, content: bytes) -> None:
        whole = super().replace
        temporary = Path(self.path(name + ".tmp"))
        self.step(lambda: temporary.write_bytes(content[: len(content) // 2]), lambda: whole(name, content))


def survives(directory: Path, storage: Storage, write: Callable[..., None], slots: Bytes) -> bool:
    """Write through a failing storage; whether the failure came. What is left must be unfinished or right."""
    try:
        write(directory, slots, storage=storage)
        failed = False
    except JournalError as error:
        assert "No space left" in str(error) and "Free some space" in str(error)
        failed = True
    if not is_journal(directory):
        assert failed
    elif load_manifest(directory).complete:
        assert verify(directory).ok and read(directory) == slots.tobytes()
    else:
        assert failed
        with pytest.raises(UnfinishedJournalError):
            JournalReader(directory)
    return failed


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["before", "torn", "after"])
def test_crash_matrix(
    tmp_path: Path, tiny: Path, write: Callable[..., None], slots: Bytes, mode: str
) -> None:
    """A writer that dies anywhere leaves an unfinished journal or the whole one, and a restart gives it."""
    expected = contents(tiny)
    for fail_at in range(1, 200):
        directory = tmp_path / f"{fail_at}"
        failed = survives(directory, FailingStorage(directory, fail_at, mode), write, slots)
        if not is_journal(directory) or not load_manifest(directory).complete:
            write(directory, slots, restart=True)
        assert contents(directory) == expected
        if not failed:
            break
    assert 20 < fail_at < 199


def test_an_io_error_poisons_the_writer(tmp_path: Path, options: dict[str, Any], slots: Bytes) -> None:
    writer = JournalWriter(tmp_path, **options, storage=FailingStorage(tmp_path, 5, "before"))
    writer.append(slots[:4], 0)
    with pytest.raises(
        JournalError, match=r"0{20}\.dsj, offset 4096: writing failed: No space left"
    ) as first:
        writer.finish({})
    for _ in range(2):
        with pytest.raises(JournalError) as again:
            writer.append(slots[4:], 4)
        assert again.value is first.value
    writer.close()
    with pytest.raises(UnfinishedJournalError):
        JournalReader(tmp_path)
