"""Compile all that runs will need: each loop on an empty input, readers and quotes on a tiny stream in each format."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from disruptor import compile_cache
from disruptor.replay.events import Inputs, LogEvents
from disruptor.replay.program import Memory, build_handler_set, build_processor
from disruptor.replay.quote import warm_quotes
from disruptor.replay.settings import RunSettings
from disruptor.replay.user_code import load_user_code
from disruptor.restore import restore_image
from disruptor.state_image import view_rows

_SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"


def warm_up(profiles: Sequence[RunSettings], handlers: tuple[str, ...] = ()) -> dict[str, Any]:
    """Compile everything that imports, replays and quotes with any of these settings and handlers will need.

    Returns
    -------
    Seconds by compiled part; 0 for what was there already.
    """
    began = time.perf_counter()
    user = load_user_code(handlers)
    for settings in profiles:
        handler_set = build_handler_set(settings, user)
        processor = build_processor(handler_set, settings, Memory(settings).allocate)
        processor.compile()
        processor.state.digest()
        restore_image(processor.state, view_rows(processor.state))
    warm_quotes(processor.state, handler_set.extensions)
    warm_readers(profiles[-1])
    parts = {name: round(seconds, 3) for name, seconds in compile_cache.compile_seconds.items()}
    return {
        "compiled": parts,
        "compile_seconds": round(sum(parts.values()), 3),
        "seconds": round(time.perf_counter() - began, 3),
        "cache": str(compile_cache.cache_folder()),
    }


def warm_readers(settings: RunSettings) -> None:
    """Read two logs as JSON Lines, CSV and Parquet, and sort them once."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    logs = [_log(block) for block in (1, 2)]
    with tempfile.TemporaryDirectory(prefix="disruptor-warmup-") as folder:
        as_json, as_csv, as_parquet = (str(Path(folder) / name) for name in ("a.jsonl", "a.csv", "a.parquet"))
        lines = [json.dumps(log | {"topics": [log["topics"]]}) for log in logs]
        Path(as_json).write_text("\n".join(lines))
        pyarrow.csv.write_csv(pa.table({k: [log[k] for log in logs] for k in _CSV_COLUMNS}), as_csv)
        pyarrow.parquet.write_table(_cryo(logs), as_parquet)
        for path, sort in ((as_json, True), (as_csv, False), (as_parquet, False)):
            inputs = Inputs(sources=(path,), pools=(), blocks=(), sort=sort, strict=False)
            for _ in LogEvents(inputs, settings, Memory(settings)).runs():
                pass


_CSV_COLUMNS = (
    "log_index",
    "transaction_hash",
    "transaction_index",
    "block_hash",
    "block_number",
    "address",
    "data",
    "topics",
)


def _log(block: int) -> dict[str, Any]:
    return {
        "log_index": 0,
        "transaction_hash": "0x" + f"{block:064x}",
        "transaction_index": 0,
        "block_hash": "0x" + f"{block + 9:064x}",
        "block_number": block,
        "address": "0x" + "11" * 20,
        "data": "0x" + f"{block:064x}" * 2,
        "topics": _SYNC,
    }


def _cryo(logs: list[dict[str, Any]]) -> Any:
    import pyarrow as pa

    def octets(name: str) -> Any:
        return pa.array([bytes.fromhex(log[name][2:]) for log in logs], pa.binary())

    empty = pa.array([None] * len(logs), pa.binary())
    columns = {
        "block_number": pa.array([log["block_number"] for log in logs], pa.uint32()),
        "transaction_index": pa.array([0] * len(logs), pa.uint32()),
        "log_index": pa.array([0] * len(logs), pa.uint32()),
        "transaction_hash": octets("transaction_hash"),
        "address": octets("address"),
        "topic0": octets("topics"),
        "topic1": empty,
        "topic2": empty,
        "topic3": empty,
        "data": octets("data"),
    }
    return pa.table(columns)
