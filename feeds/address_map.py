"""Address to dense id: open addressing over 20-byte keys.

One entry is 32 bytes, (low, mid, top, id + 1), so a hit costs one cache line; 0 in the last word means free.
The table is a power of two, at most half full: kernels ask `has_room` before a log, and where there is none
they return to Python, which rehashes into a table twice as large and resumes. Nothing is ever removed.
Ids are handed out by the caller in order, so they do not depend on the table's size or on the hash.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.compile_cache import entry_uncounted
from disruptor.feeds.encode_words import LOW32, S32, ZERO
from disruptor.jit import inline

#: Odd 32-bit multipliers: products of 32-bit halves never exceed 64 bits, so nothing wraps.
_MULTIPLIER_LOW = np.uint64(0x9E3779B1)
_MULTIPLIER_HIGH = np.uint64(0x85EBCA77)
_TURN = np.uint64(17)
_BACK = np.uint64(47)

AddressTable = npt.NDArray[np.uint64]


def new_table(capacity: int) -> AddressTable:
    """An empty table of (capacity, 4) uint64; `capacity` is a power of two, at least 4."""
    assert capacity >= 4 and capacity & (capacity - 1) == 0, capacity
    return np.zeros((capacity, 4), np.uint64)


@inline
def _first_index(table: Any, top: Any, mid: Any, low: Any) -> Any:
    mixed = low ^ ((mid << _TURN) | (mid >> _BACK)) ^ (top << S32)
    product = (mixed & LOW32) * _MULTIPLIER_LOW ^ (mixed >> S32) * _MULTIPLIER_HIGH
    return np.int64((product ^ (product >> S32)) & np.uint64(table.shape[0] - 1))


@inline
def find(table: Any, top: Any, mid: Any, low: Any) -> Any:
    """Id of an address, or -1. At most `capacity` probes."""
    index = _first_index(table, top, mid, low)
    for _ in range(table.shape[0]):
        number = table[index, 3]
        if number == ZERO:
            return -1
        if table[index, 0] == low and table[index, 1] == mid and table[index, 2] == top:
            return np.int64(number) - 1
        index = (index + 1) & (table.shape[0] - 1)
    return -1


@inline
def insert(table: Any, top: Any, mid: Any, low: Any, number: Any) -> None:
    """Enter an address that is not in the table, which must have a free entry. Mutates `table`."""
    index = _first_index(table, top, mid, low)
    for _ in range(table.shape[0]):
        if table[index, 3] == ZERO:
            table[index, 0], table[index, 1], table[index, 2] = low, mid, top
            table[index, 3] = np.uint64(number + 1)
            return
        index = (index + 1) & (table.shape[0] - 1)


@inline
def has_room(table: Any, used: int, wanted: int) -> Any:
    """Whether `wanted` more entries leave the table at most half full."""
    return 2 * (used + wanted) <= table.shape[0]


@entry_uncounted
def copy_entries(old: Any, new: Any) -> None:
    """Enter all addresses of `old` into the empty, larger `new`. Mutates `new`."""
    for i in range(old.shape[0]):
        if old[i, 3] != ZERO:
            insert(new, old[i, 2], old[i, 1], old[i, 0], np.int64(old[i, 3]) - 1)


def with_room(table: AddressTable, used: int, wanted: int) -> AddressTable:
    """The table itself if `wanted` more entries have room, else one twice as large with the same entries."""
    if 2 * (used + wanted) <= table.shape[0]:
        return table
    larger = new_table(2 * table.shape[0])
    copy_entries(table, larger)
    return larger


def address_words(address: bytes) -> tuple[np.uint64, np.uint64, np.uint64]:
    """The key (top, mid, low) of 20 address bytes.

    >>> [int(word) for word in address_words(bytes(19) + b"\\x07")]
    [0, 0, 7]
    """
    assert len(address) == 20, len(address)
    return (
        np.uint64(int.from_bytes(address[:4], "big")),
        np.uint64(int.from_bytes(address[4:12], "big")),
        np.uint64(int.from_bytes(address[12:], "big")),
    )
