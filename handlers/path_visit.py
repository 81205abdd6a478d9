"""One path at a boundary: screened, solved if it may pay, and its opportunity opened, changed or closed."""

from __future__ import annotations

from typing import Any

import numpy as np

from disruptor.access import assign, assign_at, read, row
from disruptor.emit import emit
from disruptor.handlers.inlining import never_inlined
from disruptor.handlers.messages import (
    BOUNDARY_BLOCK,
    BOUNDARY_TRANSACTION,
    CLOSED_BARRED,
    CLOSED_MOVED,
    FLAG_GROSS,
    FLAG_OPENING,
    FLAG_TOKEN_UNKNOWN,
    NO_ID,
    ArbitrageOpportunity,
    ArbitragePath,
    OpportunityClosed,
)
from disruptor.handlers.path_costs import funding_cost, gas_cost_wei, gas_in_token, gas_units
from disruptor.handlers.path_curve import is_tradable
from disruptor.handlers.path_exact import settle
from disruptor.handlers.path_open import link, unlink
from disruptor.handlers.path_search import best_input, hop_of
from disruptor.handlers.path_spread import cycle_spread, spread_to_bps
from disruptor.handlers.path_standing import note_answer, stands
from disruptor.handlers.pools import AUDITED, UNVERIFIED
from disruptor.handlers.token_conduct_tables import CLEAN, UNKNOWN, conduct_in
from disruptor.handlers.wide import add, bit_length, is_zero, load, store, sub, to_f64
from disruptor.jit import jit

FORWARD, BACKWARD = 1, 2
#: Relative margin of the screen: rates are right to about 2^-50, and there are four.
MARGIN = 1.0 - 1e-12
_NANOSECONDS = np.uint64(1_000_000_000)
_ONE = np.uint32(1)
#: `confidence` is the least of these that applies.
_SURE, _BACKRUN, _UNKNOWN_TOKEN, _NEVER_AUDITED = 1.0, 0.5, 0.5, 0.75


@jit
def visit(state: Any, out: Any, at: Any) -> bool:
    """Screen a path, and judge it if it may pay or is open; whether it was judged."""
    path = row(state.paths, at)
    row(state.path_cursor, 0)["screened"] += np.uint64(1)
    falling, rising = marginal_products(state, path)
    pays = max(falling, rising) > MARGIN
    if not pays and path["open"] == 0:
        return False
    judge(state, out, at, falling, rising)
    return True


@jit
def judge(state: Any, out: Any, at: Any, falling: Any, rising: Any) -> None:
    """Solve a path whose products are these, open, change or close it. Emits at most three outputs."""
    never_inlined()
    path = row(state.paths, at)
    forward = falling >= rising
    pays = max(falling, rising) > MARGIN
    reason = CLOSED_MOVED
    barred = _is_barred(state, path)
    if barred:
        reason = CLOSED_BARRED
    direction = np.uint32(FORWARD if forward else BACKWARD)
    was = path["open"]
    if pays and not barred and was == direction and stands(state, path, read(state.path_state, at)):
        if _still_covers_costs(state, path, at, forward):
            return
        found = False
    else:
        found = pays and not barred and _solve(state, path, at, forward)
    if was != 0 and not (found and was == direction):
        _close(state, out, path, at, reason)
    if found:
        note_answer(state, path, row(state.path_state, at), forward)
        _report(state, out, path, at, direction)


@jit
def marginal_products(state: Any, path: Any) -> Any:
    """What one unit brings back at the margin, forward and backward."""
    forward, backward = 1.0, 1.0
    for k in range(np.int64(path["hops"])):
        pool, zero_for_one = hop_of(path, k, True)
        r = read(state.rates, pool)
        forward *= r["zero_for_one"] if zero_for_one else r["one_for_zero"]
        backward *= r["one_for_zero"] if zero_for_one else r["zero_for_one"]
    return forward, backward


