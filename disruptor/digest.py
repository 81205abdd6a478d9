"""Digests: one number that two runs share only if they ended in the same state or emitted the same outputs.

*State digest*: the sum modulo 2^128 of the hashes of all canonical rows (see `disruptor.table`). A sum does not depend
on the order of rows, so neither capacities, nor the layout of hash tables, nor (later) the number of shards show. A
row's hash is two XXH64 with seeds 0 and 1 over an 8-byte tag of the table and its fields, and the canonical bytes:
XXH64 because it is 40 lines to write in a kernel and the `xxhash` package is its oracle; not XXH3, which is ten times
that.

*Output digest*: XXH3-128 streamed over the output slots as they leave, hence of their order and every byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.compile_cache import entry
from disruptor.jit import jit
from disruptor.message import FieldType
from disruptor.table import LIVE, Table, TableArrays

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_ONE = np.uint64(1)
_S = tuple(np.uint64(n) for n in range(65))

#: One canonical field: where it lies in the row, and for a reference where its domain's identities begin.
FIELD_DTYPE = np.dtype(
    [("offset", "<i8"), ("size", "<i8"), ("base", "<i8"), ("ids", "<i8"), ("width", "<i8")]
)
_TAG_BYTES = 8


@jit
def _rotate(x: Any, n: Any) -> Any:
    return (x << np.uint64(n)) | (x >> np.uint64(64 - n))


@jit
def _round(lane: Any, word: Any) -> Any:
    return _rotate(lane + word * _P2, 31) * _P1


@jit
def _merge(h: Any, lane: Any) -> Any:
    return (h ^ _round(np.uint64(0), lane)) * _P1 + _P4


@jit
def xxh64(words: Any, octets: Any, length: Any, seed: Any) -> Any:
    """XXH64 of the first `length` bytes of a buffer given twice: as u64 words and as bytes."""
    at = 0
    if length >= 32:
        a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while at + 32 <= length:
            w = at >> 3
            a, b = _round(a, words[w]), _round(b, words[w + 1])
            c, d = _round(c, words[w + 2]), _round(d, words[w + 3])
            at += 32
        h = _rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)
        h = _merge(_merge(_merge(_merge(h, a), b), c), d)
    else:
        h = seed + _P5
    h += np.uint64(length)
    while at + 8 <= length:
        h = _rotate(h ^ _round(np.uint64(0), words[at >> 3]), 27) * _P1 + _P4
        at += 8
    if at + 4 <= length:
        word = (words[at >> 3] >> np.uint64(8 * (at & 7))) & np.uint64(0xFFFFFFFF)
        h = _rotate(h ^ (word * _P1), 23) * _P2 + _P3
        at += 4
    while at < length:
        h = _rotate(h ^ (np.uint64(octets[at]) * _P5), 11) * _P1
        at += 1
    h = (h ^ (h >> np.uint64(33))) * _P2
    h = (h ^ (h >> np.uint64(29))) * _P3
    return h ^ (h >> np.uint64(32))


@jit
def _canonical(row: Any, fields: Any, identities: Any, octets: Any) -> Any:
    """Write a row's canonical bytes behind the tag; returns the total length, and whether any byte is not zero."""
    at = _TAG_BYTES
    any_set = False
    for f in range(len(fields)):
        offset, size = fields[f]["offset"], fields[f]["size"]
        if fields[f]["base"] < 0:
            for k in range(size):
                octets[at + k] = row[offset + k]
                any_set |= row[offset + k] != 0
            at += size
            continue
        width = fields[f]["width"]
        number = np.int64(0)
        for k in range(4):
            number |= np.int64(row[offset + k]) << np.int64(8 * k)
        any_set |= number != 0
        known = number < fields[f]["ids"]
        for k in range(width):
            octets[at + k] = identities[fields[f]["base"] + number, k] if known else np.uint8(0)
        at += width
    return at, any_set


