"""How handlers reach state: `read`, `row`, `find`, `insert`, `remove`, `claim_id`, `assign`.

All writes go through `row`, so that what a write costs is decided when the loop is compiled, not while it runs. A table
comes in four variants: *plain* trusts the index, *checked* (setting `enable_bounds_checking`) reports a bad one and
hands out a scratch row, *noted* is checked and notes which rows are written, come or go (`disruptor.chain`), *foreign*
(a table of another module) refuses all that writes: a handler that tries does not compile.

The functions at the top are the only ones that know how a table is represented: as one address in compiled loops
(`disruptor.table_code` gives them to numba), as named tuples of arrays elsewhere (`disruptor.views`). All others are
built on them.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.extending import overload

from disruptor.jit import inline
from disruptor.status import ROW_OUT_OF_BOUNDS, TABLE_FULL, TOO_MANY_INSERTS
from disruptor.table import LIVE
from disruptor.table_code import NOT_YOURS, define_access, define_copies
from disruptor.views import CheckedView, NotedView, PlainView, ReadOnlyView

__all__ = [
    "CheckedView",
    "PlainView",
    "ReadOnlyView",
    "assign",
    "assign_at",
    "claim_id",
    "find",
    "holds",
    "insert",
    "prefetch",
    "prefetch_found",
    "prefetch_key",
    "read",
    "remove",
    "row",
]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT32 = np.uint64(32)
_SHIFT29 = np.uint64(29)
_LOW32 = np.uint64(0xFFFFFFFF)
_VARIANTS = {PlainView: "plain", CheckedView: "checked", ReadOnlyView: "foreign"}


def _variant(table: Any) -> str | None:
    """The variant of the numba type of a view; None for anything else."""
    return _VARIANTS.get(getattr(table, "instance_class", None))  # type: ignore[arg-type]


def _row_at(table: Any, index: Any) -> Any:
    return table.rows[index]


def meta_of(table: Any) -> Any:
    """The table's own numbers (`disruptor.table.META_DTYPE`)."""
    return table.meta[0]


def _bucket_at(table: Any, index: Any) -> Any:
    return table.buckets[index]


def _link(table: Any, index: Any) -> Any:
    return table.links[index]


def _put_link(table: Any, index: Any, value: Any) -> None:
    table.links[index] = value


def _set_link(table: Any, index: Any, value: Any) -> None:
    _put_link(table, index, value)
    if isinstance(table, NotedView):
        _note(table, index)


def _note(table: Any, index: Any) -> None:
    """Put a row on its table's list of written rows, unless it is there."""
    if table.touched[index + 1] == 0:
        table.touched[index + 1] = table.touched[0]
        table.touched[0] = index + 1


def _fail(table: Any, status: Any) -> None:
    table.fault[0] = status


def _clear(table: Any, index: Any) -> None:
    # The scratch row is zero unless an event has failed.
    table.rows[index] = table.rows[table.meta[0]["capacity"]]


for _primitive in (_row_at, meta_of, _bucket_at, _link, _set_link, _fail, _clear):

    def _compiled(table: Any, *_: Any, primitive: Any = _primitive) -> Any:
        return (primitive if primitive is not _set_link else _put_link) if _variant(table) else None

    overload(_primitive, strict=False)(_compiled)


def row(table: Any, index: Any) -> Any:
    """The row at `index`, for writing.

    A table of another module refuses (at compile time). With bounds checking, an index outside the table gives a
    scratch row and the event fails with ROW_OUT_OF_BOUNDS.
    """
    if isinstance(table, ReadOnlyView):
        raise TypeError(NOT_YOURS)
    if isinstance(table, NotedView):
        inside = 0 <= np.int64(index) < table.meta[0]["capacity"]
        _note(table, np.int64(index) if inside else table.meta[0]["capacity"])
        return _checked_row(table, index)
    return _checked_row(table, index) if isinstance(table, CheckedView) else table.rows[np.int64(index)]


@overload(row, strict=False)
def _row(table: Any, index: Any) -> Any:
    variant = _variant(table)
    if variant == "plain":
        return lambda table, index: _row_at(table, np.int64(index))
    if variant == "checked":
        return lambda table, index: _checked_row(table, index)
    if variant == "foreign":
        raise numba.errors.TypingError(NOT_YOURS)
    return None


def read(table: Any, index: Any) -> Any:
    """The row at `index`, for reading; any table. Writing to it is a defect that nothing undoes."""
    return table.rows[np.int64(index)] if isinstance(table, PlainView) else _checked_row(table, index)


@overload(read, strict=False)
def _read(table: Any, index: Any) -> Any:
    variant = _variant(table)
    if variant == "plain":
        return lambda table, index: _row_at(table, np.int64(index))
    if variant in ("checked", "foreign"):
        return lambda table, index: _checked_row(table, index)
    return None


def _own(table: Any) -> None:
    """Refuse a table of another module; says nothing and costs nothing for one's own."""
    if isinstance(table, ReadOnlyView):
        raise TypeError(NOT_YOURS)


@overload(_own, strict=False)
def _compiled_own(table: Any) -> Any:
    if _variant(table) == "foreign":
        raise numba.errors.TypingError(NOT_YOURS)
    return (lambda table: None) if _variant(table) else None


def prefetch(table: Any, index: Any) -> None:
    """Ask for a row before it is needed. An index outside the table is no fault: nothing is read."""


def _prefetch_bucket(table: Any, index: Any) -> None:
    """Ask for a bucket before it is needed."""


define_access(
    prefetch=prefetch,
    prefetch_bucket=_prefetch_bucket,
    row=row,
    read=read,
    own=_own,
    row_at=_row_at,
    meta_of=meta_of,
    bucket_at=_bucket_at,
    link=_link,
    set_link=_set_link,
    fail=_fail,
    clear=_clear,
)


