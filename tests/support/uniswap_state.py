"""Pools in tables, and kernels over them: what the arithmetic's tests hold against the oracle and the contracts.

`run_actions` does to a pool what a tracking handler does with its logs, so that fee growth, tick map and observations
are carried from one action to the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.access import insert, meta_of, read, remove, row
from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.fee_growth import collect_protocol, open_tick, pay_flash
from disruptor.handlers.observations import grow_observations, observe, start_observations
from disruptor.handlers.pools import pools, ticks
from disruptor.handlers.swap_math import add_delta
from disruptor.handlers.tick_bitmap import flip, next_initialized_above, next_initialized_below, tick_bitmap
from disruptor.handlers.uniswap_v3 import quote, rehearse, settle
from disruptor.handlers.uniswap_v3_tables import step_notes, v3_fees
from disruptor.handlers.wide import add, is_zero, load, load_signed, negate, store
from disruptor.jit import jit
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State
from tests.support.uniswap_oracle import Pool
from tests.support.wide_records import filled, number, put

TABLES = [pools, ticks, tick_bitmap, v3_fees, step_notes]
LAYOUT = StateLayout(TABLES, {table.name: "plain" for table in TABLES})
QUOTE, SWAP, CHANGE, FLASH, COLLECT, PROTOCOL, GROW, START, NEXT, TICK, FLIP = range(11)
ACTION = np.dtype(
    [
        ("kind", "<i8"),
        ("pool", "<u4"),
        ("zero_for_one", "<i4"),
        ("exact_in", "<i4"),
        ("lower", "<i4"),  # of a range; the tick at the start; the tick to look from
        ("upper", "<i4"),
        ("count", "<u4"),
        ("timestamp", "<u8"),
        ("amount", "<u8", (4,)),  # magnitude, signed change of liquidity, or of token0
        ("limit", "<u8", (4,)),  # of the price, price at the start, or of token1
        ("status", "<i8"),
        ("amount0", "<u8", (4,)),
        ("amount1", "<u8", (4,)),
        ("remaining", "<u8", (4,)),
        ("sqrt_price", "<u8", (4,)),
        ("liquidity", "<u8", (4,)),
        ("tick", "<i8"),
        ("crossed", "<i8"),
        ("steps", "<i8"),
        ("growth0", "<u8", (4,)),
        ("growth1", "<u8", (4,)),
        ("protocol0", "<u8", (4,)),
        ("protocol1", "<u8", (4,)),
        ("index", "<u4"),
        ("cardinality", "<u4"),
        ("cardinality_next", "<u4"),
        ("fee_protocol", "<u4"),
    ],
    align=True,
)
STATE_FIELDS = (
    "sqrt_price",
    "tick",
    "liquidity",
    "growth0",
    "growth1",
    "protocol0",
    "protocol1",
    "index",
    "cardinality",
    "cardinality_next",
    "fee_protocol",
)


@entry_uncounted
def run_actions(tables, actions):  # type: ignore[no-untyped-def]
    """Carry out each action; each tells what it gave and, unless it is a quote, the pool's state after it."""
    state = bind_state(LAYOUT, tables)
    for k in range(len(actions)):
        action = actions[k]
        if action["kind"] == QUOTE or action["kind"] == SWAP:
            _trade(state, action)
        else:
            _maintain(state, action)
        if action["kind"] != QUOTE:
            _tell(state, action)


@jit
def _trade(state, action):  # type: ignore[no-untyped-def]
    pool, zero_for_one, exact_in = action["pool"], action["zero_for_one"] != 0, action["exact_in"] != 0
    amount, limit = load(action["amount"]), load(action["limit"])
    if action["kind"] == QUOTE:
        outcome = quote(state, pool, zero_for_one, exact_in, amount, limit)
    else:
        outcome = rehearse(state, pool, zero_for_one, exact_in, amount, limit)
    action["status"] = outcome.status
    store(action["amount0"], outcome.amount0)
    store(action["amount1"], outcome.amount1)
    store(action["remaining"], outcome.remaining)
    store(action["sqrt_price"], outcome.sqrt_price)
    store(action["liquidity"], outcome.liquidity)
    action["tick"] = outcome.tick
    action["crossed"] = outcome.crossed
    action["steps"] = outcome.steps
    if action["kind"] == SWAP and outcome.status == 0:
        settle(state, pool, zero_for_one, exact_in, amount, limit, outcome, action["timestamp"])


