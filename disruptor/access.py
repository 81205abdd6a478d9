"""How handlers reach state: `read`, `row`, `find`, `insert`, `remove`.

All writes go through `row`, so that what a write costs is decided when the loop is compiled, not while it runs. The
variants are classes of table view: `PlainView` trusts the index, `CheckedView` (setting `enable_bounds_checking`)
reports a bad one and hands out a scratch row, `ReadOnlyView` (tables of other modules) refuses all that writes: a
handler that tries does not compile. Each function below has a plain Python body and an `@overload` that picks by view class.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import overload

from disruptor.jit import inline
from disruptor.status import ROW_OUT_OF_BOUNDS, TABLE_FULL, TOO_MANY_INSERTS
from disruptor.table import LIVE

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT32 = np.uint64(32)
_SHIFT29 = np.uint64(29)
_LOW32 = np.uint64(0xFFFFFFFF)
_NOT_YOURS = "this table belongs to another module: read it with `read`, or list it in tables=[...]"


class PlainView(NamedTuple):
    """A table whose row indices are trusted."""

    rows: Any
    meta: Any
    buckets: Any
    links: Any
    fault: Any


class CheckedView(NamedTuple):
    """A table whose row indices and declared inserts are checked; a violation lands in `fault`."""

    rows: Any
    meta: Any
    buckets: Any
    links: Any
    fault: Any


class ReadOnlyView(NamedTuple):
    """A table of another module: readable only."""

    rows: Any
    meta: Any
    buckets: Any
    links: Any
    fault: Any


def _is(view_type: Any, view_class: type) -> bool:
    return getattr(view_type, "instance_class", None) is view_class


def row(table: Any, index: Any) -> Any:
    """The row at `index`, for writing.

    A table of another module refuses (at compile time). With bounds checking, an index outside the table gives a
    scratch row and the event fails with ROW_OUT_OF_BOUNDS.
    """
    if isinstance(table, ReadOnlyView):
        raise TypeError(_NOT_YOURS)
    return _checked_row(table, index) if isinstance(table, CheckedView) else table.rows[np.int64(index)]


@overload(row, strict=False)
def _row(table: Any, index: Any) -> Any:
    if _is(table, PlainView):
        return lambda table, index: table.rows[np.int64(index)]
    if _is(table, CheckedView):
        return lambda table, index: _checked_row(table, index)
    if _is(table, ReadOnlyView):
        raise numba.errors.TypingError(_NOT_YOURS)
    return None


def read(table: Any, index: Any) -> Any:
    """The row at `index`, for reading; any table. Writing to it is a defect that nothing undoes."""
    return table.rows[np.int64(index)] if isinstance(table, PlainView) else _checked_row(table, index)


@overload(read, strict=False)
def _read(table: Any, index: Any) -> Any:
    if _is(table, PlainView):
        return lambda table, index: table.rows[np.int64(index)]
    if _is(table, CheckedView) or _is(table, ReadOnlyView):
        return lambda table, index: _checked_row(table, index)
    return None


def _own(table: Any) -> None:
    """Refuse a table of another module; says nothing and costs nothing for one's own."""
    if isinstance(table, ReadOnlyView):
        raise TypeError(_NOT_YOURS)


@overload(_own, strict=False)
def _compiled_own(table: Any) -> Any:
    if _is(table, ReadOnlyView):
        raise numba.errors.TypingError(_NOT_YOURS)
    return lambda table: None


@inline
def _checked_row(table, index):  # type: ignore[no-untyped-def]
    capacity = table.meta[0]["capacity"]
    at = np.int64(index)
    if at < 0 or at >= capacity:
        table.fault[0] = ROW_OUT_OF_BOUNDS
        at = capacity
    return table.rows[at]


@inline
def _pack(first, second):  # type: ignore[no-untyped-def]
    # By way of int64, which takes a negative tick in plain Python too.
    high, low = np.uint64(np.int64(first)), np.uint64(np.int64(second))
    return ((high & _LOW32) << _SHIFT32) | (low & _LOW32)


