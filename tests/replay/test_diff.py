"""Runs that part, held against ledgers kept in dicts: the first event, row and field, and what only one side emits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from disruptor.access import find, insert, read, remove, row
from disruptor.config.loader import load_settings
from disruptor.emit import emit
from disruptor.errors import InputError
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.journal.writer import JournalWriter
from disruptor.message import u32
from disruptor.processor import Processor
from disruptor.replay import diff_side
from disruptor.replay.diff import common_fields, diff, first_fields
from disruptor.replay.diff_side import LocalSide
from disruptor.replay.request import RunRequest
from disruptor.table import Table
from tests.disruptor.test_processor import (
    ACCOUNTS,
    Balance,
    Close,
    Deposit,
    Event,
    Probe,
    Stranger,
    on_close,
    on_deposit,
    on_probe,
    slots_of,
    stream,
)

EXTRA = Table("extra", {"closes": u32})


@handler(Deposit, tables=[ACCOUNTS], max_outputs=1, max_inserts=1)
def on_deposit_wrong(state, event, out):
    account = row(state.accounts, insert(state.accounts, event["account"], 0))
    account["account"] = event["account"]
    account["total"] += event["amount"]
    if event["amount"] % np.uint64(97) == np.uint64(0):
        account["total"] += np.uint64(1)
    balance = emit(out, Balance)
    balance["account"] = event["account"]
    balance["total"] = account["total"]


@handler(Close, tables=[ACCOUNTS], max_outputs=1)
def on_close_as_ever(state, event, out):
    at = find(state.accounts, event["account"], 0)
    if at >= 0:
        balance = emit(out, Balance)
        balance["account"] = event["account"]
        balance["total"] = read(state.accounts, at)["total"]
        remove(state.accounts, event["account"], 0)


@handler(Close, tables=[EXTRA])
def on_close_too(state, event, out):
    row(state.extra, 0)["closes"] += np.uint32(1)


SETS = {
    "right": HandlerSet([on_deposit, on_close, on_probe]),
    "wrong": HandlerSet([on_deposit_wrong, on_close_as_ever, on_probe]),
    "more": HandlerSet([on_deposit, on_close, on_close_too, on_probe]),
}
SETTINGS, _ = load_settings(None, ["huge_pages=off"])


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides run the sets above instead of the built-in handlers."""
    monkeypatch.setattr(diff_side, "handlers_of", lambda request: SETS[request.handlers[0]])
    monkeypatch.setattr(
        diff_side,
        "build_processor",
        lambda handlers, settings, allocate, chain_id, covered: Processor(
            handlers, capacities={"accounts": 6}, output_slots=16, covered=covered
        ),
    )


def journal(folder: Path, events: list[Event], frame_slots: int = 100) -> str:
    declared = [Deposit, Close, Probe, Stranger]
    writer = JournalWriter(str(folder), messages=declared, identity={}, settings={}, frame_slots=frame_slots)
    with writer:
        writer.append(slots_of(events), 0)
        writer.finish({})
    return str(folder)


def side(path: str, name: str = "right") -> LocalSide:
    return LocalSide(RunRequest(sources=(path,), settings=SETTINGS, handlers=(name,)))


def totals_after_each(events: list[Event], *, wrong: bool) -> list[dict[int, int]]:
    totals: dict[int, int] = {}
    found = []
    for declared, values in events:
        if declared is Deposit:
            more = values[1] + (1 if wrong and values[1] % 97 == 0 else 0)
            totals[values[0]] = (totals.get(values[0], 0) + more) % 2**64
        elif declared is Close:
            totals.pop(values[0], None)
        found.append(dict(totals))
    return found


def test_the_same_journal_twice_is_the_same(tmp_path: Path, seed: int) -> None:
    events = stream(2500, seed)
    a, b = journal(tmp_path / "a", events), journal(tmp_path / "b", events, frame_slots=333)
    told: list[int] = []
    report = diff(side(a), side(b), progress=told.append)
    assert report["same"] and (report["first_sequence"], report["last_sequence"]) == (0, 2499)
    assert report["sequences_apart"] == 0 and report["only_in_a"] == report["only_in_b"] == {}
    assert told == [1024, 2048, 2500, 2500]


def test_runs_that_part_and_meet_again_are_told_to_the_field(tmp_path: Path, seed: int) -> None:
    events = stream(2500, seed)
    # Nothing that a divisor of 97 could be found in but where it is put; the accounts close now and then.
    events = [(d, (v[0], v[1] * 97 + 1) if d is Deposit else v) for d, v in events]
    events = [(d, (v[0], v[1] % 2**60) if d is Deposit else v) for d, v in events]
    events = [(d, (v[0], v[1] + 1) if d is Deposit and v[1] % 97 == 0 else v) for d, v in events]
    events[1500] = (Deposit, (2, 97 * 5))
    events[1510] = (Close, (2,))
    right, wrong = (totals_after_each(events, wrong=w) for w in (False, True))
    apart = [k for k in range(2500) if right[k] != wrong[k]]
    path = journal(tmp_path / "j", events)
    report = diff(side(path), side(path, "wrong"))
    assert right[-1] == wrong[-1] and apart[0] == 1500, "they meet again"
    state = report["state"]
    assert not report["same"]
    assert (state["sequence"], state["table"], state["key"], state["field"]) == (
        1500,
        "accounts",
        "2",
        "total",
    )
    assert (state["before"], state["a"], state["b"]) == (
        right[1499].get(2),
        right[1500][2],
        wrong[1500][2],
    )
    assert state["fields_differing"] == 1 and state["event"]["amount"] == 97 * 5
    assert report["sequences_apart"] == len(apart)
    assert state["equal_again"] == apart[-1] + 1
    assert report["outputs"]["sequence"] == 1500
    [a], [b] = report["outputs"]["a"], report["outputs"]["b"]
    assert (a["handler"], a["total"], b["total"]) == ("on_deposit", right[1500][2], wrong[1500][2])
    told = [k for k in apart if events[k][0] is Deposit and events[k][1][0] == 2]
    closed = [k for k in range(1501, 1511) if events[k] == (Close, (2,))][:1]
    assert report["only_in_a"] == report["only_in_b"] == {"Balance": len(told) + len(closed)}


