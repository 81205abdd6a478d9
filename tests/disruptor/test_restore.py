"""Images of a state: a run that stops, is put into a fresh state and goes on is the run that never stopped.

The oracle is the undisturbed run, and a ledger of dicts. The handlers are those of the processor's tests, so that
no loop is compiled for these alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.access import PlainView, claim_id, find, insert, remove
from disruptor.errors import CapacityError, SnapshotError
from disruptor.handler_set import HandlerSet
from disruptor.message import FieldType, byte_string, i32, u32, u64, u128
from disruptor.processor import Processor, plain_allocate
from disruptor.restore import Restore, restore_image
from disruptor.state import State
from disruptor.state_image import TableImage, TableNumbers, check_claimed, copy_rows, schema_of, view_rows
from disruptor.table import Table, ref
from tests.disruptor import test_handler_set as sliced
from tests.disruptor.test_processor import Run, stream

POOLS = Table("pools", {"address": byte_string(20)}, key="pools", identity="address")
PRICES = Table("prices", {"flag": u32, "price": u128}, key="pools")
TICKS = Table("ticks", {"pool": ref("pools"), "tick": i32, "net": u64}, key=("pool", "tick"))
NOTES = Table("notes", {"text": u64}, key="notes", digest=False)
TOTAL = Table("total", {"value": u32})
TABLES = [POOLS, PRICES, TICKS, NOTES, TOTAL]
ROOM = {"pools": 5, "ticks": 8, "notes": 6}


def view(state: State, name: str) -> PlainView:
    return PlainView(*state.arrays[name], np.zeros(8, np.int64))


def filled(tables: list[Table] = TABLES) -> State:
    """Three pools, ticks with a hole in the middle, a note far out, a total."""
    state = State(tables, ROOM, plain_allocate)
    ticks = view(state, "ticks")
    with np.errstate(over="ignore"):
        for k in range(3):
            claim_id(view(state, "pools"), k)
            state.arrays["pools"].rows[k]["address"] = k + 1
            state.arrays["prices"].rows[k]["price"] = [k, 7]
        for k in (3, 1, 4, 2):
            ticks.meta[0]["inserts_left"] = 1
            ticks.rows[insert(ticks, k % 3, -k)] = (k % 3, -k, 100 + k)
        for k in (4, 1):
            remove(ticks, k % 3, -k)
    state.arrays["notes"].rows[4]["text"] = 9
    state.arrays["total"].rows[0]["value"] = 11
    return state


def rows_of(state: State) -> dict[str, bytes]:
    return {part.schema.name: part.rows.tobytes() for part in view_rows(state).parts}


def test_an_image_holds_what_is_in_use_and_no_more() -> None:
    image = view_rows(filled())
    assert {p.schema.name: tuple(p.numbers) for p in image.parts} == {
        "pools": (3, 3, 3, -1),
        "prices": (3, 0, 0, -1),
        "ticks": (4, 2, 4, 1),
        "notes": (5, 0, 0, -1),
        "total": (1, 0, 0, -1),
    }
    assert image.nbytes == sum(p.rows.nbytes + p.links.nbytes for p in image.parts)


MARKS = Table("marks", {"x": u32}, key="marks")
SHADE = Table("shade", {"y": u32}, key="marks")


def test_rows_of_ids_that_nobody_claimed_are_told_and_not_left_out_in_silence() -> None:
    state = State([POOLS, PRICES, MARKS, SHADE], {"pools": 5, "marks": 9}, plain_allocate)
    state.arrays["shade"].rows[6]["y"] = 1
    check_claimed(state)
    assert [p.numbers.rows for p in view_rows(state).parts] == [0, 0, 0, 7], (
        "nobody claims: up to the last row"
    )
    claim_id(view(state, "marks"), 6)
    check_claimed(state)
    assert [p.numbers.rows for p in view_rows(state).parts] == [0, 0, 7, 7], (
        "claimed in one table, in use in both"
    )
    state.arrays["shade"].rows[8]["y"] = 1
    with pytest.raises(
        SnapshotError, match="table shade: row 8 is written, and nobody has claimed an id of marks"
    ):
        check_claimed(state)
    state.arrays["shade"].rows[8]["y"] = 0
    claim_id(view(state, "pools"), 1)
    state.arrays["prices"].rows[2]["flag"] = 3
    with pytest.raises(SnapshotError, match="table prices: row 2"):
        check_claimed(state)


def test_a_copy_is_the_states_and_stays_while_the_state_goes_on() -> None:
    state = filled()
    before, buffer = state.digest(), np.ones(state.nbytes, np.uint8)
    copy = copy_rows(state, buffer)
    assert all(np.shares_memory(p.rows, buffer) for p in copy.parts)
    state.arrays["total"].rows[0]["value"] = 12
    assert (copy.digest(), copy_rows(state).digest()) == (before, state.digest())
    assert before != state.digest()


@pytest.mark.parametrize("room", [ROOM, {"pools": 50, "ticks": 400, "notes": 5}])
def test_a_restored_state_is_the_same_and_goes_on_alike(room: dict[str, int]) -> None:
    state, other = filled(), State(TABLES, room, plain_allocate)
    restore_image(other, view_rows(state))
    assert other.digest() == state.digest() == view_rows(other).digest()
    with np.errstate(over="ignore"):
        for one in (state, other):
            ticks = view(one, "ticks")
            rows = [int(find(ticks, k % 3, -k)) for k in range(5)]
            assert rows == [-1, -1, 3, 0, -1]
            ticks.meta[0]["inserts_left"] = 3
            assert [int(insert(ticks, 2, k)) for k in (5, 6, 7)] == [1, 2, 4], (
                "removed rows are used again in order"
            )
    assert rows_of(other) == rows_of(state)


def grown(table: Table, **more: FieldType) -> Table:
    fields = {"first": u32, **table.fields, **more}
    return Table(
        table.name,
        fields,
        key=table.key,
        capacity=table.capacity,
        identity=table.identity,
        digest=table.digest,
    )


def test_fields_and_tables_that_were_added_are_zero_and_the_others_as_stored() -> None:
    added = Table("added", {"x": u32}, key="added", capacity=3)
    tables = [added, *(grown(t, last=u64) for t in TABLES)]
    state, other = filled(), State(tables, ROOM, plain_allocate)
    restore_image(other, view_rows(state))
    for table in TABLES:
        for row, was in zip(other.rows(table.name), state.rows(table.name), strict=False):
            assert (row["first"], row["last"]) == (0, 0)
            assert all(np.array_equal(row[name], was[name]) for name in table.fields)
    with np.errstate(over="ignore"):
        assert find(view(other, "ticks"), 2, -2) == 3
    assert not other.arrays["added"].rows["x"].any()


def without(table: Table, field: str) -> Table:
    fields = {n: k for n, k in table.fields.items() if n != field}
    return Table(table.name, fields, key=table.key, capacity=table.capacity, identity=table.identity)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([POOLS, PRICES, TICKS, NOTES], "table total: stored, but no handler"),
        ([POOLS, without(PRICES, "flag"), TICKS, NOTES, TOTAL], r"table prices: the field flag \(u32\)"),
        (
            [POOLS, PRICES, TICKS, NOTES, Table("total", {"value": u64})],
            r"table total: the field value is stored as u32 \(4 bytes\), and is u64 now",
        ),
        (
            [POOLS, PRICES, Table("ticks", dict(TICKS.fields), key=("tick", "pool")), NOTES, TOTAL],
            "table ticks: stored with the key",
        ),
    ],
)
def test_what_has_no_place_is_named_and_nothing_changes(tables: list[Table], message: str) -> None:
    state = State(tables, ROOM, plain_allocate)
    before = state.memory.tobytes()
    with pytest.raises(SnapshotError, match=message):
        restore_image(state, view_rows(filled()))
    assert state.memory.tobytes() == before


@pytest.mark.parametrize(("name", "least"), [("pools", 3), ("ticks", 4), ("notes", 5)])
def test_too_little_room_names_the_setting(name: str, least: int) -> None:
    image = view_rows(filled())
    restore_image(State(TABLES, {**ROOM, name: least}, plain_allocate), image)
    with pytest.raises(
        CapacityError,
        match=rf"{least} rows are stored, and it has room for {least - 1}: raise capacity\.{name}",
    ):
        restore_image(State(TABLES, {**ROOM, name: least - 1}, plain_allocate), image)


def test_undo_makes_a_state_fresh_again() -> None:
    state = State(TABLES, ROOM, plain_allocate)
    before, image = state.memory.tobytes(), view_rows(filled())
    restore = Restore(state, [(part.schema, part.numbers) for part in image.parts])
    for number, part in enumerate(image.parts):
        restore.rows(number)[:] = part.rows.reshape(-1)
        restore.links(number)[:] = part.links
    restore.finish()
    assert rows_of(state) == rows_of(filled())
    restore.undo()
    assert state.memory.tobytes() == before


def broken(part: TableImage, links: list[int] | None = None, **numbers: int) -> TableImage:
    changed = part.links if links is None else np.array(links, np.int64)
    return TableImage(part.schema, part.numbers._replace(**numbers), part.rows, changed)


@pytest.mark.parametrize(
    ("links", "numbers"),
    [
        (None, {"live": 3}),
        (None, {"free": 2}),
        (None, {"free": -1}),
        (None, {"free": 4}),
        ([-2, 2, 1, -2], {}),  # the list of removed rows runs in a circle
        ([-2, 2, 7, -2], {}),
        ([-2, 2, 0, -2], {}),
        ([-2, 2, -2, -2], {"live": 3}),
        (None, {"high": 3}),
    ],
)
def test_links_and_numbers_that_contradict_each_other_are_refused(
    links: list[int] | None, numbers: dict[str, int]
) -> None:
    image = view_rows(filled())
    parts = tuple(broken(p, links, **numbers) if p.schema.name == "ticks" else p for p in image.parts)
    with pytest.raises(SnapshotError, match=r"table ticks: .*contradict each other"):
        restore_image(State(TABLES, ROOM, plain_allocate), type(image)(image.tables, parts))


def test_two_rows_of_one_key_are_refused() -> None:
    state = filled()
    state.arrays["ticks"].rows[3] = state.arrays["ticks"].rows[0]
    with pytest.raises(SnapshotError, match="two have one key"):
        restore_image(State(TABLES, ROOM, plain_allocate), view_rows(state))


def test_a_schema_tells_dense_hashed_and_single_tables_apart() -> None:
    assert [(schema_of(t).hashed, schema_of(t).key) for t in TABLES] == [
        (False, ("pools",)),
        (False, ("pools",)),
        (True, ("pool", "tick")),
        (False, ("notes",)),
        (False, ()),
    ]
    assert view_rows(State(TABLES, ROOM, plain_allocate)).parts[4].numbers == TableNumbers(1, 0, 0, -1)


@given(st.lists(st.tuples(st.sampled_from(["+", "-"]), st.integers(0, 6), st.integers(-2, 2)), max_size=40))
def test_any_history_of_a_hashed_table_comes_back_with_every_key(history: list[tuple[str, int, int]]) -> None:
    table = Table("ticks", {"pool": u32, "tick": i32}, key=("pool", "tick"))
    state = State([table], {"ticks": 40}, plain_allocate)
    ticks, rows = view(state, "ticks"), dict[Any, int]()
    with np.errstate(over="ignore"):
        for what, pool, tick in history:
            if what == "+":
                ticks.meta[0]["inserts_left"] = 1
                at = int(insert(ticks, pool, tick))
                ticks.rows[at], rows[pool, tick] = (pool, tick), at
            else:
                assert bool(remove(ticks, pool, tick)) == (rows.pop((pool, tick), None) is not None)
        other = State([table], {"ticks": 41}, plain_allocate)
        restore_image(other, view_rows(state))
        found = {(p, t): int(find(view(other, "ticks"), p, t)) for p in range(7) for t in range(-2, 3)}
    assert {key: at for key, at in found.items() if at >= 0} == rows


@pytest.mark.parametrize("cut", [0, 1, 77, 149])
def test_a_run_that_goes_on_from_an_image_is_the_run_that_never_stopped(seed: int, cut: int) -> None:
    events = stream(150, seed)
    whole, first = Run(ring=256)(events), Run(ring=256)(events[:cut])
    assert first.processor.between_events
    second = Run(accounts=50, ring=8, max_batch=3)
    restore_image(second.processor.state, copy_rows(first.processor.state))
    second.processor.start_at(cut)
    second(events[cut:], cut, base=cut)
    assert first.octets + second.octets == whole.octets
    assert second.processor.state.digest() == whole.processor.state.digest()


def test_a_stop_between_slices_is_not_between_events_and_the_next_event_is() -> None:
    slots, left = sliced.slots_of(sliced.EVENTS), list[bytes]()
    processor = Processor(HandlerSet(sliced.RUNNING), capacities={}, output_slots=8)

    def consume(outputs: npt.NDArray[np.uint8]) -> None:
        left.append(outputs.tobytes())
        processor.request_stop()

    amid = set()
    for _ in range(100):
        begin = processor.next_sequence
        if begin == len(slots):
            break
        processor.process(slots, begin, len(slots), consume)
        if not processor.between_events:
            amid.add(processor.next_sequence)
            continue
        # Whatever comes later, a fresh processor goes on from here alike.
        other, rest = Processor(HandlerSet(sliced.RUNNING), capacities={}, output_slots=64), list[bytes]()
        restore_image(other.state, view_rows(processor.state))
        other.start_at(processor.next_sequence)
        other.process(slots, processor.next_sequence, len(slots), lambda o: rest.append(o.tobytes()))  # noqa: B023
        assert sliced.rows(b"".join(left + rest)) == sliced.expected(sliced.EVENTS)
    assert amid == {2, 3, 4}, "the events of several slices, which the ring can not hold at once"
