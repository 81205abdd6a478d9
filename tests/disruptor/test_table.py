"""Declared tables: what is refused, and how they lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from disruptor.errors import DefinitionError
from disruptor.message import byte_string, f32, i32, u8, u32, u64, u128
from disruptor.table import LIVE, Table, carve, derived, plan_tables, ref

FIELDS = {"address": byte_string(20), "amount": u128, "id": u32, "tick": i32, "share": f32}


def test_shape_follows_from_the_key() -> None:
    scalar, dense = Table("scalar", FIELDS), Table("dense", FIELDS, key="pools", identity="address")
    hashed = Table("hashed", FIELDS, key=("id", "tick"))
    assert [(t.hashed, t.domain) for t in (scalar, dense, hashed)] == [
        (False, None),
        (False, "pools"),
        (True, None),
    ]
    assert (scalar.capacity, dense.capacity, hashed.capacity) == (1, None, None)


@pytest.mark.parametrize("name", ["", "a b", "for", "_x", "9x", None])
def test_bad_table_name(name: Any) -> None:
    with pytest.raises(DefinitionError, match="identifier"):
        Table(name, FIELDS)


@pytest.mark.parametrize("fields", [{}, {"a b": u8}, {"a": "u8"}, None])
def test_bad_fields(fields: Any) -> None:
    with pytest.raises(DefinitionError, match="table rows: "):
        Table("rows", fields)


@pytest.mark.parametrize(
    "key", [(), ("id", "tick", "id"), ("nothing",), ("amount",), ("address",), ("share",), ("id", "nothing")]
)
def test_bad_hash_key(key: tuple[str, ...]) -> None:
    with pytest.raises(DefinitionError, match="one or two 32-bit fields"):
        Table("rows", FIELDS, key=key)


@pytest.mark.parametrize(
    ("key", "identity"),
    [
        ("pools", "nothing"),
        ("pools", "amount"),
        ("pools", "id"),
        ("pools", "long"),
        (None, "address"),
        (("id",), "address"),
    ],
)
def test_bad_identity(key: Any, identity: str) -> None:
    with pytest.raises(DefinitionError, match="identity"):
        Table("rows", {**FIELDS, "long": byte_string(33)}, key=key, identity=identity)


@pytest.mark.parametrize("scopes", [{"scope": "mine"}, {"rollback": "never"}])
def test_bad_scope(scopes: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match=r"owned\|replicated"):
        Table("rows", FIELDS, **scopes)


def test_rows_are_laid_out_as_c_does_in_whole_words() -> None:
    table = Table("rows", {"a": u8, "b": u32, "c": u8})
    assert (table.offsets, table.row_size) == ({"a": 0, "b": 4, "c": 8}, 16)
    assert Table("wide", {"a": u8, "b": u128}).row_size == 32


def test_schema_changes_with_everything_that_results_depend_on() -> None:
    variants = [
        Table("rows", {"a": u32}),
        Table("other", {"a": u32}),
        Table("rows", {"b": u32}),
        Table("rows", {"a": i32}),
        Table("rows", {"a": derived(u32)}),
        Table("rows", {"a": ref("pools")}),
        Table("rows", {"a": u32}, key=("a",)),
        Table("rows", {"a": u32}, key="pools"),
        Table("rows", {"a": u32}, digest=False),
        Table("rows", {"a": u32}, scope="replicated"),
        Table("rows", {"a": u32}, rollback="engine"),
    ]
    assert len({v.schema() for v in variants}) == len(variants)
    assert Table("rows", {"a": u32}, capacity=1).schema() == variants[0].schema()


def tables() -> list[Table]:
    return [
        Table("scalar", {"a": u64}),
        Table("dense", {"a": u64, "b": u8}, key="pools"),
        Table("hashed", {"id": u32, "b": u8}, key=("id",), capacity=5),
    ]


def test_arrays_start_on_their_own_pairs_of_lines_and_do_not_overlap() -> None:
    plans, total = plan_tables(tables(), {"pools": 3})
    parts = sorted(part for p in plans for part in (p.rows, p.meta, p.buckets, p.links))
    assert all(start % 128 == 0 for start, _ in parts)
    ends = [start + size for start, size in parts]
    assert all(end <= start for end, (start, _) in zip(ends, parts[1:], strict=False))
    assert ends[-1] <= total


@pytest.mark.parametrize("capacities", [{}, {"pools": 0}, {"dense": 3}])
def test_capacity_that_nobody_gave(capacities: dict[str, int]) -> None:
    with pytest.raises(DefinitionError, match=r"table dense: no capacity; .*capacity\.pools"):
        plan_tables(tables(), capacities)


def test_no_tables_still_have_memory_to_align() -> None:
    assert plan_tables([], {}) == ([], 128)


def test_carved_arrays_begin_empty() -> None:
    plans, total = plan_tables(tables(), {"pools": 3})
    scalar, dense, hashed = (carve(np.zeros(total, np.uint8), p) for p in plans)
    assert [len(t.rows) for t in (scalar, dense, hashed)] == [2, 4, 6]  # one more: the scratch row
    assert [len(t.buckets) for t in (scalar, dense, hashed)] == [1, 1, 16]
    assert (hashed.buckets["row"] == -1).all() and len(hashed.links) == 5 and not (hashed.links == LIVE).any()
    assert [t.meta[0].tolist() for t in (dense, hashed)] == [(0, 0, -1, 3, 0, 0), (0, 0, -1, 5, 15, 0)]


@pytest.mark.parametrize("capacity", [1, 2, 3, 4, 5, 8, 9, 1000])
def test_half_the_buckets_are_always_empty(capacity: int) -> None:
    [plan], _ = plan_tables([Table("hashed", {"id": u32}, key=("id",), capacity=capacity)], {})
    buckets = plan.buckets[1] // 16
    assert buckets & (buckets - 1) == 0 and buckets >= 2 * capacity
