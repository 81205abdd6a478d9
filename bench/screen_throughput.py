"""What the screen takes for a boundary: path by path, and with most paths left out by bounds on their legs.

    python -m bench.screen_throughput [--json] [--changed N] [--boundaries N]

The market is that of `bench.scale`: 100,000 pools, 500,000 cycles. At a boundary `changed` draws by Zipf's law have
changed, each to a price within its fee of the fair one, one in a thousand beyond it. Both ways see the same boundaries
in turn, in memory with huge pages where they are to be had; the median of the runs counts, in processor time. A second,
small market shows what is left of the difference where everything is in the cache. Nothing is solved.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from bench.scale import process, processor_for
from bench.scale_market import AS_ASKED, Market, Size
from bench.scale_stream import Traffic, make_stream
from disruptor.access import read, row
from disruptor.handlers.batch_screen import JUDGE, begin_screen, screen_columns, screen_next
from disruptor.handlers.path_graph import mark
from disruptor.handlers.path_legs import LEG_TABLES
from disruptor.handlers.path_tables import (
    MAX_HOPS,
    path_cursor,
    path_queue,
    path_state,
    paths,
    pool_moves,
    rates,
)
from disruptor.handlers.path_visit import MARGIN, marginal_products
from disruptor.handlers.vector_width import widest
from disruptor.jit import jit_uncounted
from disruptor.processor import Processor
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.replay.outputs import Collector
from disruptor.replay.slots import Run

RUNS = 9
SMALL = Size(majors=8, single=100, double=200, triple=100)
SEARCH_TABLES = [path_cursor, path_queue, path_state, pool_moves, rates, screen_columns]
TABLES = [paths, *LEG_TABLES, *SEARCH_TABLES]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
CHANGE = np.dtype([("pool", "<i8"), ("zero_for_one", "<f8"), ("one_for_zero", "<f8")], align=True)
ONE, HOP_COUNT = np.uint32(1), np.uint32(MAX_HOPS)


class Book(NamedTuple):
    """A market whose paths are entered; the prices to begin with, and what changes at each boundary."""

    name: str
    tables: Any
    first: Any
    boundaries: list[Any]
    keep: Processor


@jit_uncounted
def change(tables: Any, changes: Any) -> None:
    """Set the rates of pools and mark them for the next boundary."""
    state = bind_state(LAYOUT, tables)
    for k in range(len(changes)):
        c = changes[k]
        r = row(state.rates, c["pool"])
        r["zero_for_one"], r["one_for_zero"] = c["zero_for_one"], c["one_for_zero"]
        mark(state, np.uint32(c["pool"]))


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
                if max(forward, backward) > MARGIN:
                    chosen += 1
    cursor["boundary"] = turn
    return screened, chosen


@jit_uncounted
def in_batches(tables: Any) -> Any:
    """(paths screened, chosen) of a boundary, by legs."""
    state = bind_state(LAYOUT, tables)
    cursor = row(state.path_cursor, 0)
    before, turn = cursor["screened"], cursor["boundary"] + np.uint64(1)
    begin_screen(state)
    while cursor["stage"] != JUDGE:
        screen_next(state, turn)
    chosen = np.int64(cursor["queued"])
    cursor["queued"], cursor["boundary"] = np.uint32(0), turn
    return np.int64(cursor["screened"] - before), chosen


WAYS = {"one by one": one_by_one, "batches": in_batches}


def make_book(name: str, size: Size, changed: int, boundaries: int) -> Book:
    """A market of this size, by a fixed seed."""
    market = Market(size, 1)
    processor = processor_for(())
    stream = make_stream(market, Traffic(0, 0, 1.0, 0.0, range(0)))
    process(processor, Run(stream.slots, 0), Collector(processor.handlers.outputs, None, ()))
    tables = describe_tables([processor.state.arrays[t.name] for t in TABLES], np.zeros(8, np.int64))
    weights = [1.0 / rank for rank in range(1, len(market.ranks) + 1)]

    def changes(pools: list[int]) -> Any:
        found = np.zeros(len(pools), CHANGE)
        for k, pool in enumerate(pools):
            listed = market.pools[pool]
            beyond = 3.0 if market.source.random() < 0.001 else 0.9
            price = listed.fair * math.exp(market.source.uniform(-beyond, beyond) * listed.fee)
            found[k] = (pool, (1 - listed.fee) * price, (1 - listed.fee) / price)
        return found

    drawn = [sorted(set(market.source.choices(market.ranks, weights, k=changed))) for _ in range(boundaries)]
    within = changes(list(range(len(market.pools))))
    return Book(name, tables, within, [changes(pools) for pools in drawn], processor)


def run(book: Book, way: Any) -> tuple[int, int, int]:
    """(paths screened, chosen, nanoseconds) over all boundaries, from the first prices on."""
    change(book.tables, book.first)
    in_batches(book.tables)
    screened = chosen = spent = 0
    for changes in book.boundaries:
        change(book.tables, changes)
        began = time.thread_time_ns()
        some, few = way(book.tables)
        spent += time.thread_time_ns() - began
        screened, chosen = screened + some, chosen + few
    return screened, chosen, spent


def measure(book: Book) -> dict[str, Any]:
    """One line of the table."""
    counts = {name: run(book, way)[:2] for name, way in WAYS.items()}
    assert len({chosen for _, chosen in counts.values()}) == 1, f"the ways differ: {counts}"
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    boundaries = len(book.boundaries)
    for _ in range(RUNS):
        for name, way in WAYS.items():
            spent[name].append(run(book, way)[2] / 1000 / boundaries)
    single, batch = (statistics.median(spent[name]) for name in WAYS)
    ratios = [s / b for s, b in zip(*spent.values(), strict=True)]
    return {
        "market": book.name,
        "paths_a_boundary": counts["one by one"][0] // boundaries,
        "looked_at": round(counts["batches"][0] / boundaries, 2),
        "chosen": counts["batches"][1],
        "one_by_one_us": round(single, 2),
        "batches_us": round(batch, 2),
        "ratio": round(statistics.median(ratios), 1),
        "ratio_range": [round(min(ratios), 1), round(max(ratios), 1)],
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Time of the screen of arbitrage cycles at a boundary.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--changed", type=int, default=200, help="draws of a changed pool (default 200)")
    parser.add_argument("--boundaries", type=int, default=20, help="boundaries in a run (default 20)")
    given = parser.parse_args(arguments)
    books = [
        make_book("as asked", AS_ASKED, given.changed, given.boundaries),
        make_book("in the cache", SMALL, given.changed, given.boundaries),
    ]
    found = [measure(book) for book in books]
    machine = {"processor": platform.processor() or platform.machine(), "vector_bits": widest()}
    if given.json:
        print(json.dumps({"machine": machine, "screens": found}))
        return 0
    print(f"{'market':14}{'paths':>9}{'looked at':>11}{'one by one us':>15}{'batches us':>12}{'ratio':>8}")
    for line in found:
        print(
            f"{line['market']:14}{line['paths_a_boundary']:9,}{line['looked_at']:11}{line['one_by_one_us']:15}"
            f"{line['batches_us']:12}{line['ratio']:8}  ({line['ratio_range'][0]} to {line['ratio_range'][1]}; "
            f"{line['chosen']} chosen)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
