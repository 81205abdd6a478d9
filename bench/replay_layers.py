"""What each layer of a replay adds, in nanoseconds a slot: reading, the empty loop, tracking with its audit, swaps.

    python -m bench.replay_layers JOURNAL [--slots N] [--runs N] [--search] [--json]

Each layer is a handler set of its own over the same frames, which a journal's reader hands out checked, as in
`disruptor replay`. Processor time of the thread that runs the loop; reading is timed by the wall, since its frames
are checked on another thread. `--search` adds the search for cycles: long where nobody closes what opens.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

from disruptor.config.loader import load_settings
from disruptor.handler_set import HandlerSet
from disruptor.journal.reader import JournalReader
from disruptor.processor import Processor
from disruptor.replay.outputs import Collector
from disruptor.replay.program import INPUTS, Memory, build_handler_set, build_processor

RUNS = 5
#: Settings of each layer, outermost last.
LAYERS = {
    "tracking, every swap audited": ("normalised_swaps=false", "arbitrage.enabled=false"),
    "and swaps in one form": ("arbitrage.enabled=false",),
    "and the search for cycles": (),
}
READING, EMPTY, SEARCH = "reading, by the wall", "a loop without handlers", "and the search for cycles"


def frames(journal: str, slots: int) -> Iterator[tuple[int, Any]]:
    """(first sequence, slots) of the journal's frames, up to so many slots."""
    for frame in JournalReader(journal).frames():
        if frame.first_sequence >= slots:
            return
        yield frame.first_sequence, frame.slots


def read(journal: str, slots: int) -> tuple[int, float]:
    """(slots read, nanoseconds of the wall)."""
    began, count = time.perf_counter_ns(), 0
    for _, part in frames(journal, slots):
        count += len(part)
    return count, time.perf_counter_ns() - began


def loop(processor: Processor, journal: str, slots: int) -> float:
    """Nanoseconds of the loop's thread, reading left out."""
    collector, spent = Collector(processor.handlers.outputs, None, ()), 0
    for first, part in frames(journal, slots):
        began = time.thread_time_ns()
        processor.process(part, first, first + len(part), collector.consume, base=first)
        spent += time.thread_time_ns() - began
    return spent


def processor_for(name: str) -> tuple[Processor, Memory]:
    """A new processor of one layer, compiled, its memory faulted in."""
    settings: Any = load_settings("replay", list(LAYERS.get(name, ("arbitrage.enabled=false",))))[0]
    memory = Memory(settings)
    handlers = HandlerSet([], inputs=INPUTS) if name == EMPTY else build_handler_set(settings)
    processor = build_processor(handlers, settings, memory.allocate)
    processor.compile()
    memory.settle()
    return processor, memory


def counted(processor: Processor) -> int:
    """Events of a finished pass: slots of messages that count as such."""
    counts = processor.counts()
    return sum(counts[m.name] for m in processor.handlers.inputs if m.counted)


def measure(journal: str, slots: int, runs: int, search: bool) -> dict[str, Any]:
    """Medians over `runs` of each layer."""
    names = [READING, EMPTY, *(n for n in LAYERS if search or n != SEARCH)]
    spent: dict[str, list[float]] = {name: [] for name in names}
    total = events = 0
    for _ in range(runs):
        for name in names:
            if name == READING:
                total, took = read(journal, slots)
            else:
                processor, memory = processor_for(name)
                took = loop(processor, journal, slots)
                events = counted(processor)
                del processor, memory
            spent[name].append(took / total)
    medians = {name: statistics.median(times) for name, times in spent.items()}
    return {
        "slots": total,
        "events": events,
        "ns_a_slot": {name: round(ns, 1) for name, ns in medians.items()},
        "range": {name: [round(min(t), 1), round(max(t), 1)] for name, t in spent.items()},
        "events_per_second": {name: round(1e9 / ns * events / total) for name, ns in medians.items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Print a table, or with --json one object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("journal")
    parser.add_argument("--slots", type=int, default=1 << 40, help="use so many of the journal's slots")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--search", action="store_true", help="add the search for cycles")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = measure(options.journal, options.slots, options.runs, options.search)
    if options.json:
        print(json.dumps(found))
        return 0
    print(f"{found['slots']:,} slots, {found['events']:,} events; medians of {options.runs}")
    print(f"{'layer':34}{'ns a slot':>10}{'range':>18}{'events/s alone':>18}")
    for name, ns in found["ns_a_slot"].items():
        low, high = found["range"][name]
        print(f"{name:34}{ns:10.1f}{f'{low} to {high}':>18}{found['events_per_second'][name]:18,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
