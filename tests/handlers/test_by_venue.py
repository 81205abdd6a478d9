"""What depends on a pool's kind, asked of Uniswap's pools, of a user's, and of a kind that nobody declared."""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import row
from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.by_venue import gas_at, has_price, most_in, price_at, rates_at, takes_limit, venues_of
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.moved_rows import keep_moved, moved_dtype, put_back
from disruptor.handlers.pools import pools
from disruptor.handlers.quote_kernels import quote_layout
from disruptor.handlers.uniswap_venues import BUILT_IN, GAS_TICK, GAS_V2, GAS_V3
from disruptor.handlers.wide import low64, store
from disruptor.processor import plain_allocate
from disruptor.references import bind_state, describe_tables
from disruptor.state import State
from tests.support.fork_venue import FORK
from tests.support.wide_records import number, put

#: With a venue of a user's own: a fork of V2, which has all of V2's functions.
LAYOUT = quote_layout([FORK])
KEPT = moved_dtype([FORK])
NOBODY = 999
KINDS = (KIND_UNISWAP_V2, KIND_UNISWAP_V3, FORK.kind, NOBODY)
SAID = np.dtype(
    [
        ("price", "<u8", (4,)),
        ("most", "<u8", (4,)),
        ("fee", "<i8"),
        ("gas", "<i8"),
        ("falling", "<f8"),
        ("rising", "<f8"),
        ("has_price", "<u4"),
        ("takes_limit", "<u4"),
    ],
    align=True,
)


@entry_uncounted
def say(tables: Any, said: Any, kept: Any) -> None:
    """What is said of pool k in said[k]; then each pool's row is changed and put back."""
    state = bind_state(LAYOUT, tables)
    for pool in range(len(said)):
        s = said[pool]
        n, d, _, s["fee"] = price_at(state, pool, True)
        store(s["price"], n)
        store(s["most"], most_in(state, pool, True))
        s["falling"], s["rising"] = rates_at(state, pool)
        s["gas"] = gas_at(state, pool, np.int64(2))
        s["has_price"] = has_price(state, pool)
        s["takes_limit"] = takes_limit(state, pool)
        keep_moved(state, pool, kept[0])
        p = row(state.pools, pool)
        store(p["reserve0"], d)
        store(p["sqrt_price_x96"], d)
        p["tick"] = np.int32(low64(d)) + 5
        put_back(state, pool, kept[0])


def told() -> tuple[Any, State]:
    state = State(LAYOUT.tables, {"pools": 8, "ticks": 8, "tick_bitmap": 8}, plain_allocate)
    for k, kind in enumerate(KINDS):
        p = state.arrays["pools"].rows[k]
        p["kind"], p["fee"], p["tick"] = kind, 2500, 7
        put(p, "reserve0", 4 * 10**20)
        put(p, "reserve1", 10**20)
        put(p, "sqrt_price_x96", 2**97)
    said = np.zeros(len(KINDS), SAID)
    tables = describe_tables([state.arrays[name] for name in LAYOUT.names], np.zeros(8, np.int64))
    say(tables, said, np.zeros(1, KEPT))
    return said, state


def test_each_pool_is_answered_by_its_venue_and_a_kind_of_nobody_by_nothing() -> None:
    (v2, v3, fork, nobody), state = told()
    assert (number(v2["price"]), v2["gas"], v2["takes_limit"]) == (10**20, GAS_V2, 0)
    assert (number(v3["price"]), v3["gas"], v3["takes_limit"]) == (2**194, GAS_V3 + 2 * GAS_TICK, 1)
    assert number(v2["most"]) == 2**112 - 1 - 4 * 10**20 and number(v3["most"]) == 2**256 - 1
    assert fork == v2
    assert nobody == np.zeros((), SAID)
    for k in range(len(KINDS)):
        p = state.arrays["pools"].rows[k]
        assert (number(p["reserve0"]), number(p["sqrt_price_x96"]), p["tick"]) == (4 * 10**20, 2**97, 7)


def test_rates_of_a_venue_that_names_none_follow_from_its_price() -> None:
    (v2, v3, fork, _), _ = told()
    for said, price in ((v2, 0.25), (fork, 0.25), (v3, 4.0)):
        assert abs(said["falling"] / (price * 0.9975) - 1) < 1e-15
        assert abs(said["rising"] / (0.9975 / price) - 1) < 1e-15
        assert said["fee"] == 2500 and said["has_price"] == 1


def test_built_in_venues_come_first_and_layouts_differ_by_theirs() -> None:
    assert venues_of(LAYOUT) == (*BUILT_IN, FORK) and venues_of(quote_layout()) == BUILT_IN
    assert LAYOUT.key() != quote_layout().key()
    assert pools in LAYOUT.tables
