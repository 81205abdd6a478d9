"""A venue of your own: pools that swap two pegged tokens one for one, and charge more once they run low.

A pool states everything after each change. It pays out of the side that is asked for: what lies above its `floor` at
the fee `near`, the rest at the fee `far` (millionths of what is paid). So its curve is two straight lines.
"""

import numpy as np

from disruptor.access import read, row
from disruptor.handler import handler
from disruptor.handlers.curve_pieces import line_piece
from disruptor.handlers.fixed_point import div_rounding_up, divide
from disruptor.handlers.quoting import filled, refused
from disruptor.handlers.reverts import INSUFFICIENT_LIQUIDITY
from disruptor.handlers.venues import CreationLog, PoolLog, Venue, pool_message
from disruptor.handlers.wide import add, is_zero, load, mul, store, sub, to_f64, u256
from disruptor.jit import jit
from disruptor.message import message, u32, u128
from disruptor.status import OK
from disruptor.table import Table

MILLION = 1_000_000
FACTS = {"reserve0": u128, "reserve1": u128, "floor": u128, "near": u32, "far": u32}
Pegged = pool_message("Pegged", 1010, FACTS)
PegGiven = message("PegGiven", 1011, {"pool": u32, "reserved": u32, **FACTS}, counted=False)
peg_pools = Table("peg_pools", FACTS, key="pools")


@jit
def keep(state, event):
    own = row(state.peg_pools, event["pool"])
    store(own["reserve0"], load(event["reserve0"]))
    store(own["reserve1"], load(event["reserve1"]))
    store(own["floor"], load(event["floor"]))
    own["near"], own["far"] = event["near"], event["far"]


@handler(Pegged, tables=[peg_pools])
def on_pegged(state, event, out):
    keep(state, event)


@handler(PegGiven, tables=[peg_pools])
def on_peg_given(state, event, out):
    keep(state, event)


@jit
def sides(state, pool, zero_for_one):
    """(reserve of the token paid, how much of it is paid at the near fee, parts kept near, parts kept far)."""
    own = read(state.peg_pools, pool)
    reserve = load(own["reserve1"]) if zero_for_one else load(own["reserve0"])
    floor = load(own["floor"])
    cheap = sub(reserve, floor) if reserve > floor else u256(0)
    return reserve, cheap, np.int64(MILLION) - np.int64(own["near"]), np.int64(MILLION) - np.int64(own["far"])


@jit
def tradable(state, pool):
    own = read(state.peg_pools, pool)
    return own["near"] <= own["far"] and own["far"] < MILLION and not is_zero(load(own["reserve0"]))


@jit
def price(state, pool, zero_for_one):
    _, cheap, near, far = sides(state, pool, zero_for_one)
    return u256(1), u256(1), np.int64(0), MILLION - (far if is_zero(cheap) else near)


@jit
def piece(state, pool, k, zero_for_one, number):
    reserve, cheap, near, far = sides(state, pool, zero_for_one)
    if number == 0 and not is_zero(cheap):
        return line_piece(state, k, 1.0, np.float64(near) / MILLION, to_f64(cheap))
    if number == (0 if is_zero(cheap) else 1):
        return line_piece(state, k, 1.0, np.float64(far) / MILLION, to_f64(sub(reserve, cheap)))
    return False


@jit
def kept_of(amount, parts):
    kept, _ = divide(mul(amount, u256(parts)), u256(MILLION))
    return kept


@jit
def needed_for(amount, parts):
    _, needed = div_rounding_up(mul(amount, u256(MILLION)), u256(parts))
    return needed


@jit
def most_in(state, pool, zero_for_one):
    reserve, _, _, _ = sides(state, pool, zero_for_one)
    return reserve


@jit
def trade(state, pool, zero_for_one, exact_in, amount, limit):
    reserve, cheap, near, far = sides(state, pool, zero_for_one)
    if amount > reserve:
        return refused(INSUFFICIENT_LIQUIDITY)
    if exact_in:
        if amount <= cheap:
            return filled(amount, kept_of(amount, near))
        return filled(amount, add(kept_of(cheap, near), kept_of(sub(amount, cheap), far)))
    most = kept_of(cheap, near)
    amount_in = needed_for(amount, near) if amount <= most else add(cheap, needed_for(sub(amount, most), far))
    return filled(amount_in, amount) if amount_in <= reserve else refused(INSUFFICIENT_LIQUIDITY)


@jit
def move(state, pool, zero_for_one, amount_in, made):
    own = row(state.peg_pools, pool)
    paid, left = (own["reserve0"], own["reserve1"]) if zero_for_one else (own["reserve1"], own["reserve0"])
    store(paid, add(load(paid), amount_in))
    store(left, sub(load(left), made.amount_out))
    return np.int64(OK)


PEG = Venue(
    kind=1010,
    name="peg",
    logs=(
        PoolLog(
            Pegged,
            "02285680c2a712ec81513ec28b670434544317e3f9c908ee97551ee34944ed6a",
            words=("uint256 reserve0", "uint256 reserve1", "uint256 floor", "uint24 near", "uint24 far"),
            settles=True,
        ),
    ),
    creations=(
        CreationLog(
            "f946815e3aea32d05ff3ac71a5584a88d404e9ffda4ca0a7dc6960a936386d43",
            ("address token0", "address token1"),
            ("address pool",),
        ),
    ),
    fee=0,
    given=PegGiven,
    tables=(peg_pools,),
    moves={peg_pools: ("reserve0", "reserve1")},
    tradable=tradable,
    price=price,
    piece=piece,
    trade=trade,
    most_in=most_in,
    move=move,
    gas=90_000,
)
