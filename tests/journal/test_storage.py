"""The file operations: whole writes, whole files, one lock, and errors that say what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from disruptor.errors import JournalError
from disruptor.journal.storage import Storage, reported


def test_an_error_names_file_offset_and_what_to_do() -> None:
    for number, advice in ((errno.ENOSPC, "Free some space"), (errno.EIO, "Check the directory")):
        with pytest.raises(JournalError, match=advice) as caught, reported("/j/a.dsj", "writing", 4096):
            raise OSError(number, os.strerror(number))
        assert "/j/a.dsj, offset 4096: writing failed" in str(caught.value)
        assert caught.value.facts["errno"] == number


def test_other_exceptions_pass_unchanged() -> None:
    with pytest.raises(KeyError), reported("/j/a.dsj", "writing"):
        raise KeyError


def test_a_file_is_reserved_written_and_cut(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    fd = storage.create("a", 1 << 16)
    assert os.fstat(fd).st_size == 1 << 16
    storage.write(fd, np.arange(100, dtype=np.uint8), 4096)
    storage.cut(fd, 4196)
    storage.sync(fd)
    storage.close(fd)
    assert (tmp_path / "a").read_bytes() == bytes(4096) + bytes(range(100))
    with pytest.raises(FileExistsError):
        storage.create("a", 1)


def test_replace_leaves_one_whole_file(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for content in (b"first", b"second"):
        storage.replace("m", content)
        assert storage.names() == ["m"] and (tmp_path / "m").read_bytes() == content


def test_a_lock_ends_with_its_owner(tmp_path: Path) -> None:
    """A child that takes the lock and dies without giving it up keeps nobody out."""
    storage, (read_end, write_end) = Storage(tmp_path), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, b"1" if storage.lock() is not None else b"0")
        os._exit(9)
    assert os.read(read_end, 1) == b"1"
    os.waitpid(child, 0)
    lock = storage.lock()
    assert lock is not None and storage.lock() is None
    for fd in (lock, read_end, write_end):
        os.close(fd)