@jit
def _token_in(state: Any, pool: Any, zero_for_one: Any) -> Any:
    p = read(state.pools, pool)
    return p["token0"] if zero_for_one else p["token1"]


@jit
def _is_barred(state: Any, path: Any) -> bool:
    """Whether a pool's state is not certain, it has failed its audit, or a token is known not to move in full."""
    for k in range(np.int64(path["hops"])):
        pool, _ = hop_of(path, k, True)
        if not is_tradable(state, pool):  # all pools may have been lost since its rates were computed
            return True
        if (read(state.pools, pool)["flags"] & np.uint32(UNVERIFIED)) != 0:
            return True
        if conduct_in(state, pool) > UNKNOWN:
            return True
    return False


@jit
def _most(state: Any) -> Any:
    limit = load(read(state.path_settings, 0)["max_amount_in"])
    return np.inf if is_zero(limit) else to_f64(limit)


@jit
def _solve(state: Any, path: Any, at: Any, forward: Any) -> bool:
    """Find the best exact swap; whether it pays for what it costs. The answer is put into the scratch row."""
    settings, cursor = read(state.path_settings, 0), row(state.path_cursor, 0)
    cursor["solved"] += np.uint64(1)
    slope = 1.0 + np.float64(settings["loan_millionths"]) * 1e-6
    guess, gain, walked = best_input(state, path, forward, slope, _most(state))
    if not walked:
        cursor["limited"] += np.uint64(1)
    if guess <= 0.0:
        return False
    amount_in, amount_out = settle(state, path, forward, guess, gain)
    if amount_out <= amount_in:
        return False
    spread = cycle_spread(state, path, forward)
    answer = row(state.path_answer, 0)
    answer["spread"] = spread
    store(answer["amount_in"], amount_in)
    store(answer["profit"], sub(amount_out, amount_in))
    answer["gas"] = np.uint64(gas_units(state, path, forward))
    profit = sub(amount_out, amount_in)
    if spread < settings["min_spread"] or not _covers_costs(state, path, forward, amount_in, profit):
        return False
    if _too_long(state, path, amount_in):
        cursor["withheld"] += np.uint64(1)
        return False
    return True


@jit
def _too_long(state: Any, path: Any, amount_in: Any) -> bool:
    """Whether an amount of the answer has more than 128 bits, so that no message can tell it."""
    longest = bit_length(amount_in)
    for k in range(np.int64(path["hops"])):
        longest = max(longest, bit_length(load(read(state.hop_cells, k)["best_out"])))
    return longest > 128


@jit
def _still_covers_costs(state: Any, path: Any, at: Any, forward: Any) -> bool:
    """`_covers_costs` of the answer that is kept."""
    kept = read(state.path_state, at)
    row(state.path_answer, 0)["gas"] = np.uint64(kept["gas"])
    return _covers_costs(state, path, forward, load(kept["amount_in"]), load(kept["profit"]))


@jit
def _covers_costs(state: Any, path: Any, forward: Any, amount_in: Any, profit: Any) -> bool:
    """Whether the answer's profit is more than gas and funding, as far as they are known; notes them in it."""
    answer = row(state.path_answer, 0)
    gas = np.int64(answer["gas"])
    answer["gas_cost_wei"] = np.uint64(0)
    answer["gross"] = np.uint32(0)
    cost = funding_cost(state, amount_in)
    if read(state.path_settings, 0)["count_gas"] != 0:
        wei = gas_cost_wei(state, gas)
        pool, zero_for_one = hop_of(path, np.int64(0), forward)
        known, in_token = gas_in_token(state, _token_in(state, pool, zero_for_one), wei)
        answer["gas_cost_wei"] = np.uint64(max(wei, np.int64(0)))
        answer["gross"] = np.uint32(0) if known else _ONE
        if known:
            cost = add(cost, in_token)
    store(answer["cost"], cost)
    return cost < profit


