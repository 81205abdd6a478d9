"""Handler sets: what is refused, what is known before a run, and order, cascades and slices as they run.

The running set, in its order. Rings of every size must give the same bytes, so the oracle knows no ring:

    Tick ──► first ──► Mid ──► watch ──► Late          (watch sees what first emitted, and nothing later)
      └────► split, in slices of two ──► Mid
                              all Mid ──► relay ──► Final
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from disruptor.access import row
from disruptor.emit import emit
from disruptor.errors import CapacityError, DefinitionError
from disruptor.handler import Handler, handler
from disruptor.handler_set import HandlerSet, Stage
from disruptor.message import message, u32
from disruptor.processor import Processor
from disruptor.status import AGAIN, OK
from disruptor.table import Table

Tick = message("Tick", 1301, {"value": u32, "count": u32})
Mid = message("Mid", 1302, {"value": u32})
Late = message("Late", 1303, {"value": u32})
Final = message("Final", 1304, {"value": u32})
Other = message("Other", 1305, {"value": u32})
WORK = Table("work", {"done": u32})
SEEN = Table("seen", {"count": u32, "last": u32})


@handler(Tick, max_outputs=1)
def first(state, event, out):
    emit(out, Mid)["value"] = event["value"]


@handler(Mid, tables=[SEEN], max_outputs=1)
def watch(state, event, out):
    seen = row(state.seen, 0)
    seen["count"] += np.uint32(1)
    seen["last"] = event["value"]
    emit(out, Late)["value"] = seen["count"]


@handler(Tick, tables=[WORK], max_outputs=2, slices=True)
def split(state, event, out):
    work = row(state.work, 0)
    for _ in range(2):
        if work["done"] >= event["count"]:
            work["done"] = np.uint32(0)
            return OK
        work["done"] += np.uint32(1)
        emit(out, Mid)["value"] = event["value"] + work["done"]
    return AGAIN


@handler(Mid, max_outputs=1)
def relay(state, event, out):
    emit(out, Final)["value"] = event["value"] * np.uint32(2)


RUNNING = (first, watch, split, relay)
EVENTS = [(100, 0), (200, 1), (300, 2), (400, 5), (500, 31), (600, 0)]
Row = tuple[int, int, int, int, int]


def slots_of(events: list[tuple[int, int]]) -> npt.NDArray[np.uint8]:
    slots = np.zeros((len(events), 192), np.uint8)
    view = slots.reshape(-1).view(Tick.slot_dtype())
    for k, (value, count) in enumerate(events):
        view[k]["sequence"], view[k]["type_id"] = k, Tick.type_id
        view[k]["value"], view[k]["count"] = value, count
    return slots


def run(handlers: HandlerSet, events: list[tuple[int, int]], ring: int) -> bytes:
    processor = Processor(handlers, capacities={}, output_slots=ring)
    left: list[bytes] = []
    processor.process(slots_of(events), 0, len(events), lambda slots: left.append(slots.tobytes()))
    assert processor.counts() == {"Tick": len(events), "unknown": 0}
    return b"".join(left)


def rows(octets: bytes) -> list[Row]:
    """(sequence, type, handler, ordinal, value) of each output."""
    names = ("sequence", "type_id", "source_id", "source_sequence", "value")
    view = np.frombuffer(octets, Mid.slot_dtype())
    return [tuple(int(record[n]) for n in names) for record in view]  # type: ignore[misc]


def expected(events: list[tuple[int, int]]) -> list[Row]:
    found: list[Row] = []
    for sequence, (value, count) in enumerate(events):
        found += [(sequence, Mid.type_id, 0, 0, value), (sequence, Late.type_id, 1, 0, sequence + 1)]
        mids, done, relayed = [value], 0, 0
        while True:
            slice_of = range(done + 1, min(done + 2, count) + 1)
            found += [(sequence, Mid.type_id, 2, n - 1, value + n) for n in slice_of]
            mids += [value + n for n in slice_of]
            found += [(sequence, Final.type_id, 3, relayed + k, 2 * v) for k, v in enumerate(mids)]
            relayed, mids, done = relayed + len(mids), [], done + len(slice_of)
            if len(slice_of) < 2:
                break
    return found


@pytest.fixture(scope="module")
def handlers() -> HandlerSet:
    return HandlerSet(RUNNING)


@pytest.mark.parametrize("ring", [8, 16, 64])
def test_cascades_and_slices_give_the_same_bytes_on_every_ring(handlers: HandlerSet, ring: int) -> None:
    octets = run(handlers, EVENTS, ring)
    assert rows(octets) == expected(EVENTS)
    assert octets == run(handlers, EVENTS, 1024)


def test_ring_smaller_than_one_events_outputs_is_refused(handlers: HandlerSet) -> None:
    with pytest.raises(
        CapacityError, match="one Tick may emit 8 outputs, and the ring has 4 slots: raise output_slots"
    ):
        Processor(handlers, capacities={}, output_slots=4)


@handler(Tick, max_outputs=4)
def after(state, event, out):
    for k in range(4):
        emit(out, Late)["value"] = np.uint32(k)


def test_handler_behind_a_sliced_one_finds_room() -> None:
    sets = HandlerSet([split, after])
    for count in range(12):
        assert run(sets, [(1, count)], 8) == run(sets, [(1, count)], 64), count


def test_inputs_are_what_nobody_emits(handlers: HandlerSet) -> None:
    assert handlers.inputs == [Tick] and handlers.outputs == [Mid, Late, Final]
    assert handlers.emits == [[Mid], [Late], [Mid], [Final]]
    assert handlers.tables == [SEEN, WORK]
    assert HandlerSet(RUNNING, inputs=[Other, Tick]).inputs == [Tick, Other]
    assert HandlerSet([], extra_tables=[WORK]).tables == [WORK]


def test_stages_follow_what_earlier_handlers_can_emit(handlers: HandlerSet) -> None:
    assert handlers.stages(Tick) == [
        Stage(0, True, False),
        Stage(1, False, True),
        Stage(2, True, False),
        Stage(3, False, True),
    ]
    assert handlers.stages(Other) == []


def test_bounds_cover_cascades(handlers: HandlerSet) -> None:
    # 1 by first, 1 by watch for that, 2 by a slice, and relay may get all four.
    assert handlers.outputs_needed(handlers.stages(Tick)) == 8
    assert handlers.outputs_needed([]) == 0


ROWS = Table("rows", {"id": u32}, key=("id",), capacity=4)
IDS = Table("ids", {"id": u32}, key="ids", capacity=4)


def test_inserts_are_bounded_for_each_call_of_a_handler() -> None:
    def on_tick(state: Any, event: Any, out: Any) -> None:
        emit(out, Mid)

    def on_mid(state: Any, event: Any, out: Any) -> None:
        pass

    sets = HandlerSet(
        [
            handler(Tick, max_outputs=3, tables=[IDS], max_inserts=1)(on_tick),
            handler(Mid, tables=[ROWS, IDS], max_inserts={ROWS: 2, IDS: 5})(on_mid),
        ]
    )
    assert sets.inserts_needed(sets.stages(Tick)) == {IDS: 1 + 3 * 5, ROWS: 3 * 2}


def declared(message_type: Any, function: Any, module: str = __name__, **options: Any) -> Handler:
    function.__module__ = module
    return handler(message_type, **options)(function)


def test_two_modules_may_not_write_one_table() -> None:
    mine = declared(Tick, lambda state, event, out: OK, tables=[WORK])
    theirs = declared(Tick, lambda state, event, out: OK, "elsewhere", tables=[WORK])
    assert HandlerSet([mine, mine]).tables == [WORK]
    with pytest.raises(DefinitionError, match=r"lists table work, which .*test_handler_set writes"):
        HandlerSet([mine, theirs])


def test_two_tables_of_one_name_are_refused() -> None:
    twin = Table("work", {"done": u32})
    with pytest.raises(DefinitionError, match="two different tables are named work"):
        HandlerSet([split], extra_tables=[twin])


@pytest.mark.parametrize(
    ("twin", "what"),
    [(message("Tock", 1301, {"a": u32}), "type id"), (message("Tick", 1399, {"a": u32}), "name")],
)
def test_messages_that_share_an_id_or_a_name_are_refused(twin: Any, what: str) -> None:
    with pytest.raises(DefinitionError, match=f"share a {what}"):
        HandlerSet([first, declared(twin, lambda state, event, out: OK)])
    with pytest.raises(DefinitionError, match=f"share a {what}"):
        HandlerSet([first], inputs=[twin])


def test_output_may_not_share_an_id_with_an_input() -> None:
    with pytest.raises(DefinitionError, match="share a type id"):
        HandlerSet([first], inputs=[message("Clash", Mid.type_id, {"a": u32})])


def test_one_message_declared_twice_is_one_message() -> None:
    again = message("Tick", 1301, dict(Tick.fields))
    sets = HandlerSet([first], inputs=[again])
    assert [m.type_id for m in sets.inputs] == [1301]


def test_emitting_without_declaring_it_is_refused() -> None:
    def silent(state: Any, event: Any, out: Any) -> None:
        emit(out, Mid)

    with pytest.raises(DefinitionError, match="silent: emits Mid but declares no max_outputs"):
        HandlerSet([handler(Tick)(silent)])


def test_handler_that_could_never_run_is_refused() -> None:
    with pytest.raises(
        DefinitionError, match="watch: takes Mid, which is emitted by itself or by handlers after it"
    ):
        HandlerSet([watch, first])


def test_semantic_identity_covers_order_limits_tables_and_settings(handlers: HandlerSet) -> None:
    base = handlers.semantic_identity()
    wider = declared(Tick, first.function, max_outputs=2)
    assert HandlerSet(RUNNING).semantic_identity() == base
    others = [
        HandlerSet([first, split, watch, relay]).semantic_identity(),
        HandlerSet([wider, watch, split, relay]).semantic_identity(),
        HandlerSet(RUNNING, extra_tables=[ROWS]).semantic_identity(),
        HandlerSet(RUNNING, inputs=[Other]).semantic_identity(),
        handlers.semantic_identity(["setting a=1"]),
        handlers.semantic_identity(["setting a=2"]),
    ]
    assert len({base, *others}) == 7
