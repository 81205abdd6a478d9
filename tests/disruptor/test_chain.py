"""The chain of what a run writes, held against the ledger of `test_processor` and against state digests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from disruptor import chain_keeper
from disruptor.access import claim_id, insert, remove, row
from disruptor.chain_keeper import Fold, covered_fields
from disruptor.codegen import generate
from disruptor.compile_cache import cache_folder
from disruptor.errors import HandlerError
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.message import byte_string, message, u32
from disruptor.processor import Processor
from disruptor.table import Table, derived, ref
from tests.disruptor.test_processor import (
    ACCOUNTS,
    Close,
    Deposit,
    Event,
    Probe,
    ledger,
    on_close,
    on_deposit,
    on_probe,
    slots_of,
    stream,
)

HANDLERS = HandlerSet([on_deposit, on_close, on_probe])
ALL = {table.name: covered_fields(table, None) for table in HANDLERS.tables}

Name = message("Name", 1621, {"id": u32, "name": u32})
Put = message("Put", 1622, {"id": u32, "to": u32, "value": u32})
NAMES = Table("names", {"name": byte_string(4)}, key="names", identity="name", capacity=8)
EDGES = Table(
    "edges",
    {"source": ref("names"), "to": ref("names"), "value": u32, "hidden": derived(u32)},
    key=("source", "to"),
)


@handler(Name, tables=[NAMES])
def on_name(state, event, out):
    if claim_id(state.names, event["id"]):
        row(state.names, event["id"])["name"][0] = np.uint8(event["name"])


@handler(Put, tables=[EDGES], max_inserts=1)
def on_put(state, event, out):
    if event["value"] == 0:
        remove(state.edges, event["id"], event["to"])
    else:
        edge = row(state.edges, insert(state.edges, event["id"], event["to"]))
        edge["source"], edge["to"], edge["value"] = event["id"], event["to"], event["value"]
        edge["hidden"] = event["value"]


class Chained:
    """A processor with a chain, run over events interval by interval."""

    def __init__(self, handlers: HandlerSet = HANDLERS, *, covered: Any = ALL, **options: Any) -> None:
        settings = {"capacities": {"accounts": 6, "edges": 8}, "output_slots": 16, **options}
        self.processor = Processor(handlers, covered=covered, **settings)
        assert self.processor.chain is not None
        self.chain = self.processor.chain

    def run(self, events: list[Event], interval: int = 50) -> list[Fold]:
        slots, found = slots_of(events), []
        for first in range(0, len(events), interval):
            end = min(first + interval, len(events))
            self.chain.begin(first)
            self.processor.process(slots[first:end], first, end, lambda _: None, base=first)
            found.append(self.chain.fold)
        return found

    @property
    def digest(self) -> int:
        return int(self.processor.state.digest(), 16)


def after_each(chained: Chained, events: list[Event]) -> list[int]:
    """The sum after each event, in one interval."""
    chained.run(events, len(events))
    sums = chained.chain.sums(len(events)).astype(object)
    return [int(high << 64 | low) for low, high in sums]


@pytest.mark.parametrize("interval", [1, 7, 300])
def test_the_sum_is_the_state_digest(seed: int, interval: int) -> None:
    chained, events = Chained(), stream(300, seed)
    slots = slots_of(events)
    for first in range(0, 300, interval):
        end = min(first + interval, 300)
        chained.chain.begin(first)
        chained.processor.process(slots[first:end], first, end, lambda _: None, base=first)
        assert chained.chain.sum == chained.digest


def test_sums_after_each_event_are_the_digests_of_shorter_runs(seed: int) -> None:
    events = stream(40, seed)
    sums = after_each(Chained(), events)
    for count in (1, 2, 13, 40):
        shorter = Chained()
        shorter.run(events[:count])
        assert sums[count - 1] == shorter.digest


@pytest.mark.parametrize(
    "options",
    [
        {"capacities": {"accounts": 64}},
        {"output_slots": 4096},
        {"output_slots": 1, "max_batch": 1},
        {"max_batch": 3},
        {"checked": True},
    ],
    ids=str,
)
def test_folds_do_not_depend_on_how_the_run_is_carried_out(seed: int, options: dict[str, Any]) -> None:
    events = stream(300, seed)
    assert Chained(**options).run(events) == Chained().run(events)


def test_runs_that_part_and_meet_again_between_two_intervals_have_other_folds() -> None:
    detour: list[Event] = [(Deposit, (1, 5)), (Deposit, (1, 6)), (Close, (1,)), (Deposit, (2, 1))]
    straight: list[Event] = [(Deposit, (1, 6)), (Deposit, (1, 5)), (Close, (1,)), (Deposit, (2, 1))]
    one, two = Chained(), Chained()
    assert one.run(detour) != two.run(straight)
    assert one.digest == two.digest and one.chain.sum == two.chain.sum
    assert (one.chain.sums(4) != two.chain.sums(4)).any(axis=1).tolist() == [True, False, False, False]


def test_outputs_alone_tell_runs_apart() -> None:
    one, two = Chained(), Chained()
    [a], [b] = one.run([(Deposit, (1, 5))]), two.run([(Deposit, (1, 5)), (Close, (9,))])
    assert a == b, "an event that writes and emits nothing leaves no trace"
    [c] = Chained().run([(Deposit, (1, 5)), (Close, (1,)), (Deposit, (1, 5))])
    assert c.outputs != a.outputs and c.state != a.state


def test_changes_are_what_each_event_wrote(seed: int) -> None:
    events = stream(200, seed)
    chained = Chained()
    chained.run(events, 200)
    assert chained.chain.lost == 0
    for sequence in range(200):
        before, after = ledger(events[:sequence])[1], ledger(events[: sequence + 1])[1]
        expected = {
            k: (before.get(k), after.get(k)) for k in {*before, *after} if before.get(k) != after.get(k)
        }
        found = {}
        for change in chained.chain.changes(sequence):
            assert change.table is ACCOUNTS
            known = change.before if change.before is not None else change.after
            totals = tuple(None if r is None else int(r["total"]) for r in (change.before, change.after))
            found[int(known["account"])] = totals
        assert {k: v for k, v in found.items() if v[0] != v[1]} == expected


def test_writing_the_same_again_is_no_change() -> None:
    chained = Chained()
    chained.run([(Deposit, (1, 5)), (Deposit, (1, 0))], 2)
    assert len(chained.chain.changes(0)) == 1 and chained.chain.changes(1) == []


def test_more_rows_than_the_log_has_room_for_are_counted_and_the_sum_holds(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_keeper, "LOG_ROWS", 4)
    short, whole = Chained(), Chained()
    events = [(Deposit, (k % 3, k + 1)) for k in range(20)]
    assert short.run(events) == [short.chain.fold]
    assert short.chain.lost == 16 and short.chain.sum == short.digest
    assert whole.run(events) == [short.chain.fold]


def test_a_state_that_holds_something_already_is_part_of_the_sum() -> None:
    chained = Chained()
    rows = chained.processor.state.arrays["probes"].rows
    rows["hits"][[0, 2]] = 7, 9
    before = chained.digest
    chained.chain.begin(0)
    assert chained.chain.sum == before and chained.chain.changes(0) == []
    chained.run([(Probe, (2, 0))])
    [change] = chained.chain.changes(0)
    assert (int(change.before["hits"]), int(change.after["hits"])) == (9, 10)
    assert chained.chain.sum == chained.digest


def test_an_index_outside_its_table_fails_the_event() -> None:
    with pytest.raises(HandlerError, match="ROW_OUT_OF_BOUNDS"):
        Chained().run([(Probe, (4, 0))])


def test_only_covered_fields_count() -> None:
    covered = {"accounts": ["account"]}
    one, two = Chained(covered=covered), Chained(covered=covered)
    assert after_each(one, [(Deposit, (1, 5)), (Deposit, (1, 6))]) == after_each(
        two, [(Deposit, (1, 7)), (Probe, (2, 0))]
    )
    assert one.chain.sum != 0


def graph(ids: dict[str, int]) -> list[Event]:
    named = [(Name, (ids[name], ord(name))) for name in sorted(ids, key=ids.__getitem__)]
    edges = [("A", "B", 5), ("B", "C", 6), ("A", "B", 7), ("A", "C", 8), ("B", "C", 0)]
    return [*named, *((Put, (ids[a], ids[b], value)) for a, b, value in edges)]


def test_references_count_by_what_they_refer_to() -> None:
    handlers = HandlerSet([on_name, on_put])
    covered = {table.name: covered_fields(table, None) for table in handlers.tables}
    one, two = (Chained(handlers, covered=covered) for _ in range(2))
    first = after_each(one, graph({"A": 0, "B": 1, "C": 2}))
    second = after_each(two, graph({"A": 2, "B": 0, "C": 1}))
    assert first[3:] == second[3:] and len(set(first)) == len(first)
    assert one.chain.sum == one.digest


def test_the_usual_loop_has_nothing_of_it() -> None:
    def text(chained: bool) -> str:
        key = generate(HANDLERS, checked=False, chained=chained).key
        return (cache_folder() / f"disruptor_loop_{key}.py").read_text()

    usual: str = text(False)
    assert "chain" not in usual and "noted" not in usual
    assert "end_event(chain, sequence)" in text(True)
