"""External sort against `sorted()`: order, stability, bounded windows, and nothing left behind."""

from __future__ import annotations

import errno
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.errors import DisruptorError
from disruptor.feeds import sort, sort_runs
from disruptor.feeds.columns import LOG_DTYPE, LogBatch

LIMIT = sort.MEMORY_LIMIT_MIN
Log = tuple[int, int, int, bytes]


def batch_of(logs: list[Log]) -> LogBatch:
    rows = np.zeros(len(logs), LOG_DTYPE)
    blob = b""
    for row, (block, index, arrival, payload) in zip(rows, logs, strict=True):
        row["block_number"], row["log_index"], row["position"] = block, index, arrival
        row["data_offset"], row["data_length"] = len(blob), len(payload)
        row["topics"][3, 31] = arrival % 251
        blob += payload
    return LogBatch(rows, np.frombuffer(bytearray(blob), np.uint8))


def logs_of(batches: Iterator[LogBatch]) -> list[Log]:
    logs = []
    for rows, blob in batches:
        for row in rows:
            start = int(row["data_offset"])
            payload = blob[start : start + int(row["data_length"])].tobytes()
            assert row["topics"][3, 31] == int(row["position"]) % 251
            logs.append((int(row["block_number"]), int(row["log_index"]), int(row["position"]), payload))
    return logs


def in_batches(logs: list[Log], size: int) -> Iterator[LogBatch]:
    return (batch_of(logs[start : start + size]) for start in range(0, len(logs), size))


def numbered(keys: list[tuple[int, int, int]]) -> list[Log]:
    return [(block, index, n, bytes([n % 256]) * size) for n, (block, index, size) in enumerate(keys)]


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 3), st.sampled_from([0, 1, 32, 160, 700])), max_size=250
    ),
    st.integers(1, 40),
)
def test_any_stream_comes_out_as_sorted_would_give_it(keys: list[tuple[int, int, int]], size: int) -> None:
    logs = numbered(keys)
    got = logs_of(sort.sorted_batches(in_batches(logs, size), memory_limit=LIMIT))
    assert got == sorted(logs, key=lambda log: log[:2])


def test_more_runs_than_the_fan_in_are_merged_in_passes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sort, "FAN_IN", 2)
    rng = np.random.default_rng(7)
    logs = numbered([(int(b), int(i), int(s)) for b, i, s in rng.integers(0, [9, 5, 40], (300, 3))])
    got = logs_of(sort.sorted_batches(in_batches(logs, 11), memory_limit=LIMIT, directory=str(tmp_path)))
    assert got == sorted(logs, key=lambda log: log[:2])
    assert list(tmp_path.iterdir()) == []


def test_a_log_larger_than_every_window_survives() -> None:
    logs = numbered([(3, 0, 9), (2, 0, 60_000), (1, 0, 5), (2, 1, 40_000)] * 3)
    got = logs_of(sort.sorted_batches(in_batches(logs, 1), memory_limit=LIMIT))
    assert got == sorted(logs, key=lambda log: log[:2])


def test_a_stream_that_fits_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sort.tempfile, "TemporaryDirectory", None)
    logs = numbered([(5, 0, 3), (4, 0, 3), (4, 0, 2)])
    assert [log[2] for log in logs_of(sort.sorted_batches(in_batches(logs, 2)))] == [1, 2, 0]


def test_an_empty_stream_yields_nothing() -> None:
    assert list(sort.sorted_batches(iter([]))) == []


def test_batches_may_be_reused_by_their_reader() -> None:
    def reader() -> Iterator[LogBatch]:
        batch = batch_of([(0, 0, 0, b"x")])
        for n in range(100):
            batch.rows["block_number"], batch.rows["position"] = 99 - n, n
            batch.rows["topics"][0, 3, 31] = n
            yield batch

    got = logs_of(sort.sorted_batches(reader(), memory_limit=LIMIT))
    assert [(block, arrival) for block, _, arrival, _ in got] == [(b, 99 - b) for b in range(100)]


@pytest.mark.compiled
def test_memory_stays_flat_however_long_the_stream() -> None:
    limit, batch = 1 << 20, np.zeros(256, LOG_DTYPE)
    blob = np.zeros(256 * 8, np.uint8)
    batch["data_length"] = 8

    def stream(count: int) -> Iterator[LogBatch]:
        for n in range(count):
            batch["block_number"], batch["log_index"] = (n * 37) % 100, np.arange(256)[::-1]
            yield LogBatch(batch, blob)

    list(sort.sorted_batches(stream(2), memory_limit=LIMIT))  # compiles outside of what is measured
    peaks = []
    for count in (30, 90):  # 2 MB and 6 MB: both are more than may be held
        tracemalloc.start()
        assert (
            sum(len(out.rows) for out in sort.sorted_batches(stream(count), memory_limit=limit))
            == count * 256
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < limit
    assert peaks[1] < 1.2 * peaks[0]


def test_closing_early_removes_the_run_files(tmp_path: Path) -> None:
    logs = numbered([(n % 7, n, 10) for n in range(200)])
    batches = sort.sorted_batches(in_batches(logs, 10), memory_limit=LIMIT, directory=str(tmp_path))
    next(batches)
    assert len(list(tmp_path.iterdir())) == 1
    batches.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sort_runs.os, "pwrite", full)
    logs = numbered([(n % 7, n, 10) for n in range(200)])
    with pytest.raises(DisruptorError, match=r"no room left.*TMPDIR"):
        list(sort.sorted_batches(in_batches(logs, 10), memory_limit=LIMIT, directory=str(tmp_path)))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_a_clear_error(tmp_path: Path) -> None:
    logs = numbered([(n % 7, n, 10) for n in range(200)])
    missing = str(tmp_path / "none")
    with pytest.raises(DisruptorError, match="temporary files fail"):
        list(sort.sorted_batches(in_batches(logs, 10), memory_limit=LIMIT, directory=missing))
