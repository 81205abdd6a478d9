"""Reads the recorded streams of tests/streams, whose README says what is in them."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

STREAMS = Path(__file__).resolve().parents[1] / "streams"


def stream_path(name: str, file: str) -> Path:
    """Where a packed file lies: `stream_path("v3_swaps", "logs.jsonl")`; the command line reads it as it is."""
    return STREAMS / f"{name}.{file}.xz"


def read_lines(name: str, file: str) -> Iterator[Any]:
    """The objects of a packed file of JSON lines."""
    with lzma.open(stream_path(name, file), "rt") as lines:
        yield from map(json.loads, lines)


def read_document(name: str, file: str) -> Any:
    """A packed JSON document."""
    with lzma.open(stream_path(name, file), "rt") as file_:
        return json.load(file_)


def unpack(name: str, folder: Path) -> Path:
    """Write a stream's files as the folder that its generator wrote; the folder."""
    for packed in sorted(STREAMS.glob(f"{name}.*.xz")):
        plain = packed.name.removeprefix(f"{name}.").removesuffix(".xz")
        (folder / plain).write_bytes(lzma.decompress(packed.read_bytes()))
    return folder