@inline
def _slot_of(key, mask):  # type: ignore[no-untyped-def]
    """Home bucket of a key: multiplicative hashing folded twice, so that dense ids spread."""
    mixed = (key ^ (key >> _SHIFT29)) * _MIX
    return np.int64(mixed >> _SHIFT32) & mask


@inline
def _bucket_of(table, key):  # type: ignore[no-untyped-def]
    """Bucket that holds `key`, or the empty bucket where it would go. Terminates: half the buckets are empty."""
    mask = table.meta[0]["bucket_mask"]
    at = _slot_of(key, mask)
    while table.buckets[at]["row"] >= 0 and table.buckets[at]["key"] != key:
        at = (at + 1) & mask
    return at


@inline
def find(table, first, second):  # type: ignore[no-untyped-def]
    """Row index of a key in a hashed table, or -1. A one-field key passes 0 as `second`."""
    return table.buckets[_bucket_of(table, _pack(first, second))]["row"]


@inline
def insert(table, first, second):  # type: ignore[no-untyped-def]
    """Row index of a key in a hashed table, inserted as a zeroed row if absent.

    The loop has checked room for the declared `max_inserts` before the event began. If a handler inserts more than
    it declared and the table is full, the event fails with TABLE_FULL and the scratch row is returned.
    The caller writes the key fields.
    """
    _own(table)
    key = _pack(first, second)
    at = _bucket_of(table, key)
    found = table.buckets[at]["row"]
    if found >= 0:
        return found
    meta = table.meta[0]
    if meta["inserts_left"] <= 0:
        table.fault[0] = TOO_MANY_INSERTS
        return meta["capacity"]
    new = meta["free"]
    if new >= 0:
        meta["free"] = table.links[new]
    elif meta["high"] < meta["capacity"]:
        new = meta["high"]
        meta["high"] = new + 1
    else:
        table.fault[0] = TABLE_FULL
        return meta["capacity"]
    meta["inserts_left"] -= 1
    meta["count"] += 1
    table.links[new] = LIVE
    table.buckets[at]["key"] = key
    table.buckets[at]["row"] = new
    return new


@inline
def remove(table, first, second):  # type: ignore[no-untyped-def]
    """Remove a key from a hashed table and zero its row; returns whether it was there.

    Backward-shift deletion (Knuth 6.4 R): no tombstones, so look-ups never slow down with age.
    """
    _own(table)
    mask = table.meta[0]["bucket_mask"]
    hole = _bucket_of(table, _pack(first, second))
    gone = table.buckets[hole]["row"]
    if gone < 0:
        return False
    at = (hole + 1) & mask
    while table.buckets[at]["row"] >= 0:
        home = _slot_of(table.buckets[at]["key"], mask)
        if ((at - home) & mask) >= ((at - hole) & mask):
            table.buckets[hole]["key"] = table.buckets[at]["key"]
            table.buckets[hole]["row"] = table.buckets[at]["row"]
            hole = at
        at = (at + 1) & mask
    table.buckets[hole]["row"] = -1
    meta = table.meta[0]
    table.rows[gone] = table.rows[meta["capacity"]]  # the scratch row is zero unless an event has failed
    table.links[gone] = meta["free"]
    meta["free"] = gone
    meta["count"] -= 1
    return True


@inline
def assign(target, source):  # type: ignore[no-untyped-def]
    """Copy a byte string or limbs from one row's field to another's of the same length.

    Handlers are compiled without numba's reference counting (an atomic increment for each array passed), and numba
    can't compile the slice in `target[:] = source` without it.
    """
    for k in range(len(target)):
        target[k] = source[k]


@inline
def assign_at(target, offset, source):  # type: ignore[no-untyped-def]
    """Copy all of `source` into `target` from `offset` on."""
    for k in range(len(source)):
        target[offset + k] = source[k]


@inline
def claim_id(table, index):  # type: ignore[no-untyped-def]
    """Take a dense id into use; returns whether the table has a row for it (else the event fails with TABLE_FULL)."""
    _own(table)
    meta = table.meta[0]
    at = np.int64(index)
    if at < 0 or at >= meta["capacity"]:
        table.fault[0] = TABLE_FULL
        return False
    if at >= meta["high"]:
        meta["high"] = at + 1
        meta["count"] = at + 1
    return True
