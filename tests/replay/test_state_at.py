"""The state at a sequence is the one that a replay up to there ends with."""

from __future__ import annotations

from pathlib import Path

import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import InputError
from disruptor.replay.importer import import_logs
from disruptor.replay.request import ReplayRequest, RunRequest
from disruptor.replay.snapshots import take_snapshots
from disruptor.replay.state_at import state_at
from disruptor.replay.table_rows import TableRows
from tests.harness import EXAMPLE, SMALL, replay


def asked(sequence: int | None, **options: int) -> ReplayRequest:
    settings, _ = load_settings(None, list(SMALL))
    return ReplayRequest(sources=(str(EXAMPLE),), settings=settings, to_seq=sequence, **options)


@pytest.mark.slow
@pytest.mark.compiled
def test_rows_are_those_that_a_replay_up_to_there_ends_with() -> None:
    found, whole = state_at(asked(900)), replay(EXAMPLE, to_seq=900)
    assert found.sequence == 900 and found.state.digest() == whole.result.state_digest
    rows = {row["key"]: row for row in TableRows(found.state).rows("pools")}
    assert set(rows) == set(whole.pools)
    for address, line in whole.pools.items():
        assert rows[address]["token0"] == line["token0"]
        for name in ("reserve0", "reserve1", "sqrt_price_x96", "liquidity"):
            assert name not in line or rows[address][name] == line[name]


@pytest.mark.slow
@pytest.mark.compiled
def test_a_sequence_beyond_the_stream_is_refused() -> None:
    # The block ends the run first: whoever asks for both asks for the earlier.
    assert state_at(asked(10**9, to_block=5)).sequence < 10**9
    with pytest.raises(InputError, match="--at 1000000000: the last sequence is "):
        state_at(asked(10**9))


@pytest.mark.slow
@pytest.mark.compiled
def test_a_run_that_begins_behind_a_snapshot_ends_in_the_same_state(tmp_path: Path) -> None:
    settings, _ = load_settings(None, list(SMALL))
    path = str(tmp_path / "journal")
    import_logs(
        [str(EXAMPLE)],
        path,
        pools=[],
        blocks=[],
        sort=False,
        strict=False,
        settings=settings,
        frame_slots=512,
    )
    asked_of = ReplayRequest(sources=(path,), settings=settings, to_seq=1500)
    whole = state_at(asked_of)
    take_snapshots(RunRequest(sources=(path,), settings=settings), at=1200)
    take_snapshots(RunRequest(sources=(path,), settings=settings), at=1700)
    found = state_at(asked_of)
    assert (whole.snapshot, found.snapshot, found.sequence) == (None, 1200, 1500)
    assert found.state.digest() == whole.state.digest()


def test_an_unknown_table_is_told_before_the_run() -> None:
    with pytest.raises(InputError, match="did you mean pools"):
        state_at(asked(5), "pool")
