"""Looking on at whole replays: the same results, ended where asked, and what can't be asked for together."""

from __future__ import annotations

import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import InputError
from disruptor.replay.request import ReplayRequest
from disruptor.replay.stepper import Console
from disruptor.replay.watchers import check_watched
from tests.harness import EXAMPLE, SMALL, Row, replay
from tests.replay.test_watch import HANDLERS

LAST = 100


def ordered(rows: list[Row]) -> list[Row]:
    """Rows in the order of outputs: sinks get them type by type, and in smaller batches while somebody looks on."""
    return sorted(rows, key=lambda row: (row["sequence"], row["source_id"], row["source_sequence"]))


@pytest.mark.slow
@pytest.mark.compiled
def test_a_run_ends_with_the_first_output_that_is_asked_for() -> None:
    whole = replay(EXAMPLE, to_block=LAST)
    best = max(row["max_profit"] for row in whole.sink.of("ArbitrageOpportunity"))
    first = next(row for row in whole.sink.rows if row.get("max_profit") == best)
    found = replay(EXAMPLE, until=f"output.ArbitrageOpportunity.max_profit >= {best}")
    assert found.result.stopped == {
        "until": f"output.ArbitrageOpportunity.max_profit >= {best}",
        "sequence": first["sequence"],
    }
    assert found.result.last_sequence == first["sequence"]
    assert found.digests == replay(EXAMPLE, to_seq=first["sequence"]).digests


@pytest.mark.slow
@pytest.mark.compiled
def test_a_condition_that_never_holds_changes_nothing() -> None:
    watched = replay(EXAMPLE, to_block=LAST, until="block > 1e9 or time < 5 or events >= 1e12")
    plain = replay(EXAMPLE, to_block=LAST)
    assert watched.digests == plain.digests and watched.result.stopped is None
    assert ordered(watched.sink.rows) == ordered(plain.sink.rows)
    block = replay(EXAMPLE, until="block >= 70")
    assert block.digests[2] == replay(EXAMPLE, to_block=69).digests[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"step": True}, "leave out --json"),
        ({"pause_at": 5}, "leave out --json"),
        ({"speed": 1.0}, "--speed: expected a journal"),
        ({"until": "nothing > 5"}, "--until nothing"),
        ({"until": "events > 5", "record": "r.json"}, "--record: of a run that may end anywhere"),
        ({"until": "events > 5", "check": "r.json"}, "--check: of a run that may end anywhere"),
    ],
)
def test_what_can_not_be_asked_for_is_told_before_the_run(options, said) -> None:
    settings, _ = load_settings(None, list(SMALL))
    request = ReplayRequest(sources=("logs.jsonl",), settings=settings, **options)
    with pytest.raises(InputError, match=said):
        check_watched(request, HANDLERS, None)


def test_stepping_needs_a_journal() -> None:
    settings, _ = load_settings(None, list(SMALL))
    request = ReplayRequest(sources=("logs.jsonl",), settings=settings, step=True)
    with pytest.raises(InputError, match="--step: expected a journal"):
        check_watched(request, HANDLERS, Console(iter(()), print))
