"""An amount that is dismissed is one whose exact swaps leave no more, by the contracts' arithmetic in Python."""

from __future__ import annotations

import random

import pytest

from tests.support.cycle_book import Cycle, CycleBook, made_cycle, told
from tests.support.pool_book import Refused, trade


def input_for(cycle: Cycle, position: int, amount: int) -> int:
    """The input that an exact search backward finds for an amount at a position; 0 for none."""
    for pool, zero_for_one in reversed(cycle.hops()[:position]):
        try:
            amount = int(trade(pool, zero_for_one, False, amount, 0)["amount"])
        except Refused:
            return 0
    return amount


def net_of(cycle: Cycle, position: int, amount: int, loan: int = 0) -> int:
    """What is left of an exact cycle that brings an amount about; 0 if nothing."""
    given = input_for(cycle, position, amount)
    outs = cycle.outs(given) if given else None
    return max(0, outs[-1] - given - -(-given * loan // 10**6)) if outs else 0


@pytest.mark.parametrize("kinds", ["22", "33", "232", "323", "3333"])
@pytest.mark.parametrize("size", [3000, 10**6, 10**13])
def test_what_leaves_more_is_never_dismissed_and_most_of_the_rest_is(
    kinds: str, size: int, seed: int, lane: str
) -> None:
    rng = random.Random(f"{seed} {kinds} {size}")
    loan = rng.choice([0, 300])
    cycles = [made_cycle(rng, kinds, size, 0.2) for _ in range(2 if lane == "nojit" else 6)]
    book = CycleBook(cycles)
    best = [told(row, len(kinds)) for row in book.solve(loan_millionths=loan)]
    worse = dismissed = 0
    for turn in range(3 if lane == "nojit" else 20):
        asked = []
        for amount_in, _, outs in best:
            position = rng.randint(0, len(kinds))
            here = [amount_in, *outs][position]
            amount = max(1, here + rng.choice([-1, 1]) * rng.randint(0, rng.choice([3, 30, 1 + here // 20])))
            asked.append((position, amount))
        nets = [net_of(c, *a, loan) for c, a in zip(cycles, asked, strict=True)]
        rivals = [max(0, net - (turn % 2)) for net in nets]
        if turn % 4 == 2:
            rivals = [max(0, out - given - -(-given * loan // 10**6)) for given, out, _ in best]
        told_of = book.solve(
            *(
                {"position": position, "wanted": amount, "rival": rival}
                for (position, amount), rival in zip(asked, rivals, strict=True)
            ),
            loan_millionths=loan,
        )
        for net, rival, row in zip(nets, rivals, told_of, strict=True):
            assert net <= rival or not row["dismissed"]
            worse += turn % 4 == 2 and net < rival
            dismissed += turn % 4 == 2 and int(row["dismissed"])
    assert kinds != "22" or lane == "nojit" or dismissed > worse / 2  # their curves have one piece
