"""Arbitrage between pools of one token pair, net of both fees, evaluated at a boundary.

State-changing events only mark their pair. At the boundary (block, transaction or log end) each marked pair
is looked at once: a float screen over its pools' quotes first, which may only ever let too much through, then
in exact integers every ordered pair of pools of which at least one has changed since. What is open is
remembered in `openings`, so that an opportunity that merely persists is not counted as a new one.

A pool takes part while it is complete, has liquidity, and its fee is known. A block's evaluation can be long,
so it runs in slices of bounded work and outputs; where it stands is in `arbitrage_cursor`, never on a stack.

DETERMINISM: the screen's floats decide only whether the exact comparison runs; its margin is far wider than
their error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import assign_at, find, insert, read, remove, row
from disruptor.emit import emit
from disruptor.handler import Handler, handler
from disruptor.handlers.arbitrage_compare import compare, depth, tradable
from disruptor.handlers.arbitrage_tables import (
    arbitrage_cursor,
    arbitrage_settings,
    exact_prices,
    marked_pairs,
    openings,
)
from disruptor.handlers.messages import (
    FLAG_OPENING,
    FLAG_SCREENED,
    KIND_UNISWAP_V2,
    NO_ID,
    ArbitrageCandidate,
    ArbitrageOpportunity,
    BlockEnd,
    PoolIncomplete,
    TransactionEnd,
    UniswapV2State,
    UniswapV2Sync,
    UniswapV3Burn,
    UniswapV3Initialize,
    UniswapV3Mint,
    UniswapV3State,
    UniswapV3Swap,
)
from disruptor.handlers.price import spread_to_bps
from disruptor.jit import jit
from disruptor.status import AGAIN, OK

#: Work of one slice.
MAX_COMPARISONS = 256
MAX_CANDIDATES = 8

#: Relative margin of the float screen; quotes are right to about 2^-48.
_MARGIN = 1.0 - 1e-12
_NANOSECONDS = np.uint64(1_000_000_000)
# Gas units, rough: a bare transaction with token transfers, and one swap by pool kind.
_GAS_BASE, _GAS_V2, _GAS_V3 = 60_000, 70_000, 110_000

_MARK = [marked_pairs, arbitrage_cursor]
_EVALUATE = [marked_pairs, arbitrage_cursor, openings, exact_prices, arbitrage_settings]


@jit
def _mark(state: Any, pool: Any) -> None:
    """Put a pool's pair on the list for the next boundary, once."""
    p = read(state.pools, pool)
    if p["kind"] == 0:
        return
    cursor = row(state.arbitrage_cursor, 0)
    m = row(state.marked_pairs, p["pair"])
    if m["boundary"] != cursor["boundary"] + np.uint64(1):
        m["boundary"] = cursor["boundary"] + np.uint64(1)
        m["next"] = cursor["first_marked"]
        cursor["first_marked"] = p["pair"] + np.uint32(1)


@jit
def _screen(state: Any, first: Any) -> bool:
    """Whether some pool of the list may pay more than another asks; its yes may be wrong, its no never."""
    bid, ask = 0.0, np.inf
    at = first
    while at != 0:
        pool = at - np.uint32(1)
        if tradable(state, pool):
            line = read(state.market, pool)
            bid = max(bid, line["bid"])
            ask = min(ask, line["ask"])
        at = read(state.pools, pool)["next_in_pair"]
    return bid > ask * _MARGIN


@jit
def _report(state: Any, out: Any, a: Any, b: Any, exact: Any, opening: Any) -> None:
    settings = read(state.arbitrage_settings, 0)
    directory = read(state.pool_directory, a)
    c = read(state.chain, 0)
    o = emit(out, ArbitrageOpportunity)
    o["flags"] = np.uint16(FLAG_SCREENED | FLAG_OPENING if opening else FLAG_SCREENED)
    assign_at(o["token_pair"], 0, directory["token0_address"])
    assign_at(o["token_pair"], 20, directory["token1_address"])
    o["venue_a"] = a
    o["venue_b"] = b
    o["price_diff"] = spread_to_bps(exact)
    gas = _GAS_BASE
    for pool in (a, b):
        gas += _GAS_V2 if read(state.pools, pool)["kind"] == KIND_UNISWAP_V2 else _GAS_V3
    o["gas_estimate"] = np.uint64(gas)
    o["confidence"] = np.float32(settings["confidence"])
    if c["timestamp"] != 0:
        o["expires_at"] = c["timestamp"] * _NANOSECONDS + settings["block_time_ns"]
    d = emit(out, ArbitrageCandidate)
    d["venue_a"] = a
    d["venue_b"] = b
    d["spread"] = exact
    d["depth0_a"][1], d["depth0_a"][0], d["depth1_a"][1], d["depth1_a"][0] = depth(state, a)
    d["depth0_b"][1], d["depth0_b"][0], d["depth1_b"][1], d["depth1_b"][0] = depth(state, b)


