"""Nanoseconds that Uniswap's exact arithmetic takes: V2 quotes, ticks and prices, V3 swaps.

    python -m bench.amm_latency [--json] [--turns N] [--modules FOLDER]

Each operation runs in a loop inside one kernel over different operands, in two ways. *Chained*: each turn's operand
depends on the result before it, so turns can't overlap: the latency of one. *Independent*: as in a search that asks
many pools, the processor begins the next turn while it finishes the last. Medians of short runs in processor time.

The V3 pool has the numbers of a large USDC/WETH pool: fee 500, spacing 10, liquidity on both sides of the price. Swaps
`in range` move the price by half a tick or less; those that cross end beyond two initialized ticks.

Then the V3 swap in range beside its peers (`bench/amm_peers.py`, optional), whose answers must be the same: a run of
each in turn, many times over, so that what else the machine does falls on all; medians, and what a peer's is of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.amm_peers import Market, Peer, Swap, find_peers
from disruptor.access import insert, meta_of, row
from disruptor.handlers.pools import pools, ticks
from disruptor.handlers.tick_bitmap import flip, tick_bitmap
from disruptor.handlers.tick_math import sqrt_ratio_at_tick, tick_at_sqrt_ratio
from disruptor.handlers.uniswap_v2 import get_amount_in, get_amount_out
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT, quote, rehearse, settle
from disruptor.handlers.uniswap_v3_tables import step_notes, v3_fees
from disruptor.handlers.wide import load, low64, negate, store, u256
from disruptor.jit import jit_uncounted
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State

ROWS, RUNS = 256, 41
#: Turns of ours and of the peers, swaps of a peer in one of them, and swaps on which all must agree.
ROUNDS, PEER_SWAPS, AGREED = 25, 200, 64
#: How many times ours a peer's swap is asked to take.
ASKED = {"degenbot": 20, "pyrevm": 100}
TABLES = [pools, ticks, tick_bitmap, v3_fees, step_notes]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
LIMBS = ("<u8", (4,))
OPERANDS = np.dtype([("a", *LIMBS), ("b", *LIMBS), ("c", *LIMBS), ("number", "<i8")], align=True)
ONE = np.uint64(1)
FEE, SPACING, TICK = 500, 10, 197_300
#: How far below and above the price each position reaches; all have this liquidity.
REACH, LIQUIDITY = [(500, 600), (300, 200), (90, 100), (60, 50)], 1 << 64
#: Half a tick either way is 0.0025 % of the virtual reserves L / sqrt(P) and L * sqrt(P); 280 ticks are 1.4 %.
SMALL, LARGE = 2.4e-5, 1.4e-2
V2_OUT, V2_IN, TO_PRICE, TO_TICK, V3_QUOTE, V3_SETTLE = range(6)


class Case(NamedTuple):
    """An operation and the operands it gets."""

    name: str
    operation: int
    operands: list[tuple[int, int, int, int]]


@jit_uncounted
def run(tables: Any, operation: int, rows: Any, turns: int, chained: bool) -> Any:
    """Run an operation `turns` times; if `chained`, each turn's operand depends on the result before it."""
    state = bind_state(LAYOUT, tables)
    last = np.uint64(0)
    if chained:
        for turn in range(turns):
            last = once(state, operation, rows[turn & (ROWS - 1)], last & ONE)
    else:
        for turn in range(turns):
            last ^= once(state, operation, rows[turn & (ROWS - 1)], np.uint64(0))
    return last


