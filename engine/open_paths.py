"""Which paths are open, how often each opened, and what the open ones would pay together.

One row a path, found by its number: so a batch of any size updates the book with a few array operations, and memory is
bounded by `capacity.paths`, of which only the part up to the highest number that ever opened is taken.

Totals are greedy. Two opportunities that share a pool can't both be had: taking one moves the price that the other
counts on. So per token the most profitable is taken first, and whatever shares a pool with one taken is left out,
never added. The result is what somebody could take, and not the most that anybody could.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.engine.opportunity_rows import REPORT, known_address, wide
from disruptor.handlers.messages import FLAG_GROSS, FLAG_OPENING

_KEPT = ("pools", "hops", "profit", "cost")
_ROW = np.dtype(
    [
        ("openings", "<i8"),
        ("open", "?"),
        ("wanted", "?"),
        ("gas_unknown", "?"),
        ("token", "u1", 20),
        *((name, REPORT[name]) for name in _KEPT),
    ]
)


class Closing(NamedTuple):
    """The ends of opportunities: columns of equal length, in the order of the outputs."""

    sequence: npt.NDArray[np.int64]
    ordinal: npt.NDArray[np.int64]
    path: npt.NDArray[np.uint32]


class Total(NamedTuple):
    """What the open opportunities of one token pay together; amounts are raw units of it.

    `cost` is what gas and funding of those taken cost, as far as it is known in this token; `gas_unknown` counts those
    of which gas is not.
    """

    token: bytes | None
    profit: int
    cost: int
    gas_unknown: int
    taken: int
    left_out: int


class OpenPaths:
    """A book of all paths that were ever reported."""

    def __init__(self) -> None:
        self._rows = np.zeros(0, _ROW)

    def clear(self) -> None:
        """Forget everything."""
        self._rows = np.zeros(0, _ROW)

    def number_openings(self, reports: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """For each report, the how-manieth opening of its path it belongs to; 0 if that began before the first report.

        Parameters
        ----------
        reports : (n,) `REPORT`, in the order of the outputs, following those of earlier calls
        """
        paths = reports["path"]
        self._make_room(paths)
        order = np.argsort(paths, kind="stable")
        ordered = paths[order]
        opened = np.cumsum((reports["flags"][order] & FLAG_OPENING) != 0)
        first = np.searchsorted(ordered, ordered)
        before = np.concatenate([[0], opened])[first]
        numbers = np.empty(len(paths), np.int64)
        numbers[order] = self._rows["openings"][ordered] + opened - before
        self._rows["openings"][paths] = numbers  # the last one of equal indices stays
        return numbers

    def update(
        self, reports: npt.NDArray[Any], wanted: npt.NDArray[np.bool_], closings: Sequence[Closing]
    ) -> None:
        """Take reports and closings of one batch, whatever their order to each other was.

        Parameters
        ----------
        reports : (n,) `REPORT`, numbered before
        wanted : (n,) whether the total is to count them
        """
        columns = [Closing(reports["sequence"], reports["ordinal"], reports["path"]), *closings]
        sequence, ordinal, path = (np.concatenate(column) for column in zip(*columns, strict=True))
        self._make_room(path)
        order = np.lexsort((ordinal, sequence, path))
        is_last = np.append(path[order][1:] != path[order][:-1], True)[: len(order)]
        last = order[is_last]
        self._rows["open"][path[last]] = last < len(reports)
        kept = last[last < len(reports)]
        rows = self._rows[path[kept]]
        rows["wanted"], rows["token"] = wanted[kept], reports["tokens"][kept, 0]
        rows["gas_unknown"] = reports["flags"][kept] & FLAG_GROSS != 0
        for name in _KEPT:
            rows[name] = reports[name][kept]
        self._rows[path[kept]] = rows

    def is_open(self, path: int, number: int) -> bool:
        """Whether the numbered opening of a path is still open."""
        row = self._rows[path]
        return bool(row["open"]) and int(row["openings"]) == number

    def totals(self) -> list[Total]:
        """The greedy total of each token, by address; see the top of the file."""
        is_open = np.flatnonzero(self._rows["open"] & self._rows["wanted"])
        by_token: dict[bytes | None, list[tuple[int, int]]] = {}
        for path in is_open.tolist():
            row = self._rows[path]
            by_token.setdefault(known_address(row["token"]), []).append((-wide(row["profit"]), path))
        return [self._total(token, by_token[token]) for token in sorted(by_token, key=lambda t: t or b"")]

    def _total(self, token: bytes | None, offers: list[tuple[int, int]]) -> Total:
        """Take offers of (-profit, path) from the best on, the lower path first among equals."""
        used: set[int] = set()
        profit, cost, taken, gas_unknown = 0, 0, 0, 0
        for loss, path in sorted(offers):
            row = self._rows[path]
            pools = set(row["pools"][: row["hops"]].tolist())
            if used.isdisjoint(pools):
                used |= pools
                profit, cost, taken = profit - loss, cost + wide(row["cost"]), taken + 1
                gas_unknown += int(row["gas_unknown"])
        return Total(token, profit, cost, gas_unknown, taken, len(offers) - taken)

    def _make_room(self, paths: npt.NDArray[np.uint32]) -> None:
        """Have a row for each of some paths."""
        needed = int(paths.max()) + 1 if len(paths) else 0
        if needed > len(self._rows):
            grown = np.zeros(max(needed, 2 * len(self._rows)), _ROW)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
