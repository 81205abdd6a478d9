"""Events a second of the whole loop on a market of 100,000 pools and 500,000 cycles, with every opportunity told.

    python -m bench.scale [--json] [--blocks N] [--logs N] [--zipf S] [--shocks SHARE] [--shock-majors] [--runs N]

The market and its stream: `bench.scale_market`, `bench.scale_stream`. The loop is the one that `disruptor replay` runs
with these settings: pools tracked, every swap made again and compared, normalised swaps, cycles searched at the end of
each block, outputs counted and digested. It takes the slots from memory in runs as long as a journal's frames.

The block that creates the pools is not measured. The others are, in `--runs` runs of each way, in turn; the median
counts, in processor time of the one thread. The ways: as set by default, with `enable_simd=false`, and without
arbitrage, which shows what is left to the search. The first two must give the same outputs, all swaps must pass
their audit, and everything that opened must be closed in the end but for the last block's.
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

from bench.scale_market import AS_ASKED, Market
from bench.scale_stream import Stream, Traffic, make_stream
from disruptor.config.loader import load_settings
from disruptor.processor import Processor
from disruptor.replay.outputs import Collector
from disruptor.replay.program import Memory, build_handler_set, build_processor
from disruptor.replay.slots import Run, cut

#: Slots handed to the loop at one go: as many as a frame of a journal holds.
FRAME = 16_384
CAPACITIES = (
    "pools=131072",
    "tokens=65536",
    "pairs=65536",
    "ticks=262144",
    "tick_bitmap=262144",
    "paths=524288",
)
WAYS = {"search": (), "simd_off": ("enable_simd=false",), "no_search": ("arbitrage.enabled=false",)}


class Pass(NamedTuple):
    """One pass over the stream: what it said, and nanoseconds of the measured part."""

    digest: str
    outputs: dict[str, int]
    state: str
    counters: dict[str, int]
    spent: int


def processor_for(sets: tuple[str, ...], capacities: tuple[str, ...] = CAPACITIES) -> Processor:
    """A processor with default settings but for `sets` and the sizes of its tables."""
    settings: Any = load_settings(None, [*(f"capacity.{c}" for c in capacities), *sets])[0]
    memory = Memory(settings)
    processor = build_processor(build_handler_set(settings), settings, memory.allocate, 1)
    processor.compile()
    return processor


def process(processor: Processor, run: Run, collector: Collector) -> None:
    """Process a run in frames."""
    for begin in range(run.first, run.first + len(run.slots), FRAME):
        part = cut(run, begin, min(begin + FRAME, run.first + len(run.slots)))
        processor.process(
            part.slots, part.first, part.first + len(part.slots), collector.consume, base=part.first
        )


def counters(processor: Processor) -> dict[str, int]:
    """What audit and search count."""
    found: dict[str, int] = {}
    for table in ("audit_counters", "path_cursor"):
        if table in processor.state.arrays:
            row = processor.state.arrays[table].rows[0]
            found |= {name: int(row[name]) for name in row.dtype.names}
    return found


def one_pass(stream: Stream, sets: tuple[str, ...], capacities: tuple[str, ...] = CAPACITIES) -> Pass:
    """The whole stream through a new processor."""
    processor = processor_for(sets, capacities)
    collector = Collector(processor.handlers.outputs, None, ())
    process(processor, Run(stream.slots[: stream.first], 0), collector)
    before = counters(processor)
    began = time.thread_time_ns()
    process(processor, Run(stream.slots[stream.first :], stream.first), collector)
    spent = time.thread_time_ns() - began
    after = counters(processor)
    changed = {name: after[name] - before[name] for name in after}
    changed["path_count"] = after.get("path_count", 0)
    return Pass(collector.digest, collector.counts, processor.state.digest(), changed, spent)


def check(stream: Stream, passes: dict[str, Pass]) -> None:
    """That the ways agree, and that the stream is what it says."""
    search, off = passes["search"], passes["simd_off"]
    assert (search.digest, search.state) == (off.digest, off.state), "enable_simd shows in the outputs"
    assert search.counters["mismatched"] == search.counters["not_checkable"] == 0, search.counters
    opened, closed = search.counters["openings"], search.outputs.get("OpportunityClosed", 0)
    assert opened >= stream.shocks and closed > 0, f"{opened} opened, {closed} closed, {stream.shocks} shocks"


def measure(stream: Stream, runs: int) -> dict[str, Any]:
    """The figures of all ways."""
    passes = {way: one_pass(stream, sets) for way, sets in WAYS.items()}
    check(stream, passes)
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(runs):
        for way, sets in WAYS.items():
            spent[way].append(one_pass(stream, sets).spent / stream.logs)
    search = passes["search"]
    told = search.counters
    off = [o / s for o, s in zip(spent["simd_off"], spent["search"], strict=True)]
    return {
        "paths": told["path_count"],
        "blocks": len(stream.block_ends),
        "events": stream.logs,
        "slots": len(stream.slots) - stream.first,
        "events_per_second": {way: round(1e9 / statistics.median(times)) for way, times in spent.items()},
        "ns_an_event": {way: [round(t, 1) for t in sorted(times)] for way, times in spent.items()},
        "simd_off_ratio": round(statistics.median(off), 2),
        "swaps_audited": told["audited"],
        "screened_an_event": round(told["screened"] / stream.logs, 5),
        "screened_an_event_simd_off": round(passes["simd_off"].counters["screened"] / stream.logs, 3),
        "solved_an_event": round(told["solved"] / stream.logs, 5),
        "shocks": stream.shocks,
        "opened": told["openings"],
        "closed": search.outputs.get("OpportunityClosed", 0),
        "outputs": search.outputs,
    }


def show(found: dict[str, Any]) -> None:
    """The figures as lines."""
    print(f"{found['paths']:,} paths, {found['events']:,} events in {found['blocks']:,} blocks")
    for way, rate in found["events_per_second"].items():
        print(f"{way:12}{rate:12,} events/s   ns an event: {found['ns_an_event'][way]}")
    print(f"simd off takes {found['simd_off_ratio']} times as long")
    for name in ("screened_an_event", "screened_an_event_simd_off", "solved_an_event", "opened", "closed"):
        print(f"{name:28}{found[name]:>14,}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="The search at the scale of a chain.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--blocks", type=int, default=2000, help="(default 2000)")
    parser.add_argument("--logs", type=int, default=300, help="tracked logs a block (default 300)")
    parser.add_argument("--zipf", type=float, default=1.0, help="exponent of the access to pools (default 1)")
    parser.add_argument("--shocks", type=float, default=0.0005, help="of the logs (default 0.0005)")
    parser.add_argument("--shock-majors", action="store_true", help="shock pools on hundreds of cycles each")
    parser.add_argument("--runs", type=int, default=5, help="(default 5)")
    parser.add_argument("--seed", type=int, default=1, help="(default 1)")
    given = parser.parse_args(arguments)
    market = Market(AS_ASKED, given.seed)
    ranks = market.majors if given.shock_majors else market.tail
    stream = make_stream(market, Traffic(given.blocks, given.logs, given.zipf, given.shocks, ranks))
    found = {
        "pools": len(market.pools),
        "processor": platform.processor() or platform.machine(),
        "numpy": np.__version__,
    }
    found |= measure(stream, given.runs)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
