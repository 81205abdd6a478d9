"""Readers' places: seen while they live, gone with them, and never between a purge and a reader."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from disruptor.journal.readers import (
    READER_DTYPE,
    READERS_NAME,
    FoundReader,
    Registration,
    directory_lock,
    readers,
    register,
)

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from disruptor.journal.readers import register
held = register(sys.argv[1], int(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_reader_is_seen_until_it_is_done(tmp_path: Path) -> None:
    first, second = register(tmp_path, 7), register(tmp_path, 3)
    assert first is not None and second is not None
    assert sorted(reader.sequence for reader in readers(tmp_path)) == [3, 7]
    assert {reader.pid for reader in readers(tmp_path)} == {os.getpid()}
    second.advance(90)
    second.close()
    assert readers(tmp_path) == [FoundReader(os.getpid(), 7)]
    first.advance(8)
    assert readers(tmp_path) == [FoundReader(os.getpid(), 8)]
    first.close()
    assert readers(tmp_path) == [] and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_killed_reader_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path), "5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        assert readers(tmp_path) == [FoundReader(child.pid, 5)]
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert len(list((tmp_path / READERS_NAME).iterdir())) == 1
    assert readers(tmp_path) == [] and not list((tmp_path / READERS_NAME).iterdir())


def test_a_damaged_place_of_a_living_reader_keeps_everything(tmp_path: Path) -> None:
    held = register(tmp_path, 70)
    assert held is not None
    (path,) = (tmp_path / READERS_NAME).iterdir()
    content = path.read_bytes()
    for at in range(READER_DTYPE.itemsize):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert readers(tmp_path) == [FoundReader(-1, 0)]
    for size in (0, 10, READER_DTYPE.itemsize - 1):
        path.write_bytes(content[:size])
        assert readers(tmp_path) == [FoundReader(-1, 0)]
    held.close()


def test_other_files_there_are_no_readers(tmp_path: Path) -> None:
    folder = tmp_path / READERS_NAME
    folder.mkdir()
    (folder / "notes").write_text("mine")
    os.mkfifo(folder / "pipe.reader")
    (folder / "folder.reader").mkdir()
    assert readers(tmp_path) == [] and (folder / "notes").exists()


def test_nobody_registers_while_a_purge_goes_on(tmp_path: Path) -> None:
    with directory_lock(tmp_path, exclusive=True):
        command = [sys.executable, "-c", HOLD, str(tmp_path), "5"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert child.stdin is not None and child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        assert child.stdout.read() is None and readers(tmp_path) == []
    os.set_blocking(child.stdout.fileno(), True)
    assert child.stdout.readline() == b"held\n"
    child.stdin.close()
    assert child.wait() == 0


def test_who_may_not_write_is_not_registered(tmp_path: Path) -> None:
    (tmp_path / READERS_NAME).write_text("a file in the folder's place")
    assert register(tmp_path, 0) is None
    assert register(tmp_path / "nowhere", 0) is None
    with pytest.raises(OSError, match="exists"):
        Registration(tmp_path, 0)


def test_a_place_is_the_bytes_that_are_documented() -> None:
    text = (ROOT / "docs" / "format.md").read_text().partition("## Readers")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line.startswith("|")
    ]
    documented = {row[2].strip("`"): (int(row[0]), int(row[1])) for row in rows if row[0].isdigit()}
    fields = READER_DTYPE.fields
    assert fields is not None
    assert documented == {name: (kind[1], kind[0].itemsize) for name, kind in fields.items()}
