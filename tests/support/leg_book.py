"""Random cycles over a few pools: rows of tables, legs entered by the engine, and the same in lists."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from disruptor.access import read, row
from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.batch_screen import JUDGE, begin_screen, screen_columns, screen_next
from disruptor.handlers.path_legs import LEG_TABLES, enter_legs, leg_capacities
from disruptor.handlers.path_queue import dequeue
from disruptor.handlers.path_tables import path_cursor, path_queue, path_state, paths, pool_moves, rates
from disruptor.handlers.path_visit import MARGIN, marginal_products
from disruptor.handlers.pools import pools
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State

_SEARCH = [path_queue, path_state, path_cursor, pool_moves, rates, screen_columns]
TABLES = [pools, paths, *LEG_TABLES, *_SEARCH]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
TOKENS, POOLS, PATHS = 7, 40, 800
CAPACITIES = {"pools": POOLS, "paths": PATHS, "tokens": TOKENS, **leg_capacities(PATHS)}
CHOSEN = np.dtype([("path", "<i8"), ("forward", "<f8"), ("backward", "<f8")], align=True)
Hop = tuple[int, bool]


@entry_uncounted
def screen_all(tables, chosen):  # type: ignore[no-untyped-def]
    """One boundary in batches: what is chosen, in order, and its products. Returns how many."""
    state = bind_state(LAYOUT, tables)
    cursor, count = row(state.path_cursor, 0), np.int64(0)
    turn = cursor["boundary"] + np.uint64(1)
    begin_screen(state)
    while cursor["stage"] != JUDGE:
        screen_next(state, turn)
    while cursor["queued"] != 0:
        c = chosen[count]
        c["path"] = dequeue(state)
        c["forward"], c["backward"] = marginal_products(state, read(state.paths, c["path"]))
        count += 1
    cursor["boundary"] = turn
    return count


@entry_uncounted
def enter(tables, first, end):  # type: ignore[no-untyped-def]
    state = bind_state(LAYOUT, tables)
    for at in range(first, end):
        enter_legs(state, at)


class Book:
    """Pools between random tokens, and cycles over them in the order in which they were entered."""

    def __init__(self, source: random.Random) -> None:
        self.source = source
        self.state = State(TABLES, CAPACITIES, plain_allocate)
        self.fault = np.zeros(8, np.int64)
        self.tables = describe_tables([self.state.arrays[t.name] for t in TABLES], self.fault)
        # Token 0 has most pools, and the most pairs too.
        self.ends = [(0, source.randrange(1, TOKENS)) for _ in range(POOLS // 2)]
        self.ends += [tuple(source.sample(range(TOKENS), 2)) for _ in range(POOLS - len(self.ends))]  # type: ignore[misc]
        self.rows("pools")["token0"][:POOLS], self.rows("pools")["token1"][:POOLS] = zip(
            *self.ends, strict=True
        )
        self.degrees = [TOKENS, *(source.randrange(1, 4) for _ in range(1, TOKENS))]
        self.rows("token_links")["degree"][:TOKENS] = self.degrees
        self.hops: list[list[Hop]] = []

    def rows(self, name: str) -> Any:
        return self.state.arrays[name].rows

    def tokens(self, at: int) -> list[int]:
        """The token before each hop of a path."""
        return [self.ends[pool][0 if falling else 1] for pool, falling in self.hops[at]]

    def _cycle(self) -> list[Hop]:
        """A random simple cycle of two to four pools."""
        while True:
            wanted = self.source.randrange(2, 5)
            token = start = self.source.randrange(TOKENS)
            met, hops = {start}, list[Hop]()
            for _ in range(wanted):
                pool = self.source.choice([p for p in range(POOLS) if token in self.ends[p]])
                hops.append((pool, token == self.ends[pool][0]))
                token = sum(self.ends[pool]) - token
                met.add(token)
            if token == start and len(met) == wanted and len({pool for pool, _ in hops}) == wanted:
                return hops

    def enter(self, count: int) -> None:
        """So many more paths."""
        first = len(self.hops)
        for at in range(first, first + count):
            hops = self._cycle()
            self.hops.append(hops)
            target = self.rows("paths")[at]
            target["hops"] = len(hops)
            for k, (pool, falling) in enumerate(hops):
                target[f"pool{k}"] = pool
                target["zero_for_one"] |= int(falling) << k
        enter(self.tables, first, first + count)
        assert not self.fault.any()

    def set_rates(self, pool: int, zero_for_one: float, one_for_zero: float) -> None:
        self.rows("rates")[pool] = (zero_for_one, one_for_zero)

    def mark(self, changed: list[int]) -> None:
        """Put pools on the list of the next boundary, the first in front."""
        cursor = self.rows("path_cursor")[0]
        for pool in reversed(changed):
            head = self.rows("path_heads")[pool]
            head["next_marked"], head["boundary"] = cursor["first_marked"], cursor["boundary"] + 1
            cursor["first_marked"] = pool + 1

    def products(self, at: int) -> tuple[float, float]:
        forward = backward = 1.0
        for pool, falling in self.hops[at]:
            down, up = map(float, self.rows("rates")[pool])
            forward *= down if falling else up
            backward *= up if falling else down
        return forward, backward

    def expected(self, changed: list[int]) -> list[tuple[int, float, float]]:
        """What may pay or is open among the paths of the pools, each once, newest first of each pool."""
        newest = range(len(self.hops))[::-1]
        met = dict.fromkeys(at for pool in changed for at in newest if pool in dict(self.hops[at]))
        is_open = self.rows("paths")["open"]
        found = [(at, *self.products(at)) for at in met]
        return [f for f in found if max(f[1:]) > MARGIN or is_open[f[0]]]

    def screen(self, changed: list[int]) -> list[tuple[int, float, float]]:
        """What the engine chooses after these pools changed."""
        self.mark(changed)
        chosen = np.zeros(PATHS, CHOSEN)
        count = screen_all(self.tables, chosen)
        return [(int(at), float(forward), float(backward)) for at, forward, backward in chosen[:count]]

    def screened(self) -> int:
        """Paths whose own product was computed so far."""
        return int(self.rows("path_cursor")[0]["screened"])
