"""How tests run the engine: recorded logs in, rows and final pools out; and logs made by hand."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from disruptor.config.loader import load_settings
from disruptor.message import MessageType
from disruptor.replay.request import ReplayRequest
from disruptor.replay.run import ReplayResult, run

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "streams" / "uniswap_v2_v3.logs.jsonl.zst"
BLOCKS = ROOT / "examples" / "streams" / "uniswap_v2_v3.blocks.jsonl.zst"
#: Tables and rings of a size that is quick to make.
SMALL = (
    "capacity.pools=512",
    "capacity.tokens=1024",
    "capacity.pairs=512",
    "capacity.ticks=8192",
    "capacity.tick_bitmap=4096",
    "capacity.paths=4096",
    "huge_pages=off",
    "ring_slots=4096",
    "output_slots=4096",
)
Row = dict[str, Any]


def plain(value: Any) -> Any:
    """A field of a record in plain Python: limbs as an integer, bytes as hex."""
    if isinstance(value, np.ndarray) and value.dtype == np.uint8:
        return "0x" + value.tobytes().hex()
    if isinstance(value, np.ndarray):
        return int.from_bytes(value.tobytes(), "little")
    return value.item()


@dataclass
class Rows:
    """A sink that keeps every output as a dict."""

    rows: list[Row] = field(default_factory=list)
    opened: int = 0

    def open(self, messages: Sequence[MessageType], pool_address: Any) -> None:
        self.opened += 1
        self.rows.clear()
        self.address = pool_address

    def write(self, records: Any, context: Any) -> None:
        for k, record in enumerate(records):
            row = {name: plain(record[name]) for name in records.dtype.names if not name.startswith("_")}
            for venue in ("venue_a", "venue_b"):
                if venue in row:
                    row[venue] = "0x" + self.address(row[venue]).hex()
            row["type"], row["block"] = context.message.name, int(context.block[k])
            row["tx"] = plain(context.tx_hash[k]) if context.has_tx[k] else None
            row["log"] = int(context.log_index[k]) if context.log_index[k] >= 0 else None
            row |= {name: plain(column[k]) for name, column in context.extra.items()}
            self.rows.append(row)

    def end_batch(self) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def of(self, name: str) -> list[Row]:
        return [row for row in self.rows if row["type"] == name]


@dataclass(frozen=True)
class Outcome:
    """What one replay gave."""

    result: ReplayResult
    sink: Rows
    pools: dict[str, Row]

    @property
    def digests(self) -> tuple[str, str, int]:
        return self.result.state_digest, self.result.output_digest, self.result.events


def replay(source: str | Path, *sets: str, keep: bool = True, **options: Any) -> Outcome:
    """Replay a file or journal with settings `sets` on top of `SMALL`."""
    settings, _ = load_settings(None, [*SMALL, *sets])
    sink = Rows()
    with tempfile.TemporaryDirectory() as folder:
        state_out = Path(folder) / "pools.jsonl"
        request = ReplayRequest(
            sources=(str(source),), settings=settings, state_out=str(state_out), **options
        )
        result = run(request, sink if keep else None)
        lines = [json.loads(line) for line in state_out.read_text().splitlines()]
    return Outcome(result, sink, {line["pool"]: line for line in lines})


def write_lines(path: Path, objects: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(o) + "\n" for o in objects))
    return path


def word(value: int | str) -> str:
    """32 bytes of hex for an integer or an address."""
    return f"{(int(value, 16) if isinstance(value, str) else value) % 2**256:064x}"


def log(
    block: int, index: int, emitter: str, topics: Sequence[str], data: Sequence[int | str], **more: Any
) -> Row:
    """An `eth_getLogs` object; topics after the first and data are integers or addresses."""
    return {
        "address": emitter,
        "topics": [topics[0], *("0x" + word(t) for t in topics[1:])],
        "data": "0x" + "".join(map(word, data)),
        "blockHash": "0x" + word(block + 10**6),
        "blockNumber": hex(block),
        "transactionHash": "0x" + word(block * 1000 + more.get("tx", index) + 1),
        "transactionIndex": hex(more.get("tx", index)),
        "logIndex": hex(index),
        "removed": more.get("removed", False),
    }
