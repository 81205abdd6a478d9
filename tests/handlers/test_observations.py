"""Where a pool's oracle stands: one observation a timestamp, a ring that grows at its wrap, and what headers tell."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.uniswap_oracle import Pool
from tests.support.uniswap_state import CHANGE, GROW, START, Tables


def ring_of(action):
    return [int(action[name]) for name in ("index", "cardinality", "cardinality_next")]


#: Every change is of a range around the price, so each writes an observation.
CHANGED = {"kind": CHANGE, "pool": 0, "lower": -60, "upper": 60, "amount": 1}
STARTED = {"kind": START, "pool": 0, "limit": 2**96, "lower": 0, "timestamp": 1}


def fresh():
    tables = Tables(1, 8)
    tables.create(0, 3000, 60)
    return tables


@given(st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(1, 9)), max_size=40))
@example([(1, 3), (1, None), (1, None), (1, None), (0, 5), (1, None), (1, None), (1, None)])
@example([(0, None)])
def test_ring_is_the_oracles(moves):
    pool, tables = Pool(3000, 60), fresh()
    pool.initialize(2**96, 1)
    now, lines, expected = 1, [STARTED], [[0, 1, 1]]
    for seconds, wanted in moves:
        now += seconds
        if wanted is not None:
            pool.observation[2] = max(pool.observation[2], wanted)
            lines.append({"kind": GROW, "pool": 0, "count": pool.observation[2]})
            expected.append(list(pool.observation))
        pool.change_range(-60, 60, 1, now)
        lines.append(CHANGED | {"timestamp": now})
        expected.append(list(pool.observation))
    assert [ring_of(action) for action in tables.act(lines)] == expected


def test_without_a_timestamp_the_ring_is_unknown_from_then_on():
    lines = [STARTED, CHANGED | {"timestamp": 5}, CHANGED | {"timestamp": 0}, CHANGED | {"timestamp": 7}]
    grown = [*lines[:2], {"kind": GROW, "pool": 0, "count": 4}, *lines[2:]]
    assert [ring_of(a) for a in fresh().act(lines)] == [[0, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1]]
    assert [ring_of(a) for a in fresh().act(grown)][-1] == [0, 0, 4], "how long it may grow is in the log"


def test_a_pool_that_started_without_a_timestamp_has_no_known_ring():
    lines = [STARTED | {"timestamp": 0}, CHANGED | {"timestamp": 9}]
    assert [ring_of(action) for action in fresh().act(lines)] == [[0, 0, 1], [0, 0, 1]]


def test_a_change_beside_the_price_writes_nothing():
    beside = CHANGED | {"lower": 60, "upper": 120, "timestamp": 9}
    lines = [STARTED, {"kind": GROW, "pool": 0, "count": 3}, beside, CHANGED | {"timestamp": 9}]
    assert [ring_of(a)[0] for a in fresh().act(lines)] == [0, 0, 0, 1]
