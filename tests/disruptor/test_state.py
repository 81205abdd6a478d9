"""State: tables in one block, seen as arrays, rows and live rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from disruptor.access import PlainView, claim_id, insert, remove
from disruptor.errors import DefinitionError
from disruptor.message import byte_string, u32
from disruptor.processor import plain_allocate
from disruptor.state import State
from disruptor.table import Table, ref

POOLS = Table("pools", {"address": byte_string(20)}, key="pools", identity="address")
PRICES = Table("prices", {"price": u32}, key="pools")
TICKS = Table("ticks", {"pool": ref("pools"), "value": u32}, key=("pool",), capacity=4)
TOTAL = Table("total", {"value": u32})
TABLES = [POOLS, PRICES, TICKS, TOTAL]


@pytest.fixture
def state() -> State:
    return State(TABLES, {"pools": 5}, plain_allocate)


def test_parallel_tables_share_their_domains_capacity(state: State) -> None:
    assert state.capacities == {"pools": 5, "prices": 5, "ticks": 4, "total": 1}


def test_all_arrays_lie_in_the_one_block(state: State) -> None:
    assert state.memory.nbytes == state.nbytes
    assert all(np.shares_memory(part, state.memory) for arrays in state.arrays.values() for part in arrays)


def test_rows_in_use_follow_the_domains_highest_id(state: State) -> None:
    assert {n: len(state.rows(n)) for n in state.arrays} == {"pools": 0, "prices": 0, "ticks": 0, "total": 1}
    claim_id(PlainView(*state.arrays["pools"], np.zeros(8, np.int64)), 2)
    assert {n: len(state.rows(n)) for n in state.arrays} == {"pools": 3, "prices": 3, "ticks": 0, "total": 1}


def test_live_rows_leave_out_removed_ones(state: State) -> None:
    ticks = PlainView(*state.arrays["ticks"], np.zeros(8, np.int64))
    ticks.meta[0]["inserts_left"] = 9
    with np.errstate(over="ignore"):
        for k in range(3):
            ticks.rows[insert(ticks, k, 0)] = (k, 10 * k)
        remove(ticks, 1, 0)
    assert state.live("ticks").tolist() == [(0, 0), (2, 20)]
    assert len(state.rows("ticks")) == 3, "rows in use still have the hole"


def test_missing_capacity_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"capacity\.pools"):
        State(TABLES, {}, plain_allocate)


def test_state_without_tables_is_empty_and_aligned() -> None:
    empty = State([], {}, plain_allocate)
    assert empty.arrays == {} and empty.digest() == "0" * 32


def test_misaligned_memory_is_a_callers_error() -> None:
    def misaligned(nbytes: int) -> npt.NDArray[np.uint8]:
        return plain_allocate(nbytes + 8)[8:]

    with pytest.raises(AssertionError, match="aligned"):
        State(TABLES, {"pools": 5}, misaligned)
