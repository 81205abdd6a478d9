"""Closed segments compressed where they stand: `disruptor journal compact`.

    1  write X.dsj.zst.tmp, put it on the device
    2  read it back from there: every frame's checksums, and the running hash that the journal knows for this segment
    3  rename it to X.dsj.zst, sync the directory
    4  remove X.dsj, sync the directory

Readers take X.dsj while it is there and X.dsj.zst when it is not (`disruptor.journal.segment_file`), so the journal is
whole between any two of these steps, and a reader that has X.dsj open goes on reading it. Whatever an interrupted run
leaves, the next one finishes: a .tmp is written anew; where both files are there, the compressed one is checked as in
2 before the plain one goes. A damaged segment never passes 2: it stays as it is, and is named.

The file keeps the time of the one that it replaces, which is what ages are counted from.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from disruptor.errors import JournalError
from disruptor.journal import compressed
from disruptor.journal.closed import check_closed, closed_segments
from disruptor.journal.compressed import DEFAULT_LEVEL, LEVELS, SUFFIX, ChunkCompressor, CompressedSegment
from disruptor.journal.layout import Bytes
from disruptor.journal.maintenance import failed, maintenance
from disruptor.journal.manifest import SegmentEntry
from disruptor.journal.salvage import RawSegment
from disruptor.journal.storage import Storage

TEMPORARY = f"{SUFFIX}.tmp"
#: Bytes of segments done so far, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class CompactPlan:
    """What is to be compressed.

    Attributes
    ----------
    entries : closed segments that are plain and old enough, in order
    size : their bytes
    compressed : how many are compressed already
    younger : how many are closed, and too young
    """

    directory: Path
    entries: list[SegmentEntry]
    size: int
    compressed: int
    younger: int


def plan_compact(
    directory: str | os.PathLike[str], *, older_than_s: float = 0.0, now: float | None = None
) -> CompactPlan:
    """Which segments would be compressed.

    Parameters
    ----------
    older_than_s : seconds since a segment was last written; younger ones are left
    now : seconds since the epoch; default the present

    Raises
    ------
    JournalError : no journal, an import that is not finished, or a segment whose end can't be read.
    """
    path, now = Path(directory), time.time() if now is None else now
    _, _, entries = closed_segments(directory)
    plain = [entry for entry in entries if (path / entry.name).exists()]
    cold = [entry for entry in plain if now - os.stat(path / entry.name).st_mtime >= older_than_s]
    compressed_already = sum(
        (path / f"{entry.name}{SUFFIX}").exists() for entry in entries if entry not in plain
    )
    size = sum(entry.size for entry in cold)
    return CompactPlan(path, cold, size, compressed_already, len(plain) - len(cold))


def compact(
    plan: CompactPlan,
    *,
    level: int = DEFAULT_LEVEL,
    storage: Storage | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compress what a plan says.

    Parameters
    ----------
    level : of zstd, 1 to 19
    storage : file operations, replaced by tests

    Returns
    -------
    dict : `segments` compressed, `size` and `compressed_size` of them in bytes, `problems`: damaged segments, left as
        they were

    Raises
    ------
    JournalError : another process is at it, or an I/O error; the journal is whole, and the next run goes on.
    """
    if level not in LEVELS:
        raise JournalError(f"level {level}: zstd takes {LEVELS.start} to {LEVELS.stop - 1}")
    storage = storage or Storage(plan.directory)
    done = before = after = 0
    problems: list[str] = []
    with maintenance(plan.directory):
        _remove_leftovers(storage)
        for number, entry in enumerate(plan.entries):
            try:
                size = _compress(storage, entry, level)
            except OSError as error:
                raise failed(storage.path(entry.name), "compressing", error) from error
            except JournalError as error:
                problems.append(f"{entry.name}: {error}: left as it is")
                continue
            finally:
                if progress is not None:
                    progress(sum(entry.size for entry in plan.entries[: number + 1]), plan.size)
            done, before, after = done + 1, before + entry.size, after + size
    return {"segments": done, "size": before, "compressed_size": after, "problems": problems}


def _compress(storage: Storage, entry: SegmentEntry, level: int) -> int:
    """Steps 1 to 4 for one segment; bytes of the compressed file."""
    final, temporary = entry.name + SUFFIX, entry.name + TEMPORARY
    if final not in storage.names() or not _is_right(storage.path(final), entry):
        try:
            _write(storage, entry, temporary, level)
            _check(storage.path(temporary), entry)
        except BaseException:
            with suppress(OSError):
                storage.remove(temporary)
            raise
        storage.rename(temporary, final)
    storage.sync_directory()
    storage.remove(entry.name)
    storage.sync_directory()
    return os.path.getsize(storage.path(final))


def _write(storage: Storage, entry: SegmentEntry, temporary: str, level: int) -> None:
    """The compressed file, on the device."""
    maker, offset = ChunkCompressor(level), 0
    fd = storage.create(temporary, 0)
    try:
        with closing(RawSegment(storage.path(entry.name))) as raw:
            for content in _chunks(raw):
                made = maker.chunk(content)
                storage.write(fd, made, offset)
                offset += len(made)
        storage.write(fd, maker.end(), offset)
        storage.set_time(fd, os.stat(storage.path(entry.name)).st_mtime_ns)
        storage.sync(fd)
        with suppress(OSError):  # only so that the check below reads the device and not the cache
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        storage.close(fd)


def _chunks(raw: RawSegment) -> Iterator[Bytes]:
    buffer = np.empty(compressed.CHUNK_SIZE, np.uint8)
    for offset in range(0, raw.size, len(buffer)):
        yield raw.read(buffer[: raw.size - offset], offset)


def _check(path: str, entry: SegmentEntry) -> None:
    """Step 2. Raises JournalError if it is not the segment of the entry, OSError if it can't be read."""
    opened = CompressedSegment(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    with closing(RawSegment(path, opened)) as raw:
        check_closed(raw, entry)


def _is_right(path: str, entry: SegmentEntry) -> bool:
    try:
        _check(path, entry)
    except (JournalError, OSError):
        return False
    return True


def _remove_leftovers(storage: Storage) -> None:
    """What an interrupted run began to write."""
    for name in storage.names():
        if name.endswith(f".dsj{TEMPORARY}"):
            storage.remove(name)
