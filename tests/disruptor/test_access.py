"""Rows through accessors: a hashed table against a dict, and what each variant of access refuses.

Tables come to kernels as named tuples of arrays and, in compiled loops, as addresses (`bound` below).
With the JIT off both are named tuples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from disruptor.access import (
    CheckedView,
    PlainView,
    ReadOnlyView,
    claim_id,
    find,
    insert,
    meta_of,
    read,
    remove,
    row,
)
from disruptor.compile_cache import entry
from disruptor.jit import JIT_DISABLED, jit
from disruptor.message import i32, u32, u64
from disruptor.references import DESCRIPTOR_WORDS, StateLayout, bind_state
from disruptor.status import OK, ROW_OUT_OF_BOUNDS, TABLE_FULL, TOO_MANY_INSERTS
from disruptor.table import LIVE, Table, carve, plan_tables

CAPACITY = 6
FIND, INSERT, REMOVE = 0, 1, 2
TICKS = Table("ticks", {"pool": u32, "tick": i32, "value": u64}, key=("pool", "tick"), capacity=CAPACITY)
POOLS = Table("pools", {"value": u64}, key="pools", capacity=CAPACITY)
STEP = np.dtype([("kind", "<i8"), ("pool", "<u4"), ("tick", "<i4"), ("value", "<u8"), ("allowed", "<i8")])
RESULT = np.dtype([("index", "<i8"), ("value", "<u8"), ("fault", "<i8"), ("left", "<i8")])


def view_of(table: Table, variant: Any = CheckedView) -> Any:
    [plan], total = plan_tables([table], {})
    memory = np.zeros(total + 128, np.uint8)
    start = -memory.ctypes.data % 128
    return variant(*carve(memory[start : start + total], plan), np.zeros(8, np.int64))


CHECKED = StateLayout([TICKS], {"ticks": "checked"})
PLAIN = StateLayout([POOLS], {"pools": "plain"})
FOREIGN = StateLayout([TICKS, POOLS], {"ticks": "foreign", "pools": "foreign"})


def bound(*tables: Any) -> Any:
    """What `bind_state` takes: addresses of all arrays, or with the JIT off the arrays."""
    arrays = [tuple(table) for table in tables]
    if JIT_DISABLED:
        return tuple(part for table in arrays for part in table)
    words = np.zeros((len(arrays), DESCRIPTOR_WORDS), np.uint64)
    for row_of_words, table in zip(words, arrays, strict=True):
        row_of_words[:5] = [part.ctypes.data for part in table]
    return words.reshape(-1)


@entry
def run_views(table, steps, results):  # type: ignore[no-untyped-def]
    run_steps(table, table.fault, steps, results)


@entry
def run_bound(tables, fault, steps, results):  # type: ignore[no-untyped-def]
    run_steps(bind_state(CHECKED, tables).ticks, fault, steps, results)


@jit
def run_steps(table, fault, steps, results):  # type: ignore[no-untyped-def]
    """Carry out each step and note what it gave; a fault is noted and cleared."""
    for k in range(len(steps)):
        step, result = steps[k], results[k]
        meta_of(table)["inserts_left"] = step["allowed"]
        if step["kind"] == 2:
            result["index"] = 1 if remove(table, step["pool"], step["tick"]) else 0
            result["value"] = 0
        else:
            if step["kind"] == 1:
                at = insert(table, step["pool"], step["tick"])
                if fault[0] == 0:
                    target = row(table, at)
                    target["pool"] = step["pool"]
                    target["tick"] = step["tick"]
                    target["value"] += step["value"]
            else:
                at = find(table, step["pool"], step["tick"])
            result["index"] = at
            result["value"] = read(table, at)["value"] if at >= 0 and fault[0] == 0 else 0
        result["fault"] = fault[0]
        result["left"] = meta_of(table)["inserts_left"]
        fault[0] = 0


def stepped(table: Any, steps: list[tuple[int, int, int, int, int]], *, by_address: bool) -> npt.NDArray[Any]:
    results = np.zeros(len(steps), RESULT)
    with np.errstate(over="ignore"):
        if by_address:
            run_bound(bound(table), table.fault, np.array(steps, STEP), results)
        else:
            run_views(table, np.array(steps, STEP), results)
    return results


keys = st.tuples(st.integers(0, 2) | st.just(2**32 - 1), st.integers(-2, 1) | st.just(-(2**31)))
steps_of = st.lists(
    st.tuples(
        st.sampled_from([FIND, INSERT, INSERT, REMOVE]),
        keys,
        st.integers(1, 9),
        st.integers(0, 1) | st.just(1),
    ),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize("by_address", [False, True])
@given(drawn=steps_of)
def test_hashed_table_is_a_dict(drawn: list[tuple[int, tuple[int, int], int, int]], by_address: bool) -> None:
    compare_with_dict([(kind, *key, value, allowed) for kind, key, value, allowed in drawn], by_address)


@pytest.mark.parametrize("by_address", [False, True])
def test_hashed_table_is_a_dict_over_a_long_life(seed: int, by_address: bool) -> None:
    """Long chains of colliding keys that come and go: what short examples seldom build."""
    random = np.random.default_rng(seed)
    columns = np.stack([random.choice([0, 1, 1, 2, 2], 3000), *random.integers(0, 4, (2, 3000))])
    compare_with_dict([(kind, pool, tick, 1, 1) for kind, pool, tick in columns.T.tolist()], by_address)


def compare_with_dict(steps: list[tuple[int, int, int, int, int]], by_address: bool) -> None:
    table = view_of(TICKS)
    model: dict[tuple[int, int], int] = {}
    most = 0
    for (kind, pool, tick, value, allowed), result in zip(
        steps, stepped(table, steps, by_address=by_address), strict=True
    ):
        key, fault, left = (pool, tick), OK, allowed
        if kind == REMOVE:
            assert result["index"] == (model.pop(key, None) is not None)
        elif kind == FIND:
            assert (result["index"] >= 0) == (key in model)
            assert result["value"] == model.get(key, 0)
        elif key in model or (allowed and len(model) < CAPACITY):
            left -= key not in model
            model[key] = model.get(key, 0) + value
            assert result["value"] == model[key]
        else:
            fault = TABLE_FULL if allowed else TOO_MANY_INSERTS
            assert result["index"] == CAPACITY
        assert (result["fault"], result["left"]) == (fault, left)
        most = max(most, len(model))
    meta = table.meta[0]
    assert (meta["count"], meta["high"]) == (len(model), most), "freed rows are reused before new ones"
    live = table.rows[: meta["high"]][table.links[: meta["high"]] == LIVE]
    assert {(int(r["pool"]), int(r["tick"])): int(r["value"]) for r in live} == model
    free = table.rows[: meta["high"]][table.links[: meta["high"]] != LIVE]
    assert not free.view(np.uint8).any(), "a removed row is zeroed"
    assert not table.rows[CAPACITY:].view(np.uint8).any(), "the scratch row stays clean"


def test_freed_rows_are_reused_and_come_zeroed() -> None:
    table = view_of(TICKS)
    fill = [(INSERT, 1, k, 5, 1) for k in range(CAPACITY)]
    again = [
        (REMOVE, 1, 2, 0, 0),
        (REMOVE, 1, 4, 0, 0),
        (INSERT, 9, 9, 1, 1),
        (INSERT, 8, 8, 1, 1),
        (INSERT, 7, 7, 1, 1),
    ]
    results = stepped(table, fill + again, by_address=True)
    assert results["index"][-3:].tolist() == [4, 2, CAPACITY], "last freed, first used; then full"
    assert results["fault"].tolist() == [OK] * 10 + [TABLE_FULL]
    assert results["value"][-3:-1].tolist() == [1, 1], "nothing of the old rows shows"


@entry
def probe_row(table, index, writing):  # type: ignore[no-untyped-def]
    found = row(table, index) if writing else read(table, index)
    return found["value"]


@pytest.mark.parametrize("writing", [True, False])
def test_checked_view_hands_out_scratch_for_a_bad_index(writing: bool) -> None:
    table = view_of(POOLS)
    table.rows["value"] = [10, 11, 12, 13, 14, 15, 0]
    for index in range(CAPACITY):
        assert probe_row(table, index, writing) == 10 + index and table.fault[0] == OK
    for index in (-1, CAPACITY, CAPACITY + 1, 2**40, -(2**40)):
        table.fault[0] = OK
        assert probe_row(table, index, writing) == 0
        assert table.fault[0] == ROW_OUT_OF_BOUNDS, index


def test_plain_view_gives_the_same_rows_unchecked() -> None:
    table = view_of(POOLS, PlainView)
    table.rows["value"] = [10, 11, 12, 13, 14, 15, 0]
    assert [probe_row(table, k, k % 2 == 0) for k in range(CAPACITY)] == [10, 11, 12, 13, 14, 15]
    assert table.fault[0] == OK


@entry
def claim(table, index):  # type: ignore[no-untyped-def]
    return claim_id(table, index)


@given(st.lists(st.integers(-2, CAPACITY + 2), max_size=20))
def test_claimed_ids_raise_the_high_mark_and_never_lower_it(ids: list[int]) -> None:
    table = view_of(POOLS, PlainView)
    highest = -1
    for index in ids:
        table.fault[0] = OK
        fits = 0 <= index < CAPACITY
        assert bool(claim(table, index)) == fits
        assert table.fault[0] == (OK if fits else TABLE_FULL)
        highest = max(highest, index) if fits else highest
        assert (table.meta[0]["high"], table.meta[0]["count"]) == (highest + 1, highest + 1)


@entry
def probe_bound(tables, index, writing):  # type: ignore[no-untyped-def]
    pools = bind_state(PLAIN, tables).pools
    found = row(pools, index) if writing else read(pools, index)
    return found["value"]


def test_plain_access_by_address_gives_the_same_rows() -> None:
    table = view_of(POOLS, PlainView)
    table.rows["value"] = [10, 11, 12, 13, 14, 15, 0]
    assert [probe_bound(bound(table), k, k % 2 == 0) for k in range(CAPACITY)] == [10, 11, 12, 13, 14, 15]


@entry
def read_foreign(tables, index):  # type: ignore[no-untyped-def]
    return read(bind_state(FOREIGN, tables).pools, index)["value"]


@entry
def row_foreign(tables, index):  # type: ignore[no-untyped-def]
    return row(bind_state(FOREIGN, tables).pools, index)["value"]


@entry
def insert_foreign(tables, index):  # type: ignore[no-untyped-def]
    return insert(bind_state(FOREIGN, tables).ticks, index, index)


@entry
def remove_foreign(tables, index):  # type: ignore[no-untyped-def]
    return remove(bind_state(FOREIGN, tables).ticks, index, index)


@entry
def claim_foreign(tables, index):  # type: ignore[no-untyped-def]
    return claim_id(bind_state(FOREIGN, tables).pools, index)


def test_table_of_another_module_is_read_with_its_bounds_checked() -> None:
    ticks, pools = view_of(TICKS), view_of(POOLS)
    pools.rows["value"][3] = 13
    assert read_foreign(bound(ticks, pools), 3) == 13 and pools.fault[0] == OK
    assert read_foreign(bound(ticks, pools), CAPACITY + 3) == 0 and pools.fault[0] == ROW_OUT_OF_BOUNDS


@pytest.mark.parametrize(
    "write", [row_foreign, claim_foreign, insert_foreign, remove_foreign], ids=lambda e: e.__name__
)
def test_table_of_another_module_refuses_all_writes(write: Callable[..., Any], lane: str) -> None:
    ticks, pools = view_of(TICKS), view_of(POOLS)
    with pytest.raises(TypeError if lane == "nojit" else TypingError, match="belongs to another module"):
        write(bound(ticks, pools), 0)


@pytest.mark.parametrize("write", [row, claim_id])
def test_read_only_view_refuses_writes_from_python(write: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="belongs to another module"):
        write(view_of(POOLS, ReadOnlyView), 0)
