"""Arbitrage cycles over all pools: searched at a boundary, verified in the contracts' integers, opened and closed.

Events that change a pool only mark it. At the boundary (block, transaction or log end) every path through a marked
pool is looked at once:

    screen    the product of the marginal rates: no swap of any size beats it, so what it refuses can't pay
    search    the input that pays most (`path_search`)
    settle    the exact swaps at that input (`path_exact`), and what they cost (`path_costs`)

What pays is open until it is looked at again and does not. A report is made when a cycle opens and when its answer
changes; `OpportunityClosed` ends each, and names the transaction that did it. While nothing touches its pools an
opportunity is neither solved nor reported again.

A path is barred while a pool of it is incomplete or has failed an audit, or a token of it does not move in full.

The screen takes many paths at once, and most without looking at them (`batch_screen`), or with `enable_simd` off one
after the other; both choose the same paths in the same order.

A boundary's work can be long, so it runs in slices of bounded work and outputs; where it stands is in `path_cursor`.

DETERMINISM: the screen's floats decide only whether exact arithmetic runs; its margin is far wider than their error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from disruptor.access import assign, read, row
from disruptor.handler import Handler, handler, handler_for
from disruptor.handlers.batch_screen import begin_screen, judge_batches, screen_columns
from disruptor.handlers.messages import (
    BOUNDARY_BLOCK,
    BOUNDARY_LOG,
    BOUNDARY_TRANSACTION,
    NO_ID,
    BlockEnd,
    PoolIncomplete,
    PoolRegistered,
    TransactionEnd,
    UniswapV2State,
    UniswapV2Sync,
    UniswapV3Burn,
    UniswapV3Initialize,
    UniswapV3Mint,
    UniswapV3State,
    UniswapV3Swap,
)
from disruptor.handlers.path_ahead import CHANGE
from disruptor.handlers.path_costs import note_native
from disruptor.handlers.path_curve import refresh_rates
from disruptor.handlers.path_graph import can_take_part, find_paths, link_pair, mark
from disruptor.handlers.path_legs import LEG_TABLES, enter_legs, junctions, path_legs
from disruptor.handlers.path_open import UNCOUNTED, is_distrusting, look_through
from disruptor.handlers.path_standing import note_move, note_range
from disruptor.handlers.path_tables import (
    MAX_HOPS,
    base_tokens,
    hop_cells,
    last_changes,
    native_pools,
    native_quotes,
    pair_links,
    path_answer,
    path_cursor,
    path_heads,
    path_queue,
    path_settings,
    path_state,
    paths,
    pool_moves,
    rates,
)
from disruptor.handlers.path_visit import visit
from disruptor.handlers.venues import Venue
from disruptor.handlers.wide import load
from disruptor.jit import jit
from disruptor.status import AGAIN, OK

#: Work of one slice.
MAX_SCREENS = 4096
MAX_SOLVES = 8
#: Outputs of one path looked at: closed, opened, its path.
_OUTPUTS_EACH = 3

_MARK = [path_heads, path_cursor, last_changes, pool_moves]
_MARK_AHEAD = [*_MARK, rates, path_legs, junctions]
_ONE = np.uint32(1)
_HOPS = np.uint32(MAX_HOPS)


@jit
def _mark_by(state: Any, pool: Any, transaction: Any, tx_hash: Any) -> None:
    """Mark the pool of a log, and note the transaction. Fields and no event: one function for all messages."""
    note_move(state, pool)
    _name_change(state, pool, transaction, tx_hash)


@jit
def _name_change(state: Any, pool: Any, transaction: Any, tx_hash: Any) -> None:
    """Mark a pool and note the transaction."""
    if mark(state, pool):
        change = row(state.last_changes, pool)
        change["block_number"] = read(state.chain, 0)["block_number"]
        change["transaction_index"] = transaction
        assign(change["tx_hash"], tx_hash)


@jit
def _mark_given(state: Any, pool: Any) -> None:
    """Mark a pool that no log has changed."""
    note_move(state, pool)
    mark(state, pool)


@jit
def _begin(state: Any) -> None:
    """Before a boundary's first slice: rates of all marked pools; all open paths too if something was barred."""
    cursor = row(state.path_cursor, 0)
    look_through(state)
    at = cursor["first_marked"]
    while at != 0:
        refresh_rates(state, at - _ONE)
        at = read(state.path_heads, at - _ONE)["next_marked"]
    begin_screen(state)
    cursor["refreshed"] = _ONE


