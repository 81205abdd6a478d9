"""What a snapshot costs: the pause for a copy of the rows, writing, checking, loading; and a warm start from it.

    python -m bench.snapshot_cost JOURNAL [--set KEY=VALUE] [--runs N] [--json]

The state is that of the journal's newest snapshot, so write one first, with the same settings:

    disruptor snapshot JOURNAL [--set KEY=VALUE]

Times are by the wall. Beside each stands what the same bytes take anyhow, in the same run: a copy in memory, a file
written and synced, a file read. The warm start is `disruptor replay JOURNAL --from-snapshot` over 10,000 slots, a
whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from disruptor.config.loader import load_settings
from disruptor.handler_set import HandlerSet
from disruptor.journal.snapshot_file import Snapshot, check_file, load
from disruptor.journal.snapshot_store import SnapshotStore
from disruptor.replay.program import Memory, build_handler_set, build_processor
from disruptor.state import State
from disruptor.state_image import copy_rows, view_rows

RUNS = 7
#: Slots that a warm start replays behind the snapshot, if there are so many.
TAIL = 10_000


def timed(action: Callable[[], Any], runs: int) -> list[float]:
    """Milliseconds of each run."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        found.append((time.perf_counter() - began) * 1e3)
    return found


def fresh_state(handlers: HandlerSet, settings: Any) -> State:
    """An empty state, its memory faulted in."""
    memory = Memory(settings)
    state = build_processor(handlers, settings, memory.allocate).state
    memory.settle()
    return state


def write_file(path: Path, content: bytes) -> None:
    """Write and sync a file, as plainly as can be."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def measure(journal: str, sets: list[str], runs: int) -> dict[str, Any]:
    """Medians and ranges over `runs`, in milliseconds."""
    settings: Any = load_settings("replay", sets)[0]
    handlers = build_handler_set(settings)
    found = SnapshotStore(journal).candidates().snapshots
    if not found:
        raise SystemExit(f"{journal}: no snapshot: write one with `disruptor snapshot {journal}`")
    snapshot = found[0]
    state = fresh_state(handlers, settings)
    load(snapshot, state)
    image, content = view_rows(state), snapshot.path.read_bytes()
    times = {"load into a fresh state": _loads(snapshot, handlers, settings, runs)}
    buffer, other = np.ones(state.nbytes, np.uint8), np.ones(image.nbytes, np.uint8)
    times["copy of the rows: the pause"] = timed(lambda: copy_rows(state, buffer), runs)
    times["  so many bytes copied"] = timed(lambda: np.copyto(buffer[: image.nbytes], other), runs)
    with tempfile.TemporaryDirectory(dir=Path(journal).resolve()) as folder:
        store = SnapshotStore(folder)
        times["write, on another thread"] = timed(lambda: store.write(image, snapshot.facts), runs)
        plain = Path(folder) / "plain"
        times["  so many bytes written and synced"] = timed(lambda: write_file(plain, content), runs)
    times["check every byte"] = timed(lambda: check_file(snapshot), runs)
    times["  so many bytes read"] = timed(snapshot.path.read_bytes, runs)
    times["warm start from it, a whole process"] = _starts(journal, snapshot.sequence, sets, runs)
    return {
        "state_bytes": state.nbytes,
        "file_bytes": snapshot.header.file_size,
        "sequence": snapshot.sequence,
        "ms": {name: round(statistics.median(found), 1) for name, found in times.items()},
        "range": {name: [round(min(found), 1), round(max(found), 1)] for name, found in times.items()},
    }


def _loads(snapshot: Snapshot, handlers: HandlerSet, settings: Any, runs: int) -> list[float]:
    found = []
    for _ in range(runs):
        state = fresh_state(handlers, settings)
        found += timed(lambda state=state: load(snapshot, state), 1)  # type: ignore[misc]
        del state
    return found


def _starts(journal: str, sequence: int, sets: list[str], runs: int) -> list[float]:
    words = [sys.executable, "-c", "from disruptor.engine.cli import main; main()", "replay", journal]
    words += ["--from-snapshot", "--to-seq", str(sequence + TAIL), "--json"]
    words += [word for one in sets for word in ("--set", one)]
    return timed(lambda: subprocess.run(words, check=True, capture_output=True), runs)


def main(arguments: list[str] | None = None) -> int:
    """Print a table, or with --json one object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("journal")
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="KEY=VALUE")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    found = measure(options.journal, options.sets, options.runs)
    if options.json:
        print(json.dumps(found))
        return 0
    print(
        f"snapshot at {found['sequence']}: {found['file_bytes']:,} bytes of a state of {found['state_bytes']:,}"
    )
    print(f"{'':38}{'ms':>9}{'range':>20}")
    for name, milliseconds in found["ms"].items():
        low, high = found["range"][name]
        print(f"{name:38}{milliseconds:9.1f}{f'{low} to {high}':>20}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
