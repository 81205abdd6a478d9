"""Cycles over pools set up straight in tables, solved by a kernel; and what they pay by the oracle."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.path_bound import cannot_pay_more, is_bounded
from disruptor.handlers.path_curve import refresh_rates
from disruptor.handlers.path_exact import settle, wide_of
from disruptor.handlers.path_hops import pay_for, pay_in, prepare_hops
from disruptor.handlers.path_product import is_product, product_input
from disruptor.handlers.path_search import best_input, hop_of, hop_pool
from disruptor.handlers.path_tables import hop_cells, path_settings, paths, rates
from disruptor.handlers.path_visit import marginal_products
from disruptor.handlers.quote_kernels import QUOTE_TABLES
from disruptor.handlers.wide import is_zero, load, store
from disruptor.jit import jit
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State
from tests.support.pool_book import Book, Pair
from tests.support.uniswap_oracle import (
    MAX_RATIO,
    MIN_RATIO,
    Pool,
    Revert,
    sqrt_ratio_at_tick,
    v2_amount_out,
    v2_scale,
)
from tests.support.wide_records import number, put

TABLES = [*QUOTE_TABLES, paths, hop_cells, path_settings, rates]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
ANSWER = np.dtype(
    [
        ("forward", "<i8"),
        ("loan_millionths", "<u4"),
        ("reserved", "<u4"),
        ("max_amount_in", "<u8", (2,)),
        ("screen", "<f8"),  # the better direction's product
        ("better", "<i8"),  # 1: that is forward
        ("guess", "<f8"),
        ("gain", "<f8"),
        ("walked", "<i8"),
        ("smooth", "<u8", (4,)),  # of pairs only: the best input before rounding
        ("amount_in", "<u8", (4,)),
        ("amount_out", "<u8", (4,)),
        ("out0", "<u8", (4,)),
        ("out1", "<u8", (4,)),
        ("out2", "<u8", (4,)),
        ("out3", "<u8", (4,)),
        # Of hop `hop`: what it takes and pays of an input `offered`, and the input for which it pays `offered`.
        ("hop", "<i8"),
        ("offered", "<u8", (4,)),
        ("taken", "<u8", (4,)),
        ("paid", "<u8", (4,)),
        ("needed", "<u8", (4,)),
        # Whether an amount at a position is certain to leave no more than `rival`.
        ("position", "<i8"),
        ("wanted", "<u8", (4,)),
        ("rival", "<u8", (4,)),
        ("dismissed", "<i8"),
    ],
    align=True,
)


@jit
def answer_hop(state, path, a):  # type: ignore[no-untyped-def]
    """What one hop does with an amount, from the pool's state."""
    forward = a["forward"] != 0
    prepare_hops(state, path, forward)
    pool, zero_for_one = hop_of(path, a["hop"], forward)
    taken, paid = pay_in(state, a["hop"], pool, zero_for_one, load(a["offered"]))
    store(a["taken"], taken)
    store(a["paid"], paid)
    store(a["needed"], pay_for(state, a["hop"], pool, zero_for_one, load(a["offered"])))


@entry_uncounted
def solve_paths(tables, answers):  # type: ignore[no-untyped-def]
    """Solve path k as answers[k] asks, for each k."""
    state = bind_state(LAYOUT, tables)
    settings = row(state.path_settings, 0)
    for k in range(len(answers)):
        a, path = answers[k], read(state.paths, k)
        settings["loan_millionths"] = a["loan_millionths"]
        store(settings["max_amount_in"], load(a["max_amount_in"]))
        for hop in range(np.int64(path["hops"])):
            refresh_rates(state, hop_pool(path, hop))
        falling, rising = marginal_products(state, path)
        a["screen"], a["better"] = max(falling, rising), np.int64(falling >= rising)
        slope = 1.0 + np.float64(a["loan_millionths"]) * 1e-6
        most = np.float64(a["max_amount_in"][0]) if a["max_amount_in"][0] != 0 else np.inf
        guess, gain, walked = best_input(state, path, a["forward"] != 0, slope, most)
        a["guess"], a["gain"], a["walked"] = guess, gain, np.int64(walked)
        if is_product(state, path):
            store(a["smooth"], product_input(state, path, a["forward"] != 0, wide_of(guess)))
        if guess > 0.0:
            amount_in, amount_out = settle(state, path, a["forward"] != 0, guess, gain)
            store(a["amount_in"], amount_in)
            store(a["amount_out"], amount_out)
            store(a["out0"], load(read(state.hop_cells, 0)["best_out"]))
            store(a["out1"], load(read(state.hop_cells, 1)["best_out"]))
            store(a["out2"], load(read(state.hop_cells, 2)["best_out"]))
            store(a["out3"], load(read(state.hop_cells, 3)["best_out"]))
        if not is_zero(load(a["offered"])):
            answer_hop(state, path, a)
        if not is_zero(load(a["wanted"])) and is_bounded(state, path):
            asked = load(a["wanted"]), load(a["rival"])
            a["dismissed"] = np.int64(cannot_pay_more(state, path, a["position"], asked[0], asked[1]))