@jit
def _judge(state: Any, out: Any, pair: Any, a: Any, b: Any) -> Any:
    """Compare one ordered pair of pools, keep `openings` true, report; returns whether it was reported."""
    m = row(state.marked_pairs, pair)
    may_pay = read(state.market, b)["bid"] > read(state.market, a)["ask"] * _MARGIN
    is_open, exact = compare(state, a, b) if may_pay else (False, np.int64(0))
    if not is_open:
        if m["open"] != 0 and remove(state.openings, a, b):
            m["open"] -= np.uint32(1)
        return False
    at = find(state.openings, a, b)
    epoch = read(state.chain, 0)["epoch"]
    opening = at < 0 or read(state.openings, at)["epoch"] != epoch
    if at < 0:
        m["open"] += np.uint32(1)
    if opening:
        o = row(state.openings, insert(state.openings, a, b))
        o["venue_a"] = a
        o["venue_b"] = b
        o["epoch"] = epoch
        o["opened_block"] = read(state.chain, 0)["block_number"]
        row(state.arbitrage_cursor, 0)["openings"] += np.uint64(1)
    _report(state, out, a, b, exact, opening)
    return True


@jit
def _evaluate_pair(state: Any, out: Any, pair: Any, budget: Any) -> Any:
    """Go on with one pair; returns (done, comparisons left, candidates left)."""
    cursor = row(state.arbitrage_cursor, 0)
    comparisons, candidates = budget
    seen = read(state.marked_pairs, pair)["seen"]
    first = read(state.pairs, pair)["first_pool"]
    a, b = cursor["pool_a"], cursor["pool_b"]
    if a == 0:
        cursor["pairs_evaluated"] += np.uint64(1)
        comparisons -= np.int64(read(state.pairs, pair)["pool_count"])
        if read(state.marked_pairs, pair)["open"] == 0 and not _screen(state, first):
            return True, comparisons, candidates
        cursor["pairs_compared"] += np.uint64(1)
        a, b = first, first
    while a != 0:
        changed_a = read(state.market, a - np.uint32(1))["sequence"] >= seen
        while b != 0:
            if comparisons <= 0 or candidates == 0:
                cursor["pool_a"], cursor["pool_b"] = a, b
                return False, comparisons, candidates
            comparisons -= 1
            changed = changed_a or read(state.market, b - np.uint32(1))["sequence"] >= seen
            if changed and a != b and _judge(state, out, pair, a - np.uint32(1), b - np.uint32(1)):
                candidates -= 1
            b = read(state.pools, b - np.uint32(1))["next_in_pair"]
        a = read(state.pools, a - np.uint32(1))["next_in_pair"]
        b = first
    cursor["pool_a"], cursor["pool_b"] = np.uint32(0), np.uint32(0)
    return True, comparisons, candidates


@jit
def _evaluate(state: Any, event: Any, out: Any) -> Any:
    """One slice over the marked pairs; AGAIN while there is more."""
    cursor = row(state.arbitrage_cursor, 0)
    comparisons, candidates = np.int64(MAX_COMPARISONS), np.int64(MAX_CANDIDATES)
    while cursor["first_marked"] != 0:
        if comparisons <= 0 or candidates == 0:
            return AGAIN
        pair = cursor["first_marked"] - np.uint32(1)
        done, comparisons, candidates = _evaluate_pair(state, out, pair, (comparisons, candidates))
        if done:
            row(state.marked_pairs, pair)["seen"] = np.uint64(event["sequence"]) + np.uint64(1)
            cursor["first_marked"] = read(state.marked_pairs, pair)["next"]
    cursor["boundary"] += np.uint64(1)
    return OK


