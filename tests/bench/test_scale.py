"""The market of the bench at a small size: what is open after each block, against all cycles tried in plain Python."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench import scale
from bench.scale_market import Listed, Market, Size
from bench.scale_pools import PairPool, RangePool
from bench.scale_stream import Stream, Traffic, make_stream
from disruptor.handlers import messages as m
from disruptor.message import MessageType
from disruptor.replay.outputs import Collector
from disruptor.replay.slots import Run, cut
from tests.harness import SMALL

SIZE = Size(majors=2, single=2, double=2, triple=2)
CAPACITIES = tuple(s.removeprefix("capacity.") for s in SMALL if s.startswith("capacity."))
SETS = (*(s for s in SMALL if not s.startswith("capacity.")), "arbitrage.gas=off")
#: (pool, sells token0) of each swap, in order, from the token at which a report begins.
Route = tuple[tuple[int, bool], ...]


def make(seed: int, blocks: int, shocks: float) -> tuple[Market, Stream]:
    """A market as it begins, and what happens to it: shocks of majors and of the tail."""
    market = Market(SIZE, seed)
    ranks = range(market.majors.start, market.tail.stop)
    begins = copy.deepcopy(market)
    return begins, make_stream(market, Traffic(blocks, 15, 1.0, shocks, ranks))


def end_token(pool: Listed, falling: bool) -> int:
    return pool.token1 if falling else pool.token0


def routes(market: Market) -> Iterator[Route]:
    """Every cycle of two to four pools, each way, from each of its tokens that a report may begin at."""

    def rank(token: int) -> tuple[bool, bytes]:
        return token != 0, market.addresses[token]

    def grow(start: int, token: int, met: list[int], route: Route) -> Iterator[Route]:
        for number, pool in enumerate(market.pools):
            if token not in (pool.token0, pool.token1) or number in (used for used, _ in route):
                continue
            falling = token == pool.token0
            after, longer = end_token(pool, falling), (*route, (number, falling))
            if after == start and len(longer) > 1:
                yield longer
            elif after != start and after not in met and rank(start) < rank(after) and len(longer) < 4:
                yield from grow(start, after, [*met, after], longer)

    for token in range(len(market.values)):
        yield from grow(token, token, [token], ())


def paid(market: Market, route: Route, amount: int) -> int:
    """What a cycle gains from an input, by the contracts' formulas."""
    last = amount
    for number, falling in route:
        last = market.pools[number].pool.amount_out(last, falling)
    return last - amount


def best_gain(gain: Callable[[int], int]) -> int:
    """The most that any input gains: inputs a factor of 1.5 apart, then thirds between the best one's neighbours."""
    best = max((int(1.5**k) for k in range(1, 220)), key=gain)
    low, high = best // 2, best * 2
    while high - low > 8:
        one, other = low + (high - low) // 3, high - (high - low) // 3
        low, high = (one, high) if gain(one) < gain(other) else (low, other)
    return max(gain(amount) for amount in range(low, high + 1))


def at_the_margin(market: Market, route: Route) -> float:
    """What one unit brings back; a cycle below 1 gains from no input."""
    shares = []
    for number, falling in route:
        listed = market.pools[number]
        shares.append((1 - listed.fee) * (listed.pool.price if falling else 1 / listed.pool.price))
    return math.prod(shares)


def integer(field: Any) -> int:
    return int.from_bytes(field.tobytes(), "little")


def apply(market: Market, slots: Any) -> None:
    """The states that logs tell of."""

    def records(message: MessageType) -> Any:
        return slots.reshape(-1).view(message.slot_dtype())[slots[:, 24] == message.type_id]

    for sync in records(m.UniswapV2Sync):
        pair = market.pools[int(sync["pool"])].pool
        assert isinstance(pair, PairPool)
        pair.reserve0, pair.reserve1 = integer(sync["reserve0"]), integer(sync["reserve1"])
    for swap in records(m.UniswapV3Swap):
        ranged = market.pools[int(swap["pool"])].pool
        assert isinstance(ranged, RangePool)
        ranged.sqrt_price = integer(swap["sqrt_price_x96"])


def told(state: Any) -> dict[Route, tuple[int, int]]:
    """What the engine has open: (input, profit) by route."""
    found = {}
    for path, answer in zip(state.rows("paths"), state.rows("path_state"), strict=True):
        if path["open"] != 0:
            hops = [(int(path[f"pool{k}"]), bool(path["zero_for_one"] >> k & 1)) for k in range(path["hops"])]
            back = [(pool, not falling) for pool, falling in reversed(hops)]
            route = tuple(hops if path["open"] == 1 else back)
            found[route] = integer(answer["amount_in"]), integer(answer["profit"])
    return found


def test_after_each_block_exactly_the_cycles_that_pay_are_open(seed: int) -> None:
    market, stream = make(seed, blocks=8, shocks=0.05)
    every = list(routes(market))
    processor = scale.processor_for(SETS, CAPACITIES)
    collector = Collector(processor.handlers.outputs, None, ())
    assert stream.shocks > 0
    most, begin = 0, 0
    for end in (stream.first, *stream.block_ends):
        slots = cut(Run(stream.slots, 0), begin, end)
        scale.process(processor, slots, collector)
        apply(market, slots.slots)
        found, begin = told(processor.state), end
        may_pay = [route for route in every if at_the_margin(market, route) > 1.0]
        gains = {route: best_gain(lambda amount, r=route: paid(market, r, amount)) for route in may_pay}  # type: ignore[misc]
        assert set(found) == {route for route, gain in gains.items() if gain > 0}
        for route, (amount, profit) in found.items():
            assert paid(market, route, amount) == profit > 0
        most = max(most, len(found))
    assert int(processor.state.rows("path_cursor")[0]["path_count"]) == len(every) // 2
    assert most > 10


def test_the_ways_that_the_bench_compares_agree(seed: int) -> None:
    _, stream = make(seed, blocks=20, shocks=0.02)
    ways = {
        way: scale.one_pass(stream, (*SETS, *scale.WAYS[way]), CAPACITIES) for way in ("search", "simd_off")
    }
    scale.check(stream, ways)
    assert ways["search"].counters["screened"] < ways["simd_off"].counters["screened"] / 5
    swaps = sum(
        int((stream.slots[stream.first :, 24] == t.type_id).sum()) for t in (m.UniswapV2Swap, m.UniswapV3Swap)
    )
    assert ways["search"].counters["audited"] == swaps


def test_a_stream_that_is_not_what_it_says_is_noticed(seed: int) -> None:
    _, stream = make(seed, blocks=2, shocks=0.0)
    lying = stream.slots.copy()
    syncs = lying.reshape(-1).view(m.UniswapV2Sync.slot_dtype())
    (at, *_) = [k for k in range(stream.first, len(lying)) if lying[k, 24] == m.UniswapV2Sync.type_id]
    syncs[at]["reserve0"][0] -= 1
    false = Stream(lying, stream.first, stream.block_ends, stream.logs, stream.shocks)
    found = scale.one_pass(false, SETS, CAPACITIES)
    with pytest.raises(AssertionError, match="mismatched"):
        scale.check(false, {"search": found, "simd_off": found})
