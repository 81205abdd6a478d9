"""Nanoseconds that a cycle takes: screened, searched, settled in the contracts' integers.

    python -m bench.path_latency [--json] [--turns N]

The cycles have two pools of USDC/WETH: V2 and V3 (as large ones are: fee 3000, and fee 500 with spacing 10 and four
ranges around the price), or V2 twice. Prices differ by one percent, a little more or less at each turn, so that it pays
to trade through the V3 pool's ranges. Each operation runs in a loop inside one kernel; the next turn's state depends on
the result before it, so turns can't overlap. Medians of short runs in processor time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from typing import Any

import numpy as np

from bench.amm_latency import LIQUIDITY, SPACING, TICK
from disruptor.access import insert, meta_of, read, row
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.path_curve import refresh_rates
from disruptor.handlers.path_exact import settle
from disruptor.handlers.path_search import best_input
from disruptor.handlers.path_tables import hop_cells, path_settings, paths, rates
from disruptor.handlers.path_visit import marginal_products
from disruptor.handlers.pools import (
    PRICE_KNOWN,
    RESERVES_KNOWN,
    TICKS_KNOWN,
    chain,
    pool_directory,
    pools,
    ticks,
)
from disruptor.handlers.tick_bitmap import flip, tick_bitmap
from disruptor.handlers.tick_math import sqrt_ratio_at_tick
from disruptor.handlers.wide import U256, add, low64, mul, negate, store, u256
from disruptor.jit import jit_uncounted
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State

RUNS = 41
TABLES = [pools, pool_directory, chain, ticks, tick_bitmap, paths, hop_cells, path_settings, rates]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
#: Reserves of a V2 pool of 21 million dollars a side at about the price of `TICK`, in USDC and in WETH.
USDC, WETH, MORE_WETH = U256(21 * 10**12), U256(7_800 * 10**18), U256(7_878 * 10**18)
RANGE = U256(LIQUIDITY)
SCREEN, SEARCH, SOLVE = range(3)
#: Path 0 is V2 and V3, path 1 twice V2.
CASES = [
    ("screen a cycle", SCREEN, 0),
    ("search, V2/V3", SEARCH, 0),
    ("solve, V2/V3", SOLVE, 0),
    ("search, V2/V2", SEARCH, 1),
    ("solve, V2/V2", SOLVE, 1),
]


@jit_uncounted
def run(tables: Any, operation: int, path: int, turns: int) -> Any:
    """Do an operation `turns` times; before each, the V2 pool that both paths have moves a little."""
    state = bind_state(LAYOUT, tables)
    last, total = np.uint64(0), np.uint64(0)
    for turn in range(turns):
        moved = np.int64(turn & 1023) * 1_000_000_000_000_000 + np.int64(last & np.uint64(1))
        store(row(state.pools, 0)["reserve1"], add(MORE_WETH, u256(moved)))
        p = read(state.paths, path)
        if operation == SCREEN:
            refresh_rates(state, 0)
            forward, backward = marginal_products(state, p)
            last = np.uint64(forward > backward)
        else:
            guess, gain, _ = best_input(state, p, True, 1.0, np.inf)
            last = np.uint64(np.int64(guess))
            if operation == SOLVE:
                amount_in, _ = settle(state, p, True, guess, gain)
                last = low64(amount_in)
        total += last
    return total


@jit_uncounted
def make(tables: Any, positions: Any) -> None:
    """Pools 0 and 1 are V2, pool 2 is V3 with liquidity between the ticks of each pair; two paths from USDC."""
    state = bind_state(LAYOUT, tables)
    for pool in range(2):
        p = row(state.pools, pool)
        p["kind"], p["fee"], p["flags"] = (
            np.uint32(KIND_UNISWAP_V2),
            np.uint32(3000),
            np.uint32(RESERVES_KNOWN),
        )
        store(p["reserve0"], USDC)
        store(p["reserve1"], WETH)
    p = row(state.pools, 2)
    p["kind"], p["fee"], p["tick"] = np.uint32(KIND_UNISWAP_V3), np.uint32(500), np.int32(TICK)
    p["flags"] = np.uint32(PRICE_KNOWN | TICKS_KNOWN)
    p["tick_spacing"] = np.int32(SPACING)
    _, price = sqrt_ratio_at_tick(TICK)
    store(p["sqrt_price_x96"], price)
    store(p["liquidity"], mul(RANGE, u256(len(positions))))
    for k in range(len(positions)):
        for side in range(2):
            meta_of(state.ticks)["inserts_left"] = 1
            meta_of(state.tick_bitmap)["inserts_left"] = 1
            t = row(state.ticks, insert(state.ticks, 2, positions[k, side]))
            store(t["liquidity_gross"], RANGE)
            store(t["liquidity_net"], negate(RANGE) if side else RANGE)
            flip(state, 2, positions[k, side] // SPACING)
    for path in range(2):
        t = row(state.paths, path)
        t["hops"], t["pool0"], t["pool1"] = np.uint32(2), np.uint32(0), np.uint32(2 - path)
        t["zero_for_one"] = np.uint32(1)
    for pool in range(3):
        refresh_rates(state, pool)


def median_ns(tables: Any, operation: int, path: int, turns: int) -> float:
    """Median over the runs of the time of one turn."""
    run(tables, operation, path, turns)
    spent = []
    for _ in range(RUNS):
        began = time.thread_time_ns()
        run(tables, operation, path, turns)
        spent.append(time.thread_time_ns() - began)
    return round(statistics.median(spent) / turns, 1)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Latency of screening, searching and solving cycles.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--turns", type=int, default=2_000, help="operations in a run (default 2000)")
    options = parser.parse_args(arguments)
    capacities = {"pools": 4, "ticks": 64, "tick_bitmap": 64, "paths": 2, "hops": 4}
    state = State(TABLES, capacities, plain_allocate)
    tables = describe_tables([state.arrays[table.name] for table in TABLES], np.zeros(8, np.int64))
    reach = [(500, 600), (300, 200), (90, 100), (60, 50)]
    began = time.thread_time()
    make(tables, np.array([(TICK - low, TICK + high) for low, high in reach]))
    run(tables, SOLVE, 0, 1)
    compile_s = round(time.thread_time() - began, 1)
    found = [
        {"operation": name, "median_ns": median_ns(tables, operation, path, options.turns)}
        for name, operation, path in CASES
    ]
    machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    if options.json:
        print(json.dumps({"machine": machine, "compile_s": compile_s, "operations": found}))
        return 0
    for line in found:
        print(f"{line['operation']:28}{line['median_ns']:12} ns")
    print(f"compile: {compile_s} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