def test_each_output_of_one_side_only_is_told(tmp_path: Path) -> None:
    events: list[Event] = [(Deposit, (k % 3, 97 if k in (4, 7) else 1)) for k in range(12)]
    path = journal(tmp_path / "j", events)
    told: list[tuple[str, int, int]] = []
    report = diff(
        side(path), side(path, "wrong"), listener=lambda s, r: told.append((s, r["sequence"], r["total"]))
    )
    right, wrong = (totals_after_each(events, wrong=w) for w in (False, True))
    expected = [k for k in range(12) if right[k][k % 3] != wrong[k][k % 3]]
    assert sorted(told) == sorted(
        [("a", k, right[k][k % 3]) for k in expected] + [("b", k, wrong[k][k % 3]) for k in expected]
    )
    assert report["state"]["equal_again"] is None and report["sequences_apart"] == 8


def test_a_row_that_is_absent_has_no_values(tmp_path: Path) -> None:
    a = journal(tmp_path / "a", [(Deposit, (1, 5)), (Close, (1,))])
    b = journal(tmp_path / "b", [(Deposit, (1, 5)), (Close, (9,))])
    report = diff(side(a), side(b))
    fields = [(f["field"], f["before"], f["a"], f["b"]) for f in report["state"]["fields"]]
    assert fields == [("account", 1, None, 1), ("total", 5, None, 5)]
    assert report["inputs"]["sequence"] == 1
    assert (report["inputs"]["a"]["account"], report["inputs"]["b"]["account"]) == (1, 9)
    assert report["only_in_a"] == {"Balance": 1} and report["only_in_b"] == {}


def test_a_journal_that_ends_earlier_is_not_the_same(tmp_path: Path, seed: int) -> None:
    events = stream(1500, seed)
    a, b = journal(tmp_path / "a", events), journal(tmp_path / "b", events[:1300])
    report = diff(side(a), side(b))
    assert not report["same"] and report["state"] is report["outputs"] is None
    assert report["ends"]["b"] == report["last_sequence"] == 1299 and report["ends"]["a"] > 1299
    report = diff(side(a), side(b), to_seq=1200)
    assert report["same"] and report["last_sequence"] == 1200


def test_what_lies_behind_the_last_sequence_does_not_count(tmp_path: Path) -> None:
    events: list[Event] = [(Deposit, (1, 97 if k == 6 else 1)) for k in range(9)]
    path = journal(tmp_path / "j", events)
    assert diff(side(path), side(path, "wrong"), to_seq=5)["same"]
    assert diff(side(path), side(path, "wrong"), to_seq=6)["state"]["sequence"] == 6


@pytest.mark.own_loop
def test_tables_of_one_side_only_are_named_and_not_compared(tmp_path: Path, seed: int) -> None:
    path = journal(tmp_path / "j", stream(200, seed))
    report = diff(side(path), side(path, "more"))
    assert report["same"] and report["not_compared"] == {"a": [], "b": ["extra"]}


def test_a_side_that_fails_is_a_difference_and_both_alike_are_not(tmp_path: Path) -> None:
    events: list[Event] = [(Deposit, (1, 5)), (Probe, (1, 7)), (Deposit, (1, 5))]
    a = journal(tmp_path / "a", events)
    b = journal(tmp_path / "b", [events[0], (Probe, (1, 0)), events[2]])
    report = diff(side(a), side(b))
    assert not report["same"] and "sequence 1" in report["failures"]["a"] and report["failures"]["b"] == ""
    alike = diff(side(a), side(a))
    assert alike["same"] and alike["failures"]["a"] == alike["failures"]["b"] != ""


def test_only_journals_are_compared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a journal: diff compares journals"):
        side(str(tmp_path / "logs.jsonl"))


def test_fields_of_the_same_name_and_kind_are_common() -> None:
    a = {"t": {"x": "u32", "y": "u64"}, "gone": {"x": "u8"}}
    b = {"t": {"x": "u32", "y": "u128", "z": "u8"}, "new": {}}
    found = common_fields(a, b)
    assert found.covered == {"t": ["x"]}
    assert (found.only_a, found.only_b) == (["gone", "t.y"], ["new", "t.y", "t.z"])


def test_a_row_that_only_one_side_wrote_is_as_before_on_the_other() -> None:
    change = {"table": "t", "key": "k", "before": {"x": 1, "y": 2}, "after": {"x": 1, "y": 3}}
    [found] = first_fields([], [change], {"t": ["x", "y"]})
    assert tuple(found) == ("t", "k", "y", 2, 2, 3)
    assert first_fields([change], [change], {"t": ["x", "y"]}) == []