@dataclass
class Cycle:
    """Pools in the order of a cycle going forward, with the direction in each."""

    pools: list[Pool | Pair]
    directions: list[bool]

    def hops(self, forward: bool = True) -> list[tuple[Pool | Pair, bool]]:
        """Pools and directions in the order of the swaps."""
        listed = list(zip(self.pools, self.directions, strict=True))
        return listed if forward else [(pool, not down) for pool, down in reversed(listed)]

    def outs(self, amount: int, forward: bool = True, *, lossy: bool = True) -> list[int] | None:
        """What each hop pays; nothing if one pays nothing or, unless `lossy`, does not take all it is offered."""
        found = []
        for pool, zero_for_one in self.hops(forward):
            paid = swap(pool, zero_for_one, amount, lossy)
            if not paid:
                return None
            found.append(amount := paid)
        return found

    def profit(self, amount: int, forward: bool = True) -> int:
        """What comes back beyond `amount`; a great loss where the cycle can't be made."""
        outs = self.outs(amount, forward)
        return outs[-1] - amount if outs else -(2**256)

    def bound(self, amount: int, forward: bool = True) -> float:
        """What `disruptor.handlers.path_exact` may miss of the best, at the marginal rates, in the first token."""
        total, rest, units = 0.0, 1.0, [1.0]
        for pool, zero_for_one in reversed(self.hops(forward)):
            rate = marginal_rate(pool, zero_for_one)
            if isinstance(pool, Pool):
                most = max(liquidities(pool))
                unit = most / 2**96 if zero_for_one else most * 2**96 / MIN_PRICE**2
                total += rest * (len(pool.ticks) + 2) * (1 + 2 * rate + unit)
            else:
                total += rest
            rest *= rate
            units.append(rest)
        if any(isinstance(pool, Pool) for pool in self.pools):
            return total
        on_the_way = [amount, *(self.outs(amount, forward) or [])]
        units = [1.0, *units[-2::-1]]
        return sum(units) - units[on_the_way.index(min(on_the_way))]

    def smooth(self, loan_millionths: int = 0) -> int:
        """The best input of a cycle of pairs if nothing were rounded, rounded down: of a in / (b + c in) - in."""
        a, b, c = 1, 1, 0
        for pool, zero_for_one in self.hops():
            assert isinstance(pool, Pair)
            into, out = pool.reserves if zero_for_one else pool.reserves[::-1]
            kept, whole = v2_scale(pool.fee)
            a, b, c = a * out * kept, b * into * whole, c * into * whole + a * kept
        return max(0, (math.isqrt(a * b * 10**6 // (10**6 + loan_millionths)) - b) // c)


#: Prices in these tests stay above: a unit of it is worth next to nothing there.
MIN_PRICE = 2**80


def liquidities(pool: Pool) -> list[int]:
    """The liquidity in each range of a V3 pool."""
    found, sum_ = [pool.liquidity], 0
    for tick in sorted(pool.ticks):
        sum_ += pool.ticks[tick].net
        found.append(sum_)
    return found


def marginal_rate(pool: Pool | Pair, zero_for_one: bool) -> float:
    kept = 1 - pool.fee / 1e6
    price = pool.reserves[1] / pool.reserves[0] if isinstance(pool, Pair) else (pool.price / 2**96) ** 2
    return kept * (price if zero_for_one else 1 / price)


def swap(pool: Pool | Pair, zero_for_one: bool, amount: int, lossy: bool) -> int:
    """What an input buys, all of it or, if `lossy`, as much of it as is taken; 0 if that can't be."""
    try:
        if isinstance(pool, Pair):
            into, out = pool.reserves if zero_for_one else pool.reserves[::-1]
            return v2_amount_out(amount, into, out, pool.fee) if into + amount < 2**112 else 0
        done = pool.swap(zero_for_one, amount, MIN_RATIO + 1 if zero_for_one else MAX_RATIO - 1)
    except Revert:
        return 0
    return 0 if done.remaining and not lossy else -(done.amount1 if zero_for_one else done.amount0)


class CycleBook(Book):
    """A state with the pools of many cycles, each with a path."""

    def __init__(self, cycles: list[Cycle]) -> None:
        self.cycles = cycles
        super().__init__([pool for cycle in cycles for pool in cycle.pools])

    def __post_init__(self) -> None:
        sizes = dict.fromkeys(("pools", "ticks", "tick_bitmap", "paths"), self.capacity)
        self.state = State(TABLES, {**sizes, "hops": 4}, plain_allocate)
        for table in self.state.arrays.values():
            table.meta[0]["inserts_left"] = self.capacity
        with np.errstate(over="ignore"):
            self._enter()
        first = 0
        for path, cycle in zip(self.rows("paths"), self.cycles, strict=False):
            path["hops"] = len(cycle.pools)
            path["zero_for_one"] = sum(1 << k for k, down in enumerate(cycle.directions) if down)
            for k in range(len(cycle.pools)):
                path[f"pool{k}"] = first + k
            first += len(cycle.pools)

    def solve(self, *each: dict[str, int], **asked: int) -> list[Any]:
        """Every cycle's answer, going forward if not asked otherwise; what is asked of each, and of all."""
        answers = np.zeros(len(self.cycles), ANSWER)
        for k, answer in enumerate(answers):
            for name, value in {"forward": 1, **asked, **(each[k] if each else {})}.items():
                put(answer, name, value)
        with np.errstate(over="ignore"):
            solve_paths(describe_tables([self.state.arrays[t.name] for t in TABLES], self.fault), answers)
        assert not self.fault.any()
        return list(answers)


def told(answer: Any, hops: int) -> tuple[int, int, list[int]]:
    """(amount in, amount out, outputs of the hops) of an answer."""
    outs = [number(answer[f"out{k}"]) for k in range(hops)]
    return number(answer["amount_in"]), number(answer["amount_out"]), outs


def made_cycle(rng: random.Random, kinds: str, size: int, edge: float = 0.06) -> Cycle:
    """A cycle of pools of the kinds "2" and "3", some `size` units deep, that may pay.

    Tokens have units of very different worth.
    """
    worth = [rng.choice([1, 1, 30, Fraction(1, 30)]) for _ in kinds]
    cycle = Cycle([], [])
    for k, kind in enumerate(kinds):
        rate = (
            worth[k] / Fraction(worth[(k + 1) % len(kinds)]) * Fraction(rng.uniform(1 - edge / 2, 1 + edge))
        )
        down = rng.random() < 0.5
        price = rate if down else 1 / rate
        depth = rng.randint(size // 4, size)
        make = made_pair if kind == "2" else made_pool
        cycle.pools.append(make(rng, price, depth))
        cycle.directions.append(down)
    return cycle


def made_pair(rng: random.Random, price: Fraction, depth: int) -> Pair:
    root = math.sqrt(price)
    reserves = [max(1, round(depth / root)), max(1, round(depth * root))]
    return Pair(reserves, rng.choice([3000, 2500, 500, 0]))


def made_pool(rng: random.Random, price: Fraction, depth: int) -> Pool:
    """A V3 pool with ranges that overlap, leave gaps, and end."""
    spacing, fee = rng.choice([(10, 500), (60, 3000)])
    pool = Pool(fee, spacing)
    pool.initialize(math.isqrt(int(price * 2**192)), 0)
    at = pool.tick // spacing
    for _ in range(rng.randint(1, 4)):
        lower = at + rng.randint(-8, 4)
        pool.change_range(
            lower * spacing, (lower + rng.randint(1, 8)) * spacing, depth * rng.randint(1, 20), 0
        )
    assert sqrt_ratio_at_tick(pool.tick) >= MIN_PRICE
    return pool
