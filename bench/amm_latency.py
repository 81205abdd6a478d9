"""Nanoseconds that Uniswap's exact arithmetic takes: V2 quotes, ticks and prices, V3 swaps.

    python -m bench.amm_latency [--json] [--turns N]

Each operation runs in a loop inside one kernel over different operands, and each turn's operand depends on the result
before it, so that turns don't overlap: what is measured is latency. The median of short runs counts, in processor time;
the best run is told too, because other work on the machine only ever adds.

The V3 pool has the numbers of a large USDC/WETH pool: fee 500, spacing 10, 18 digits of liquidity on both sides of the
price. Swaps `in range` move the price by less than a tick's distance; those that cross end two initialized ticks away.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import statistics
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from disruptor.access import insert, meta_of, row
from disruptor.handlers.pools import pool_directory, pools, ticks
from disruptor.handlers.tick_bitmap import flip, tick_bitmap
from disruptor.handlers.tick_math import sqrt_ratio_at_tick, tick_at_sqrt_ratio
from disruptor.handlers.uniswap_v2 import get_amount_in, get_amount_out
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT, quote, settle
from disruptor.handlers.uniswap_v3_tables import v3_fees
from disruptor.handlers.wide import load, low64, negate, store, u256
from disruptor.jit import jit_uncounted
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State

ROWS, RUNS = 256, 41
TABLES = [pools, pool_directory, ticks, tick_bitmap, v3_fees]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
LIMBS = ("<u8", (4,))
OPERANDS = np.dtype([("a", *LIMBS), ("b", *LIMBS), ("c", *LIMBS), ("number", "<i8")], align=True)
ONE = np.uint64(1)
SPACING, TICK, LIQUIDITY = 10, 197_300, 21_000_000_000_000_000_000
V2_OUT, V2_IN, TO_PRICE, TO_TICK, V3_QUOTE, V3_SETTLE = range(6)


class Case(NamedTuple):
    """An operation and the operands it gets."""

    name: str
    operation: int
    operands: list[tuple[int, int, int, int]]


@jit_uncounted
def run(tables: Any, operation: int, rows: Any, turns: int) -> Any:
    """Run an operation `turns` times; the first operand of each turn depends on the result before it."""
    state = bind_state(LAYOUT, tables)
    last = np.uint64(0)
    for turn in range(turns):
        given = rows[turn & (ROWS - 1)]
        a = load(given["a"]) ^ u256(last & ONE)
        if operation == V2_OUT:
            last = low64(get_amount_out(a, load(given["b"]), load(given["c"]), np.int64(3000))[1])
        elif operation == V2_IN:
            last = low64(get_amount_in(a, load(given["b"]), load(given["c"]), np.int64(3000))[1])
        elif operation == TO_PRICE:
            last = low64(sqrt_ratio_at_tick(given["number"] ^ np.int64(last & ONE))[1])
        elif operation == TO_TICK:
            last = np.uint64(tick_at_sqrt_ratio(a)[1])
        else:
            zero_for_one = given["number"] != 0
            limit = LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT
            found = quote(state, 0, zero_for_one, True, a, limit)
            last = low64(found.amount0)
            if operation == V3_SETTLE:
                settle(state, 0, zero_for_one, True, a, limit, found, np.uint64(0))
    return last


@jit_uncounted
def make_pool(tables: Any, positions: Any) -> None:
    """A pool at TICK with liquidity between the ticks of each pair."""
    state = bind_state(LAYOUT, tables)
    p = row(state.pools, 0)
    p["fee"] = 500
    p["tick"] = TICK
    row(state.pool_directory, 0)["tick_spacing"] = SPACING
    _, price = sqrt_ratio_at_tick(TICK)
    store(p["sqrt_price_x96"], price)
    store(p["liquidity"], u256(len(positions)) << 64)
    for k in range(len(positions)):
        for side in range(2):
            meta_of(state.ticks)["inserts_left"] = 1
            meta_of(state.tick_bitmap)["inserts_left"] = 1
            t = row(state.ticks, insert(state.ticks, 0, positions[k, side]))
            t["tick"] = positions[k, side]
            store(t["liquidity_gross"], u256(1) << 64)
            store(t["liquidity_net"], negate(u256(1) << 64) if side else u256(1) << 64)
            flip(state, 0, positions[k, side] // SPACING)


def packed(operands: list[tuple[int, int, int, int]]) -> Any:
    """The operands as records of limbs."""
    rows = np.zeros(len(operands), OPERANDS)
    for at, (*wide, number) in enumerate(operands):
        for name, value in zip("abc", wide, strict=True):
            rows[name][at] = np.frombuffer(value.to_bytes(32, "little"), "<u8")
        rows["number"][at] = number
    return rows


def cases(source: random.Random) -> list[Case]:
    """What is measured."""

    def pair() -> tuple[int, int, int, int]:
        return (
            source.randrange(10**15, 10**20),
            source.randrange(10**20, 10**24),
            source.randrange(10**10, 10**15),
            0,
        )

    pairs = [pair() for _ in range(ROWS)]
    ins = [(c >> 8, b, c, n) for _, b, c, n in pairs]
    below = [(0, 0, 0, source.randrange(-887_270, 0)) for _ in range(ROWS)]
    above = [(0, 0, 0, source.randrange(0, 887_270)) for _ in range(ROWS)]
    prices = [(source.getrandbits(source.randrange(64, 160)) | 1 << 40, 0, 0, 0) for _ in range(ROWS)]
    # Half a tick either way is 0.0025 % of the virtual reserves L / sqrt(P) and L * sqrt(P); three words of 10 ticks
    # more cross both initialized ticks on a side.
    root = 1.0001 ** (TICK / 2)
    liquidity = 4 * 2.0**64
    small, large = 2.4e-5, 1.4e-2

    def swaps(share: float) -> list[tuple[int, int, int, int]]:
        chosen = (int(source.uniform(0.5, 1.0) * share * 1e9) for _ in range(ROWS))
        return [
            (int(part / 1e9 * (liquidity / root if k % 2 else liquidity * root)), 0, 0, k % 2)
            for k, part in enumerate(chosen)
        ]

    return [
        Case("V2 quote, exact in", V2_OUT, pairs),
        Case("V2 quote, exact out", V2_IN, ins),
        Case("tick to price, below 0", TO_PRICE, below),
        Case("tick to price, above 0", TO_PRICE, above),
        Case("price to tick", TO_TICK, prices),
        Case("V3 quote, in range", V3_QUOTE, swaps(small)),
        Case("V3 swap settled, in range", V3_SETTLE, swaps(small)),
        Case("V3 quote, ticks crossed", V3_QUOTE, swaps(large)),
    ]


def measure(case: Case, tables: Any, turns: int) -> dict[str, Any]:
    """One line of the table."""
    rows = packed(case.operands)
    run(tables, case.operation, rows, 1)
    spent = []
    for _ in range(RUNS):
        began = time.thread_time_ns()
        run(tables, case.operation, rows, turns)
        spent.append((time.thread_time_ns() - began) / turns)
    median, best = statistics.median(spent), min(spent)
    return {"operation": case.name, "median_ns": round(median, 1), "best_ns": round(best, 1)}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Latency of Uniswap's exact arithmetic in kernels.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--turns", type=int, default=10_000, help="operations in a run (default 10000)")
    options = parser.parse_args(arguments)
    state = State(TABLES, {"pools": 1, "ticks": 64, "tick_bitmap": 64}, plain_allocate)
    fault = np.zeros(8, np.int64)
    tables = describe_tables([state.arrays[table.name] for table in TABLES], fault)
    around = TICK // SPACING * SPACING
    reach = [(500, 600), (300, 200), (90, 100), (60, 50)]
    began = time.thread_time()
    make_pool(tables, np.array([(around - low, around + high) for low, high in reach]))
    found = [measure(case, tables, options.turns) for case in cases(random.Random(1))]
    compile_s = round(
        time.thread_time() - began - sum(f["median_ns"] for f in found) * options.turns * RUNS / 1e9, 1
    )
    machine = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    if options.json:
        print(json.dumps({"machine": machine, "compile_s": compile_s, "operations": found}))
        return 0
    print(f"{'operation':28}{'median ns':>12}{'best ns':>12}")
    for line in found:
        print(f"{line['operation']:28}{line['median_ns']:12}{line['best_ns']:12}")
    print(f"compile: {compile_s} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
