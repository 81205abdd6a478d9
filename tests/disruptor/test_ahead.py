"""What handlers declare to run ahead of events: it asks for rows, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba.core.errors import TypingError

from disruptor.access import holds, insert, prefetch, prefetch_found, prefetch_key, read, row
from disruptor.codegen import AHEAD, _Writer
from disruptor.compile_cache import entry
from disruptor.errors import DefinitionError
from disruptor.handler import Handler, handler
from disruptor.handler_set import HandlerSet
from disruptor.jit import jit, jit_uncounted
from disruptor.message import message, u32, u64
from disruptor.processor import Processor
from disruptor.references import bind_state
from disruptor.table import Table
from tests.disruptor.test_access import CAPACITY, FOREIGN, POOLS, TICKS, bound, view_of

Visit = message("Visit", 1781, {"place": u32, "amount": u32})
PLACES = Table("places", {"total": u64}, key="places")
TALLIES = Table("tallies", {"place": u32, "count": u32}, key=("place",))
ROOM = 50


@jit
def far(state: Any, event: Any) -> None:
    prefetch(state.places, event["place"])
    prefetch_key(state.tallies, event["place"], 0)


@jit
def near(state: Any, event: Any) -> None:
    if holds(state.places, event["place"]) and read(state.places, event["place"])["total"] > 0:
        prefetch_found(state.tallies, event["place"], 0)


@handler(Visit, tables=[PLACES, TALLIES], max_inserts={TALLIES: 1}, ahead=[far, near])
def visit(state, event, out):
    if event["place"] < 50:
        row(state.places, event["place"])["total"] += event["amount"]
        tally = row(state.tallies, insert(state.tallies, event["place"], 0))
        tally["place"] = event["place"]
        tally["count"] += np.uint32(1)


@jit
def meddle(state: Any, event: Any) -> None:
    row(state.places, event["place"])["total"] = np.uint64(0)


@handler(Visit, tables=[PLACES], ahead=[meddle])
def meddling(state, event, out):
    row(state.places, event["place"])["total"] += event["amount"]


def run(handlers: HandlerSet, places: Any, *, ahead: bool = True, checked: bool = False) -> Processor:
    slots = np.zeros((len(places), 192), np.uint8)
    view = slots.reshape(-1).view(Visit.slot_dtype())
    view["type_id"], view["place"], view["amount"] = Visit.type_id, places, np.arange(len(places))
    processor = Processor(
        handlers, capacities={"places": ROOM, "tallies": 2 * ROOM}, ahead=ahead, checked=checked
    )
    processor.process(slots, 0, len(places), lambda outputs: None)
    return processor


@pytest.mark.parametrize("checked", [False, True])
def test_results_do_not_depend_on_what_runs_ahead(checked: bool) -> None:
    # Some places are beyond the table: asking for them is no fault, though bounds are checked.
    places = np.random.default_rng(1).integers(0, 2 * ROOM, 500)
    found = [run(HandlerSet([visit]), places, ahead=ahead, checked=checked) for ahead in (True, False)]
    with_it, without = [(p.state.rows("places").tolist(), p.state.live("tallies").tolist()) for p in found]
    totals = np.bincount(places, weights=np.arange(500), minlength=ROOM)[:ROOM]
    assert with_it == without and [total for (total,) in with_it[0]] == totals.tolist()


def test_each_stage_runs_a_step_farther_ahead_than_the_next(lane: str) -> None:
    def text(ahead: bool) -> str:
        return _Writer(HandlerSet([visit]), False, 192, ahead).text()

    assert "state_ahead, in_Visit" not in text(False)
    if lane != "nojit":  # plain Python has no caches to fill
        lines = [line.strip() for line in text(True).splitlines()]
        first = lines.index(f"if sequence + {2 * AHEAD} < available:")
        second = lines.index(f"if sequence + {AHEAD} < available:")
        assert first < lines.index("_a0_0(state_ahead, in_Visit[j])") < second
        assert second < lines.index("_a0_1(state_ahead, in_Visit[j])")


def test_what_runs_ahead_can_not_write(lane: str) -> None:
    if lane == "nojit":
        pytest.skip("nothing runs ahead in plain Python")
    with pytest.raises(TypingError, match="belongs to another module"):
        run(HandlerSet([meddling]), [1] * 100)


@pytest.mark.parametrize("stage", [lambda state: None, lambda state, event, out: None, 7])
def test_what_runs_ahead_takes_state_and_event(stage: Callable[..., Any]) -> None:
    with pytest.raises(DefinitionError, match=r"must take exactly \(state, event\)"):
        Handler(visit.function, Visit, [PLACES, TALLIES], 0, {}, False, [stage])


@entry
def ask(tables, index):  # type: ignore[no-untyped-def]
    state = bind_state(FOREIGN, tables)
    prefetch(state.pools, index)
    prefetch_key(state.ticks, index, index)
    prefetch_found(state.ticks, index, index)
    return holds(state.pools, index)


@pytest.mark.parametrize("index", [0, CAPACITY - 1, CAPACITY, 1 << 40, -1])
def test_any_index_may_be_asked_for(index: int) -> None:
    ticks, pools = view_of(TICKS), view_of(POOLS)
    assert bool(ask(bound(ticks, pools), np.int64(index))) == (0 <= index < CAPACITY)
    assert pools.fault[0] == 0 and ticks.fault[0] == 0


def test_asking_is_an_instruction(lane: str) -> None:
    if lane == "nojit":
        pytest.skip("there is no machine code")

    @jit_uncounted
    def asking(tables: Any, index: Any) -> None:
        prefetch(bind_state(FOREIGN, tables).pools, index)

    asking(bound(view_of(TICKS), view_of(POOLS)), np.int64(0))
    (assembly,) = asking.inspect_asm().values()
    assert "prefetch" in assembly