@inline
def _checked_row(table: Any, index: Any) -> Any:
    capacity = meta_of(table)["capacity"]
    at = np.int64(index)
    if at < 0 or at >= capacity:
        _fail(table, ROW_OUT_OF_BOUNDS)
        at = capacity
    return _row_at(table, at)


@inline
def _pack(first: Any, second: Any) -> Any:
    # By way of int64, which takes a negative tick in plain Python too.
    high, low = np.uint64(np.int64(first)), np.uint64(np.int64(second))
    return ((high & _LOW32) << _SHIFT32) | (low & _LOW32)


@inline
def _slot_of(key: Any, mask: Any) -> Any:
    """Home bucket of a key: multiplicative hashing folded twice, so that dense ids spread."""
    mixed = (key ^ (key >> _SHIFT29)) * _MIX
    return np.int64(mixed >> _SHIFT32) & mask


@inline
def _bucket_of(table: Any, key: Any) -> Any:
    """Bucket that holds `key`, or the empty bucket where it would go. Terminates: half the buckets are empty."""
    mask = meta_of(table)["bucket_mask"]
    at = _slot_of(key, mask)
    while _bucket_at(table, at)["row"] >= 0 and _bucket_at(table, at)["key"] != key:
        at = (at + 1) & mask
    return at


@inline
def find(table: Any, first: Any, second: Any) -> Any:
    """Row index of a key in a hashed table, or -1. A one-field key passes 0 as `second`."""
    return _bucket_at(table, _bucket_of(table, _pack(first, second)))["row"]


@inline
def prefetch_key(table: Any, first: Any, second: Any) -> None:
    """Ask for where the look-up of a key in a hashed table begins."""
    _prefetch_bucket(table, _slot_of(_pack(first, second), meta_of(table)["bucket_mask"]))


@inline
def prefetch_found(table: Any, first: Any, second: Any) -> None:
    """Look a key up in a hashed table, and ask for its row."""
    at = find(table, first, second)
    if at >= 0:
        prefetch(table, at)


@inline
def holds(table: Any, index: Any) -> Any:
    """Whether an index lies within the table: what an event ahead says has not been checked yet."""
    return np.uint64(index) < np.uint64(meta_of(table)["capacity"])


@inline
def insert(table: Any, first: Any, second: Any) -> Any:
    """Row index of a key in a hashed table, inserted as a zeroed row if absent.

    The loop has checked room for the declared `max_inserts` before the event began. If a handler inserts more than
    it declared and the table is full, the event fails with TABLE_FULL and the scratch row is returned.
    The caller writes the key fields.
    """
    _own(table)
    key = _pack(first, second)
    at = _bucket_of(table, key)
    found = _bucket_at(table, at)["row"]
    if found >= 0:
        return found
    meta = meta_of(table)
    if meta["inserts_left"] <= 0:
        _fail(table, TOO_MANY_INSERTS)
        return meta["capacity"]
    new = meta["free"]
    if new >= 0:
        meta["free"] = _link(table, new)
    elif meta["high"] < meta["capacity"]:
        new = meta["high"]
        meta["high"] = new + 1
    else:
        _fail(table, TABLE_FULL)
        return meta["capacity"]
    meta["inserts_left"] -= 1
    meta["count"] += 1
    _set_link(table, new, LIVE)
    _bucket_at(table, at)["key"] = key
    _bucket_at(table, at)["row"] = new
    return new


@inline
def remove(table: Any, first: Any, second: Any) -> Any:
    """Remove a key from a hashed table and zero its row; returns whether it was there.

    Backward-shift deletion (Knuth 6.4 R): no tombstones, so look-ups never slow down with age.
    """
    _own(table)
    mask = meta_of(table)["bucket_mask"]
    hole = _bucket_of(table, _pack(first, second))
    gone = _bucket_at(table, hole)["row"]
    if gone < 0:
        return False
    at = (hole + 1) & mask
    while _bucket_at(table, at)["row"] >= 0:
        home = _slot_of(_bucket_at(table, at)["key"], mask)
        if ((at - home) & mask) >= ((at - hole) & mask):
            _bucket_at(table, hole)["key"] = _bucket_at(table, at)["key"]
            _bucket_at(table, hole)["row"] = _bucket_at(table, at)["row"]
            hole = at
        at = (at + 1) & mask
    _bucket_at(table, hole)["row"] = -1
    meta = meta_of(table)
    _clear(table, gone)
    _set_link(table, gone, meta["free"])
    meta["free"] = gone
    meta["count"] -= 1
    return True


def assign(target: Any, source: Any) -> None:
    """Copy a byte string or limbs from one row's field to another's of the same length.

    Handlers are compiled without numba's reference counting (an atomic increment for each array passed), and numba
    can't compile the slice in `target[:] = source` without it. Lengths that differ do not compile.
    """
    target[:] = source


def assign_at(target: Any, offset: Any, source: Any) -> None:
    """Copy all of `source` into `target` from `offset` on; the caller promises that it fits."""
    target[offset : offset + len(source)] = source


define_copies(assign, assign_at)


@inline
def claim_id(table: Any, index: Any) -> Any:
    """Take a dense id into use; returns whether the table has a row for it (else the event fails with TABLE_FULL)."""
    _own(table)
    meta = meta_of(table)
    at = np.int64(index)
    if at < 0 or at >= meta["capacity"]:
        _fail(table, TABLE_FULL)
        return False
    if at >= meta["high"]:
        meta["high"] = at + 1
        meta["count"] = at + 1
    return True
