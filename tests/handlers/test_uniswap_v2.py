"""Quotes of pairs and their own check of a swap, against the contracts' formulas in plain integers."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disruptor.handlers import reverts
from disruptor.handlers.fixed_point import OVERFLOW
from disruptor.status import OK
from tests.support import uniswap_oracle as oracle
from tests.support.uniswap_ledger import Ledger
from tests.support.uniswap_maths import agrees, computed
from tests.support.wide_records import numbers

AMOUNTS = numbers(256, 2**107, 2**107 - 1)
RESERVES = numbers(112, 2**107, 2**107 - 1)
#: Of a pair that somebody has funded.
FULL = numbers(112, 2**107, 2**107 - 1, least=1)
FEES = st.sampled_from([0, 3000, 2500, 2000, 3001, 500, 10**6 - 1, 10**6 - 1000]) | st.integers(0, 10**6)


@given(st.lists(st.tuples(AMOUNTS, RESERVES, RESERVES, FEES), min_size=8, max_size=8))
@example([(2**112 - 1, 2**112 - 1, 2**112 - 1, 3000), (1, 1, 2**112 - 1, 0), (2**256 - 1, 1, 1, 0)])
def test_quotes_are_the_oracles(cases):
    agrees("getAmountOut", oracle.v2_amount_out, cases)
    agrees("getAmountIn", oracle.v2_amount_in, cases)


@given(AMOUNTS, AMOUNTS, AMOUNTS, FEES)
def test_quotes_of_reserves_that_no_pair_has_are_the_oracles(amount, reserve_in, reserve_out, fee):
    agrees("getAmountOut", oracle.v2_amount_out, [(amount, reserve_in, reserve_out, fee)])
    agrees("getAmountIn", oracle.v2_amount_in, [(amount, reserve_in, reserve_out, fee)])


@given(numbers(256, 2**107, least=1), FULL, FULL)
def test_3000_millionths_are_997_of_1000(amount, reserve_in, reserve_out):
    """The library's own line, without the oracle's choice of a denominator."""
    [(status, found)] = computed("getAmountOut", [(amount, reserve_in, reserve_out, 3000)])
    numerator = amount * 997 * reserve_out
    if numerator < 2**256:
        assert (status, found) == (OK, numerator // (reserve_in * 1000 + amount * 997))
    else:
        assert status == OVERFLOW


def test_3000_millionths_overflow_where_997_of_1000_do():
    reserve = 2**112 - 1
    last = (2**256 - 1) // 997 // reserve
    cases = [(last, reserve, reserve, 3000), (last + 1, reserve, reserve, 3000)]
    assert [status for status, _ in computed("getAmountOut", cases)] == [OK, OVERFLOW]


def test_a_pair_never_pays_more_than_it_has():
    assert computed("getAmountOut", [(2**120, 1, 2**112 - 1, 3000)]) == [(OK, 2**112 - 2)]


@pytest.mark.parametrize(
    ("name", "given_", "status"),
    [
        ("getAmountOut", (0, 5, 5, 3000), reverts.INSUFFICIENT_INPUT_AMOUNT),
        ("getAmountOut", (5, 0, 5, 3000), reverts.INSUFFICIENT_LIQUIDITY),
        ("getAmountOut", (5, 5, 0, 3000), reverts.INSUFFICIENT_LIQUIDITY),
        ("getAmountOut", (5, 5, 5, 10**6 + 1), reverts.FEE_OUT_OF_RANGE),
        ("getAmountOut", (5, 5, 5, 2**32 - 1), reverts.FEE_OUT_OF_RANGE),
        ("getAmountIn", (0, 5, 5, 3000), reverts.INSUFFICIENT_OUTPUT_AMOUNT),
        ("getAmountIn", (5, 0, 9, 3000), reverts.INSUFFICIENT_LIQUIDITY),
        ("getAmountIn", (5, 9, 5, 3000), reverts.INSUFFICIENT_LIQUIDITY),
        ("getAmountIn", (6, 9, 5, 3000), reverts.INSUFFICIENT_LIQUIDITY),
        ("getAmountIn", (5, 5, 9, 10**6), reverts.FEE_OUT_OF_RANGE),
    ],
)
def test_what_the_library_refuses_has_a_name(name, given_, status):
    assert computed(name, [given_]) == [(status, 0)]


def check(case):
    reserves, balances, outs, fee = case
    return oracle.v2_swap_check(reserves, balances, outs, fee)


def checked(cases):
    flat = [(*reserves, *outs, *balances, fee) for reserves, balances, outs, fee in cases]
    agrees("kHolds", lambda a, b, c, d, e, f, fee: check(((a, b), (e, f), (c, d), fee)), flat)


PAIRS = st.tuples(RESERVES, RESERVES)


@given(st.lists(st.tuples(PAIRS, PAIRS, PAIRS, FEES), min_size=8, max_size=8))
@example([((5, 5), (2**112, 5), (1, 1), 3000), ((5, 5), (5, 5), (5, 1), 0), ((5, 5), (5, 5), (0, 0), 0)])
@example([((5, 5), (4, 4), (1, 1), 0), ((2**112 - 1,) * 2, (2**112 - 1,) * 2, (1, 1), 10**6)])
def test_pairs_check_of_any_swap_is_the_oracles(cases):
    checked(cases)


@given(FULL, FULL, numbers(100, least=1), st.integers(0, 10**6 - 1))
@example(10**20, 10**20, 10**18, 3000)
def test_a_quoted_output_is_the_most_that_the_pair_pays(reserve0, reserve1, paid, fee):
    out = oracle.v2_amount_out(paid, reserve0, reserve1, fee)
    balance0 = reserve0 + paid
    if balance0 < 2**112:
        amounts = [a for a in (out - 1, out, out + 1) if 0 < a < reserve1]
        checked([((reserve0, reserve1), (balance0, reserve1 - a), (0, a), fee) for a in amounts])


def test_a_donation_counts_as_paid():
    """What was sent to a pair before is part of the balance, so the pair takes it for its price."""
    assert computed("kHolds", [(1000, 1000, 0, 90, 1100, 910, 3000)]) == [(OK, 100, 0)]
    assert computed("kHolds", [(1000, 1000, 0, 91, 1100, 909, 3000)])[0][0] == reverts.K_DECREASED


@pytest.mark.slow
def test_quotes_of_recorded_pairs_are_the_routers(data_dir):
    ledger = Ledger(data_dir / "evm")
    quotes = json.loads((data_dir / "evm" / "quotes.json").read_text())["quotes"]
    found = {"in": [], "out": []}
    for asked in sorted(quotes, key=lambda q: q["block"]):
        ledger.advance(asked["block"])
        if asked["pool"] in ledger.reserves:
            reserves = ledger.reserves[asked["pool"]][:: 1 if asked["zeroForOne"] else -1]
            case = (int(asked["amount"]), *reserves, asked["fee"])
            found[asked["exact"]].append((case, (OK, int(asked["result"]))))
    for name, exact in (("getAmountOut", "in"), ("getAmountIn", "out")):
        cases, expected = zip(*found[exact], strict=True)
        assert len(cases) > 50
        assert computed(name, cases) == list(expected)