@jit
def _maintain(state, action):  # type: ignore[no-untyped-def]
    pool, kind = action["pool"], action["kind"]
    if kind == CHANGE:
        _change_range(state, action)
    elif kind == FLASH:
        action["status"] = pay_flash(state, pool, load(action["amount"]), load(action["limit"]))
    elif kind == COLLECT:
        collect_protocol(state, pool, load(action["amount"]), load(action["limit"]))
    elif kind == PROTOCOL:
        row(state.pools, pool)["fee_protocol"] = action["count"]
    elif kind == GROW:
        grow_observations(state, pool, action["count"])
    elif kind == START:
        store(row(state.pools, pool)["sqrt_price_x96"], load(action["limit"]))
        row(state.pools, pool)["tick"] = action["lower"]
        start_observations(state, pool, action["timestamp"])
    elif kind == NEXT:
        spacing = np.int64(read(state.pools, pool)["tick_spacing"])
        compressed = np.int64(action["lower"]) // spacing
        if action["zero_for_one"] != 0:
            found, initialized = next_initialized_below(state, pool, compressed, 1)
        else:
            found, initialized = next_initialized_above(state, pool, compressed + 1, 1)
        action["upper"] = found * spacing
        action["count"] = 1 if initialized else 0
    elif kind == TICK:
        _install_tick(state, action)
    elif kind == FLIP:
        meta_of(state.tick_bitmap)["inserts_left"] = 1
        flip(state, pool, np.int64(action["lower"]))


