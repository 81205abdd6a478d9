"""External sort of log batches into chain order, within a fixed amount of memory.

The classic two phases. *Runs*: batches are collected until they hold half of `memory_limit`, sorted by
(block number, log index) and written to a file. *Merge*: each run gets one window of the same size; a
compiled loop takes the smallest head row until a window is empty, and returns to have it refilled. More
than `FAN_IN` runs are first merged in groups, so neither memory nor open files grow with the stream; it
costs one more pass over the disk per factor of `FAN_IN`. A stream that fits is never written.

Why it is stable: a run is sorted stably, runs are numbered in order of arrival, the merge prefers the lower
number among equals, and only neighbouring runs are merged into one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.compile_cache import entry
from disruptor.feeds.byte_copy import copy_bytes
from disruptor.feeds.columns import LOG_DTYPE, LogBatch
from disruptor.feeds.sort_runs import Bytes, Rows, Run, RunReader, write_error, write_run

DEFAULT_MEMORY_LIMIT = 256 << 20
MEMORY_LIMIT_MIN = 16 << 10
#: Runs merged at once. The smallest head is found by a linear scan: cheaper than a heap at this width.
FAN_IN = 32
OUT_ROWS_MAX = 1 << 14

# What `merge_windows` returns: the output is full; window `state[2]` must be refilled; all runs are drained.
OUT_FULL, REFILL, DRAINED = 0, 1, 2

WINDOW_DTYPE = np.dtype(
    [
        ("block_number", "<i8"),  # key of the head row
        ("log_index", "<i8"),
        ("head", "<i8"),  # next row of the window
        ("end", "<i8"),  # rows in the window
        ("data_start", "<i8"),  # data_offset of the window's first byte
        ("drained", "<i8"),  # 1 once the run has no more rows
    ]
)


class Windows(NamedTuple):
    """What the merge reads: heads (k,) WINDOW_DTYPE, rows (k, n) LOG_DTYPE, blobs (k, m) uint8."""

    heads: Rows
    rows: Rows
    blobs: Bytes


def sorted_batches(
    batches: Iterable[LogBatch], *, memory_limit: int = DEFAULT_MEMORY_LIMIT, directory: str | None = None
) -> Iterator[LogBatch]:
    """Yield all logs of `batches` in order of (block number, log index, arrival).

    Parameters
    ----------
    batches : batches in any order; each is copied before the next is asked for
    memory_limit : bytes, >= `MEMORY_LIMIT_MIN`; what the sort holds at once, whatever the stream's length. A
        batch larger than half of it, or a log whose data is larger than a window, adds its own size.
    directory : where the private directory for run files is made; default the system's temporary directory

    Yields
    ------
    LogBatch : its arrays are reused for the next one.

    Raises
    ------
    DisruptorError : run files can't be written, for instance because the disk is full.

    Invariants
    ----------
    Stable. Run files are removed at the end, after an error, and when the generator is closed.
    """
    assert memory_limit >= MEMORY_LIMIT_MIN
    budget = memory_limit // 2
    groups = _groups(batches, budget)
    held, is_all = next(groups)
    if is_all:
        yield from _sorted_slices(held, _slice_bytes(budget))
    else:
        yield from _sort_on_disk(held, groups, budget, directory)


def _groups(batches: Iterable[LogBatch], budget: int) -> Iterator[tuple[list[LogBatch], bool]]:
    """Copies of the batches, as many as fit the budget at a time, and whether these are the last."""
    held: list[LogBatch] = []
    held_bytes = 0
    for batch in batches:
        size = batch.rows.nbytes + batch.blob.nbytes
        if held and held_bytes + size > budget:
            yield held, False
            held, held_bytes = [], 0
        held.append(LogBatch(batch.rows.copy(), batch.blob.copy()))
        held_bytes += size
    yield held, True


def _sort_on_disk(
    held: list[LogBatch], groups: Iterator[tuple[list[LogBatch], bool]], budget: int, directory: str | None
) -> Iterator[LogBatch]:
    try:
        private = tempfile.TemporaryDirectory(prefix="disruptor-sort-", dir=directory)
    except OSError as problem:
        raise write_error(problem, Path(directory or tempfile.gettempdir())) from None
    with private as name:
        runs = [_write_held(held, Path(name) / "run-0-0", budget)]
        for held, _ in groups:
            runs.append(_write_held(held, Path(name) / f"run-0-{len(runs)}", budget))
        while len(runs) > FAN_IN:
            runs = _merge_groups(runs, budget, Path(name))
        yield from _merge(runs, budget)


# Runs.


def _write_held(held: list[LogBatch], path: Path, budget: int) -> Run:
    """Write the held batches as one run and let them go."""
    row_count = sum(len(batch.rows) for batch in held)
    byte_count = sum(int(batch.rows["data_length"].sum(dtype=np.int64)) for batch in held)
    slices = _sorted_slices(held, _slice_bytes(budget))
    run = write_run(slices, path, row_count, byte_count)
    held.clear()
    return run


def _merge_groups(runs: list[Run], budget: int, directory: Path) -> list[Run]:
    """Merge neighbours, FAN_IN at a time, into fewer and longer runs; the files merged are removed."""
    level = int(runs[0].path.name.split("-")[1]) + 1
    merged: list[Run] = []
    for start in range(0, len(runs), FAN_IN):
        group = runs[start : start + FAN_IN]
        row_count, byte_count = sum(run.row_count for run in group), sum(run.byte_count for run in group)
        path = directory / f"run-{level}-{len(merged)}"
        merged.append(write_run(_merge(group, budget), path, row_count, byte_count))
        for run in group:
            run.path.unlink()
    return merged


# In memory.


def _slice_bytes(budget: int) -> int:
    return max(budget // 8, LOG_DTYPE.itemsize)


def _sorted_slices(held: list[LogBatch], slice_bytes: int) -> Iterator[LogBatch]:
    """Sort the held batches by index, then gather a slice at a time: no second copy of everything exists."""
    if not held:
        return
    starts = np.cumsum([0] + [len(batch.rows) for batch in held])
    keys = [np.concatenate([batch.rows[key] for batch in held]) for key in ("log_index", "block_number")]
    order = np.lexsort(keys).astype(np.int64)
    lengths = np.concatenate([batch.rows["data_length"] for batch in held]).astype(np.int64)[order]
    ends = np.cumsum(lengths + LOG_DTYPE.itemsize)
    begin = 0
    while begin < len(order):
        taken = int(ends[begin - 1]) if begin else 0
        end = int(np.searchsorted(ends, taken + slice_bytes, side="right"))
        end = min(max(end, begin + 1), begin + OUT_ROWS_MAX)
        yield _gather(held, starts, order[begin:end], lengths[begin:end])
        begin = end


def _gather(
    held: list[LogBatch],
    starts: npt.NDArray[np.int64],
    picked: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
) -> LogBatch:
    """Rows `picked` (indices into all held batches in arrival order) as one batch; `lengths` of their data.

    Rows are placed batch by batch, at the positions they have in the result.
    """
    ends = np.cumsum(lengths)
    rows, blob = np.zeros(len(picked), LOG_DTYPE), np.zeros(int(ends[-1]), np.uint8)
    owner = np.searchsorted(starts, picked, side="right") - 1
    by_owner = np.argsort(owner, kind="stable")
    present, firsts = np.unique(owner[by_owner], return_index=True)
    bounds = np.append(firsts, len(picked))
    offsets = ends - lengths
    for index, number in enumerate(present):
        targets = by_owner[bounds[index] : bounds[index + 1]]
        sources = picked[targets] - starts[number]
        place_rows(held[number], sources, targets, offsets, rows, blob)
    return LogBatch(rows, blob)


@entry
def place_rows(batch: LogBatch, sources: Any, targets: Any, offsets: Any, rows: Rows, blob: Bytes) -> None:
    """Copy rows `sources` of a batch to rows[targets], their data to `blob` at offsets[targets]."""
    for k in range(len(sources)):
        source, target = sources[k], targets[k]
        rows[target] = batch.rows[source]
        rows[target]["data_offset"] = offsets[target]
        start, length = batch.rows[source]["data_offset"], batch.rows[source]["data_length"]
        copy_bytes(batch.blob, start, blob, offsets[target], length)


# Merge.


def _merge(runs: list[Run], budget: int) -> Iterator[LogBatch]:
    """Merge at most FAN_IN runs; all windows share the budget, the output is one more window."""
    assert 1 <= len(runs) <= FAN_IN
    share = budget // (len(runs) + 1)
    row_capacity = max(1, min(OUT_ROWS_MAX, share * 2 // 3 // LOG_DTYPE.itemsize))
    blob_capacity = max(64, share // 3)
    heads = np.zeros(len(runs), WINDOW_DTYPE)
    rows = np.zeros((len(runs), row_capacity), LOG_DTYPE)
    windows = Windows(heads, rows, np.zeros((len(runs), blob_capacity), np.uint8))
    out = LogBatch(np.zeros(row_capacity, LOG_DTYPE), np.zeros(blob_capacity, np.uint8))
    readers = [RunReader(run) for run in runs]
    try:
        for number in range(len(runs)):
            windows = _refill(readers, windows, number)
        yield from _merge_loop(readers, windows, out)
    finally:
        for reader in readers:
            reader.close()


def _merge_loop(readers: list[RunReader], windows: Windows, out: LogBatch) -> Iterator[LogBatch]:
    state = np.zeros(3, np.int64)
    status = REFILL
    while status != DRAINED:
        status = merge_windows(windows, out.rows, out.blob, state)
        if status == REFILL:
            windows = _refill(readers, windows, int(state[2]))
            continue
        if status == OUT_FULL and state[0] == 0:  # one log's data is larger than the whole output
            out = LogBatch(out.rows, np.zeros(2 * len(out.blob), np.uint8))
            continue
        if state[0]:
            yield LogBatch(out.rows[: state[0]], out.blob[: state[1]])
        state[:2] = 0


def _refill(readers: list[RunReader], windows: Windows, number: int) -> Windows:
    """Load the next rows of one run into its window; all windows are widened if one log's data needs it."""
    needed = readers[number].fill_rows(windows.rows[number])
    if needed > windows.blobs.shape[1]:
        blobs = np.zeros((len(readers), needed), np.uint8)
        blobs[:, : windows.blobs.shape[1]] = windows.blobs
        windows = windows._replace(blobs=blobs)
    row_count = readers[number].fill_blob(windows.rows[number], windows.blobs[number])
    head = windows.heads[number : number + 1]
    head["head"], head["end"], head["drained"] = 0, row_count, row_count == 0
    if row_count:
        first = windows.rows[number, 0]
        head["block_number"], head["log_index"] = first["block_number"], first["log_index"]
        head["data_start"] = first["data_offset"]
    return windows


