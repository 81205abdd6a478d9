"""The ways to see a table with the JIT off (and in kernels of tests): as named tuples of its arrays."""

from __future__ import annotations

from typing import Any, NamedTuple


class PlainView(NamedTuple):
    """A table whose row indices are trusted."""

    rows: Any
    meta: Any
    buckets: Any
    links: Any
    fault: Any


class CheckedView(NamedTuple):
    """A table whose row indices are checked; a violation lands in `fault`."""

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


class NotedView(NamedTuple):
    """A checked table whose written rows are noted: see `disruptor.chain`."""

    rows: Any
    meta: Any
    buckets: Any
    links: Any
    fault: Any
    touched: Any
