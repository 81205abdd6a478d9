"""What open cycles say they pay, and what executing them gave, in a form that is small to keep.

After a block all open cycles are put in order. Of those that paid exactly what they said, hop by hop, one digest is
kept; of the others their places in that order, by what the execution said instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

#: (hops as (pool, zero_for_one), amount in, what each hop pays, profit)
Said = tuple[Sequence[tuple[str, bool]], int, Sequence[int], int]


def line(said: Said) -> str:
    """One open cycle with its amounts, as text."""
    hops, amount, outs, profit = said
    way = " ".join(f"{pool}{'>' if zero_for_one else '<'}" for pool, zero_for_one in hops)
    return f"{way} {amount} {','.join(map(str, outs))} {profit}"


def in_order(said: Iterable[Said]) -> list[Said]:
    """The open cycles of a block, in the order in which they are kept."""
    return sorted(said, key=line)


def digest(said: Iterable[Said]) -> str:
    """Of cycles in order: the same only if they all say the same."""
    return hashlib.sha256("\n".join(map(line, said)).encode()).hexdigest()[:16]


def as_json(said: Said) -> dict[str, Any]:
    """One open cycle as a file has it."""
    hops, amount, outs, profit = said
    return {
        "hops": [list(hop) for hop in hops],
        "in": str(amount),
        "outs": [*map(str, outs)],
        "profit": str(profit),
    }


def from_json(entry: dict[str, Any]) -> Said:
    """The inverse of `as_json`."""
    hops = [(str(pool), bool(way)) for pool, way in entry["hops"]]
    return hops, int(entry["in"]), [*map(int, entry["outs"])], int(entry["profit"])