@entry
def merge_windows(windows: Windows, out_rows: Rows, out_blob: Bytes, state: Any) -> int:
    """Move the smallest head rows to the output until it is full or a window needs rows.

    state : (3,) int64 [rows in the output, bytes in the output, window to refill]. Mutated.

    Returns OUT_FULL, REFILL or DRAINED. Strict comparison keeps the lower run first among equals.
    """
    heads = windows.heads
    for _ in range(len(out_rows) + 1):
        best = -1
        for r in range(len(heads)):
            if heads[r]["drained"] == 0 and (
                best < 0
                or heads[r]["block_number"] < heads[best]["block_number"]
                or (
                    heads[r]["block_number"] == heads[best]["block_number"]
                    and heads[r]["log_index"] < heads[best]["log_index"]
                )
            ):
                best = r
        if best < 0:
            return DRAINED
        at, length = heads[best]["head"], np.int64(windows.rows[best, heads[best]["head"]]["data_length"])
        if state[0] == len(out_rows) or state[1] + length > len(out_blob):
            return OUT_FULL
        start = windows.rows[best, at]["data_offset"] - heads[best]["data_start"]
        copy_bytes(windows.blobs[best], start, out_blob, state[1], length)
        out_rows[state[0]] = windows.rows[best, at]
        out_rows[state[0]]["data_offset"] = state[1]
        state[0] += 1
        state[1] += length
        heads[best]["head"] = at + 1
        if at + 1 == heads[best]["end"]:
            state[2] = best
            return REFILL
        heads[best]["block_number"] = windows.rows[best, at + 1]["block_number"]
        heads[best]["log_index"] = windows.rows[best, at + 1]["log_index"]
    return OUT_FULL
