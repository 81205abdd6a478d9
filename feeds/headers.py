"""Block headers: one per height, checked against each other, for times, base fees and the chain's shape.

Headers may come from several files that overlap, and from a node that saw a reorg. Equal ones count
once, and what one of them leaves out the other fills in. Where two hashes claim a height, the header above
decides by its parent hash. Decisions go downwards, so an orphaned branch of any length is left out. Where
neither has a child nobody can tell: an error. In the end every parent hash must be the hash of the header
below.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.feeds.encode_state import HEADER_DTYPE
from disruptor.feeds.header_files import HAS_HASH, HAS_PARENT, HAS_TIMESTAMP, READ_DTYPE, read_headers
from disruptor.feeds.paths import expand_paths

Rows = npt.NDArray[Any]

#: A header with where it came from.
_PLACED_DTYPE = np.dtype([*READ_DTYPE.descr, ("file", "<i4"), ("position", "<i8")])
_FIELD_BITS = {"base_fee": 8, "gas_used": 16, "gas_limit": 32, "hash": HAS_HASH, "parent_hash": HAS_PARENT}


@dataclass(frozen=True)
class Headers:
    """The headers of one chain, by ascending number, each height once.

    Attributes
    ----------
    rows : (n,) HEADER_DTYPE of `encode_state`; timestamp -1 and counts 0 where unknown
    known : (n,) int32, which fields are known: `HAS_…` bits of `header_files`
    gaps : missing heights between the first and the last, as (first, last) pairs
    duplicates : headers given more than once
    orphaned : headers left out because they are not on the chain
    """

    rows: Rows
    known: npt.NDArray[np.int32]
    gaps: list[tuple[int, int]]
    duplicates: int
    orphaned: int

    def __len__(self) -> int:
        return len(self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Rows:
        """The rows, so that `np.asarray(headers)` gives the table which the encoder reads."""
        assert dtype is None or np.dtype(dtype) == self.rows.dtype
        return self.rows.copy() if copy else self.rows

    @property
    def without_hash(self) -> int:
        """How many have no hash: only their height can be checked."""
        return int(np.count_nonzero(self.known & HAS_HASH == 0))


def load_headers(paths: Iterable[str | Path]) -> Headers:
    """Load and check block headers.

    Parameters
    ----------
    paths : files, folders or patterns, told apart by content: JSON or JSONL of `eth_getBlockBy*` answers or
        ethereum-etl, CSV, cryo `blocks` Parquet; plain, gzip, xz or zstd

    Raises
    ------
    InputError : unreadable input, headers that contradict each other, or none at all.
    """
    files = expand_paths(paths, "block headers")
    parts = []
    for index, file in enumerate(files):
        for read in read_headers(file):
            placed = np.zeros(len(read.rows), _PLACED_DTYPE)
            for name in READ_DTYPE.names or ():
                placed[name] = read.rows[name]
            placed["file"], placed["position"] = index, read.positions
            parts.append(placed)
    rows = np.concatenate(parts) if parts else np.zeros(0, _PLACED_DTYPE)
    if not len(rows):
        raise InputError(f"{', '.join(map(str, files)) or 'headers'}: no block headers there")
    if (np.diff(rows["number"]) <= 0).any():
        rows = rows[np.argsort(rows["number"], kind="stable")]
    distinct = _drop_equal(rows)
    kept = _Chain(distinct, files).kept()
    _check_parents(kept, files)
    orphaned = len(distinct) - len(kept)
    return Headers(
        _table(kept), kept["known"].copy(), _gaps(kept["number"]), len(rows) - len(distinct), orphaned
    )


def _drop_equal(rows: Rows) -> Any:
    """Leave out headers that repeat the one before in everything but its place."""
    if (np.diff(rows["number"]) > 0).all():
        return rows
    equal = np.ones(len(rows) - 1, np.bool_)
    for name in READ_DTYPE.names or ():
        same = rows[name][1:] == rows[name][:-1]
        equal &= same if same.ndim == 1 else same.all(axis=1)
    return rows[np.concatenate([[True], ~equal])]


class _Chain:
    """Decides which header stands at each height; heights with one header take no Python step."""

    def __init__(self, rows: Rows, files: list[Path]) -> None:
        self._rows, self._files = rows, files
        numbers = rows["number"]
        self._heights, self._starts = np.unique(numbers, return_index=True)
        self._ends = np.append(self._starts[1:], len(rows))

    def kept(self) -> Any:
        """One header a height: contested heights are decided from the highest down."""
        kept = self._rows[self._starts]
        for group in np.flatnonzero(self._ends - self._starts > 1)[::-1]:
            candidates = self._rows[self._starts[group] : self._ends[group]]
            above = kept[group + 1 : group + 2]
            child = above if len(above) and above[0]["number"] == candidates[0]["number"] + 1 else None
            kept[group] = self._merge(self._on_chain(candidates, child))
        return kept

    def _on_chain(self, candidates: Rows, child: Rows | None) -> Any:
        """The candidates that may stand: all, if they have one hash; else those that the child names."""
        hashes = {bytes(row["hash"]) for row in candidates if row["known"] & HAS_HASH}
        if len(hashes) <= 1:
            return candidates
        if child is not None and child[0]["known"] & HAS_PARENT:
            parent = bytes(child[0]["parent_hash"])
            named = [bool(row["known"] & HAS_HASH) and bytes(row["hash"]) == parent for row in candidates]
            if any(named):
                return candidates[np.array(named)]
        listed = " and ".join(_described(row, self._files) for row in candidates[:4])
        raise InputError(
            f"blocks with two hashes at height {candidates[0]['number']}: {listed}: "
            "no header above decides: give the next block's header, or remove the orphaned one"
        )

    def _merge(self, candidates: Rows) -> Any:
        """One header out of several of the same block: each fills in what the others leave out."""
        merged = candidates[0].copy()
        for row in candidates[1:]:
            both = int(merged["known"] & row["known"])
            for name, bit in (*_FIELD_BITS.items(), ("timestamp", HAS_TIMESTAMP)):
                if both & bit and not np.array_equal(merged[name], row[name]):
                    places = f"{_place(merged, self._files)} and {_place(row, self._files)}"
                    raise InputError(f"block {row['number']} has two values of {name}: {places}: remove one")
                if row["known"] & bit and not merged["known"] & bit:
                    merged[name] = row[name]
            merged["known"] |= row["known"]
        return merged


def _check_parents(rows: Rows, files: list[Path]) -> None:
    """Every parent hash is the hash of the header below, where both are known."""
    below, above = rows[:-1], rows[1:]
    known = (below["known"] & HAS_HASH != 0) & (above["known"] & HAS_PARENT != 0)
    known &= above["number"] == below["number"] + 1
    broken = known & (above["parent_hash"] != below["hash"]).any(axis=1)
    if broken.any():
        at = int(np.argmax(broken))
        parent = "0x" + bytes(above[at]["parent_hash"]).hex()
        raise InputError(
            f"headers do not chain: {_described(above[at], files)} has parent {parent}, "
            f"but below it is {_described(below[at], files)}: fetch the headers of one chain",
            block_number=int(above[at]["number"]),
        )


def _place(row: Rows, files: list[Path]) -> str:
    return f"{files[int(row['file'])]}:{row['position']}"


def _described(row: Rows, files: list[Path]) -> str:
    name = "0x" + bytes(row["hash"]).hex() if row["known"] & HAS_HASH else "without a hash"
    return f"block {row['number']} {name} ({_place(row, files)})"


def _table(rows: Rows) -> Rows:
    table = np.zeros(len(rows), HEADER_DTYPE)
    for name in ("number", "timestamp", "base_fee", "gas_used", "gas_limit"):
        table[name] = rows[name]
    for name in ("hash", "parent_hash"):
        table[name] = np.ascontiguousarray(rows[name]).view("<u8")
    table["has_hash"], table["has_parent"] = rows["known"] & HAS_HASH != 0, rows["known"] & HAS_PARENT != 0
    return table


def _gaps(numbers: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Runs of missing numbers.

    >>> _gaps(np.array([1, 2, 5, 7]))
    [(3, 4), (6, 6)]
    """
    steps = np.flatnonzero(np.diff(numbers) > 1)
    return [(int(numbers[step]) + 1, int(numbers[step + 1]) - 1) for step in steps]
