"""A folder with a recorded stream and its truth, and the same files packed small for this repository.

Folder and repository hold the same text. `DIR/logs.jsonl` becomes `tests/streams/NAME.logs.jsonl.xz`.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.tools.node import Node

STREAMS = Path(__file__).resolve().parents[1] / "streams"
_SPAN = 200  # blocks a request for logs covers
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "pb": 0}]


def write_lines(path: Path, records: Iterable[Any]) -> int:
    """Write one JSON text a line; how many."""
    count = 0
    with path.open("w") as file:
        for record in records:
            file.write(json.dumps(record, separators=(",", ":")) + "\n")
            count += 1
    return count


def write_chain(node: Node, folder: Path) -> int:
    """Write logs.jsonl and blocks.jsonl of the whole chain; the number of logs."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(0, node.height + 1, _SPAN)
    parts = (node.logs(first, min(first + _SPAN - 1, node.height)) for first in starts)
    count = write_lines(folder / "logs.jsonl", (entry for part in parts for entry in part))
    write_lines(folder / "blocks.jsonl", node.headers(0, node.height))
    return count


def pack(folder: Path, streams: Path, name: str) -> dict[str, int]:
    """Pack every file of a folder as `streams/NAME.FILE.xz`; sizes in bytes."""
    sizes = {}
    for path in sorted(folder.iterdir()):
        packed = lzma.compress(path.read_bytes(), lzma.FORMAT_XZ, filters=_FILTERS)
        target = streams / f"{name}.{path.name}.xz"
        target.write_bytes(packed)
        sizes[target.name] = len(packed)
    return sizes
