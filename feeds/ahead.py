"""Decoding one batch ahead: a helper thread makes the next item while the caller works on this one."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def one_ahead(items: Iterator[Any]) -> Generator[Any, None, None]:
    """The same items in the same order; at most one is made before it is asked for.

    What `items` raises is raised here, in its place. Closing the generator waits for the item being made.

    >>> list(one_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1, "one-ahead") as helper:
        pending = helper.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = helper.submit(next, items, end)
            yield item
