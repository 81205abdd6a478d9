"""Amounts and prices from one another: the contract's answers, and the oracle's at every boundary."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disruptor.handlers.reverts import NO_LIQUIDITY, PRICE_OUT_OF_RANGE
from disruptor.status import OK
from tests.support import uniswap_oracle as oracle
from tests.support.streams import read_document
from tests.support.uniswap_maths import agrees, computed
from tests.support.wide_records import numbers

PRICES = numbers(160, oracle.MIN_RATIO, oracle.MAX_RATIO - 1, least=1)
LIQUIDITY = numbers(128)
AMOUNTS = numbers(256)
VECTORS = read_document("v3_maths", "vectors.json")


def arguments_of(case):
    return [a if isinstance(a, bool) else int(a) for a in case[0]]


@pytest.mark.parametrize(
    "name", ["amount0Delta", "amount1Delta", "nextPriceFromInput", "nextPriceFromOutput"]
)
def test_answers_are_the_librarys(name):
    cases = VECTORS[name]
    assert len(cases) == 400
    for case, (status, found) in zip(cases, computed(name, map(arguments_of, cases)), strict=True):
        assert (status == OK) == isinstance(case[1], list), case
        if status == OK:
            assert found == int(case[1][0]), case


@given(st.lists(st.tuples(PRICES, PRICES, LIQUIDITY, st.booleans()), min_size=8, max_size=8))
@example([(1, 2**160 - 1, 2**128 - 1, True), (2**128, 2**128 - 1, 2**128 - 1, False), (5, 5, 0, True)])
@example([(2**128 - 1, 2**127, 7, True), (2**128, 2**127, 7, True), (2**128, 2**128 + 1, 2**128 - 1, True)])
def test_amounts_between_prices_are_the_oracles(cases):
    agrees("amount0Delta", lambda a, b, c, up: oracle.amount0_delta(a, b, c, up=up), cases)
    agrees("amount1Delta", lambda a, b, c, up: oracle.amount1_delta(a, b, c, up=up), cases)


@given(st.lists(st.tuples(PRICES, PRICES, st.integers(-(2**127), 2**127 - 1)), min_size=4, max_size=4))
@example([(5, 6, -1), (5, 6, -(2**127)), (5, 6, 2**127 - 1), (7, 7, -3)])
def test_signed_amounts_round_in_the_pools_favour(cases):
    agrees("signedAmount0Delta", lambda a, b, c: oracle.signed_amount_delta(0, a, b, c), cases)
    agrees("signedAmount1Delta", lambda a, b, c: oracle.signed_amount_delta(1, a, b, c), cases)


@given(st.lists(st.tuples(PRICES, LIQUIDITY, AMOUNTS, st.booleans()), min_size=8, max_size=8))
@example([(2**96, 1, 2**160, False), (2**96, 1, 2**64 - 1, False), (2**96, 2**128 - 1, 2**256 - 1, True)])
@example(
    [
        (1, 1, 2**96, True),
        (2**160 - 1, 1, 1, True),
        (2**96, 2**20, 2**20, False),
        (2**96, 2**20, 2**20 - 1, False),
    ]
)
def test_prices_after_amounts_are_the_oracles(cases):
    agrees("nextPriceFromInput", oracle.next_price_from_input, cases)
    agrees("nextPriceFromOutput", oracle.next_price_from_output, cases)
    for k in (0, 1):
        move = (oracle.next_price_from_amount0, oracle.next_price_from_amount1)[k]
        listed = [case for case in cases if case[1] > 0]
        agrees(f"nextPriceFromAmount{k}", lambda p, q, r, add, move=move: move(p, q, r, add=add), listed)


def test_where_the_sum_overflows_the_other_formula_rounds_otherwise():
    """Around the amount from which the contract divides twice: both sides of the change agree with it."""
    price, liquidity = 3 * 2**100, 2**100 + 1
    turn = (2**256 - (liquidity << 96)) // price
    cases = [(price, liquidity, turn + k, True) for k in range(-2, 3)]
    agrees("nextPriceFromInput", oracle.next_price_from_input, cases)


def test_nothing_is_divided_by_zero():
    assert computed("nextPriceFromInput", [(0, 5, 5, True), (5, 0, 5, True)]) == [
        (PRICE_OUT_OF_RANGE, 0),
        (NO_LIQUIDITY, 0),
    ]
    assert computed("nextPriceFromOutput", [(0, 5, 5, False), (5, 0, 5, False)]) == [
        (PRICE_OUT_OF_RANGE, 0),
        (NO_LIQUIDITY, 0),
    ]
    assert computed("amount0Delta", [(0, 5, 5, True), (5, 0, 5, False)]) == [(PRICE_OUT_OF_RANGE, 0)] * 2
    assert computed("amount1Delta", [(0, 0, 5, True)]) == [(OK, 0)]
