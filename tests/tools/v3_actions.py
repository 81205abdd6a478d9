"""What the driver of the V3 stream does next: seeded, and biased towards what swaps get wrong.

A planner knows each pool's state at the end of the latest block. Within a block it plans on what it knew before;
the truth is what the contracts did, so a plan that meets another state than it expected is only another case.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from eth_abi import encode

from tests.tools.v3_market import MAX_PRICE, MAX_TICK, MIN_PRICE, Market, Pool

FOREVER = 2**128 - 1
HUGE = 2**120


class Action(NamedTuple):
    """One call of a pool: `arguments` are the ABI's, in its order."""

    pool: Pool
    name: str
    arguments: tuple[Any, ...]

    def octets(self, market: Market) -> str:
        return market.pool.call(self.name, *self.arguments)


class Planner:
    """Draws actions for a market.

    Attributes
    ----------
    rng : all chance comes from here
    recipients : who is sent what swaps and collections pay
    planned : pools whose price an action of the next block already moves
    """

    def __init__(self, market: Market, rng: random.Random) -> None:
        self.market, self.rng = market, rng
        self.recipients = market.node.accounts[1:5]
        self.planned: set[str] = set()
        self._kinds: list[tuple[Callable[[Pool], Action], float]] = [
            (self.swap_amount, 46),
            (self.swap_to_limit, 20),
            (self.swap_dust, 6),
            (self.swap_exactly, 8),
            (self.mint, 8),
            (self.burn, 6),
            (self.collect, 2),
            (self.flash, 2.5),
            (self.fee_protocol, 0.6),
            (self.collect_protocol, 1.2),
            (self.cardinality, 0.4),
            (self.refused, 1.5),
        ]

    def opening(self, pool: Pool) -> list[Action]:
        """The mints that a pool starts with."""
        s, base = pool.spacing, pool.center // pool.spacing
        end = MAX_TICK // s * s
        if pool.name == "wrapped":
            lone = self.mint_range(pool, -end, end, 1)
            gift = Action(pool, "flash", (self.recipients[0], 0, 0, encode(["uint256"] * 2, [2**127] * 2)))
            return [lone, *[gift] * 3, self.mint_range(pool, pool.center - 300, pool.center + 300, 10**18)]
        if pool.name == "gaps":
            ranges = [(base + 10 * k - 3, base + 10 * k + 3) for k in range(-6, 7)]
            return [self.mint_range(pool, a * s, b * s, self.size(pool)) for a, b in ranges]
        whole = self.mint_range(pool, -end, end, self.size(pool) // 40)
        return [whole, *[self.mint(pool) for _ in range(30 if pool.name == "fine" else 8)]]

    def draw(self) -> Action:
        """The next action."""
        rng = self.rng
        pool = rng.choices(self.market.pools, [40, 30, 22, 8])[0]
        moved = pool.name in self.planned
        self.planned.add(pool.name)
        if abs(pool.tick - pool.center) > 150 * pool.spacing and rng.random() < 0.9:
            return self.swap_dust(pool) if moved else self.return_home(pool)
        kinds, weights = zip(*self._kinds, strict=True)
        kind = rng.choices(kinds, weights)[0]
        # A limit that was chosen for another price mostly lies on the wrong side, which only reverts.
        if moved and kind in (self.swap_to_limit, self.swap_exactly) and rng.random() < 0.9:
            kind = self.swap_amount
        return kind(pool)

    def size(self, pool: Pool) -> int:
        """A position's liquidity, uneven to the last digit."""
        return self.rng.randrange(int(pool.scale / 30), int(pool.scale * 3))

    def swap(self, pool: Pool, amount: int, *, limit: int | None = None, down: bool | None = None) -> Action:
        """A swap towards the limit, in the direction given, or home in the long run; negative is exact out."""
        if down is None and limit is not None:
            down = limit < pool.price
        elif down is None:
            away = (pool.tick - pool.center) / (25 * pool.spacing)
            down = self.rng.random() < 1 / (1 + math.exp(-max(-30.0, min(30.0, away))))
        bound = limit if limit is not None else MIN_PRICE + 1 if down else MAX_PRICE - 1
        return Action(pool, "swap", (self.rng.choice(self.recipients), down, amount, bound, b""))

    def swap_amount(self, pool: Pool) -> Action:
        """An exact amount in or out that moves the price by a part of a tick, or by many spacings."""
        ticks = 10 ** self.rng.uniform(-2, math.log10(12 * pool.spacing + 40))
        root = pool.price / 2**96
        moved = (pool.liquidity or pool.scale) * (1.0001 ** (ticks / 2) - 1)
        middle = moved * root if self.rng.random() < 0.5 else moved / root
        amount = self.rng.randrange(int(middle / 2), int(middle * 1.5) + 3) + 1
        return self.swap(pool, amount if self.rng.random() < 0.6 else -amount)

    def swap_dust(self, pool: Pool) -> Action:
        """A few wei, in or out."""
        return self.swap(pool, self.rng.choice([1, 1, 1, 2, 3, 10, -1, -1, -1, -2, -7]))

    def swap_to_limit(self, pool: Pool) -> Action:
        """More than is there, or about enough, up to a limit that is a tick, beside one, or anywhere near."""
        limit = self.target(pool)
        if self.rng.random() < 0.25:
            amount = self.swap_amount(pool).arguments[2]
        else:
            amount = self.rng.choice([HUGE, -HUGE]) + self.rng.randrange(1000)
        return self.swap(pool, amount, limit=limit)

    def target(self, pool: Pool) -> int:
        """A price not far from the pool's, and not equal to it."""
        rng, s = self.rng, pool.spacing
        near = [t for t in pool.touched if abs(t - pool.tick) < 30 * s]
        word = 256 * s * round(pool.tick / (256 * s))
        tick = rng.choice(
            [
                rng.choice(near or [pool.tick + s]),
                rng.choice(near or [pool.tick - s]),
                word + rng.choice([0, -s, s, -1, 1]) if abs(word - pool.tick) < 60 * s else pool.tick + 1,
                pool.tick + rng.randrange(-12 * s, 12 * s),
                (pool.tick // s + rng.randrange(-6, 7)) * s,
            ]
        )
        price = self.market.price_at(max(-MAX_TICK + 1, min(MAX_TICK - 1, tick)))
        price += rng.choice([0, 0, 0, 1, -1, rng.randrange(price // 10**6 + 1)])
        return price if price != pool.price else price + 1

    def swap_exactly(self, pool: Pool) -> Action:
        """The amount that ends on a tick from the price of the latest block, or one wei beside it."""
        wish = self.swap(pool, self.rng.choice([HUGE, -HUGE]), limit=self.target(pool))
        answer = self.market.node.view(
            self.market.actor, self.market.calls([(pool, wish.octets(self.market))])
        )
        ok, octets, _ = self.market.outcomes(answer)[0]
        amounts = self.market.pool.answer("swap", octets) if ok else (1, -1)
        # Exact in is the positive one, exact out the negative one: both end where the limit stopped.
        amount = self.rng.choice([max(amounts), min(amounts)]) + self.rng.choice([0, 0, 0, 1, -1])
        return self.swap(pool, amount or 1, down=wish.arguments[1])

    def swap_away(self, pool: Pool) -> Action:
        """All the way to the end of the price range, and whatever is there is taken."""
        return self.swap(pool, self.rng.choice([HUGE, -HUGE]), down=self.rng.random() < 0.5)

    def return_home(self, pool: Pool) -> Action:
        """Back from the ends of the range to around the centre."""
        limit = self.market.price_at(pool.center + self.rng.randrange(-4 * pool.spacing, 4 * pool.spacing))
        return self.swap(pool, HUGE, limit=limit)

    def mint(self, pool: Pool) -> Action:
        """A new position, or more of one: around the price, beside another, or at a bitmap word's edge."""
        rng, s, base = self.rng, pool.spacing, pool.center // pool.spacing
        if pool.name == "gaps":
            island = base + 10 * rng.randrange(-6, 7)
            a, b = sorted(rng.sample(range(island - 3, island + 4), 2))
            return self.mint_range(pool, a * s, b * s, self.size(pool))
        if len(pool.positions) > 45 or (pool.positions and rng.random() < 0.3):
            return self.mint_range(pool, *rng.choice(sorted(pool.positions)), self.size(pool))
        a = pool.tick // s + rng.randrange(-25, 20) if abs(pool.tick - pool.center) < 300 * s else base
        if pool.touched and rng.random() < 0.3:
            a = rng.choice(sorted(pool.touched)) // s
        if rng.random() < 0.15:
            a = base + rng.choice([-1, 0])
        b = a + int(10 ** rng.uniform(0, 1.8))
        end = MAX_TICK // s
        a, b = max(-end, min(end - 1, a)), max(-end + 1, min(end, b))
        return self.mint_range(pool, a * s, b * s, self.size(pool))

    def mint_range(self, pool: Pool, lower: int, upper: int, liquidity: int) -> Action:
        """A mint of the driver's own."""
        return Action(pool, "mint", (self.market.actor, lower, upper, liquidity, b""))

    def burn(self, pool: Pool) -> Action:
        """A part of a position, all of it, or nothing, which only settles its fees."""
        (lower, upper), held = self.rng.choice(sorted(pool.positions.items()))
        if upper - lower > 400 * pool.spacing:  # the whole range keeps its liquidity
            return Action(pool, "burn", (lower, upper, 0))
        part = self.rng.choice([0, held, held, self.rng.randrange(held + 1), held // 2, min(held, 1)])
        return Action(pool, "burn", (lower, upper, part))

    def collect(self, pool: Pool) -> Action:
        """What a position is owed, or at most some of it."""
        lower, upper = self.rng.choice(sorted(pool.positions))
        most = [self.rng.choice([FOREVER, FOREVER, 1000]) for _ in range(2)]
        return Action(pool, "collect", (self.rng.choice(self.recipients), lower, upper, *most))

    def flash(self, pool: Pool) -> Action:
        """A loan repaid with its fee, with more, or not at all, which reverts."""
        loans = [0 if self.rng.random() < 0.3 else self.rng.randrange(1, 10**6) for _ in range(2)]
        fees = [-(-loan * pool.fee // 10**6) for loan in loans]
        extra = self.rng.choice([[0, 0], [0, 0], [1, 0], [0, self.rng.randrange(10**5)], [-1, 0]])
        repaid = [max(0, f + e) for f, e in zip(fees, extra, strict=True)]
        # The driver pays the pool itself: what was lent went to somebody else, so loans come out of its purse.
        octets = encode(["uint256"] * 2, [loan + r for loan, r in zip(loans, repaid, strict=True)])
        return Action(pool, "flash", (self.rng.choice(self.recipients), *loans, octets))

    def fee_protocol(self, pool: Pool) -> Action:
        """The protocol's part of fees, on or off for each token."""
        return Action(pool, "setFeeProtocol", tuple(self.rng.choice([0, 4, 5, 7, 10]) for _ in range(2)))

    def collect_protocol(self, pool: Pool) -> Action:
        """The protocol takes all that it may, or a little."""
        most = [self.rng.choice([FOREVER, FOREVER, 0, 7]) for _ in range(2)]
        return Action(pool, "collectProtocol", (self.recipients[3], *most))

    def cardinality(self, pool: Pool) -> Action:
        """Room for more observations."""
        grown = min(40, pool.state[9] + self.rng.randrange(5))
        return Action(pool, "increaseObservationCardinalityNext", (grown,))

    def refused(self, pool: Pool) -> Action:
        """A call that the pool reverts."""
        s, somebody = pool.spacing, self.recipients[0]
        return self.rng.choice(
            [
                Action(pool, "swap", (somebody, True, 0, MIN_PRICE + 1, b"")),
                Action(pool, "swap", (somebody, True, 10, pool.price + 10**6, b"")),
                Action(pool, "swap", (somebody, False, 10, MAX_PRICE, b"")),
                Action(pool, "swap", (somebody, True, -10, MIN_PRICE, b"")),
                Action(pool, "mint", (self.market.actor, pool.center + s, pool.center, 1, b"")),
                Action(pool, "mint", (self.market.actor, pool.center, pool.center + s, FOREVER // 2, b"")),
                Action(pool, "burn", (pool.center, pool.center + 77 * s, 5)),
                Action(pool, "setFeeProtocol", (3, 0)),
            ]
        )
