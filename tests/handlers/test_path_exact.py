"""What cycles are said to pay, against brute force over integer inputs with the contracts' arithmetic in Python."""

from __future__ import annotations

import random

import pytest

from tests.support.cycle_book import Cycle, CycleBook, made_cycle, told

KINDS = ["22", "23", "32", "33", "222", "232", "333", "2222", "2323", "3333"]


def inputs_to_try(rng: random.Random, guess: float, found: int) -> list[int]:
    """All inputs near what was found and near the smallest, and some of all others that can matter."""
    reach = 2 * int(max(guess, found)) + 60
    near = [*range(1, 40), *range(found - 40, found + 40), *(rng.randint(1, reach) for _ in range(40))]
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
        cycles = [made_cycle(rng, kinds, size, edge) for _ in range(1 if lane == "nojit" else 8)]
        for cycle, answer in zip(cycles, CycleBook(cycles).solve(), strict=True):
            paying += check(cycle, answer, rng)
    assert paying > (0 if lane == "nojit" else 3)
