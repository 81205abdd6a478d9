"""One step of a swap, and liquidity across a tick: the contract's answers, and the oracle's at every boundary."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disruptor.handlers.reverts import FEE_OUT_OF_RANGE, PRICE_OUT_OF_RANGE, REASONS
from disruptor.status import OK
from tests.support import uniswap_oracle as oracle
from tests.support.streams import read_document
from tests.support.uniswap_maths import agrees, computed
from tests.support.wide_records import numbers

PRICES = numbers(160, oracle.MIN_RATIO, oracle.MAX_RATIO - 1, least=1)
LIQUIDITY = numbers(128)
FEES = st.sampled_from([0, 1, 100, 500, 3000, 10_000, 999_999]) | st.integers(0, 999_999)
REMAINING = st.builds(lambda a, s: a * s, numbers(255, least=1), st.sampled_from([1, -1]))
VECTORS = read_document("v3_maths", "vectors.json")


@pytest.mark.parametrize("name", ["swapStep", "addDelta"])
def test_answers_are_the_librarys(name):
    cases = VECTORS[name]
    assert len(cases) == 400
    given_ = [[int(a) for a in case[0]] for case in cases]
    for case, (status, *found) in zip(cases, computed(name, given_), strict=True):
        if isinstance(case[1], list):
            assert (status, found) == (OK, [int(a) for a in case[1]]), case
        else:
            assert REASONS[status] == case[1], case


@given(st.lists(st.tuples(PRICES, PRICES, LIQUIDITY, REMAINING, FEES), min_size=8, max_size=8))
def test_steps_are_the_oracles(cases):
    agrees("swapStep", oracle.compute_swap_step, cases)


@given(
    numbers(159, least=1),
    st.integers(1, 2**60),
    numbers(128, least=1),
    FEES,
    st.booleans(),
    st.booleans(),
)
@example(2**96, 1, 1, 3000, True, True)
def test_steps_are_the_oracles_just_around_the_target(price, way, liquidity, fee, exact_in, down):
    """Amounts that reach the target exactly, and the few on both sides of them."""
    target = max(1, price - way) if down else price + way
    _, a_in, a_out, a_fee = oracle.compute_swap_step(price, target, liquidity, 2**255 - 1, fee)
    turn = a_in + a_fee if exact_in else a_out
    amounts = [turn + k for k in range(-3, 4) if turn + k > 0]
    agrees(
        "swapStep",
        oracle.compute_swap_step,
        [(price, target, liquidity, a if exact_in else -a, fee) for a in amounts],
    )


@given(st.lists(st.tuples(numbers(255, 2**107 - 1, 2**107), FEES), min_size=8, max_size=8))
@example([(2**107 - 1, 0), (2**107, 0), (2**107 - 1, 1), (10**6, 0), (999_999, 0), (2**255 - 1, 999_999)])
def test_an_input_without_its_fee_is_rounded_down(cases):
    agrees("lessFee", lambda amount, fee: amount * (10**6 - fee) // 10**6, cases)


@given(st.lists(st.tuples(LIQUIDITY, st.integers(-(2**127), 2**127 - 1)), min_size=4, max_size=4))
@example([(0, -1), (2**128 - 1, 1), (2**127, -(2**127)), (2**127 - 1, -(2**127)), (2**128 - 1, 2**127 - 1)])
def test_liquidity_after_a_change_is_the_oracles(cases):
    agrees("addDelta", oracle.add_delta, cases)


def test_what_no_contract_is_asked_is_refused():
    cases = [(5, 4, 3, 2, 10**6), (5, 4, 3, 2, 2**32 - 1), (5, 4, 3, 2, -1), (0, 4, 3, 2, 1), (5, 0, 3, 2, 1)]
    statuses = [status for status, *_ in computed("swapStep", cases)]
    assert statuses == [FEE_OUT_OF_RANGE] * 3 + [PRICE_OUT_OF_RANGE] * 2
