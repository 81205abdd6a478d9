"""The pools of `examples/own_venue.py` in plain integers, and logs of a market that has one beside a V2 pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.harness import log
from tests.support.uniswap_oracle import v2_amount_out

MILLION = 1_000_000
TOKENS = ("0x" + "11" * 20, "0x" + "22" * 20)
PAIR, PEG = "0x" + "aa" * 20, "0x" + "bb" * 20
FACTORIES = ("0x" + "fa" * 20, "0x" + "fb" * 20)
PAIR_CREATED = "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
PEG_CREATED = "0xf946815e3aea32d05ff3ac71a5584a88d404e9ffda4ca0a7dc6960a936386d43"
PEGGED = "0x02285680c2a712ec81513ec28b670434544317e3f9c908ee97551ee34944ed6a"


@dataclass
class Peg:
    """A pool as its contract would be: unit by unit from what is above the floor, then from the rest."""

    reserve0: int
    reserve1: int
    floor: int
    near: int
    far: int

    def amount_out(self, zero_for_one: bool, amount: int) -> int | None:
        reserve = self.reserve1 if zero_for_one else self.reserve0
        if amount > reserve:
            return None
        cheap = min(amount, max(reserve - self.floor, 0))
        return cheap * (MILLION - self.near) // MILLION + (amount - cheap) * (MILLION - self.far) // MILLION

    def amount_in(self, zero_for_one: bool, wanted: int) -> int | None:
        """The least input that pays at least `wanted`, by halving: what is paid never falls."""
        high = self.reserve1 if zero_for_one else self.reserve0
        most = self.amount_out(zero_for_one, high)
        if most is None or most < wanted:
            return None
        low = -1
        while high - low > 1:
            middle = (low + high) // 2
            paid = self.amount_out(zero_for_one, middle)
            low, high = (middle, high) if paid is None or paid < wanted else (low, middle)
        return high

    def moved(self, zero_for_one: bool, amount: int) -> Peg:
        """The pool after an exact input."""
        out = self.amount_out(zero_for_one, amount)
        assert out is not None
        change = (amount, -out) if zero_for_one else (-out, amount)
        return Peg(self.reserve0 + change[0], self.reserve1 + change[1], self.floor, self.near, self.far)


def births() -> list[dict[str, Any]]:
    """The first block: both pools are created, with nothing in them."""
    return [
        log(1, 0, FACTORIES[0], [PAIR_CREATED, *TOKENS], [PAIR, 1]),
        log(1, 1, FACTORIES[1], [PEG_CREATED, *TOKENS], [PEG]),
    ]


def stated(block: int, reserves: tuple[int, int], peg: Peg) -> list[dict[str, Any]]:
    """A block in which both pools state what they have."""
    facts = [peg.reserve0, peg.reserve1, peg.floor, peg.near, peg.far]
    return [log(block, 0, PAIR, [SYNC], list(reserves)), log(block, 1, PEG, [PEGGED], facts)]


def profit(reserves: tuple[int, int], peg: Peg, amount: int) -> int | None:
    """What an input of token0 brings: sold to the pair, what that pays sold to the peg; None if one refuses."""
    bought = v2_amount_out(amount, *reserves, 3000)
    back = peg.amount_out(False, bought) if bought else None
    return None if not back else back - amount
