"""One snapshot file: written beside its name and renamed once it is on the device; read straight into a state's memory.

A reader believes nothing before it has checked it. `read_header` checks what it returns; `load` checks each part and
the whole file while the rows go into the state, and empties the state again if anything is wrong: that costs nothing
while all is well, and a second look at a hundred megabytes would. Files are read, not mapped: one that is cut short
meanwhile is an error then, and no SIGBUS.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disruptor.errors import CorruptSnapshotError, SnapshotError
from disruptor.journal.layout import Bytes, crc32c
from disruptor.journal.snapshot_layout import (
    CHECKSUM_SIZE,
    SNAPSHOT_HEADER_DTYPE,
    SnapshotFacts,
    SnapshotHeader,
    StoredTable,
    aligned,
    header_size_of,
    open_header,
    part_offsets,
    seal_header,
    snapshot_name,
)
from disruptor.journal.storage import Storage
from disruptor.restore import Restore
from disruptor.state import State
from disruptor.state_image import StateImage

TEMPORARY = ".tmp"
_PIECE = 1 << 22


@dataclass(frozen=True)
class Snapshot:
    """A snapshot whose header has been checked."""

    path: Path
    header: SnapshotHeader

    @property
    def facts(self) -> SnapshotFacts:
        """What it says of itself."""
        return self.header.facts

    @property
    def sequence(self) -> int:
        """Of the last event that the state includes."""
        return self.header.facts.sequence


class SnapshotFiles(Storage):
    """The file operations of a directory of snapshots, all in one class, so that a test can make any of them fail."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; what had that name is gone."""
        os.replace(self.path(old), self.path(new))

    def hold(self, fd: int) -> None:
        """Mark a file as being written by this process; the mark goes with the process."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def is_left_behind(self, name: str) -> bool:
        """Whether nobody writes a temporary file any more."""
        try:
            fd = os.open(self.path(name), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(fd)
        return True


def write_snapshot(files: SnapshotFiles, image: StateImage, facts: SnapshotFacts) -> Path:
    """Write a snapshot, durably and in one step: it is there whole, or not at all.

    Parameters
    ----------
    image : must not change meanwhile
    facts : its sequence names the file; one of the same name is replaced

    Raises
    ------
    SnapshotError : it can't be written; nothing is left of it.
    """
    header = seal_header(facts, image.digest(), image)
    name = snapshot_name(facts.sequence)
    temporary = f"{name}.{os.getpid()}{TEMPORARY}"
    with _reported(files.path(name)):
        files.make_directory()
        for left in [n for n in files.names() if n.endswith(TEMPORARY) and files.is_left_behind(n)]:
            files.remove(left)
        size = int(header[: SNAPSHOT_HEADER_DTYPE.itemsize].view(SNAPSHOT_HEADER_DTYPE)[0]["file_size"])
        try:
            fd = files.create(temporary, size)
            try:
                files.hold(fd)
                _write_parts(files, fd, header, image)
                files.sync(fd)
                files.rename(temporary, name)
            finally:
                files.close(fd)
            files.sync_directory()
        except BaseException:
            with suppress(OSError):
                files.remove(temporary)
            raise
    return files.directory / name


def _write_parts(files: SnapshotFiles, fd: int, header: Bytes, image: StateImage) -> None:
    digest, at = hashlib.sha256(), 0

    def put(octets: Bytes) -> None:
        nonlocal at
        digest.update(octets.data)
        files.write(fd, octets, at)
        at += len(octets)

    put(header)
    parts = ((part.rows.reshape(-1), part.links.view(np.uint8)) for part in image.parts)
    for octets in (octets for both in parts for octets in both if len(octets)):
        put(np.zeros(aligned(at) - at, np.uint8))
        put(octets)
    put(np.zeros(aligned(at) - at, np.uint8))
    put(np.frombuffer(digest.digest(), np.uint8))


def read_header(path: Path) -> Snapshot:
    """A snapshot's header, checked; of the rest only the size.

    Raises
    ------
    CorruptSnapshotError, SnapshotError : names the file and what is wrong.
    """
    with _reading(path) as fd:
        size = header_size_of(_read(fd, 0, SNAPSHOT_HEADER_DTYPE.itemsize, path), str(path))
        header = open_header(_read(fd, 0, size, path), str(path))
        found = os.fstat(fd).st_size
    if found != header.file_size:
        raise CorruptSnapshotError(
            f"{path}: {found} bytes long, expected {header.file_size}: it was cut or added to"
        )
    if path.name != snapshot_name(header.facts.sequence):
        raise CorruptSnapshotError(
            f"{path}: named as another snapshot; it includes sequence {header.facts.sequence}"
        )
    return Snapshot(path, header)


def load(snapshot: Snapshot, state: State) -> None:
    """Put a snapshot's rows into a fresh state.

    Parameters
    ----------
    snapshot : from `read_header`
    state : fresh, but for tables that the snapshot has rows of; mutated, and all zero after an error

    Raises
    ------
    CorruptSnapshotError : some byte is not what was written.
    SnapshotError, CapacityError : the rows don't fit these tables.
    """
    header = snapshot.header
    restore = Restore(state, [(table.schema, table.numbers) for table in header.tables])
    try:
        _load_parts(snapshot, restore)
        restore.finish()
    except BaseException:
        restore.undo()
        raise


def check_file(snapshot: Snapshot) -> None:
    """Hold every byte of a snapshot against its checksum, without loading it.

    Raises
    ------
    CorruptSnapshotError : some byte is not what was written.
    """
    digest, end = hashlib.sha256(), snapshot.header.file_size - CHECKSUM_SIZE
    piece = np.empty(_PIECE, np.uint8)
    with _reading(snapshot.path) as fd:
        for at in range(0, end, _PIECE):
            part = piece[: min(_PIECE, end - at)]
            _fill(fd, at, part, snapshot.path)
            digest.update(part.data)
        expected = _read(fd, end, CHECKSUM_SIZE, snapshot.path).tobytes()
    _check_digest(snapshot.path, digest.digest(), expected)


def _load_parts(snapshot: Snapshot, restore: Restore) -> None:
    """Read and check all that follows the header. The hash runs beside on a thread: it takes longest of all."""
    header, path = snapshot.header, snapshot.path
    digest, pending = hashlib.sha256(), list[Future[None]]()
    with _reading(path) as fd, ThreadPoolExecutor(1, "snapshot-hash") as helper:

        def take(start: int, octets: Bytes, what: str) -> int:
            """Read what stands at `start`; where the next part's padding begins."""
            _fill(fd, start, octets, path)
            pending.append(helper.submit(digest.update, octets.data))
            return start + len(octets)

        at = take(0, np.empty(header.header_size, np.uint8), "header")
        for number, (table, (first, second)) in enumerate(
            zip(header.tables, part_offsets(header), strict=True)
        ):
            links = restore.links(number)
            for start, octets, crc in (
                (first, restore.rows(number), table.rows_crc),
                (second, links.view(np.uint8), table.links_crc),
            ):
                if len(octets):
                    at = take(at, np.empty(start - at, np.uint8), "zeros")
                    at = take(start, octets, table.schema.name)
                    _check_part(path, table, start, octets, crc)
        take(at, np.empty(header.file_size - CHECKSUM_SIZE - at, np.uint8), "zeros")
        expected = _read(fd, header.file_size - CHECKSUM_SIZE, CHECKSUM_SIZE, path).tobytes()
        for update in pending:
            update.result()
    _check_digest(path, digest.digest(), expected)


