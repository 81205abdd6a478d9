"""The best opportunities of a run, in memory that does not grow with it.

An opportunity is reported when it opens and whenever its answer changes. What a reader wants to see is one line for
each *opening*, at its best: so the ranking keeps, for each opening, the report that ranks first, and of those the best
`top`. An opening is told from the next one of the same path by `FLAG_OPENING`, and ends with `OpportunityClosed`.

Profits are amounts of different tokens and can't be compared: ranked by profit, openings are grouped by the token that
they pay in, and `top` of each group are kept.

Why dropping is safe: an opening outside a batch's own best `top` is outranked by `top` other openings of its group,
whose final ranks can only be better. So each batch needs Python objects for at most `top` reports of each group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.engine.open_paths import Closing, OpenPaths, Total
from disruptor.engine.opportunity_rows import REPORT, Opportunity, is_in_route, opportunity_of, reports_of
from disruptor.errors import InputError
from disruptor.handlers.messages import ArbitrageOpportunity, OpportunityClosed
from disruptor.message import MessageType
from disruptor.replay.request import OutputContext, PoolAddress, header

#: A path and the how-manieth of its openings.
Opening = tuple[int, int]
#: What openings are ordered by, the smallest first: group, rank, sequence, ordinal.
Place = tuple[bytes, tuple[float, ...], int, int]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Which opportunities to keep, and what makes one better.

    Attributes
    ----------
    top : how many; of each token where they are sorted by profit
    sort_by : "spread" (widest first), "profit" (by token, then the most first) or "block" (latest first)
    tokens, pools : addresses of which one must be on the route; None for any
    min_bps : smallest spread
    """

    top: int = 10
    sort_by: str = "spread"
    tokens: frozenset[bytes] | None = None
    pools: frozenset[bytes] | None = None
    min_bps: float = 0.0


class BestOpportunities:
    """A sink that keeps the best openings, and what is open."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._pool_address: PoolAddress = lambda pool: None
        self._paths = OpenPaths()
        self._best: dict[Opening, tuple[Place, Any]] = {}
        self._most = 2 * ranking.top
        self._reports: list[npt.NDArray[Any]] = []
        self._closings: list[Closing] = []

    def open(self, messages: Sequence[MessageType], pool_address: PoolAddress) -> None:
        """Learn how to turn pool ids into addresses; forget what a run told that starts over."""
        self._pool_address = pool_address
        self._paths.clear()
        for kept in (self._best, self._reports, self._closings):
            kept.clear()

    def write(self, records: npt.NDArray[Any], context: OutputContext) -> None:
        """Take opportunities and their ends; other types are not looked at."""
        if context.message.type_id == ArbitrageOpportunity.type_id:
            self._reports.append(reports_of(records, context))
        elif context.message.type_id == OpportunityClosed.type_id:
            sequence, ordinal = (
                header(records, context.message, name).copy() for name in ("sequence", "source_sequence")
            )
            self._closings.append(Closing(sequence, ordinal, records["path"].copy()))

    def end_batch(self) -> None:
        """Rank what came since the last batch, and note what is open now."""
        reports = np.concatenate([np.zeros(0, REPORT), *self._reports])
        numbers = self._paths.number_openings(reports)
        wanted = self._wanted(reports)
        self._paths.update(reports, wanted, self._closings)
        self._rank(reports[wanted], numbers[wanted])
        self._reports.clear()
        self._closings.clear()

    def close(self) -> None:
        """Nothing: the result stays in memory."""

    def abort(self) -> None:
        """Nothing was written."""

    def result(self) -> list[Opportunity]:
        """The best openings, best first; equal ranks in the order of the run."""
        self._cut()
        return [
            opportunity_of(report, self._pool_address, is_open=self._paths.is_open(*opening))
            for opening, (_, report) in self._best.items()
        ]

    def totals(self) -> list[Total]:
        """What is open at the end and passes the filters, greedily added up for each token."""
        return self._paths.totals()

    def _rank(self, reports: npt.NDArray[Any], numbers: npt.NDArray[np.int64]) -> None:
        """Keep those of some reports that may be among the best in the end."""
        by_token = self._ranking.sort_by == "profit"
        ranks = rank_columns(reports, self._ranking.sort_by)
        tokens = np.ascontiguousarray(reports["tokens"][:, 0])
        groups = np.zeros(len(reports), np.intp)
        if by_token:
            groups = np.unique(tokens, axis=0, return_inverse=True)[1].reshape(-1)
        for row in best_rows(reports["path"], numbers, groups, ranks, self._ranking.top).tolist():
            opening = int(reports["path"][row]), int(numbers[row])
            group = tokens[row].tobytes() if by_token else b""
            rank = tuple(column[row].item() for column in ranks)
            place = group, rank, int(reports["sequence"][row]), int(reports["ordinal"][row])
            if opening not in self._best or place < self._best[opening][0]:
                self._best[opening] = place, reports[row].copy()
        if len(self._best) > self._most:
            self._cut()
            self._most = 2 * max(self._ranking.top, len(self._best))

    def _cut(self) -> None:
        """Leave the best of each group, best first."""
        taken: dict[bytes, int] = {}
        kept: dict[Opening, tuple[Place, Any]] = {}
        for opening, found in sorted(self._best.items(), key=lambda item: item[1][0]):
            group = found[0][0]
            taken[group] = taken.get(group, 0) + 1
            if taken[group] <= self._ranking.top:
                kept[opening] = found
        self._best = kept

    def _wanted(self, reports: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which reports pass the filters."""
        wanted = np.asarray(reports["spread_bps"] >= self._ranking.min_bps)
        there = is_in_route(reports)
        if self._ranking.tokens is not None:
            has_token = np.zeros(len(reports), np.bool_)
            for token in self._ranking.tokens:
                same = (reports["tokens"] == np.frombuffer(token, np.uint8)).all(axis=2)
                has_token |= (same & there).any(axis=1)
            wanted &= has_token
        if self._ranking.pools is not None:
            named = [
                pool
                for pool in np.unique(reports["pools"][there]).tolist()
                if self._pool_address(pool) in self._ranking.pools
            ]
            wanted &= (np.isin(reports["pools"], named) & there).any(axis=1)
        return wanted


