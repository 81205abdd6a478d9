"""Pools set up straight in the tables that quotes read, and the same pools in the oracle."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from disruptor.access import claim_id, insert
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.pools import PRICE_KNOWN, RESERVES_KNOWN, TICKS_KNOWN
from disruptor.handlers.quote_kernels import QUOTE_TABLES
from disruptor.processor import plain_allocate
from disruptor.references import describe_tables
from disruptor.state import State
from disruptor.views import PlainView
from tests.support.uniswap_oracle import MAX_RATIO, MIN_RATIO, Pool, Revert, v2_amount_in, v2_amount_out


def limbs(value: int, count: int) -> list[int]:
    return [value >> 64 * k & 2**64 - 1 for k in range(count)]


@dataclass
class Pair:
    """A V2 pair."""

    reserves: list[int]
    fee: int


class Refused(Exception):
    """The answer is this reason."""


def trade(pool: Pool | Pair, zero_for_one: bool, exact_in: bool, amount: int, limit: int) -> dict[str, Any]:
    """What a quoter answers: the other amount, the price after, whether only a part was filled."""
    if isinstance(pool, Pair):
        if limit:
            raise Refused("price limit on other than one Uniswap V3 pool")
        reserves = pool.reserves if zero_for_one else pool.reserves[::-1]
        try:
            answer = v2_amount_out if exact_in else v2_amount_in
            return {"amount": answer(amount, reserves[0], reserves[1], pool.fee), "partial": False}
        except Revert as reason:
            raise Refused(_library_words(str(reason), exact_in, amount, reserves)) from None
    stop = limit or (MIN_RATIO + 1 if zero_for_one else MAX_RATIO - 1)
    within = min(amount, 2**255 - 1)
    try:
        found = pool.swap(zero_for_one, within if exact_in else -within, stop)
    except Revert as reason:
        told = str(reason).isupper()
        raise Refused(str(reason) if told else "Unexpected error") from None
    if within < amount:
        raise Refused("amount too large")
    into, out = (found.amount0, -found.amount1) if zero_for_one else (found.amount1, -found.amount0)
    if into == out == 0 or (not exact_in and not limit and found.remaining):
        raise Refused("Unexpected error")
    answered = {"amount": out if exact_in else into, "partial": found.remaining != 0}
    return {**answered, "sqrt_price_x96_after": found.price, "outcome": found}


def _library_words(reason: str, exact_in: bool, amount: int, reserves: list[int]) -> str:
    """Of what the library refuses, its product comes first, then its difference, then its quotient."""
    unpaid = not exact_in and all(reserves) and amount >= reserves[1]
    if reason == "overflow" or (unpaid and reserves[0] * amount * 1000 >= 2**256):
        return "ds-math-mul-overflow"
    if unpaid:
        return "division by zero" if amount == reserves[1] else "ds-math-sub-underflow"
    return f"UniswapV2Library: {reason}"


def walk(pools: list[Pool | Pair], amount_in: int, path: list[tuple[int, bool]]) -> dict[str, Any]:
    """What a chain of trades pays, each on the pools as the ones before left them."""
    pools, outs, partial, amount = copy.deepcopy(pools), [], False, amount_in
    for k, (at, zero_for_one) in enumerate(path):
        pool = pools[at]
        try:
            found = trade(pool, zero_for_one, True, amount, 0)
            if isinstance(pool, Pair):
                _move_pair(pool, zero_for_one, amount, found["amount"])
            else:
                pool.apply(zero_for_one, found["outcome"], 0)
        except Refused as reason:
            return {"error": str(reason), "hop": k}
        amount = found["amount"]
        partial |= found["partial"]
        outs.append(str(amount))
    return {"outs": outs, "profit": str(amount - amount_in), "partial": partial}


def _move_pair(pair: Pair, zero_for_one: bool, amount_in: int, amount_out: int) -> None:
    if amount_out == 0:
        raise Refused("UniswapV2: INSUFFICIENT_OUTPUT_AMOUNT")
    paid = 0 if zero_for_one else 1
    if pair.reserves[paid] + amount_in >= 2**112:
        raise Refused("UniswapV2: OVERFLOW")
    pair.reserves[paid] += amount_in
    pair.reserves[1 - paid] -= amount_out


@dataclass
class Book:
    """A state with pools in it; ids in order, from 0."""

    pools: list[Pool | Pair]
    capacity: int = 4096
    fault: Any = field(default_factory=lambda: np.zeros(8, np.int64))

    def __post_init__(self) -> None:
        sizes = dict.fromkeys(("pools", "ticks", "tick_bitmap"), self.capacity)
        self.state = State(list(QUOTE_TABLES), sizes, plain_allocate)
        for table in self.state.arrays.values():
            table.meta[0]["inserts_left"] = self.capacity
        with np.errstate(over="ignore"):
            self._enter()

    def _enter(self) -> None:
        for at, pool in enumerate(self.pools):
            claim_id(self.view("pool_directory"), at)
            row, names = self.rows("pools")[at], self.rows("pool_directory")[at]
            row["fee"] = pool.fee
            names["address"] = np.frombuffer((at + 1).to_bytes(20, "big"), np.uint8)
            if isinstance(pool, Pair):
                row["kind"], row["flags"] = KIND_UNISWAP_V2, RESERVES_KNOWN
                row["reserve0"], row["reserve1"] = (limbs(r, 2) for r in pool.reserves)
            else:
                row["kind"], row["flags"] = KIND_UNISWAP_V3, PRICE_KNOWN | TICKS_KNOWN
                row["sqrt_price_x96"], row["liquidity"] = limbs(pool.price, 4), limbs(pool.liquidity, 2)
                row["tick"], row["tick_spacing"] = pool.tick, pool.spacing
                self._enter_ticks(at, pool)

    def view(self, name: str) -> PlainView:
        return PlainView(*self.state.arrays[name], self.fault)

    def rows(self, name: str) -> Any:
        return self.state.arrays[name].rows

    def tables(self) -> Any:
        """What the kernel takes."""
        return describe_tables([self.state.arrays[t.name] for t in QUOTE_TABLES], self.fault)

    def _enter_ticks(self, at: int, pool: Pool) -> None:
        for tick, known in pool.ticks.items():
            row = self.rows("ticks")[insert(self.view("ticks"), at, tick)]
            row["pool"], row["tick"] = at, tick
            row["liquidity_gross"], row["liquidity_net"] = limbs(known.gross, 2), limbs(known.net, 2)
            word, bit = divmod(tick // pool.spacing, 256)
            row = self.rows("tick_bitmap")[insert(self.view("tick_bitmap"), at, word)]
            row["pool"], row["word"] = at, word
            row["bits"][bit // 64] |= np.uint64(1 << bit % 64)