@jit
def _report(state: Any, out: Any, path: Any, at: Any, direction: Any) -> None:
    """Open the path or renew what is open; report it if it is new or has changed."""
    answer, kept = read(state.path_answer, 0), row(state.path_state, at)
    opening = path["open"] == 0
    if not opening and _is_kept(state, path, at):
        return
    if opening:
        path["open"] = direction
        row(state.path_legs, path["leg0"])["open"] += _ONE
        row(state.path_legs, path["leg1"])["open"] += _ONE
        kept["opened_block"] = read(state.chain, 0)["block_number"]
        row(state.path_cursor, 0)["openings"] += np.uint64(1)
        link(state, at)
    store(kept["amount_in"], load(answer["amount_in"]))
    store(kept["profit"], load(answer["profit"]))
    kept["gas"], kept["gas_cost_wei"] = np.uint32(answer["gas"]), answer["gas_cost_wei"]
    store(kept["out0"], load(read(state.hop_cells, 0)["best_out"]))
    store(kept["out1"], load(read(state.hop_cells, 1)["best_out"]))
    store(kept["out2"], load(read(state.hop_cells, 2)["best_out"]))
    store(kept["out3"], load(read(state.hop_cells, 3)["best_out"]))
    _emit_opportunity(state, out, path, direction == FORWARD, opening)
    _emit_path(state, out, path, at, direction == FORWARD)


@jit
def _is_kept(state: Any, path: Any, at: Any) -> bool:
    """Whether the answer is what was reported last: input, profit and every hop's output."""
    answer, kept = read(state.path_answer, 0), read(state.path_state, at)
    same = load(kept["amount_in"]) == load(answer["amount_in"])
    same = same and load(kept["profit"]) == load(answer["profit"])
    same = same and load(kept["out0"]) == load(read(state.hop_cells, 0)["best_out"])
    if path["hops"] > 2:
        same = same and load(kept["out1"]) == load(read(state.hop_cells, 1)["best_out"])
    if path["hops"] > 3:
        same = same and load(kept["out2"]) == load(read(state.hop_cells, 2)["best_out"])
    return same


@jit
def _emit_opportunity(state: Any, out: Any, path: Any, forward: Any, opening: Any) -> None:
    answer, c = read(state.path_answer, 0), read(state.chain, 0)
    settings = read(state.path_settings, 0)
    first, _ = hop_of(path, np.int64(0), forward)
    last, _ = hop_of(path, np.int64(path["hops"]) - 1, forward)
    directory = read(state.pool_directory, first)
    confidence, clean = _confidence(state, path)
    flags = FLAG_OPENING if opening else 0
    flags |= FLAG_GROSS if answer["gross"] != 0 else 0
    flags |= 0 if clean else FLAG_TOKEN_UNKNOWN
    o = emit(out, ArbitrageOpportunity)
    o["flags"] = np.uint16(flags)
    assign_at(o["token_pair"], 0, directory["token0_address"])
    assign_at(o["token_pair"], 20, directory["token1_address"])
    o["venue_a"] = first
    o["venue_b"] = last
    o["price_diff"] = spread_to_bps(answer["spread"])
    store(o["max_profit"], load(answer["profit"]))
    o["gas_estimate"] = answer["gas"]
    o["confidence"] = np.float32(confidence)
    if c["timestamp"] != 0:
        o["expires_at"] = c["timestamp"] * _NANOSECONDS + settings["block_time_ns"]


@jit
def _confidence(state: Any, path: Any) -> Any:
    """(confidence, all tokens clean); see docs/messages.md for what it measures."""
    boundary = read(state.path_settings, 0)["boundary"]
    confidence = (
        _SURE if boundary == BOUNDARY_BLOCK else (_BACKRUN if boundary == BOUNDARY_TRANSACTION else 0.0)
    )
    clean = True
    for k in range(np.int64(path["hops"])):
        pool, _ = hop_of(path, k, True)
        if conduct_in(state, pool) != CLEAN:
            clean = False
        if (read(state.pools, pool)["flags"] & np.uint32(AUDITED)) == 0:
            confidence = min(confidence, _NEVER_AUDITED)
    return confidence if clean else min(confidence, _UNKNOWN_TOKEN), clean


