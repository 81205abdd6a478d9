"""Cycles through pools: which there are, at which input they should pay most, and what executing them gives.

What a cycle *should* pay is counted by declared fees, reserves and ticks alone (`expect`). What it *does* pay is told
by executing it from a contract that holds nothing but the input, in a call that is thrown away.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tests.tools.adversarial_market import AdversarialMarket, Venue
from tests.tools.node import Reverted

Hop = tuple[Venue, bool]
Cycle = tuple[Hop, ...]
MOST_HOPS = 4
_SCREEN = 1 - 1e-7  # a float product of marginal prices below this can't hide a profit
_FIXED_INPUT = 10**4  # of the reserve, one part is put into cycles that can't be simulated


def ends(hop: Hop) -> tuple[str, str]:
    """(token in, token out)."""
    venue, zero_for_one = hop
    return (venue.token0, venue.token1) if zero_for_one else (venue.token1, venue.token0)


def all_cycles(venues: list[Venue]) -> Iterator[Cycle]:
    """Every cycle of two to four hops, from its lowest token, with no pool and no inner token twice."""
    hops = [(venue, way) for venue in venues for way in (True, False)]
    paths: list[Cycle] = [(hop,) for hop in hops]
    for _ in range(MOST_HOPS - 1):
        longer = []
        for path in paths:
            start, inner = ends(path[0])[0], {ends(hop)[1] for hop in path}
            for hop in hops:
                token_in, token_out = ends(hop)
                known = any(hop[0] is venue for venue, _ in path)
                if token_in != ends(path[-1])[1] or known or token_out in inner or token_out < start:
                    continue
                if token_out == start:
                    yield (*path, hop)
                else:
                    longer.append((*path, hop))
        paths = longer


class CycleFinder:
    """Finds and executes cycles of a market at its latest block.

    Attributes
    ----------
    prices : marginal units of token1 for one of token0, by venue
    depths : units of token0 and token1 that a venue holds or claims to hold
    """

    def __init__(self, market: AdversarialMarket, rng: random.Random) -> None:
        self.market, self.rng = market, rng
        self.cycles = list(all_cycles(list(market.venues.values())))
        self.prices: dict[str, float] = {}
        self.depths: dict[str, tuple[int, int]] = {}

    def look(self) -> None:
        """Read prices and depths."""
        market, node = self.market, self.market.node
        for venue in market.venues.values():
            if venue.kind == "v2" and venue.name != "stray":
                venue.reserves = tuple(node.ask(market.pair, venue.address, "getReserves")[:2])
            if venue.kind == "v2" or not venue.real:
                self.depths[venue.name] = venue.reserves
                self.prices[venue.name] = (
                    venue.reserves[1] / venue.reserves[0] if min(venue.reserves) else 0.0
                )
                continue
            root = node.ask(market.pool, venue.address, "slot0")[0]
            self.prices[venue.name] = (root / 2**96) ** 2
            held = [
                node.ask(market.token, t, "balanceOf", venue.address) for t in (venue.token0, venue.token1)
            ]
            self.depths[venue.name] = held[0], held[1]

    def promising(self) -> Iterator[Cycle]:
        """The cycles whose marginal prices multiply to more than one."""
        for cycle in self.cycles:
            product = 1.0
            for venue, zero_for_one in cycle:
                price = self.prices[venue.name]
                product *= (price if zero_for_one else 1 / price if price else 0.0) * (1 - venue.fee / 1e6)
            if product > _SCREEN:
                yield cycle

    def depth_in(self, cycle: Cycle) -> int:
        """What the first venue holds of the token that goes into it."""
        venue, zero_for_one = cycle[0]
        return self.depths[venue.name][0 if zero_for_one else 1]

    def best_input(self, cycle: Cycle) -> tuple[int, int]:
        """(amount in, expected profit), the best of a grid that is refined around its best point."""
        low, high, best = 1.0, max(2.0, self.depth_in(cycle) / 2), (-(2**255), 1)
        for points in (24, 12, 12):
            ratio = (high / low) ** (1 / (points - 1))
            amounts = sorted({max(1, int(low * ratio**k)) for k in range(points)})
            best = max(best, *zip(self._expect(cycle, amounts), amounts, strict=True))
            low, high = max(1.0, best[1] / ratio), max(2.0, best[1] * ratio)
        return best[1], best[0]

    def _expect(self, cycle: Cycle, amounts: list[int]) -> list[int]:
        market = self.market
        octets = market.searching.call("expect", self.steps(cycle), amounts)
        answer = market.node.view(market.searcher, octets, code=market.original_code)
        return list(market.searching.answer("expect", answer)[0])

    @staticmethod
    def steps(cycle: Cycle) -> list[tuple[str, bool, bool, int]]:
        """The argument of the searcher's functions."""
        return [(venue.address, venue.kind == "v3", way, venue.fee) for venue, way in cycle]

    def records(self) -> Iterator[dict[str, Any]]:
        """The cycles that should pay, executed; some that should not; some that nobody can simulate."""
        self.look()
        promising = list(self.promising())
        others = [cycle for cycle in self.rng.sample(self.cycles, 60) if cycle not in promising]
        honest = [c for c in others if not self.hazards(c) and all(min(self.depths[v.name]) for v, _ in c)]
        for cycle in self._thinned(promising) + honest[:6]:
            depth = self.depth_in(cycle)
            if any(venue.name in ("stray", "fake3") for venue, _ in cycle):
                yield self.record(cycle, max(1, depth // _FIXED_INPUT), None)
                continue
            if cycle in honest:
                amount = max(1, depth // 10 ** self.rng.randrange(2, 6))
                yield self.record(cycle, amount, self._expect(cycle, [amount])[0])
                continue
            amount, expected = self.best_input(cycle)
            if expected > 0:
                yield self.record(cycle, amount, expected)

    def _thinned(self, cycles: list[Cycle]) -> list[Cycle]:
        """All honest cycles, and of each set of hazards at most eight, short ones first."""
        kept: list[Cycle] = []
        seen: dict[tuple[str, ...], int] = {}
        for cycle in sorted(cycles, key=len):
            hazards = tuple(self.hazards(cycle))
            seen[hazards] = seen.get(hazards, 0) + 1
            if not hazards or seen[hazards] <= 8:
                kept.append(cycle)
        return kept

    def hazards(self, cycle: Cycle) -> list[str]:
        """Names of all that is wrong on the way."""
        return sorted({name for venue, _ in cycle for name in self.market.hazards_of(venue)})

    def record(self, cycle: Cycle, amount: int, expected: int | None) -> dict[str, Any]:
        """One record of quotes.json's cycles."""
        hazards = self.hazards(cycle)
        record: dict[str, Any] = {
            "block": self.market.node.height,
            "start": ends(cycle[0])[0],
            "amountIn": str(amount),
        }
        record["steps"] = [{"pool": venue.address, "zeroForOne": way} for venue, way in cycle]
        record |= self.execute(cycle, amount, measured=False)
        record["expected"] = None if expected is None else str(expected)
        if not hazards:
            agreed = record["profit"] == record["expected"]
            assert agreed or (record["profit"] is None and expected is not None and expected < 0), record
            return record
        return record | {"hazards": hazards, "measured": self.execute(cycle, amount, measured=True)}

    def execute(self, cycle: Cycle, amount: int, *, measured: bool) -> dict[str, Any]:
        """What the cycle gives when executed: hop outputs, profit by balances, gas; or why it reverts."""
        market = self.market
        octets = market.searching.call("run", self.steps(cycle), amount, measured, True)
        try:
            answer = market.node.view(market.searcher, octets)
        except Reverted as reverted:
            return {"outs": [], "profit": None, "error": reverted.reason}
        profit, outs, used, gas = market.searching.answer("run", answer)[0]
        result = {"outs": [str(out) for out in outs], "profit": str(profit), "gas": list(gas)}
        whole = [amount, *outs[:-1]] == list(used)
        return result if whole else result | {"used": [str(u) for u in used]}