@jit_uncounted
def once(state: Any, operation: int, given: Any, changed: Any) -> Any:
    """One operation, its first operand changed in the lowest bit or not; the lowest word of its result."""
    a, number = load(given["a"]) ^ u256(changed), given["number"] ^ np.int64(changed)
    if operation == V2_OUT:
        return low64(get_amount_out(a, load(given["b"]), load(given["c"]), np.int64(3000))[1])
    if operation == V2_IN:
        return low64(get_amount_in(a, load(given["b"]), load(given["c"]), np.int64(3000))[1])
    if operation == TO_PRICE:
        return low64(sqrt_ratio_at_tick(number)[1])
    if operation == TO_TICK:
        return np.uint64(tick_at_sqrt_ratio(a)[1])
    zero_for_one = given["number"] != 0
    limit = LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT
    if operation == V3_SETTLE:
        found = rehearse(state, 0, zero_for_one, True, a, limit)
        settle(state, 0, zero_for_one, True, a, limit, found, np.uint64(0))
    else:
        found = quote(state, 0, zero_for_one, True, a, limit)
    return low64(found.amount0) ^ low64(found.amount1)


@jit_uncounted
def make_pool(tables: Any, positions: Any) -> None:
    """A pool at TICK with liquidity between the ticks of each pair."""
    state = bind_state(LAYOUT, tables)
    p = row(state.pools, 0)
    p["fee"] = FEE
    p["tick"] = TICK
    p["tick_spacing"] = SPACING
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
    small, large = (operands_of(draw_swaps(source, share, ROWS)) for share in (SMALL, LARGE))
    return [
        Case("V2 quote, exact in", V2_OUT, pairs),
        Case("V2 quote, exact out", V2_IN, ins),
        Case("tick to price, below 0", TO_PRICE, below),
        Case("tick to price, above 0", TO_PRICE, above),
        Case("price to tick", TO_TICK, prices),
        Case("V3 quote, in range", V3_QUOTE, small),
        Case("V3 swap settled, in range", V3_SETTLE, small),
        Case("V3 quote, ticks crossed", V3_QUOTE, large),
    ]


