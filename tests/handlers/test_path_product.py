"""Cycles of V2 pairs only: the best input before rounding to the last unit, and after rounding against all inputs."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.cycle_book import Cycle, CycleBook, made_cycle, told
from tests.support.pool_book import Pair
from tests.support.wide_records import number

FULL = 2**112 - 1
RESERVES = (
    st.integers(1, 50)
    | st.integers(1, FULL)
    | st.sampled_from([1, 2, 2**64, 2**96, FULL - 1, FULL])
    | st.builds(lambda bits, low: 2**bits | low % 2**bits, st.integers(1, 111), st.integers(0, FULL))
)
WHOLE_THOUSANDTHS = st.sampled_from([0, 1000, 3000, 10_000, 999_000])
PAIRS = st.builds(lambda x, y, fee: Pair([x, y], fee), RESERVES, RESERVES, WHOLE_THOUSANDTHS)
FINE_PAIRS = st.builds(lambda x, y, fee: Pair([x, y], fee), RESERVES, RESERVES, st.integers(0, 999_999))


def cycle_of(pairs: list[Pair]) -> Cycle:
    return Cycle(list(pairs), [True] * len(pairs))


def smooth_inputs(cycles: list[Cycle], **asked: int) -> list[int]:
    return [number(answer["smooth"]) for answer in CycleBook(cycles).solve(**asked)]


@given(st.lists(st.tuples(PAIRS, PAIRS), min_size=1, max_size=6), st.sampled_from([0, 0, 1, 9000, 500_000]))
@example([(Pair([1, FULL], 0), Pair([1, FULL], 0)), (Pair([FULL, FULL], 3000), Pair([FULL - 1, FULL], 0))], 0)
@example([(Pair([FULL, FULL], 0), Pair([FULL - 1, FULL], 0)), (Pair([2, 3], 0), Pair([2, 2], 0))], 0)
@example([(Pair([10**24, 2 * 10**24], 3000), Pair([10**9, 10**9], 3000))], 900)
def test_of_two_pairs_the_smooth_optimum_is_exact(pairs: list[tuple[Pair, Pair]], loan: int) -> None:
    cycles = [cycle_of(list(two)) for two in pairs]
    assert smooth_inputs(cycles, loan_millionths=loan) == [cycle.smooth(loan) for cycle in cycles]


@given(st.lists(st.lists(FINE_PAIRS, min_size=2, max_size=4), min_size=1, max_size=6), st.integers(0, 40_000))
@example([[Pair([1, FULL], 999_999)] * 4, [Pair([FULL, FULL], 1)] * 3 + [Pair([1, FULL], 1)]], 1)
def test_of_longer_chains_it_is_the_floor_or_next_to_it(chains: list[list[Pair]], loan: int) -> None:
    for cycle, found in zip(
        map(cycle_of, chains), smooth_inputs(list(map(cycle_of, chains)), loan_millionths=loan), strict=True
    ):
        wanted = cycle.smooth(loan)
        assert abs(found - wanted) <= 1 + (wanted >> 112), cycle


@pytest.mark.parametrize("loan", [0, 9000])
@pytest.mark.parametrize("hops", [2, 3])
def test_no_input_pays_more_than_the_bound_allows(hops: int, loan: int, seed: int) -> None:
    """All inputs are tried."""
    rng = random.Random(f"{seed} {hops} {loan}")
    sizes = [30, 100, 1000, 3000] * 3
    cycles = [made_cycle(rng, "2" * hops, size, edge) for size in sizes for edge in (0.3, 1.0, 1.9)]
    paying, exact = 0, 0
    for cycle, answer in zip(cycles, CycleBook(cycles).solve(loan_millionths=loan), strict=True):
        amount_in, _, _ = told(answer, hops)
        nets = [cycle.profit(amount) - -(-amount * loan // 10**6) for amount in range(1, 4000)]
        missed = max(0, *nets) - (nets[amount_in - 1] if amount_in else 0)
        slack = loan / 10**6 * (1 + (hops > 2) * 30) + (loan > 0)
        assert missed <= cycle.bound(amount_in or 1) + slack
        paying, exact = paying + (amount_in > 0), exact + (missed == 0)
    assert paying > 0 and exact > len(cycles) // 2


@pytest.mark.parametrize("scale", [1, 10**6, 10**14])
def test_of_two_pairs_less_than_two_units_are_missed(scale: int, seed: int, lane: str) -> None:
    """Where the token between is coarse, its worth in units of the first token is lost nowhere."""
    rng = random.Random(f"{seed} {scale}")
    cycles = []
    for _ in range(2 if lane == "nojit" else 30):
        x, m = rng.randint(10**5, 10**6) * scale, rng.randint(20, 2000)
        edge = rng.uniform(1.02, 1.5)
        cycles.append(
            cycle_of([Pair([x, m], 3000), Pair([m * 7, int(x * 7 * edge)], rng.choice([0, 3000, 2500]))])
        )
    for cycle, answer in zip(cycles, CycleBook(cycles).solve(), strict=True):
        amount_in, amount_out, _ = told(answer, 2)
        first = cycle.pools[0]
        assert isinstance(first, Pair)
        starts = (least_input(first, m) for m in range(1, first.reserves[1]))
        best = max(0, *(cycle.profit(amount) for amount in starts))
        assert best - (amount_out - amount_in) < 2


def least_input(pair: Pair, wanted: int) -> int:
    """The least that buys so much of token1."""
    kept = 10**6 - pair.fee
    return -(-pair.reserves[0] * wanted * 10**6 // ((pair.reserves[1] - wanted) * kept))


@pytest.mark.parametrize("limit", [1, 7, 500, 10**5])
def test_a_limit_below_the_optimum_is_used_up(limit: int) -> None:
    cycle = cycle_of([Pair([10**9, 10**9], 3000), Pair([10**9, 2 * 10**9], 3000)])
    amount_in, amount_out, _ = told(CycleBook([cycle]).solve(max_amount_in=limit)[0], 2)
    nets = [cycle.profit(amount) for amount in range(max(1, limit - 300), limit + 1)]
    assert max(0, *nets) == amount_out - amount_in and amount_in <= limit