def rank_columns(reports: npt.NDArray[Any], sort_by: str) -> list[npt.NDArray[Any]]:
    """What `Ranking.sort_by` orders by: columns, the first decides, smaller is better."""
    if sort_by == "spread":
        return [-reports["spread_bps"]]
    if sort_by == "block":
        return [~reports["block"]]
    return [~reports["profit"][:, 1], ~reports["profit"][:, 0]]


def best_rows(
    paths: npt.NDArray[np.uint32],
    numbers: npt.NDArray[np.int64],
    groups: npt.NDArray[np.intp],
    ranks: Sequence[npt.NDArray[Any]],
    top: int,
) -> npt.NDArray[np.intp]:
    """Of each opening (path, number) the row that ranks first, and of those the best `top` of each group.

    All columns have one length; of rows of equal rank the earlier is taken.
    """
    rows = np.arange(len(paths))
    order = np.lexsort((rows, *reversed(ranks), numbers, paths))
    new = np.append(True, np.diff(paths[order].astype(np.int64)) | np.diff(numbers[order]))[: len(order)]
    kept = order[new.astype(np.bool_)]
    kept = kept[np.lexsort((kept, *(column[kept] for column in reversed(ranks)), groups[kept]))]
    place = np.arange(len(kept)) - np.searchsorted(groups[kept], groups[kept])
    return np.asarray(kept[place < top])


def resolve_tokens(names: Sequence[str], known: dict[bytes, tuple[str, int]]) -> frozenset[bytes] | None:
    """Addresses of tokens given by address or symbol; None for no name at all.

    Raises
    ------
    InputError : neither an address nor a known symbol.
    """
    return _resolve(
        names, lambda name: [a for a, (symbol, _) in known.items() if symbol.lower() == name.lower()]
    )


def resolve_pools(names: Sequence[str]) -> frozenset[bytes] | None:
    """Addresses of pools; None for no name at all."""
    return _resolve(names, None)


def _resolve(names: Sequence[str], by_symbol: Callable[[str], list[bytes]] | None) -> frozenset[bytes] | None:
    found: set[bytes] = set()
    for name in names:
        if name[:2].lower() == "0x":
            try:
                address = bytes.fromhex(name[2:])
            except ValueError:
                address = b""
            if len(address) != 20:
                raise InputError(f"{name!r}: expected an address: 0x and 40 hex digits")
            found.add(address)
            continue
        if by_symbol is None:
            raise InputError(f"--pool {name!r}: expected an address: 0x and 40 hex digits")
        addresses = by_symbol(name)
        if not addresses:
            raise InputError(
                f"--token {name!r}: no such symbol: give an address, or --tokens FILE that lists it"
            )
        found.update(addresses)
    return frozenset(found) if names else None