@jit
def _fill_route(target: Any, path: Any, forward: Any) -> None:
    """The pools and directions of a path, in the order of the swaps."""
    hops = np.int64(path["hops"])
    directions = np.uint32(0)
    third, fourth = np.uint32(NO_ID), np.uint32(NO_ID)
    first, zero_for_one = hop_of(path, np.int64(0), forward)
    directions |= _ONE if zero_for_one else np.uint32(0)
    second, zero_for_one = hop_of(path, np.int64(1), forward)
    directions |= np.uint32(2) if zero_for_one else np.uint32(0)
    if hops > 2:
        third, zero_for_one = hop_of(path, np.int64(2), forward)
        directions |= np.uint32(4) if zero_for_one else np.uint32(0)
    if hops > 3:
        fourth, zero_for_one = hop_of(path, np.int64(3), forward)
        directions |= np.uint32(8) if zero_for_one else np.uint32(0)
    target["pool0"], target["pool1"], target["pool2"], target["pool3"] = first, second, third, fourth
    target["hops"] = path["hops"]
    target["zero_for_one"] = directions


@jit
def _latest_change(state: Any, path: Any) -> Any:
    """The pool of a path that was changed last."""
    latest, _ = hop_of(path, np.int64(0), True)
    for k in range(1, np.int64(path["hops"])):
        pool, _ = hop_of(path, k, True)
        a, b = read(state.last_changes, latest), read(state.last_changes, pool)
        newer = b["block_number"] == a["block_number"] and b["transaction_index"] > a["transaction_index"]
        if newer or b["block_number"] > a["block_number"]:
            latest = pool
    return latest


@jit
def _emit_path(state: Any, out: Any, path: Any, at: Any, forward: Any) -> None:
    answer, kept = read(state.path_answer, 0), read(state.path_state, at)
    p = emit(out, ArbitragePath)
    _fill_route(p, path, forward)
    p["boundary"] = read(state.path_settings, 0)["boundary"]
    p["transaction_index"] = read(state.last_changes, _latest_change(state, path))["transaction_index"]
    p["block_number"] = read(state.chain, 0)["block_number"]
    p["gas_cost_wei"] = answer["gas_cost_wei"]
    store(p["amount_in"], load(answer["amount_in"]))
    store(p["profit"], load(answer["profit"]))
    store(p["cost"], load(answer["cost"]))
    store(p["amount_out0"], load(kept["out0"]))
    if path["hops"] > 2:
        store(p["amount_out1"], load(kept["out1"]))
    if path["hops"] > 3:
        store(p["amount_out2"], load(kept["out2"]))
    p["opened_block"] = kept["opened_block"]
    p["path"] = np.uint32(at)


@jit
def _close(state: Any, out: Any, path: Any, at: Any, reason: Any) -> None:
    """End what is open."""
    kept = read(state.path_state, at)
    change = read(state.last_changes, _latest_change(state, path))
    o = emit(out, OpportunityClosed)
    _fill_route(o, path, path["open"] == FORWARD)
    o["boundary"] = read(state.path_settings, 0)["boundary"]
    o["transaction_index"] = change["transaction_index"]
    o["block_number"] = read(state.chain, 0)["block_number"]
    o["opened_block"] = kept["opened_block"]
    store(o["amount_in"], load(kept["amount_in"]))
    store(o["profit"], load(kept["profit"]))
    assign(o["tx_hash"], change["tx_hash"])
    o["path"] = np.uint32(at)
    o["reason"] = np.uint32(reason)
    path["open"] = np.uint32(0)
    row(state.path_legs, path["leg0"])["open"] -= _ONE
    row(state.path_legs, path["leg1"])["open"] -= _ONE
    unlink(state, at)
