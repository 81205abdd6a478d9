"""Make a large stream out of a small recorded one, and know its truth.

    python bench/enlarge.py --logs 3000000 --pools 10000 --out DIR

A *clone* is a copy of the whole recorded chain under new addresses: pools and tokens get addresses derived by
hashing, everybody else (factories, routers, traders) stays. Clones advance a transaction at a time, each in
its recorded order, so a clone's state at its position is the recorded state at that position, and arbitrage
between its venues stays as real as it was. First every clone goes through its set-up (all transactions before
the first swap); then draws from a Zipf distribution say whose transaction is next. A clone whose recording
has come to its end is succeeded by a fresh one with its own set-up, as new pools appear on a real chain.

Written into the folder: `parquet/` (cryo's logs), `logs.jsonl`, `blocks.parquet` and `blocks.jsonl`, and
`truth.jsonl`: the state in which every cloned pool must end, a line a pool, in the form of
`disruptor replay --state-out`. One JSON object on standard output says what was made. The same arguments make
the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # started as a script: the folder's own package is not importable yet
    sys.path.insert(0, str(ROOT))

from bench.clones import Plan, build, make_plan  # noqa: E402
from bench.log_files import Chain, json_lines, write_headers, write_parquet  # noqa: E402
from bench.recording import Bytes, Log, PoolTruth, Recording, created  # noqa: E402

STREAM = ROOT / "examples" / "streams" / "uniswap_v2_v3.logs.jsonl.zst"
FORMATS = ("parquet", "jsonl")
BLOCKS_PER_FILE = 1000


def read_logs(path: Path) -> list[Log]:
    """All logs of a recorded stream: JSON lines as `eth_getLogs` answers, plain or .zst."""
    raw = path.read_bytes()
    if path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    return [json.loads(line) for line in raw.splitlines()]


def write_logs(
    folder: Path, recording: Recording, plan: Plan, names: Bytes, chain: Chain, formats: list[str]
) -> None:
    """Bodies of all logs, a file's worth of blocks at a time."""
    blocks = int(plan.block[-1]) + 1
    if "parquet" in formats:
        (folder / "parquet").mkdir(exist_ok=True)
    lines = (folder / "logs.jsonl").open("w") if "jsonl" in formats else None
    for first in range(0, blocks, BLOCKS_PER_FILE):
        last = min(first + BLOCKS_PER_FILE, blocks)
        chunk = build(recording, plan, names, plan.rows(first, last), chain.seed)
        if "parquet" in formats:
            write_parquet(folder / "parquet", chunk, chain, first, last - 1)
        if lines is not None:
            lines.writelines(json_lines(chunk, chain))
    if lines is not None:
        lines.close()


def final_states(recording: Recording, plan: Plan, names: Bytes) -> list[dict[str, Any]]:
    """The state of every cloned pool after its clone's last transaction.

    Replays the recording once; clones are answered when the replay stands where they ended.
    """
    ended = np.bincount(plan.clone, minlength=plan.clones)
    order = np.argsort(ended, kind="stable").tolist()
    pools: dict[str, PoolTruth] = {}
    rows: list[dict[str, Any]] = []
    done = 0
    for clone in order:
        for log in recording.logs[recording.first_log[done] : recording.first_log[ended[clone]]]:
            if log["address"] in pools:
                pools[log["address"]].apply(log)
            elif pool := created(log):
                pools.setdefault(*pool)
        done = int(ended[clone])
        renamed = {old: "0x" + names[clone, i].tobytes().hex() for old, i in recording.numbers.items()}
        rows += [pool.row(address, renamed) for address, pool in pools.items()]
    return rows


def summary(recording: Recording, plan: Plan, pools: int, seconds: float) -> dict[str, Any]:
    """What was made, counted from the plan."""
    per_log = np.stack([recording.is_transfer, recording.is_pool_event]).astype(np.int64)
    per_transaction = np.add.reduceat(per_log, recording.first_log[:-1], axis=1)
    transfers, events = per_transaction[:, plan.source].sum(axis=1).tolist()
    logs = int(plan.first_log[-1])
    return {
        "logs": logs,
        "blocks": int(plan.block[-1]) + 1,
        "transactions": len(plan.source),
        "clones": plan.clones,
        "pools": pools,
        "token_transfers": transfers,
        "pool_events": events,
        "token_transfer_share": round(transfers / logs, 4),
        "pool_event_share": round(events / logs, 4),
        "seconds": round(seconds, 1),
    }


def formats_from(text: str) -> list[str]:
    """A comma-separated list of formats."""
    named = text.split(",")
    if unknown := set(named) - set(FORMATS):
        raise argparse.ArgumentTypeError(
            f"unknown format {sorted(unknown)[0]!r}: choose from {', '.join(FORMATS)}"
        )
    return named


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make a large stream out of a small recorded one.")
    parser.add_argument(
        "--source", type=Path, default=STREAM, help="recorded logs, JSON lines, plain or .zst"
    )
    parser.add_argument("--logs", type=int, default=3_000_000, help="at least this many logs")
    parser.add_argument(
        "--pools", type=int, default=10_000, help="at least this many pools before the first swap"
    )
    parser.add_argument(
        "--zipf", type=float, default=1.1, help="exponent of the access to clones; 0 is uniform"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--logs-per-block", type=int, default=300)
    parser.add_argument("--first-block", type=int, default=18_000_000)
    parser.add_argument("--formats", type=formats_from, default=list(FORMATS), help="parquet,jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Read, plan, write, and say what was made."""
    given = arguments(argv)
    started = time.perf_counter()
    recording = Recording(read_logs(given.source))
    plan = make_plan(
        recording,
        logs=given.logs,
        pools=given.pools,
        zipf=given.zipf,
        seed=given.seed,
        logs_per_block=given.logs_per_block,
    )
    names = np.stack([recording.clone_addresses(given.seed, clone) for clone in range(plan.clones)])
    chain = Chain(given.seed, given.first_block)
    given.out.mkdir(parents=True, exist_ok=True)
    write_logs(given.out, recording, plan, names, chain, given.formats)
    write_headers(given.out, chain, np.bincount(plan.block).tolist(), given.formats)
    rows = final_states(recording, plan, names)
    with (given.out / "truth.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    print(json.dumps(summary(recording, plan, len(rows), time.perf_counter() - started)))


if __name__ == "__main__":
    main()