def _check_digest(path: Path, found: bytes, expected: bytes) -> None:
    if found != expected:
        raise CorruptSnapshotError(
            f"{path}: SHA-256 of the file: expected {expected.hex()}, found {found.hex()}"
        )


def _check_part(path: Path, table: StoredTable, start: int, octets: Bytes, expected: int) -> None:
    found = crc32c(octets)
    if found != expected:
        raise CorruptSnapshotError(
            f"{path}, offset {start}: table {table.schema.name}: CRC32C: expected {expected:08x}, found {found:08x}"
        )


def _read(fd: int, offset: int, size: int, path: Path) -> Bytes:
    octets = np.empty(size, np.uint8)
    _fill(fd, offset, octets, path)
    return octets


def _fill(fd: int, offset: int, octets: Bytes, path: Path) -> None:
    """Read exactly as many bytes as there is room for."""
    done = 0
    while done < len(octets):  # bounded: preadv reads at least a byte, or the file has ended
        count = os.preadv(fd, [octets[done:].data], offset + done)
        if count == 0:
            raise CorruptSnapshotError(f"{path}: cut at byte {offset + done}")
        done += count


@contextmanager
def _reading(path: Path) -> Iterator[int]:
    try:
        fd = os.open(
            path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        )  # a pipe of that name must not hold us up
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise CorruptSnapshotError(f"{path}: not a file")
        yield fd
    except OSError as error:
        raise SnapshotError(f"{path}: reading failed: {error.strerror or error}") from error
    finally:
        os.close(fd)


@contextmanager
def _reported(path: str) -> Iterator[None]:
    """Turn an OSError into a SnapshotError that says which file and what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "check the directory's permissions and the device"
        facts: dict[str, Any] = {"path": path, "errno": error.errno}
        raise SnapshotError(
            f"{path}: the snapshot can't be written ({error.strerror or error}): {advice}; the journal is whole "
            "without it",
            **facts,
        ) from error