@jit
def _install_tick(state, action):  # type: ignore[no-untyped-def]
    """An initialized tick as a file would give it; the growths outside are the action's."""
    pool, tick = action["pool"], action["lower"]
    meta_of(state.ticks)["inserts_left"] = 1
    meta_of(state.tick_bitmap)["inserts_left"] = 1
    t = row(state.ticks, insert(state.ticks, pool, tick))
    t["pool"] = pool
    t["tick"] = tick
    store(t["liquidity_gross"], load(action["amount"]))
    store(t["liquidity_net"], load(action["limit"]))
    store(t["fee_growth_outside0_x128"], load(action["growth0"]))
    store(t["fee_growth_outside1_x128"], load(action["growth1"]))
    flip(state, pool, np.int64(tick) // np.int64(read(state.pools, pool)["tick_spacing"]))


@jit
def _change_range(state, action):  # type: ignore[no-untyped-def]
    """A mint or burn, as logs tell it."""
    pool, change = action["pool"], load(action["amount"])
    if is_zero(change):
        return
    p = row(state.pools, pool)
    meta_of(state.ticks)["inserts_left"] = 2
    meta_of(state.tick_bitmap)["inserts_left"] = 2
    _change_tick(state, pool, action["lower"], change, change)
    _change_tick(state, pool, action["upper"], change, negate(change))
    if action["lower"] <= p["tick"] and p["tick"] < action["upper"]:
        observe(state, pool, action["timestamp"])
        action["status"], liquidity = add_delta(load(p["liquidity"]), change)
        store(p["liquidity"], liquidity)


@jit
def _change_tick(state, pool, tick, change, net):  # type: ignore[no-untyped-def]
    at = insert(state.ticks, pool, tick)
    t = row(state.ticks, at)
    t["pool"] = pool
    t["tick"] = tick
    before = load(t["liquidity_gross"])
    after = add(before, change)
    if is_zero(before):
        open_tick(state, pool, at)
    if is_zero(before) != is_zero(after):
        flip(state, pool, np.int64(tick) // np.int64(read(state.pools, pool)["tick_spacing"]))
    store(t["liquidity_gross"], after)
    store(t["liquidity_net"], add(load_signed(t["liquidity_net"]), net))
    if is_zero(after):
        remove(state.ticks, pool, tick)


@jit
def _tell(state, action):  # type: ignore[no-untyped-def]
    p, fees = read(state.pools, action["pool"]), read(state.v3_fees, action["pool"])
    store(action["sqrt_price"], load(p["sqrt_price_x96"]))
    store(action["liquidity"], load(p["liquidity"]))
    store(action["growth0"], load(fees["fee_growth_global0_x128"]))
    store(action["growth1"], load(fees["fee_growth_global1_x128"]))
    store(action["protocol0"], load(fees["protocol_fees0"]))
    store(action["protocol1"], load(fees["protocol_fees1"]))
    action["tick"] = p["tick"]
    action["index"] = fees["observation_index"]
    action["cardinality"] = fees["observation_cardinality"]
    action["cardinality_next"] = fees["observation_cardinality_next"]
    action["fee_protocol"] = p["fee_protocol"]


class Tables:
    """A state of pools alone, and a kernel's way into it."""

    def __init__(self, pools_: int = 32, ticks_: int = 4096) -> None:
        sizes = {"pools": pools_, "ticks": ticks_, "tick_bitmap": ticks_}
        self.state = State(TABLES, sizes, plain_allocate)
        self._fault = np.zeros(8, np.int64)
        self._described = describe_tables([self.state.arrays[t.name] for t in TABLES], self._fault)

    def create(self, pool: int, fee: int, spacing: int) -> None:
        """A pool that nobody initialized."""
        self.state.arrays["pools"].rows[pool]["fee"] = fee
        self.state.arrays["pools"].rows[pool]["tick_spacing"] = spacing

    def install(self, pool: int, known: Pool) -> None:
        """Give a fresh pool the state of the oracle's."""
        self.create(pool, known.fee, known.spacing)
        self.act(
            {
                "kind": TICK,
                "pool": pool,
                "lower": tick,
                "amount": at.gross,
                "limit": at.net,
                "growth0": at.outside[0],
                "growth1": at.outside[1],
            }
            for tick, at in known.ticks.items()
        )
        row_ = self.state.arrays["pools"].rows[pool]
        row_["tick"], row_["fee_protocol"] = known.tick, known.fee_protocol
        put(row_, "sqrt_price_x96", known.price)
        put(row_, "liquidity", known.liquidity)
        fees = self.state.arrays["v3_fees"].rows[pool]
        for token in (0, 1):
            put(fees, f"fee_growth_global{token}_x128", known.growth[token])
            put(fees, f"protocol_fees{token}", known.protocol_fees[token])
        names = ("observation_index", "observation_cardinality", "observation_cardinality_next")
        for name, value in zip(names, known.observation, strict=True):
            fees[name] = value
        fees["observation_timestamp"] = known.observed_at

    def act(self, lines: Iterable[Mapping[str, Any]]) -> npt.NDArray[Any]:
        """Carry out actions."""
        actions = filled(ACTION, lines)
        run_actions(self._described, actions)
        assert not self._fault.any()
        return actions

    def ticks_of(self, pool: int) -> dict[int, list[int]]:
        """Gross, net and the growths outside of each initialized tick."""
        names = ("liquidity_gross", "fee_growth_outside0_x128", "fee_growth_outside1_x128")
        found = {}
        for t in self.state.live("ticks"):
            if t["pool"] == pool:
                gross, outside0, outside1 = (number(t[name]) for name in names)
                net = number(t["liquidity_net"], signed=True)
                found[int(t["tick"])] = [gross, net, outside0, outside1]
        return found

    def words_of(self, pool: int) -> dict[int, int]:
        """The words of the tick bitmap that have a bit."""
        live = self.state.live("tick_bitmap")
        return {int(w["word"]): number(w["bits"]) for w in live if w["pool"] == pool}
