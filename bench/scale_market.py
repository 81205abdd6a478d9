"""A market of about 100,000 pools and 500,000 cycles around three hub tokens, for `bench.scale`.

    hubs     3 tokens, each two joined by three pools (V3 at 5 and 30 bp, V2)
    majors   tokens with a V2 and a V3 pool to each of two hubs. Two such tokens and their hubs are 16 cycles of
             four pools, so a few hundred of them make most of the cycles
    tail     tokens with one, two or three pools to one hub: cycles of two pools

Popular pools are those with most cycles: access is by Zipf's law, hubs first, then majors, then the tail. Their ids,
which are their places in memory, are shuffled.

**Prices.** Every token has a fair value, and every pool a mispricing within 0.9 of its fee. A cycle that pays must
gain more from mispricings than all its fees, so none pays. A *shock* moves one pool so far from the fair price that it
and a rival of its pair pay; in the next block a searcher moves it back. A shock of a tail pool opens one cycle or two,
one of a major hundreds: every cycle of that token with another major of the same hubs.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from bench.scale_pools import PairPool, Pool, RangePool

HUBS = 3
#: The hub that is the wrapped native token: the address is WETH's, which the chain's profile knows.
WRAPPED_NATIVE = bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2")
#: Values of the hubs, and steps between those of other tokens, in ticks: chosen so that no price is near to the end of
#: a word of its pool's tick bitmap.
_HUB_VALUES = (0, 15360 * 8 + 1280, 15360 * 9 + 1920)
_STEP, _OFFSET = 15360, 7680
_TICK = 1.0001
#: UNITS: wei of the wrapped native token on either side of a pool.
_HUB_DEPTH, _MAJOR_DEPTH, _TAIL_DEPTH = 2e22, 5e20, 5e19
_WITHIN = 0.9
_TWO_POOLS, _THREE_POOLS = ((False, 3000), (True, 3000)), ((False, 3000), (True, 3000), (True, 10000))


@dataclass(frozen=True)
class Size:
    """How many tokens of each sort: majors for each two hubs, tail tokens with one, two and three pools."""

    majors: int
    single: int
    double: int
    triple: int


#: 100,000 pools and just above 500,000 cycles.
AS_ASKED = Size(majors=130, single=2_931, double=17_000, triple=20_500)


@dataclass(frozen=True)
class Listed:
    """A pool of the market, its tokens (lower address first) and the fair price of its token0."""

    pool: Pool
    token0: int
    token1: int
    fair: float

    @property
    def mispricing(self) -> float:
        """Logarithm of the price over the fair one."""
        return math.log(self.pool.price / self.fair)

    @property
    def fee(self) -> float:
        """Fee as a share."""
        return self.pool.fee / 1_000_000


class Market:
    """Tokens and pools; `ranks[k]` is the id of the pool that is k-th in popularity.

    `majors` and `tail` are ranges of ranks: pools that have a rival in their pair, and may be shocked.
    """

    def __init__(self, size: Size, seed: int) -> None:
        self.source = random.Random(seed)
        self.addresses: list[bytes] = []
        self.values: list[int] = []
        self._found: list[tuple[int, int, bool, int, float]] = []
        for hub in range(HUBS):
            self._token(_HUB_VALUES[hub], WRAPPED_NATIVE if hub == 0 else None)
        self._enter(size)
        self.ranks = list(range(len(self._found)))
        self.source.shuffle(self.ranks)
        self.pools: list[Listed] = [self._list(k) for k in self._by_id()]
        tail = 3 * HUBS + 4 * HUBS * size.majors
        self.majors = range(3 * HUBS, tail)
        self.tail = range(tail + size.single, len(self.ranks))

    def _token(self, value: int, address: bytes | None = None) -> int:
        self.addresses.append(address or self.source.randbytes(20))
        self.values.append(value)
        return len(self.values) - 1

    def _new_token(self) -> int:
        return self._token(_OFFSET + _STEP * self.source.randrange(-6, 7))

    def _enter(self, size: Size) -> None:
        """All pools as (token, token, V3, fee, depth), most popular first within each sort."""
        pairs = [(0, 1), (1, 2), (0, 2)]
        for is_v3, fee in ((True, 500), (False, 3000), (True, 3000)):
            self._found += [(a, b, is_v3, fee, _HUB_DEPTH) for a, b in pairs]
        for _ in range(size.majors):
            for hubs in pairs:
                token = self._new_token()
                for hub in hubs:
                    self._found += [(token, hub, *kind, _MAJOR_DEPTH) for kind in _TWO_POOLS]
        for kinds, count in (
            (_TWO_POOLS[:1], size.single),
            (_TWO_POOLS, size.double),
            (_THREE_POOLS, size.triple),
        ):
            for k in range(count):
                token = self._new_token()
                self._found += [(token, k % HUBS, *kind, _TAIL_DEPTH) for kind in kinds]

    def _by_id(self) -> list[tuple[int, int, bool, int, float]]:
        placed = sorted(zip(self.ranks, self._found, strict=True), key=lambda pair: pair[0])
        return [found for _, found in placed]

    def _list(self, found: tuple[int, int, bool, int, float]) -> Listed:
        token0, token1, is_v3, fee, depth = found
        if self.addresses[token1] < self.addresses[token0]:
            token0, token1 = token1, token0
        fair = _TICK ** (self.values[token0] - self.values[token1])
        price = fair * math.exp(self.source.uniform(-_WITHIN, _WITHIN) * fee / 1_000_000)
        depth *= self.source.uniform(0.5, 2.0)
        depth0 = depth / _TICK ** (self.values[token0] - self.values[0])
        kind = RangePool if is_v3 else PairPool
        return Listed(kind(fee, price, depth0), token0, token1, fair)

    def usual_price(self, pool: Listed) -> float:
        """Where an ordinary swap moves a pool: anywhere near, within the fee."""
        bound = _WITHIN * pool.fee
        wanted = pool.mispricing + self.source.gauss(0.0, 0.3 * pool.fee)
        if abs(wanted) > bound:
            wanted = self.source.uniform(-0.5, 0.5) * bound
        return pool.fair * math.exp(wanted)

    def shocked_price(self, pool: Listed) -> float:
        """Where a large swap moves a pool: past its fee, and the fee and mispricing of a rival at 0.3 %."""
        beyond = pool.fee + (1.0 + _WITHIN) * 0.003 + self.source.uniform(0.002, 0.005)
        return pool.fair * math.exp(beyond if self.source.random() < 0.5 else -beyond)
