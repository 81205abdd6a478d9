"""Fees that a pool owes: spread over liquidity, kept outside of ticks, shared with the protocol."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disruptor.handlers.fixed_point import OVERFLOW
from disruptor.handlers.reverts import NO_LIQUIDITY
from disruptor.status import OK
from tests.support.uniswap_oracle import Pool
from tests.support.uniswap_state import CHANGE, COLLECT, FLASH, STATE_FIELDS, Tables
from tests.support.wide_records import number, numbers

GROWTH = numbers(256)
SHARES = st.sampled_from([0, *range(4, 11)])


def state_told(action):
    return [number(action[name]) for name in STATE_FIELDS]


def state_of(pool):
    fees = [*pool.growth, *pool.protocol_fees, *pool.observation, pool.fee_protocol]
    return [pool.price, pool.tick, pool.liquidity, *fees]


@given(
    st.tuples(GROWTH, GROWTH),
    st.tuples(SHARES, SHARES),
    st.tuples(numbers(120), numbers(120)),
    numbers(128, least=1),
)
@example((2**256 - 1, 0), (0, 4), (1, 3), 1)
@example((0, 0), (10, 10), (9, 10), 2**128 - 1)
def test_flashes_are_the_oracles_and_growth_wraps(growth, shares, paid, liquidity):
    pool = Pool(3000, 60, 2**96, 0, liquidity, shares[0] | shares[1] << 4, growth=list(growth))
    pool.protocol_fees = [2**128 - 1, 5]
    tables = Tables(1, 8)
    tables.install(0, pool)
    [done] = tables.act([{"kind": FLASH, "pool": 0, "amount": paid[0], "limit": paid[1]}])
    pool.flash(paid)
    assert int(done["status"]) == OK
    assert state_told(done) == state_of(pool)


@pytest.mark.parametrize(("liquidity", "paid", "status"), [(0, 5, NO_LIQUIDITY), (3, 3 << 128, OVERFLOW)])
def test_flashes_that_a_contract_refuses_change_nothing(liquidity, paid, status):
    tables = Tables(1, 8)
    tables.install(0, Pool(3000, 60, 2**96, 0, liquidity))
    before = tables.state.digest()
    for first, second in ((paid, 1), (1, paid)):
        [done] = tables.act([{"kind": FLASH, "pool": 0, "amount": first, "limit": second}])
        assert int(done["status"]) == status
    assert tables.state.digest() == before


def test_collected_protocol_fees_are_gone():
    pool = Pool(3000, 60, 2**96, 0, 7, protocol_fees=[2**128 - 1, 9])
    tables = Tables(1, 8)
    tables.install(0, pool)
    [done] = tables.act([{"kind": COLLECT, "pool": 0, "amount": 2**128 - 2, "limit": 9}])
    assert [number(done["protocol0"]), number(done["protocol1"])] == [1, 0]


def test_a_tick_opens_with_all_growth_below_the_price_and_none_above():
    pool = Pool(3000, 60, 2**96, 0, 0, growth=[11, 13])
    tables = Tables(1, 8)
    tables.install(0, pool)
    for lower, upper in ((-60, 60), (0, 120)):
        tables.act([{"kind": CHANGE, "pool": 0, "lower": lower, "upper": upper, "amount": 5, "timestamp": 1}])
    outside = {tick: found[2:] for tick, found in tables.ticks_of(0).items()}
    assert outside == {-60: [11, 13], 0: [11, 13], 60: [0, 0], 120: [0, 0]}


def test_a_tick_that_lost_its_liquidity_opens_anew():
    tables = Tables(1, 8)
    pool = Pool(3000, 60, 2**96, 0, 0, growth=[11, 13])
    tables.install(0, pool)
    line = {"kind": CHANGE, "pool": 0, "lower": -60, "upper": 60, "timestamp": 1}
    paid = {"kind": FLASH, "pool": 0, "amount": 5, "limit": 0}
    [*_, flash, _, _] = tables.act([line | {"amount": 5}, paid, line | {"amount": -5}, line | {"amount": 3}])
    grown = 11 + (5 << 128) // 5
    assert number(flash["growth0"]) == grown
    assert tables.ticks_of(0)[-60] == [3, 3, grown, 13]
