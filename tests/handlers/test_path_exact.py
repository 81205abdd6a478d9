"""What cycles are said to pay, against brute force over integer inputs with the contracts' arithmetic in Python."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cycle_book import Cycle, CycleBook, made_cycle, told
from tests.support.pool_book import Pair
from tests.support.uniswap_oracle import MIN_RATIO, Pool, sqrt_ratio_at_tick, v2_amount_in

KINDS = ["22", "23", "32", "33", "222", "232", "333", "2222", "2323", "3333"]


def inputs_to_try(rng: random.Random, guess: float, found: int) -> list[int]:
    """All inputs near what was found and near the smallest, and some of all others that can matter."""
    reach = 2 * int(max(guess, found)) + 60
    near = [*range(1, 20), *range(found - 20, found + 20), *(rng.randint(1, reach) for _ in range(20))]
    return sorted({max(1, amount) for amount in near})


def check(cycle: Cycle, answer: object, rng: random.Random, least: int = 0) -> bool:
    """Hold one answer against the oracle; whether the cycle pays."""
    amount_in, amount_out, outs = told(answer, len(cycle.pools))
    if amount_in:
        assert cycle.outs(amount_in) == outs and amount_out == outs[-1] > amount_in
    tried = inputs_to_try(rng, float(answer["guess"]), amount_in)  # type: ignore[index]
    best = max(cycle.profit(amount) for amount in tried)
    assert best - (amount_out - amount_in) <= cycle.bound(amount_in)
    if best > 0:
        assert answer["screen"] > 1 and answer["better"] == 1  # type: ignore[index]
    return amount_in > 0


@pytest.mark.parametrize("kinds", KINDS)
def test_profit_is_exact_and_within_the_bound_of_the_best(kinds: str, seed: int, lane: str) -> None:
    rng, paying = random.Random(f"{seed} {kinds}"), 0
    for size in (3000, 50_000, 10**12):
        edge = 0.5 if size < 10**6 else 0.1
        cycles = [made_cycle(rng, kinds, size, edge) for _ in range(1 if lane == "nojit" else 5)]
        for cycle, answer in zip(cycles, CycleBook(cycles).solve(), strict=True):
            paying += check(cycle, answer, rng)
    assert paying > 1 or lane == "nojit"


@pytest.mark.parametrize("kinds", ["22", "32", "233", "2323"])
def test_going_backward_is_going_forward_through_the_mirrored_cycle(kinds: str, seed: int, lane: str) -> None:
    rng = random.Random(f"{seed} {kinds}")
    cycles = [made_cycle(rng, kinds, 10**9) for _ in range(2 if lane == "nojit" else 8)]
    mirrored = [Cycle(*map(list, zip(*cycle.hops(False), strict=True))) for cycle in cycles]
    for one, other in zip(CycleBook(cycles).solve(forward=0), CycleBook(mirrored).solve(), strict=True):
        assert told(one, len(kinds)) == told(other, len(kinds))


@pytest.mark.parametrize("kinds", ["23", "33", "323"])
def test_no_cycle_that_pays_fails_the_screen(kinds: str, seed: int, lane: str) -> None:
    """Solved although the screen refuses, both ways: nothing is found."""
    rng = random.Random(f"{seed} {kinds}")
    cycles = [made_cycle(rng, kinds, 10**6, edge=0.01) for _ in range(3 if lane == "nojit" else 40)]
    book, refused = CycleBook(cycles), 0
    for forward in (0, 1):
        for answer in book.solve(forward=forward):
            if answer["screen"] <= 1:
                refused += 1
                assert told(answer, len(kinds))[0] == 0
            elif answer["better"] != forward:
                assert told(answer, len(kinds))[0] == 0
    assert refused > 0 or lane == "nojit"


def island(price_tick: int, lower: int, upper: int, liquidity: int) -> Pool:
    pool = Pool(3000, 60)
    pool.initialize(sqrt_ratio_at_tick(price_tick), 0)
    pool.change_range(lower, upper, liquidity, 0)
    return pool


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("liquidity", [10**4, 10**9, 10**22])
def test_where_liquidity_ends_before_it_stops_to_pay_all_of_it_is_taken(first: bool, liquidity: int) -> None:
    """And no unit more: the largest input that every pool takes in full."""
    pool = island(0, -120, 120, liquidity)
    pair = Pair([liquidity * 100, liquidity * 130], 3000)
    hops = [(pool, True), (pair, True)] if first else [(pair, True), (pool, True)]
    cycle = Cycle(*map(list, zip(*hops, strict=True)))
    amount_in, amount_out, outs = told(CycleBook([cycle]).solve()[0], 2)
    assert cycle.outs(amount_in) == outs
    low, high = 1, liquidity
    while high - low > 1:  # the largest input that is taken
        middle = (low + high) // 2
        low, high = (middle, high) if cycle.outs(middle, lossy=False) or middle < 20 else (low, middle)
    assert cycle.outs(high, lossy=False) is None
    best = max(cycle.profit(amount) for amount in range(max(1, low - 40), low + 1))
    assert best - (amount_out - amount_in) <= min(3, cycle.bound(amount_in))


def test_where_one_unit_is_more_than_a_pool_takes_it_takes_what_it_can() -> None:
    """As an exact quote counts it: what the pool leaves is lost."""
    pool, first = island(0, -120, 120, 10**8), Pair([10**6, 30], 3000)
    cycle = Cycle([first, Pair([100, 10**12], 3000), pool], [True, True, True])
    amount_in, amount_out, outs = told(CycleBook([cycle]).solve()[0], 3)
    done = pool.swap(True, outs[1], MIN_RATIO + 1)
    assert amount_in == v2_amount_in(1, 10**6, 30, 3000) and outs[0] == 1
    assert done.remaining > 0 and amount_out == outs[2] == -done.amount1 > amount_in


def test_a_gap_between_ranges_is_crossed_where_it_pays() -> None:
    pool = island(0, -60, 60, 10**18)
    pool.change_range(-600, -300, 10**18, 0)
    cycle = Cycle([pool, Pair([10**20, 12 * 10**19], 3000)], [True, True])
    answer = CycleBook([cycle]).solve()[0]
    amount_in, amount_out, _ = told(answer, 2)
    best = max(cycle.profit(amount_in + step) for step in range(-3000, 3000, 7))
    assert amount_out - amount_in >= best - cycle.bound(amount_in) > 0
    assert pool.swap(True, amount_in, 2**40).tick < -300


def test_a_pair_is_not_paid_more_than_it_can_hold() -> None:
    full = Pair([2**112 - 1000, 2**111], 0)
    cycle = Cycle([full, Pair([2**50, 2**60], 0)], [True, True])
    amount_in, amount_out, _ = told(CycleBook([cycle]).solve()[0], 2)
    assert cycle.outs(1000, lossy=False) is None
    assert amount_out - amount_in == max(cycle.profit(amount) for amount in range(1, 1000)) > 0


@pytest.mark.parametrize("fee", [500, 3000, 10_000])
@pytest.mark.parametrize("ranges", [[], [(-60, 120), (-180, 60)]])
def test_no_part_of_a_coarse_unit_is_lost_to_a_fees_rounding(
    fee: int, ranges: list[tuple[int, int]], seed: int
) -> None:
    """A unit of the token between is worth 10^12 of the first; its best amount is found, whatever the steps before."""
    rng = random.Random(f"{seed} {fee} {ranges}")
    cycles = []
    for _ in range(3):
        pool = Pool(fee, 60)
        pool.initialize(10**6 * 2**96 + rng.getrandbits(90), 0)
        at = pool.tick // 60 * 60
        for low, high in [(-6000, 6000), *ranges]:
            pool.change_range(at + low, at + high, 10**14 + rng.randint(0, 10**13), 0)
        middle = rng.randint(4 * 10**7, 6 * 10**7)
        pair = Pair([int(middle * 10**12 * rng.uniform(0.96, 0.98)), middle], 3000)
        cycles.append(Cycle([pair, pool], [True, True]))
    for cycle, answer in zip(cycles, CycleBook(cycles).solve(), strict=True):
        amount_in, amount_out, outs = told(answer, 2)
        pair, steps = cycle.pools[0], range(max(1, outs[0] - 3000), outs[0] + 3000)
        assert isinstance(pair, Pair)
        best = max(cycle.profit(v2_amount_in(m, *pair.reserves, pair.fee)) for m in steps)
        assert outs[0] > 3000 and best - (amount_out - amount_in) < 0.05 * 10**12


@pytest.mark.parametrize("limit", [1, 2, 1000, 10**6, 10**9, 10**15])
def test_no_more_is_put_in_than_is_allowed(limit: int, seed: int) -> None:
    rng = random.Random(seed)
    cycles = [Cycle([Pair([10**9, 10**9], 3000), Pair([10**9, 2 * 10**9], 3000)], [True, True])]
    cycles += [made_cycle(rng, "233", 10**9) for _ in range(3)]
    for cycle, answer in zip(cycles, CycleBook(cycles).solve(max_amount_in=limit), strict=True):
        amount_in, amount_out, _ = told(answer, len(cycle.pools))
        assert amount_in <= limit
        best = max(cycle.profit(amount) for amount in range(max(1, limit - 50), limit + 1))
        if amount_in and limit < answer["guess"] + 50:
            assert amount_out - amount_in >= best - cycle.bound(limit)


@given(st.integers(1, 40_000), st.integers(0, 3), st.integers(3, 11))
def test_of_a_loan_the_net_is_within_the_bound_of_the_best(loan: int, kinds: int, digits: int) -> None:
    def net(amount: int) -> int:
        return cycle.profit(amount) - -(-amount * loan // 10**6)

    rng = random.Random(f"{loan} {kinds} {digits}")
    cycle = made_cycle(rng, KINDS[kinds], 10**digits, edge=0.3)
    answer = CycleBook([cycle]).solve(loan_millionths=loan)[0]
    amount_in, _, outs = told(answer, len(cycle.pools))
    if amount_in:
        assert cycle.outs(amount_in) == outs and net(amount_in) > 0
    best = max(map(net, inputs_to_try(rng, float(answer["guess"]), amount_in)))
    assert best - (net(amount_in) if amount_in else 0) <= cycle.bound(amount_in)