@handler(UniswapV2State, tables=_MARK)
def mark_v2_state(state: Any, event: Any, out: Any) -> Any:
    """Given reserves may open something."""
    _mark(state, event["pool"])


@handler(UniswapV2Sync, tables=_MARK)
def mark_v2_sync(state: Any, event: Any, out: Any) -> Any:
    """New reserves may open or close something."""
    _mark(state, event["pool"])


@handler(UniswapV3State, tables=_MARK)
def mark_v3_state(state: Any, event: Any, out: Any) -> Any:
    """A given price may open something."""
    _mark(state, event["pool"])


@handler(UniswapV3Initialize, tables=_MARK)
def mark_v3_initialize(state: Any, event: Any, out: Any) -> Any:
    """A first price, still without liquidity."""
    _mark(state, event["pool"])


@handler(UniswapV3Swap, tables=_MARK)
def mark_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """A new price may open or close something."""
    _mark(state, event["pool"])


@handler(UniswapV3Mint, tables=_MARK)
def mark_v3_mint(state: Any, event: Any, out: Any) -> Any:
    """First liquidity makes a pool tradable."""
    _mark(state, event["pool"])


@handler(UniswapV3Burn, tables=_MARK)
def mark_v3_burn(state: Any, event: Any, out: Any) -> Any:
    """Last liquidity gone makes it untradable."""
    _mark(state, event["pool"])


@handler(PoolIncomplete, tables=_MARK)
def mark_incomplete(state: Any, event: Any, out: Any) -> Any:
    """An incomplete pool closes what it had open. Losing all needs no mark: openings carry the epoch."""
    if event["pool"] != NO_ID:
        _mark(state, event["pool"])


MARKS = (
    mark_v2_state,
    mark_v2_sync,
    mark_v3_state,
    mark_v3_initialize,
    mark_v3_swap,
    mark_v3_mint,
    mark_v3_burn,
    mark_incomplete,
)

_SLICED: dict[str, Any] = {
    "tables": _EVALUATE,
    "max_outputs": 2 * MAX_CANDIDATES,
    "max_inserts": {openings: MAX_CANDIDATES},
    "slices": True,
}


@handler(BlockEnd, **_SLICED)
def evaluate_block(state: Any, event: Any, out: Any) -> Any:
    """What can be taken at the top of the next block."""
    return _evaluate(state, event, out)


@handler(TransactionEnd, **_SLICED)
def evaluate_transaction(state: Any, event: Any, out: Any) -> Any:
    """What a backrun of this transaction could take."""
    return _evaluate(state, event, out)


@handler(UniswapV2Sync, **_SLICED)
def evaluate_v2_sync(state: Any, event: Any, out: Any) -> Any:
    """Diagnostic: between two logs of one transaction nothing can be traded."""
    return _evaluate(state, event, out)


@handler(UniswapV3Swap, **_SLICED)
def evaluate_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """Diagnostic, as `evaluate_v2_sync`."""
    return _evaluate(state, event, out)


@handler(UniswapV3Mint, **_SLICED)
def evaluate_v3_mint(state: Any, event: Any, out: Any) -> Any:
    """Diagnostic, as `evaluate_v2_sync`."""
    return _evaluate(state, event, out)


@handler(UniswapV3Burn, **_SLICED)
def evaluate_v3_burn(state: Any, event: Any, out: Any) -> Any:
    """Diagnostic, as `evaluate_v2_sync`."""
    return _evaluate(state, event, out)


def arbitrage_handlers(evaluate: str) -> tuple[Handler, ...]:
    """The handlers for `arbitrage.evaluate`: block, transaction or log. Block ends evaluate what is left."""
    at = {
        "block": (evaluate_block,),
        "transaction": (evaluate_transaction, evaluate_block),
        "log": (evaluate_v2_sync, evaluate_v3_swap, evaluate_v3_mint, evaluate_v3_burn, evaluate_block),
    }
    return (*MARKS, *at[evaluate])


#: How sure a report can be that its state can be traded against, by boundary.
CONFIDENCE = {"block": 1.0, "transaction": 0.5, "log": 0.0}