@entry
def sum_rows(
    rows: Any, live: Any, bounds: Any, fields: Any, identities: Any, octets: Any, words: Any, total: Any
) -> Any:
    """Add the hashes of a table's present rows to `total`.

    Parameters
    ----------
    rows : (n, row_size) uint8
    live : (n,) int64 links of a hashed table (rows with LIVE count), or (1,) for a dense one (nonzero rows count)
    bounds : (3,) int64: rows to scan, 1 if hashed, index of the row that goes first (always 0)
    fields : FIELD_DTYPE; identities : (m, 32) uint8; octets, words : one scratch buffer seen twice, tag at its start
    total : (2,) uint64, little end first. Mutated.
    """
    count = 0
    for r in range(bounds[0]):
        if bounds[1] == 1 and live[r] != LIVE:
            continue
        length, any_set = _canonical(rows[r], fields, identities, octets)
        if not any_set and bounds[1] == 0:
            continue
        low = xxh64(words, octets, length, np.uint64(0))
        high = xxh64(words, octets, length, _ONE)
        before = total[0]
        total[0] = before + low
        total[1] = total[1] + high + (_ONE if total[0] < before else np.uint64(0))
        count += 1
    return count


def state_digest(
    tables: Sequence[Table], arrays: Mapping[str, TableArrays], scan: Mapping[str, int]
) -> tuple[str, dict[str, int]]:
    """Digest of all digested tables.

    Parameters
    ----------
    arrays : storage by table name; scan : rows to scan by table name

    Returns
    -------
    32 hex digits, and the number of rows counted by table.
    """
    identities, bases = _gather_identities(tables, arrays, scan)
    total = np.zeros(2, np.uint64)
    counts = {}
    for table in tables:
        if not table.digest:
            continue
        fields = _describe(table, bases)
        octets = np.zeros(-(-(_TAG_BYTES + int(_canonical_size(fields))) // 8) * 8 + 32, np.uint8)
        octets[:_TAG_BYTES] = np.frombuffer(row_tag(table.name, shown_fields(table)), np.uint8)
        storage = arrays[table.name]
        rows = storage.rows.view(np.uint8).reshape(len(storage.rows), table.row_size)
        bounds = np.array([scan[table.name], int(table.hashed), 0], np.int64)
        with np.errstate(over="ignore"):
            counts[table.name] = int(
                sum_rows(
                    rows, storage.links, bounds, fields, identities, octets, octets.view(np.uint64), total
                )
            )
    return f"{(int(total[1]) << 64) | int(total[0]):032x}", counts


def _canonical_size(fields: npt.NDArray[Any]) -> int:
    return int(np.where(fields["base"] >= 0, fields["width"], fields["size"]).sum())


def _gather_identities(
    tables: Sequence[Table], arrays: Mapping[str, TableArrays], scan: Mapping[str, int]
) -> tuple[npt.NDArray[np.uint8], dict[str, tuple[int, int, int]]]:
    """All domains' identities below each other; per domain (first row, ids, width)."""
    parts, bases, at = [], {}, 0
    for table in tables:
        if table.identity is None or table.domain is None:
            continue
        values = arrays[table.name].rows[table.identity][: scan[table.name]]
        width = values.shape[1]
        part = np.zeros((len(values), 32), np.uint8)
        part[:, :width] = values
        bases[table.domain] = (at, len(values), width)
        parts.append(part)
        at += len(values)
    stacked = np.concatenate(parts) if parts else np.zeros((0, 32), np.uint8)
    return (stacked if len(stacked) else np.zeros((1, 32), np.uint8)), bases


def row_tag(name: str, fields: Iterable[str]) -> bytes:
    """What the canonical bytes of a table's rows begin with: 8 bytes that tell the table and its canonical fields."""
    return hashlib.sha256(f"{name}:{','.join(fields)}".encode()).digest()[:_TAG_BYTES]


def shown_fields(table: Table) -> dict[str, FieldType]:
    """The fields that a digest tells of: what is derived from others may be kept in any way."""
    return {n: k for n, k in table.fields.items() if not k.name.startswith("derived:")}


def _describe(table: Table, bases: Mapping[str, tuple[int, int, int]]) -> npt.NDArray[Any]:
    shown = shown_fields(table)
    fields = np.zeros(len(shown), FIELD_DTYPE)
    for at, (name, kind) in enumerate(shown.items()):
        fields[at] = (table.offsets[name], kind.dtype.itemsize, -1, 0, 0)
        if kind.name.startswith("ref:"):
            base, ids, width = bases.get(kind.name[4:], (0, 0, 20))
            fields[at] = (table.offsets[name], 4, base, ids, width)
    return fields
