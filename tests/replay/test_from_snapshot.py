"""`--from-snapshot`: the same results from less reading, and nothing left out that counts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from disruptor.errors import InputError
from disruptor.replay.from_snapshot import check_request, leaves_out_nothing
from disruptor.replay.request import ReplayRequest
from disruptor.replay.snapshots import take_snapshots
from tests.harness import EXAMPLE, Outcome, replay
from tests.journal.test_snapshot_layout import FACTS
from tests.replay.test_snapshots import asked, imported  # noqa: F401  (a fixture)

AT = (700, 1500, 2600)
END = 3600


@pytest.fixture(scope="module")
def journal(imported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """With snapshots in the middle of blocks and frames."""
    folder = tmp_path_factory.mktemp("from") / "journal"
    shutil.copytree(imported, folder)
    for at in AT:
        take_snapshots(asked(folder), at=at)
    return folder


def told(found: Outcome) -> dict[str, Any]:
    """All that a report says but times, pages and where it began."""
    report = found.result.to_json()
    timed = ("seconds", "events_per_second", "compile_seconds", "pages", "snapshot")
    return {name: value for name, value in report.items() if name not in timed}


@pytest.fixture(scope="module")
def whole(journal: Path) -> Outcome:
    """From the first event on."""
    return replay(journal, to_seq=END)


@pytest.mark.compiled
@pytest.mark.parametrize(("first", "begins"), [(2601, 2600), (2600, 1500)])
def test_with_a_lower_bound_the_newest_before_it_is_begun_behind(
    journal: Path, whole: Outcome, first: int, begins: int
) -> None:
    found = replay(journal, from_snapshot=True, from_seq=first, to_seq=END)
    assert found.result.snapshot == {"sequence": begins, "changed": [], "problems": []}
    assert found.sink.rows == [row for row in whole.sink.rows if row["sequence"] >= first] != []
    assert (found.result.state_digest, found.pools) == (whole.result.state_digest, whole.pools)


@pytest.mark.compiled
def test_all_that_is_told_within_bounds_is_what_the_run_without_snapshot_tells(
    journal: Path, whole: Outcome
) -> None:
    block = sorted({row["block"] for row in whole.sink.rows if row["sequence"] > 1600})[3]
    plain, short = (replay(journal, from_block=block, to_seq=END, from_snapshot=use) for use in (False, True))
    assert (plain.result.snapshot, short.result.snapshot["sequence"] in AT) == (None, True)  # type: ignore[index]
    assert told(short) == told(plain)
    assert (
        short.sink.rows == plain.sink.rows == [row for row in whole.sink.rows if row["block"] >= block] != []
    )


@pytest.mark.compiled
def test_without_one_outputs_begin_behind_the_snapshot_and_the_state_is_the_same(
    journal: Path, whole: Outcome
) -> None:
    found = replay(journal, from_snapshot=True, to_seq=END)
    assert (found.result.first_sequence, found.result.last_sequence) == (2601, END)
    assert (found.result.state_digest, found.pools) == (whole.result.state_digest, whole.pools)
    assert found.sink.rows == [row for row in whole.sink.rows if row["sequence"] > 2600] != []
    assert found.result.events < whole.result.events


@pytest.mark.parametrize(
    ("bounds", "block", "second", "expected"),
    [
        ({"from_block": 8}, 7, 0, True),
        ({"from_block": 8}, 8, 0, False),
        ({"from_block": 8}, None, 0, False),
        ({"to_block": 8}, 8, 0, True),
        ({"to_block": 8}, 9, 0, False),
        ({"from_time": 100}, 7, 99, True),
        ({"from_time": 100}, 7, 100, False),
        ({"from_time": 100}, 7, 0, False),
        ({"to_time": 100}, 7, 100, True),
        ({"to_time": 100}, 7, 101, False),
        ({"from_block": 8, "to_time": 100}, 7, 101, False),
        ({}, None, 0, True),
    ],
    ids=str,
)
def test_a_snapshot_within_the_bounds_would_leave_something_out(
    bounds: dict[str, int], block: int | None, second: int, expected: bool
) -> None:
    request = ReplayRequest(sources=("x",), settings=asked("x").settings, **bounds)
    facts = replace(FACTS, block=block, event_time_ns=second * 1_000_000_000)
    assert leaves_out_nothing(facts, request) is expected


@pytest.mark.compiled
def test_other_settings_are_named_or_allowed(journal: Path) -> None:
    found = replay(journal, "arbitrage.min_bps=3", from_snapshot=True, to_seq=END)
    assert found.result.snapshot is not None and found.result.snapshot["sequence"] is None
    problems = found.result.snapshot["problems"]
    assert [p["sequence"] for p in problems] == [2600, 1500, 700]
    assert "arbitrage.min_bps: 0.0 when recorded, 3.0 now" in problems[0]["what"]
    allowed = replay(journal, "arbitrage.min_bps=3", from_snapshot=True, to_seq=END, allow_code_change=True)
    assert allowed.result.snapshot == {
        "sequence": 2600,
        "changed": ["setting arbitrage.min_bps: 0.0 when recorded, 3.0 now"],
        "problems": [],
    }


def test_what_needs_all_outputs_is_refused(tmp_path: Path) -> None:
    def request(**options: Any) -> ReplayRequest:
        return ReplayRequest(sources=("x",), settings=asked("x").settings, from_snapshot=True, **options)

    for options, message in (
        ({"write_journal": "y", "from_seq": 5}, "--write-journal needs all events"),
        ({"record": "y"}, "--record needs all outputs"),
        ({"check": "y", "to_seq": 7}, "--check needs all outputs"),
    ):
        with pytest.raises(InputError, match=message):
            check_request(request(**options))
    check_request(request(check="y", from_block=5))
    check_request(request())


@pytest.mark.compiled
def test_recorded_logs_have_no_snapshots() -> None:
    with pytest.raises(InputError, match="expected a journal as the source"):
        replay(EXAMPLE, from_snapshot=True)