def draw_swaps(source: random.Random, share: float, count: int) -> list[Swap]:
    """Swaps of up to that share of the reserves.

    Each is followed by one of equal worth the other way, so that settled ones stay where they began.
    """
    root, liquidity = 1.0001 ** (TICK / 2), float(len(REACH) * LIQUIDITY)
    parts = [source.uniform(0.5, 1.0) * share for _ in range(count // 2)]
    return [
        Swap(int(part * (liquidity / root if way else liquidity * root)), way)
        for part in parts
        for way in (True, False)
    ]


def operands_of(swaps: list[Swap]) -> list[tuple[int, int, int, int]]:
    """Swaps as operands."""
    return [(swap.amount, 0, 0, int(swap.zero_for_one)) for swap in swaps]


def median_ns(case: Case, tables: Any, rows: Any, turns: int, chained: bool) -> float:
    """Median over the runs of the time of one turn."""
    run(tables, case.operation, rows, 1, chained)
    spent = []
    for _ in range(RUNS):
        began = time.thread_time_ns()
        run(tables, case.operation, rows, turns, chained)
        spent.append(time.thread_time_ns() - began)
    return round(statistics.median(spent) / turns, 1)


def measure(case: Case, tables: Any, turns: int) -> dict[str, Any]:
    """One line of the table."""
    rows = packed(case.operands)
    chained, independent = (median_ns(case, tables, rows, turns, way) for way in (True, False))
    return {"operation": case.name, "chained_ns": chained, "independent_ns": independent}


def market_of(state: State) -> Market:
    """The pool as its peers need it."""
    price = int.from_bytes(state.arrays["pools"].rows["sqrt_price_x96"][0].tobytes(), "little")
    positions = [(TICK - low, TICK + high, LIQUIDITY) for low, high in REACH]
    return Market(price, TICK, FEE, SPACING, positions)


def check_agreement(peers: list[Peer], tables: Any) -> None:
    """Stop unless all say the same of the same swaps; before any is settled."""
    swaps = draw_swaps(random.Random(2), SMALL, AGREED)
    rows, word = packed(operands_of(swaps)), (1 << 64) - 1
    for at, swap in enumerate(swaps):
        ours = int(run(tables, V3_QUOTE, rows[at : at + 1], 1, False))
        for peer in peers:
            amount0, amount1 = peer.amounts(swap)
            if (amount0 ^ amount1) & word != ours:
                raise SystemExit(
                    f"{peer.name} gives {amount0}, {amount1} for {swap}: not what the kernel gives"
                )


def compare(peers: list[Peer], tables: Any, turns: int) -> list[dict[str, Any]]:
    """A line for each peer: its swap, ours in the same rounds, and the ratios."""
    source = random.Random(3)
    rows = packed(operands_of(draw_swaps(source, SMALL, ROWS)))
    spent: dict[Any, list[float]] = {who: [] for who in (V3_QUOTE, V3_SETTLE, *(p.name for p in peers))}
    for _ in range(ROUNDS):
        for operation in (V3_QUOTE, V3_SETTLE):
            began = time.thread_time_ns()
            run(tables, operation, rows, turns, True)
            spent[operation].append((time.thread_time_ns() - began) / turns)
        for peer in peers:
            swaps = draw_swaps(source, SMALL, PEER_SWAPS)
            spent[peer.name].append(peer.spent_ns(swaps) / PEER_SWAPS)
    medians = {who: statistics.median(times) for who, times in spent.items()}
    ours = {"quote_ns": round(medians[V3_QUOTE], 1), "settled_ns": round(medians[V3_SETTLE], 1)}
    return [
        {"peer": peer.name, "called": peer.called, "peer_ns": round(medians[peer.name]), **ours}
        | {"of_quote": round(medians[peer.name] / medians[V3_QUOTE], 1)}
        | {"of_settled": round(medians[peer.name] / medians[V3_SETTLE], 1)}
        | {"asked": ASKED[peer.name.split()[0]]}
        for peer in peers
    ]


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{'operation':28}{'chained ns':>14}{'independent ns':>16}")
    for line in result["operations"]:
        print(f"{line['operation']:28}{line['chained_ns']:14}{line['independent_ns']:16}")
    print(f"\n{'peer of the swap in range':28}{'peer ns':>14}{'/ quote':>16}{'/ settled':>12}{'asked':>8}")
    for line in result["peers"]:
        ratios = f"{line['of_quote']:16}{line['of_settled']:12}{line['asked']:8}"
        print(f"{line['peer']:28}{line['peer_ns']:14}{ratios}   {line['called']}")
    for name, why in result["missing"].items():
        print(f"{name:28}not measured: {why}")
    for line in result["peers"][:1]:
        print(f"ours in the same rounds: quote {line['quote_ns']} ns, settled {line['settled_ns']} ns")
    print(f"compile: {result['compile_s']} s; {result['machine']}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Latency of Uniswap's exact arithmetic in kernels.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--turns", type=int, default=10_000, help="operations in a run (default 10000)")
    parser.add_argument("--modules", type=Path, help="folder of node modules with Uniswap's contracts")
    options = parser.parse_args(arguments)
    machine: dict[str, Any] = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }
    machine |= {"python": platform.python_version(), "load_before": round(os.getloadavg()[0], 2)}
    state = State(TABLES, {"pools": 1, "ticks": 64, "tick_bitmap": 64}, plain_allocate)
    fault = np.zeros(8, np.int64)
    tables = describe_tables([state.arrays[table.name] for table in TABLES], fault)
    began = time.thread_time()
    make_pool(tables, np.array([(TICK - low, TICK + high) for low, high in REACH]))
    run(tables, V2_OUT, packed(cases(random.Random(1))[0].operands), 1, True)
    compile_s = round(time.thread_time() - began, 1)
    peers, missing = find_peers(market_of(state), options.modules)
    check_agreement(peers, tables)
    compared = compare(peers, tables, options.turns)
    found = [measure(case, tables, options.turns) for case in cases(random.Random(1))]
    result = {"machine": machine, "compile_s": compile_s, "operations": found}
    result |= {"peers": compared, "missing": missing}
    if options.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
