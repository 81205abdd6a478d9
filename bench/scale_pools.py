"""Pools of a made-up market in Python integers: what a swap that moves the price so far pays, and what the log says.

The formulas are those of the contracts (Uniswap v2-periphery 1.1.0 UniswapV2Library, v3-core 1.0.0 SqrtPriceMath and
SwapMath), written out anew so that the engine's audit has something to disagree with. V3 pools have one wide position,
and swaps stay within its range and within one word of the tick bitmap: one step each, as most swaps on a chain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MILLION = 1_000_000
Q96 = 1 << 96
_LOG_TICK = math.log(1.0001)
#: UNITS: ticks. A price this near to a tick's is not decided in floats.
_NEAR = 1e-7
#: Ticks on either side of a V3 pool's first price that its position covers.
RANGE = 3000
SPACING = {500: 10, 3000: 60, 10000: 200}


@dataclass(frozen=True)
class Trade:
    """A swap as its logs tell it: what the pool got (negative: paid)."""

    amount0: int
    amount1: int


def tick_of(sqrt_price: int) -> int | None:
    """The tick of a V3 price, or None where floats can't tell."""
    at = 2.0 * (math.log(sqrt_price) - 96 * math.log(2)) / _LOG_TICK
    return None if abs(at - round(at)) < _NEAR else math.floor(at)


class PairPool:
    """A V2 pair. `price` is raw token1 for one raw token0."""

    is_v3 = False

    def __init__(self, fee: int, price: float, depth0: float) -> None:
        self.fee = fee
        self.reserve0, self.reserve1 = int(depth0), int(depth0 * price)

    @property
    def price(self) -> float:
        return self.reserve1 / self.reserve0

    def amount_out(self, amount: int, zero_for_one: bool) -> int:
        """UniswapV2Library.getAmountOut."""
        into, out = (self.reserve0, self.reserve1) if zero_for_one else (self.reserve1, self.reserve0)
        kept = amount * (MILLION - self.fee)
        return kept * out // (into * MILLION + kept)

    def move(self, price: float) -> Trade | None:
        """Swap until the price is about `price`."""
        falling = price < self.price
        into = self.reserve0 if falling else self.reserve1
        ratio = math.sqrt(self.price / price if falling else price / self.price)
        amount = int(into * (ratio - 1.0) / (1.0 - self.fee / 2 / MILLION))
        out = self.amount_out(amount, falling)
        if out == 0:
            return None
        trade = Trade(amount, -out) if falling else Trade(-out, amount)
        self.reserve0 += trade.amount0
        self.reserve1 += trade.amount1
        return trade


class RangePool:
    """A V3 pool with one position around its first price."""

    is_v3 = True

    def __init__(self, fee: int, price: float, depth0: float) -> None:
        self.fee, self.spacing = fee, SPACING[fee]
        root = math.sqrt(price)
        self.sqrt_price = int(root * Q96)
        tick = tick_of(self.sqrt_price)
        if tick is None:
            self.sqrt_price += self.sqrt_price >> 40
            tick = tick_of(self.sqrt_price)
        assert tick is not None
        self.tick = tick
        self.liquidity = int(depth0 * root)
        self.lower = (tick - RANGE) // self.spacing * self.spacing
        self.upper = (tick + RANGE) // self.spacing * self.spacing

    @property
    def price(self) -> float:
        return (self.sqrt_price / Q96) ** 2

    def quote(self, amount: int, zero_for_one: bool) -> tuple[int, int]:
        """(amount out, price after) of an exact input that no tick ends: SwapMath.computeSwapStep."""
        kept = amount * (MILLION - self.fee) // MILLION
        here, shifted = self.sqrt_price, self.liquidity << 96
        if zero_for_one:
            after = -(-shifted * here // (shifted + kept * here))
            return self.liquidity * (here - after) >> 96, after
        after = here + (kept << 96) // self.liquidity
        return shifted * (after - here) // after // here, after

    def amount_out(self, amount: int, zero_for_one: bool) -> int:
        """What an exact input buys."""
        return self.quote(amount, zero_for_one)[0]

    def move(self, price: float) -> Trade | None:
        """Swap until the price is about `price`, within the range and the bitmap word of the price now."""
        falling, here = price < self.price, self.sqrt_price / Q96
        there = math.sqrt(price)
        reach = self.liquidity * ((1 / there - 1 / here) if falling else (there - here))
        amount = int(reach / (1.0 - self.fee / MILLION))
        if amount == 0:
            return None
        out, after = self.quote(amount, falling)
        tick = tick_of(after)
        if out == 0 or tick is None or not self._is_near(tick):
            return None
        self.sqrt_price, self.tick = after, tick
        return Trade(amount, -out) if falling else Trade(-out, amount)

    def _is_near(self, tick: int) -> bool:
        word = 256 * self.spacing
        return self.lower < tick < self.upper - 1 and tick // word == self.tick // word


Pool = PairPool | RangePool
