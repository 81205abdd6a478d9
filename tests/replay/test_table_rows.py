"""Rows as plain objects, on tables filled by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from disruptor.access import PlainView, insert, remove
from disruptor.errors import InputError
from disruptor.message import byte_string, f64, i32, i128, u32, u64, u256
from disruptor.processor import plain_allocate
from disruptor.replay.table_rows import TableRows, find_table
from disruptor.state import State
from disruptor.table import Table, derived, ref

COINS = Table("coins", {"name": byte_string(4), "decimals": u32}, key="coins", identity="name", capacity=4)
LEVELS = Table(
    "levels", {"coin": ref("coins"), "at": i32, "net": i128, "size": u256}, key=("coin", "at"), capacity=8
)
TOTALS = Table("totals", {"events": u64, "mean": f64, "last": derived(ref("coins"))})
LOOSE = Table("loose", {"key": u32, "hits": u64}, key="loose", capacity=4)


@pytest.fixture
def state() -> State:
    found = State([COINS, LEVELS, TOTALS, LOOSE], {}, plain_allocate)
    for at, name in enumerate((b"AAAA", b"BBBB")):
        found.arrays["coins"].rows[at]["name"] = np.frombuffer(name, np.uint8)
        found.arrays["coins"].meta[0]["high"] = at + 1
    for coin, at, net, size in ((0, -60, -(2**100), 2**255), (1, 5, 7, 1), (1, 6, 1, 1)):
        row = found.arrays["levels"].rows[level(found, insert, coin, at)]
        row["coin"], row["at"] = coin, at
        row["net"] = np.frombuffer(net.to_bytes(16, "little", signed=True), "<u8")
        row["size"] = np.frombuffer(size.to_bytes(32, "little"), "<u8")
    assert level(found, remove, 1, 6)
    totals = found.arrays["totals"].rows[0]
    totals["events"], totals["mean"], totals["last"] = 2**64 - 1, np.inf, 0xFFFFFFFF
    found.arrays["loose"].rows[2]["key"] = 9
    return found


def level(state: State, access: Any, coin: int, at: int) -> Any:
    arrays = state.arrays["levels"]
    arrays.meta[0]["inserts_left"] = 1
    with np.errstate(over="ignore"):
        return access(PlainView(*arrays, np.zeros(8, np.int64)), coin, at)


def test_dense_rows_are_found_by_identity(state: State) -> None:
    rows = TableRows(state)
    assert list(rows.rows("coins")) == [
        {"key": "0x41414141", "id": 0, "name": "0x41414141", "decimals": 0},
        {"key": "0x42424242", "id": 1, "name": "0x42424242", "decimals": 0},
    ]
    assert rows.find("coins", "0x42424242") == rows.find("coins", "1") == list(rows.rows("coins"))[1:]
    assert rows.find("coins", "3") == rows.find("coins", "0x43434343") == []


def test_hashed_rows_show_what_they_refer_to_and_removed_ones_are_gone(state: State) -> None:
    rows = TableRows(state)
    first = {
        "key": "0x41414141,-60",
        "coin": "0x41414141",
        "at": -60,
        "net": str(-(2**100)),
        "size": str(2**255),
    }
    assert next(rows.rows("levels")) == first
    assert rows.count("levels") == 2
    assert rows.find("levels", "0x41414141,-60") == [first]
    assert rows.find("levels", "0x42424242,6") == []


def test_a_single_row_is_there_and_what_json_has_no_number_for_is_text(state: State) -> None:
    assert list(TableRows(state).rows("totals")) == [
        {"key": "", "events": 2**64 - 1, "mean": "inf", "last": None}
    ]


def test_a_field_called_key_does_not_hide_the_key(state: State) -> None:
    assert list(TableRows(state).rows("loose")) == [{"key": "2", "id": 2, "field_key": 9, "hits": 0}]


@pytest.mark.parametrize(
    ("table", "key"), [("levels", "5"), ("levels", "a,b"), ("coins", "1,2"), ("coins", ""), ("totals", "0")]
)
def test_text_that_is_no_key_is_refused(state: State, table: str, key: str) -> None:
    with pytest.raises(InputError, match=f"table {table}"):
        TableRows(state).find(table, key)


def test_an_unknown_table_names_the_nearest(state: State) -> None:
    assert find_table(state.tables, "loose") is LOOSE
    with pytest.raises(InputError, match="--table coin: no such table; did you mean coins"):
        find_table(state.tables, "coin")
    with pytest.raises(InputError, match="there are coins, levels, totals, loose"):
        find_table(state.tables, "zzz")
