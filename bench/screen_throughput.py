"""Paths a second that the screen takes: one by one along links, and in batches as vectors, in the same run.

    python -m bench.screen_throughput [--json] [--pools N] [--paths N] [--changed N] [--boundaries N]

Paths have two to four hops; one pool of each is drawn by Zipf's law, so a few pools are on very many paths. At a
boundary `changed` draws by the same law have changed, and every path through them is screened once. Rates lie such that
a few paths in ten thousand may pay. Both ways run over the same boundaries in turn, in memory with huge pages where
they are to be had; the median of the runs counts, in processor time. A second, small market shows what is left of the
difference where everything is in the cache.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from disruptor.access import read, row
from disruptor.handlers.batch_screen import screen_columns, screen_next
from disruptor.handlers.path_graph import set_hop
from disruptor.handlers.path_lists import chunk_capacity, list_paths, path_chunks, path_lists
from disruptor.handlers.path_search import hop_pool
from disruptor.handlers.path_tables import MAX_HOPS, path_cursor, path_heads, paths, rates
from disruptor.handlers.path_visit import MARGIN, marginal_products
from disruptor.handlers.vector_width import widest
from disruptor.jit import jit_uncounted
from disruptor.pages import allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State

RUNS = 9
TABLES = [paths, path_lists, path_chunks, path_heads, path_cursor, rates, screen_columns]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
HOPS, SHARES = (2, 3, 4), (0.2, 0.5, 0.3)
KEPT, SIGMA = 0.997, 0.0015
ONE, HOP_COUNT = np.uint32(1), np.uint32(MAX_HOPS)


class Market(NamedTuple):
    """Tables of paths, and which pools have changed at each boundary."""

    name: str
    tables: Any
    boundaries: list[Any]
    keep: State


@jit_uncounted
def enter(tables: Any, count: int) -> None:
    """Enter all paths into the links and lists of their pools."""
    state = bind_state(LAYOUT, tables)
    for at in range(count):
        path = row(state.paths, at)
        for k in range(np.int64(path["hops"])):
            head = row(state.path_heads, hop_pool(path, k))
            set_hop(path, k, hop_pool(path, k), head["first"])
            head["first"] = np.uint32(at) * HOP_COUNT + np.uint32(k) + ONE
    list_paths(state, 0, count)


@jit_uncounted
def mark(tables: Any, pools: Any) -> None:
    """Put the pools on the list of the next boundary."""
    state = bind_state(LAYOUT, tables)
    cursor = row(state.path_cursor, 0)
    for k in range(len(pools)):
        row(state.path_heads, pools[k])["next_marked"] = cursor["first_marked"]
        cursor["first_marked"] = np.uint32(pools[k]) + ONE


@jit_uncounted
def one_by_one(tables: Any) -> Any:
    """(paths screened, chosen) of a boundary, along the links."""
    state = bind_state(LAYOUT, tables)
    cursor = row(state.path_cursor, 0)
    screened, chosen, turn = 0, 0, cursor["boundary"] + np.uint64(1)
    while cursor["first_marked"] != 0:
        head = read(state.path_heads, cursor["first_marked"] - ONE)
        cursor["first_marked"], hop = head["next_marked"], head["first"]
        while hop != 0:
            path, k = row(state.paths, (hop - ONE) // HOP_COUNT), (hop - ONE) % HOP_COUNT
            if k < 2:
                hop = path["next0"] if k == 0 else path["next1"]
            else:
                hop = path["next2"] if k == 2 else path["next3"]
            if path["boundary"] != turn:
                path["boundary"] = turn
                screened += 1
                forward, backward = marginal_products(state, path)
                if max(forward, backward) > MARGIN or path["open"] != 0:
                    chosen += 1
    cursor["boundary"] = turn
    return screened, chosen


@jit_uncounted
def in_batches(tables: Any) -> Any:
    """(paths screened, chosen) of a boundary, in batches."""
    state = bind_state(LAYOUT, tables)
    cursor = row(state.path_cursor, 0)
    before, chosen = cursor["screened"], np.int64(0)
    while screen_next(state, MARGIN) > 0:
        chosen += np.int64(read(state.screen_columns, 0)["count"])
    cursor["boundary"] += np.uint64(1)
    return np.int64(cursor["screened"] - before), chosen


WAYS = {"one by one": one_by_one, "batches": in_batches}


def make_market(name: str, pools: int, path_count: int, changed: int, boundaries: int) -> Market:
    """A market of so many pools and paths, by a fixed seed."""
    source = np.random.default_rng(1)
    weights = np.cumsum(1.0 / np.arange(1, pools + 1))
    numbers = source.permutation(pools)

    def zipf(count: int) -> Any:
        return numbers[np.searchsorted(weights, source.random(count) * weights[-1])]

    capacities = {"pools": pools, "paths": path_count, "path_chunks": chunk_capacity(path_count)}
    state = State(TABLES, capacities, lambda nbytes: allocate(nbytes)[0])
    price = np.exp(source.normal(0.0, SIGMA, pools))
    state.arrays["rates"].rows["zero_for_one"][:pools] = KEPT * price
    state.arrays["rates"].rows["one_for_zero"][:pools] = KEPT / price
    rows = state.arrays["paths"].rows[:path_count]
    rows["hops"] = source.choice(HOPS, path_count, p=SHARES)
    rows["zero_for_one"] = source.integers(0, 2**MAX_HOPS, path_count)
    rows["pool0"] = zipf(path_count)
    for k in range(1, MAX_HOPS):
        rows[f"pool{k}"] = np.where(rows["hops"] > k, source.integers(0, pools, path_count), 0)
    tables = describe_tables([state.arrays[t.name] for t in TABLES], np.zeros(8, np.int64))
    enter(tables, path_count)
    return Market(name, tables, [np.unique(zipf(changed)) for _ in range(boundaries)], state)


def run(market: Market, way: Any) -> tuple[int, int, int]:
    """(paths screened, chosen, nanoseconds) over all boundaries."""
    screened = chosen = spent = 0
    for changed in market.boundaries:
        mark(market.tables, changed)
        began = time.thread_time_ns()
        some, few = way(market.tables)
        spent += time.thread_time_ns() - began
        screened, chosen = screened + some, chosen + few
    return screened, chosen, spent


def measure(market: Market) -> dict[str, Any]:
    """One line of the table."""
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    counts = {name: run(market, way)[:2] for name, way in WAYS.items()}
    assert len(set(counts.values())) == 1, f"the ways differ: {counts}"
    screened, chosen = counts["batches"]
    for _ in range(RUNS):
        for name, way in WAYS.items():
            spent[name].append(run(market, way)[2] / screened)
    single, batch = (statistics.median(spent[name]) for name in WAYS)
    ratios = [s / b for s, b in zip(*spent.values(), strict=True)]
    return {
        "market": market.name,
        "paths_a_boundary": screened // len(market.boundaries),
        "chosen": round(chosen / screened, 5),
        "one_by_one_ns": round(single, 1),
        "batches_ns": round(batch, 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Throughput of the screen of arbitrage cycles.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--pools", type=int, default=100_000, help="(default 100000)")
    parser.add_argument("--paths", type=int, default=500_000, help="(default 500000)")
    parser.add_argument("--changed", type=int, default=20, help="draws of a changed pool (default 20)")
    parser.add_argument("--boundaries", type=int, default=20, help="boundaries in a run (default 20)")
    given = parser.parse_args(arguments)
    markets = [
        make_market("as asked", given.pools, given.paths, given.changed, given.boundaries),
        make_market("in the cache", 1_000, 5_000, given.changed, given.boundaries * 10),
    ]
    found = [measure(market) for market in markets]
    machine = {"processor": platform.processor() or platform.machine(), "vector_bits": widest()}
    if given.json:
        print(json.dumps({"machine": machine, "screens": found}))
        return 0
    print(f"{'market':14}{'paths/boundary':>15}{'one by one ns':>15}{'batches ns':>12}{'ratio':>7}")
    for line in found:
        print(
            f"{line['market']:14}{line['paths_a_boundary']:15,}{line['one_by_one_ns']:15}"
            f"{line['batches_ns']:12}{line['ratio']:7}  ({line['ratio_range'][0]} to {line['ratio_range'][1]}; "
            f"{line['chosen']:.2%} chosen)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
