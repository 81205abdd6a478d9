"""The best opportunities of a run, in memory that does not grow with it.

An opportunity that stays open is reported at every boundary. What a reader wants to see is one line for
each *opening*, at its best: so the ranking keeps, for each opening, the record with the highest rank, and
of those the best `top`. An opening is told from the next one of the same two pools by `FLAG_OPENING`.

Why dropping is safe: an opening outside a batch's own best `top` is outranked by `top` other openings,
whose final ranks can only be higher. So each batch needs Python objects for at most `top` records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.engine.output import wide_integers
from disruptor.errors import InputError
from disruptor.handlers.messages import FLAG_OPENING, ArbitrageOpportunity
from disruptor.message import MessageType
from disruptor.replay.request import OutputContext, PoolAddress, header


class Opportunity(NamedTuple):
    """One opening at its best. Depths are raw units of token0 and token1, None where the run gives none."""

    sequence: int
    block: int
    token0: bytes
    token1: bytes
    buy_pool: bytes | None
    sell_pool: bytes | None
    spread_bps: float
    depth0: int | None
    depth1: int | None


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Which opportunities to keep, and what makes one better.

    Attributes
    ----------
    top : how many
    sort_by : "spread" (widest first), "depth" (deepest in token0 first) or "block" (latest first)
    tokens, pools : addresses of which one must take part; None for any
    min_bps : smallest spread
    """

    top: int = 10
    sort_by: str = "spread"
    tokens: frozenset[bytes] | None = None
    pools: frozenset[bytes] | None = None
    min_bps: float = 0.0