@jit
def _following(path: Any, k: Any) -> Any:
    """The next entry of the list that hop k of a path is on."""
    if k == 0:
        return path["next0"]
    if k == 1:
        return path["next1"]
    return path["next2"] if k == 2 else path["next3"]


@jit
def _evaluate(state: Any, event: Any, out: Any) -> Any:
    """One slice over the paths of the marked pools; AGAIN while there is more."""
    cursor = row(state.path_cursor, 0)
    if cursor["refreshed"] == 0:
        if cursor["first_marked"] == 0 and not is_distrusting(state):
            return OK
        _begin(state)
    if read(state.path_settings, 0)["simd"] != 0:
        more = judge_batches(state, out, np.int64(MAX_SCREENS), np.int64(MAX_SOLVES))
    else:
        more = _judge_each(state, out)
    if more:
        return AGAIN
    cursor["boundary"] += np.uint64(1)
    cursor["refreshed"] = np.uint32(0)
    return OK


@jit
def _judge_each(state: Any, out: Any) -> bool:
    """Screen paths one by one along the links of the marked pools; whether there is more."""
    cursor = row(state.path_cursor, 0)
    screens, solves = np.int64(MAX_SCREENS), np.int64(MAX_SOLVES)
    while cursor["hop"] != 0 or cursor["first_marked"] != 0:
        if cursor["hop"] == 0:
            head = read(state.path_heads, cursor["first_marked"] - _ONE)
            cursor["first_marked"], cursor["hop"] = head["next_marked"], head["first"]
            continue
        if screens <= 0 or solves <= 0:
            return True
        screens -= 1
        at = cursor["hop"] - _ONE
        path = row(state.paths, at // _HOPS)
        cursor["hop"] = _following(path, at % _HOPS)
        if path["boundary"] != cursor["boundary"] + np.uint64(1):
            path["boundary"] = cursor["boundary"] + np.uint64(1)
            if visit(state, out, np.int64(at // _HOPS)):
                solves -= 1
    return False


@handler(
    PoolRegistered,
    tables=[
        paths,
        *LEG_TABLES,
        path_state,
        path_cursor,
        pool_moves,
        pair_links,
        native_quotes,
        path_settings,
        base_tokens,
        native_pools,
    ],
    max_inserts={paths: 1},  # and as many more as there is room for
    slices=True,
)
def on_pool_registered(state: Any, event: Any, out: Any) -> Any:
    """Enter every cycle that this pool closes."""
    pool = event["pool"]
    note_move(state, pool)
    if not can_take_part(state, pool):
        return OK
    if read(state.path_cursor, 0)["entered"] == 0:
        if read(state.path_heads, pool)["entered"] != 0:
            row(state.path_cursor, 0)["turned"] = UNCOUNTED  # its fee may be another one
            return OK
        row(state.path_heads, pool)["entered"] = _ONE
        link_pair(state, pool)
        note_native(state, event)
    known = read(state.path_cursor, 0)["path_count"]
    status = find_paths(state, pool)
    for at in range(np.int64(known), np.int64(read(state.path_cursor, 0)["path_count"])):
        enter_legs(state, at)
    return status


@handler(UniswapV2State, tables=_MARK)
def mark_v2_state(state: Any, event: Any, out: Any) -> Any:
    """Given reserves may open something."""
    _mark_given(state, event["pool"])


@handler(UniswapV2Sync, tables=_MARK_AHEAD, ahead=CHANGE)
def mark_v2_sync(state: Any, event: Any, out: Any) -> Any:
    """New reserves may open or close something."""
    _mark_by(state, event["pool"], event["transaction_index"], event["tx_hash"])


@handler(UniswapV3State, tables=_MARK)
def mark_v3_state(state: Any, event: Any, out: Any) -> Any:
    """A given price may open something."""
    _mark_given(state, event["pool"])


@handler(UniswapV3Initialize, tables=_MARK)
def mark_v3_initialize(state: Any, event: Any, out: Any) -> Any:
    """A first price, still without liquidity."""
    _mark_by(state, event["pool"], event["transaction_index"], event["tx_hash"])


@handler(UniswapV3Swap, tables=_MARK_AHEAD, ahead=CHANGE)
def mark_v3_swap(state: Any, event: Any, out: Any) -> Any:
    """A new price may open or close something."""
    _mark_by(state, event["pool"], event["transaction_index"], event["tx_hash"])


@handler(UniswapV3Mint, tables=_MARK)
def mark_v3_mint(state: Any, event: Any, out: Any) -> Any:
    """More liquidity, here or beyond, pays for a larger input."""
    note_range(state, event["pool"], event["tick_lower"], event["tick_upper"], load(event["liquidity"]))
    _name_change(state, event["pool"], event["transaction_index"], event["tx_hash"])


@handler(UniswapV3Burn, tables=_MARK)
def mark_v3_burn(state: Any, event: Any, out: Any) -> Any:
    """Less liquidity may close what was open, or make it smaller."""
    note_range(state, event["pool"], event["tick_lower"], event["tick_upper"], load(event["liquidity"]))
    _name_change(state, event["pool"], event["transaction_index"], event["tx_hash"])


@handler(PoolIncomplete, tables=_MARK)
def mark_incomplete(state: Any, event: Any, out: Any) -> Any:
    """An incomplete pool closes what goes through it. Losing all is seen by the epoch at the next boundary."""
    if event["pool"] != NO_ID:
        _mark_given(state, event["pool"])


MARKS = (
    on_pool_registered,
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
    "tables": [
        paths,
        path_legs,
        junctions,
        path_queue,
        screen_columns,
        path_state,
        path_heads,
        path_cursor,
        pool_moves,
        rates,
        hop_cells,
        path_answer,
        path_settings,
        base_tokens,
        native_pools,
    ],
    "max_outputs": _OUTPUTS_EACH * MAX_SOLVES,
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


#: `path_settings.boundary` by the setting's name.
BOUNDARIES = {"block": BOUNDARY_BLOCK, "transaction": BOUNDARY_TRANSACTION, "log": BOUNDARY_LOG}


def mark_log(state: Any, event: Any, out: Any) -> Any:
    """A log of a user's venue may open or close something."""
    _mark_by(state, event["pool"], event["transaction_index"], event["tx_hash"])


def mark_given(state: Any, event: Any, out: Any) -> Any:
    """A given state of a user's venue may open something."""
    _mark_given(state, event["pool"])


def evaluate_log(state: Any, event: Any, out: Any) -> Any:
    """Diagnostic, as `evaluate_v2_sync`."""
    return _evaluate(state, event, out)


def opportunity_handlers(evaluate: str, venues: Sequence[Venue] = ()) -> tuple[Handler, ...]:
    """The handlers for `arbitrage.evaluate`: block, transaction or log. Block ends evaluate what is left.

    venues : users' own, on whose messages pools are looked at too
    """
    own, here = [m for venue in venues for m in venue.messages], sys.modules[__name__]
    logs = [m for m in own if "log_index" in m.fields]
    marks = [handler_for(m, mark_log if m in logs else mark_given, here, tables=_MARK) for m in own]
    at_logs = [handler_for(m, evaluate_log, here, **_SLICED) for m in logs if evaluate == "log"]
    at = {
        "block": (evaluate_block,),
        "transaction": (evaluate_transaction, evaluate_block),
        "log": (
            evaluate_v2_sync,
            evaluate_v3_swap,
            evaluate_v3_mint,
            evaluate_v3_burn,
            *at_logs,
            evaluate_block,
        ),
    }
    return (*MARKS, *marks, *at[evaluate])