class BestOpportunities:
    """A sink that keeps the best openings."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._pool_address: PoolAddress = lambda pool: None
        self._openings: dict[int, int] = {}  # pools of an opening -> how often they opened so far
        self._best: dict[tuple[int, int], tuple[float, Opportunity]] = {}

    def open(self, messages: Sequence[MessageType], pool_address: PoolAddress) -> None:
        """Learn how to turn pool ids into addresses; forget what a run told that starts over."""
        self._pool_address = pool_address
        self._openings.clear()
        self._best.clear()

    def write(self, records: npt.NDArray[Any], context: OutputContext) -> None:
        """Rank the opportunities of one batch; other types are not looked at."""
        if context.message.type_id != ArbitrageOpportunity.type_id or not len(records):
            return
        venue_a, venue_b = (records[name].astype(np.uint64) for name in ("venue_a", "venue_b"))
        pools = venue_a << np.uint64(32) | venue_b
        numbers = self._number_openings(pools, header(records, context.message, "flags"))
        rank = self._rank(records, context)
        chosen = np.flatnonzero(self._wanted(records))
        chosen = best_of_each(pools[chosen], numbers[chosen], rank[chosen], chosen)[: self._ranking.top]
        for row in chosen.tolist():
            opening = (int(pools[row]), int(numbers[row]))
            if opening not in self._best or rank[row] > self._best[opening][0]:
                self._best[opening] = (float(rank[row]), self._describe(records, context, row))
        if len(self._best) > 2 * self._ranking.top:
            self._best = dict(self._sorted()[: self._ranking.top])

    def end_batch(self) -> None:
        """Nothing: ranks do not depend on batches."""

    def close(self) -> None:
        """Nothing: the result stays in memory."""

    def abort(self) -> None:
        """Nothing was written."""

    def result(self) -> list[Opportunity]:
        """The best openings, best first; equal ranks in the order of the run."""
        return [opportunity for _, (_, opportunity) in self._sorted()[: self._ranking.top]]

    def _sorted(self) -> list[tuple[tuple[int, int], tuple[float, Opportunity]]]:
        return sorted(self._best.items(), key=lambda item: (-item[1][0], item[1][1].sequence, item[0]))

    def _number_openings(
        self, pools: npt.NDArray[np.uint64], flags: npt.NDArray[Any]
    ) -> npt.NDArray[np.int64]:
        """For each record, the how-manieth opening of its two pools it belongs to."""
        names, group = np.unique(pools, return_inverse=True)
        order = np.argsort(group, kind="stable")
        opened = (flags[order] & FLAG_OPENING != 0).astype(np.int64)
        running = np.cumsum(opened)
        first = np.searchsorted(group[order], np.arange(len(names)))
        before = np.array([self._openings.get(name, 0) for name in names.tolist()], dtype=np.int64)
        numbers = np.empty(len(pools), dtype=np.int64)
        numbers[order] = running + (before - running[first] + opened[first])[group[order]]
        last = np.append(first[1:], len(pools)) - 1
        self._openings.update(zip(names.tolist(), numbers[order][last].tolist(), strict=True))
        return numbers

    def _rank(self, records: npt.NDArray[Any], context: OutputContext) -> npt.NDArray[np.float64]:
        """What to sort by, higher is better."""
        if self._ranking.sort_by == "block":
            return context.block.astype(np.float64)
        if self._ranking.sort_by == "spread":
            return records["price_diff"].astype(np.float64)
        if "depth0" not in context.extra:
            raise InputError("--sort-by depth: this source gives no depth; sort by spread or block")
        depth = context.extra["depth0"]
        if depth.ndim == 1:
            return depth.astype(np.float64)
        return np.asarray(
            depth.astype(np.float64) @ (2.0 ** (64 * np.arange(depth.shape[1]))), dtype=np.float64
        )

    def _wanted(self, records: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which records pass the filters."""
        wanted = np.asarray(records["price_diff"] >= self._ranking.min_bps)
        if self._ranking.tokens is not None:
            pair = records["token_pair"]
            has_token = np.zeros(len(records), dtype=np.bool_)
            for token in self._ranking.tokens:
                address = np.frombuffer(token, dtype=np.uint8)
                has_token |= (pair[:, :20] == address).all(axis=1) | (pair[:, 20:] == address).all(axis=1)
            wanted &= has_token
        if self._ranking.pools is not None:
            venues = np.unique(np.concatenate([records["venue_a"], records["venue_b"]]))
            named = [venue for venue in venues.tolist() if self._pool_address(venue) in self._ranking.pools]
            wanted &= np.isin(records["venue_a"], named) | np.isin(records["venue_b"], named)
        return wanted

    def _describe(self, records: npt.NDArray[Any], context: OutputContext, row: int) -> Opportunity:
        record = records[row]
        pair = record["token_pair"].tobytes()
        return Opportunity(
            sequence=int(header(records, context.message, "sequence")[row]),
            block=int(context.block[row]),
            token0=pair[:20],
            token1=pair[20:],
            buy_pool=self._pool_address(int(record["venue_a"])),
            sell_pool=self._pool_address(int(record["venue_b"])),
            spread_bps=float(record["price_diff"]),
            depth0=_amount(context.extra.get("depth0"), row),
            depth1=_amount(context.extra.get("depth1"), row),
        )


def best_of_each(
    pools: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.int64],
    rank: npt.NDArray[np.float64],
    rows: npt.NDArray[np.intp],
) -> npt.NDArray[np.intp]:
    """Of the rows of each (pools, number), the one of the highest rank (the first of equals), best first."""
    order = np.lexsort((rows, -rank, numbers, pools))
    pools, numbers = pools[order], numbers[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (pools[1:] != pools[:-1]) | (numbers[1:] != numbers[:-1])
    kept = order[first]
    return rows[kept[np.lexsort((rows[kept], -rank[kept]))]]


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


def _amount(column: npt.NDArray[Any] | None, row: int) -> int | None:
    """One raw amount out of an (n,) or (n, limbs) column."""
    if column is None:
        return None
    return int(column[row]) if column.ndim == 1 else wide_integers(column[row : row + 1], signed=False)[0]
