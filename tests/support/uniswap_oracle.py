"""Uniswap V2 and V3 in slow, obvious Python integers: what tests hold the compiled arithmetic against.

Written from the protocols' published specifications: the V2 and V3 white papers and the deployed contracts
(v2-core 1.0.1, v2-periphery 1.1.0, v3-core 1.0.0; functions are named as there). It shares no code with the
kernels, and is itself held against recorded answers of the contracts in `tests/test_uniswap_oracle.py`.
A `Revert` carries the contract's reason, or in lower case what Solidity itself refuses.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

MAX_U256 = 2**256 - 1
MILLION = 1_000_000
Q96, Q128 = 2**96, 2**128
MAX_TICK = 887272
MIN_RATIO = 4295128739
MAX_RATIO = 1461446703485210103287273052203988822378723970342
#: floor(2^128 / 1.0001^(2^(k-1))), rounded as TickMath has it.
TICK_FACTORS = (
    0xFFFCB933BD6FAD37AA2D162D1A594001,
    0xFFF97272373D413259A46990580E213A,
    0xFFF2E50F5F656932EF12357CF3C7FDCC,
    0xFFE5CACA7E10E4E61C3624EAA0941CD0,
    0xFFCB9843D60F6159C9DB58835C926644,
    0xFF973B41FA98C081472E6896DFB254C0,
    0xFF2EA16466C96A3843EC78B326B52861,
    0xFE5DEE046A99A2A811C461F1969C3053,
    0xFCBE86C7900A88AEDCFFC83B479AA3A4,
    0xF987A7253AC413176F2B074CF7815E54,
    0xF3392B0822B70005940C7A398E4B70F3,
    0xE7159475A2C29B7443B29C7FA6E889D9,
    0xD097F3BDFD2022B8845AD8F792AA5825,
    0xA9F746462D870FDF8A65DC1F90E061E5,
    0x70D869A156D2A1B890BB3DF62BAF32F7,
    0x31BE135F97D08FD981231505542FCFA6,
    0x9AA508B5B7A84E1C677DE54F3E99BC9,
    0x5D6AF8DEDB81196699C329225EE604,
    0x2216E584F5FA1EA926041BEDFE98,
    0x48A170391F7DC42444E8FA2,
)


class Revert(Exception):
    """The contract refuses; the argument is its reason."""


def require(condition: bool, reason: str) -> None:
    if not condition:
        raise Revert(reason)


def checked(value: int) -> int:
    """A u256 as safe arithmetic gives it."""
    require(0 <= value <= MAX_U256, "overflow" if value > 0 else "underflow")
    return value


def ceil_div(a: int, d: int) -> int:
    return -(-a // d)


def mul_div(a: int, b: int, d: int, *, up: bool = False) -> int:
    require(d != 0, "division by zero")
    return checked(ceil_div(a * b, d) if up else a * b // d)


# Uniswap V2


def v2_scale(fee: int) -> tuple[int, int]:
    """What a pair keeps of an input and the denominator: 997 and 1000 for a fee of 3000 millionths."""
    if fee % 1000 == 0:
        return 1000 - fee // 1000, 1000
    return MILLION - fee, MILLION


def v2_amount_out(amount_in: int, reserve_in: int, reserve_out: int, fee: int) -> int:
    kept, scale = v2_scale(fee)
    require(kept >= 0, "fee")
    require(amount_in > 0, "INSUFFICIENT_INPUT_AMOUNT")
    require(reserve_in > 0 and reserve_out > 0, "INSUFFICIENT_LIQUIDITY")
    with_fee = checked(amount_in * kept)
    numerator = checked(with_fee * reserve_out)
    return numerator // checked(checked(reserve_in * scale) + with_fee)


def v2_amount_in(amount_out: int, reserve_in: int, reserve_out: int, fee: int) -> int:
    kept, scale = v2_scale(fee)
    require(kept > 0, "fee")
    require(amount_out > 0, "INSUFFICIENT_OUTPUT_AMOUNT")
    require(reserve_in > 0 and reserve_out > 0, "INSUFFICIENT_LIQUIDITY")
    require(amount_out < reserve_out, "INSUFFICIENT_LIQUIDITY")
    numerator = checked(checked(reserve_in * amount_out) * scale)
    return checked(numerator // checked((reserve_out - amount_out) * kept) + 1)


def v2_swap_check(
    reserves: tuple[int, int], balances: tuple[int, int], outs: tuple[int, int], fee: int
) -> tuple[int, int]:
    """The amounts in, as the pair finds them from its balances; reverts as `swap` does."""
    kept, scale = v2_scale(fee)
    require(kept >= 0, "fee")
    require(outs[0] > 0 or outs[1] > 0, "INSUFFICIENT_OUTPUT_AMOUNT")
    require(outs[0] < reserves[0] and outs[1] < reserves[1], "INSUFFICIENT_LIQUIDITY")
    ins = [max(0, b - (r - o)) for b, r, o in zip(balances, reserves, outs, strict=True)]
    require(ins[0] > 0 or ins[1] > 0, "INSUFFICIENT_INPUT_AMOUNT")
    adjusted = [b * scale - i * (scale - kept) for b, i in zip(balances, ins, strict=True)]
    require(max(balances) < 2**112, "OVERFLOW")
    require(adjusted[0] * adjusted[1] >= reserves[0] * reserves[1] * scale**2, "K")
    return ins[0], ins[1]


# Uniswap V3: TickMath


@functools.lru_cache(2**16)
def sqrt_ratio_at_tick(tick: int) -> int:
    require(abs(tick) <= MAX_TICK, "T")
    ratio = Q128
    for bit, factor in enumerate(TICK_FACTORS):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = MAX_U256 // ratio
    return ceil_div(ratio, 2**32)


def tick_at_sqrt_ratio(price: int) -> int:
    """The greatest tick whose ratio is at most the price, by bisection."""
    require(MIN_RATIO <= price < MAX_RATIO, "R")
    low, high = -MAX_TICK, MAX_TICK
    while high - low > 1:
        middle = (low + high) // 2
        if sqrt_ratio_at_tick(middle) <= price:
            low = middle
        else:
            high = middle
    return low


# SqrtPriceMath


def to_u160(value: int) -> int:
    require(value < 2**160, "overflow")
    return value


def next_price_from_amount0(price: int, liquidity: int, amount: int, *, add: bool) -> int:
    if amount == 0:
        return price
    numerator, product = liquidity * Q96, amount * price
    if add:
        if product <= MAX_U256 and numerator + product <= MAX_U256:
            return mul_div(numerator, price, numerator + product, up=True)
        return ceil_div(numerator, checked(numerator // price + amount))
    require(product <= MAX_U256 and numerator > product, "price")
    return to_u160(mul_div(numerator, price, numerator - product, up=True))


def next_price_from_amount1(price: int, liquidity: int, amount: int, *, add: bool) -> int:
    if add:
        return to_u160(checked(price + mul_div(amount, Q96, liquidity)))
    quotient = mul_div(amount, Q96, liquidity, up=True)
    require(price > quotient, "price")
    return price - quotient


def next_price_from_input(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    require(price > 0 and liquidity > 0, "price")
    move = next_price_from_amount0 if zero_for_one else next_price_from_amount1
    return move(price, liquidity, amount, add=True)


def next_price_from_output(price: int, liquidity: int, amount: int, zero_for_one: bool) -> int:
    require(price > 0 and liquidity > 0, "price")
    move = next_price_from_amount1 if zero_for_one else next_price_from_amount0
    return move(price, liquidity, amount, add=False)


def amount0_delta(a: int, b: int, liquidity: int, *, up: bool) -> int:
    a, b = min(a, b), max(a, b)
    require(a > 0, "price")
    moved = mul_div(liquidity * Q96, b - a, b, up=up)
    return ceil_div(moved, a) if up else moved // a


def amount1_delta(a: int, b: int, liquidity: int, *, up: bool) -> int:
    return mul_div(liquidity, abs(b - a), Q96, up=up)


def signed_amount_delta(token: int, a: int, b: int, liquidity: int) -> int:
    delta = amount1_delta if token else amount0_delta
    return delta(a, b, liquidity, up=True) if liquidity >= 0 else -delta(a, b, -liquidity, up=False)


# SwapMath


def compute_swap_step(
    price: int, target: int, liquidity: int, remaining: int, fee: int
) -> tuple[int, int, int, int]:
    """(price after, amount in, amount out, fee amount); `remaining` is negative for an exact output."""
    zero_for_one, exact_in = price >= target, remaining >= 0
    require(fee < MILLION, "fee")
    delta_in, delta_out = (amount0_delta, amount1_delta) if zero_for_one else (amount1_delta, amount0_delta)
    if exact_in:
        less_fee = remaining * (MILLION - fee) // MILLION
        if less_fee >= delta_in(price, target, liquidity, up=True):
            after = target
        else:
            after = next_price_from_input(price, liquidity, less_fee, zero_for_one)
    elif -remaining >= delta_out(price, target, liquidity, up=False):
        after = target
    else:
        after = next_price_from_output(price, liquidity, -remaining, zero_for_one)
    amount_in = delta_in(price, after, liquidity, up=True)
    amount_out = delta_out(price, after, liquidity, up=False)
    if not exact_in:
        amount_out = min(amount_out, -remaining)
    if exact_in and after != target:
        return after, amount_in, amount_out, remaining - amount_in
    return after, amount_in, amount_out, mul_div(amount_in, fee, MILLION - fee, up=True)


def add_delta(liquidity: int, delta: int) -> int:
    require(liquidity + delta >= 0, "LS")
    require(liquidity + delta < 2**128, "LA")
    return liquidity + delta


# The pool


@dataclass
class Tick:
    """One initialized tick; `outside` are the fee growths outside, mod 2^256."""

    gross: int = 0
    net: int = 0
    outside: list[int] = field(default_factory=lambda: [0, 0])


@dataclass
class Outcome:
    """What a swap would do: the log's fields, what it accrues, and the fee growths outside of what it crosses."""

    amount0: int
    amount1: int
    price: int
    tick: int
    liquidity: int
    fee_growth: int
    protocol_fee: int
    remaining: int
    crossed: dict[int, list[int]]


@dataclass
class Pool:
    """A V3 pool: slot0, liquidity, ticks, fee growth, protocol fees, and where its observations stand."""

    fee: int
    spacing: int
    price: int = 0
    tick: int = 0
    liquidity: int = 0
    fee_protocol: int = 0
    ticks: dict[int, Tick] = field(default_factory=dict)
    growth: list[int] = field(default_factory=lambda: [0, 0])
    protocol_fees: list[int] = field(default_factory=lambda: [0, 0])
    observation: list[int] = field(default_factory=lambda: [0, 0, 0])  # index, cardinality, next
    observed_at: int = 0

    def initialize(self, price: int, timestamp: int) -> None:
        self.price, self.tick = price, tick_at_sqrt_ratio(price)
        self.observation, self.observed_at = [0, 1, 1], timestamp

    def next_tick(self, tick: int, lower: bool) -> tuple[int, bool]:
        """The next initialized tick within one word of 256, or the word's last tick."""
        at = tick // self.spacing + (not lower)
        end = at // 256 * 256 + (0 if lower else 255)
        first, last = sorted((at * self.spacing, end * self.spacing))
        within = [t for t in self.ticks if first <= t <= last]
        if within:
            return (max(within) if lower else min(within)), True
        return end * self.spacing, False

    def swap(self, zero_for_one: bool, amount: int, limit: int) -> Outcome:
        """Swap without changing the pool; `amount` is negative for an exact output."""
        require(amount != 0, "AS")
        require(self.price != 0, "LOK")
        bounds = (MIN_RATIO, self.price) if zero_for_one else (self.price, MAX_RATIO)
        require(bounds[0] < limit < bounds[1], "SPL")
        exact_in, token_in = amount > 0, 0 if zero_for_one else 1
        share = self.fee_protocol % 16 if zero_for_one else self.fee_protocol >> 4
        price, tick, liquidity = self.price, self.tick, self.liquidity
        remaining, calculated, protocol_fee = amount, 0, 0
        growth = list(self.growth)
        crossed: dict[int, list[int]] = {}
        while remaining != 0 and price != limit:
            start = price
            to, initialized = self.next_tick(tick, zero_for_one)
            to = max(-MAX_TICK, min(MAX_TICK, to))
            to_price = sqrt_ratio_at_tick(to)
            target = max(to_price, limit) if zero_for_one else min(to_price, limit)
            price, a_in, a_out, a_fee = compute_swap_step(price, target, liquidity, remaining, self.fee)
            remaining += -(a_in + a_fee) if exact_in else a_out
            calculated += -a_out if exact_in else a_in + a_fee
            if share > 0:
                protocol_fee += a_fee // share
                a_fee -= a_fee // share
            if liquidity > 0:
                growth[token_in] = (growth[token_in] + mul_div(a_fee, Q128, liquidity)) % 2**256
            if price == to_price:
                if initialized:
                    at = self.ticks[to]
                    crossed[to] = [(g - o) % 2**256 for g, o in zip(growth, at.outside, strict=True)]
                    liquidity = add_delta(liquidity, -at.net if zero_for_one else at.net)
                tick = to - 1 if zero_for_one else to
            elif price != start:
                tick = tick_at_sqrt_ratio(price)
        amounts = (amount - remaining, calculated)
        if zero_for_one != exact_in:
            amounts = amounts[::-1]
        return Outcome(*amounts, price, tick, liquidity, growth[token_in], protocol_fee, remaining, crossed)

    def apply(self, zero_for_one: bool, outcome: Outcome, timestamp: int) -> None:
        """Make a swap's outcome the pool's state."""
        token_in = 0 if zero_for_one else 1
        if outcome.tick != self.tick:
            self.observe(timestamp)
        self.price, self.tick, self.liquidity = outcome.price, outcome.tick, outcome.liquidity
        self.growth[token_in] = outcome.fee_growth
        self.protocol_fees[token_in] = (self.protocol_fees[token_in] + outcome.protocol_fee) % Q128
        for tick, outside in outcome.crossed.items():
            self.ticks[tick].outside = outside

    def change_range(self, lower: int, upper: int, delta: int, timestamp: int) -> None:
        """A mint (delta > 0) or burn of a range."""
        if delta == 0:
            return
        for tick, net in ((lower, delta), (upper, -delta)):
            at = self.ticks.setdefault(tick, Tick())
            if at.gross == 0 and tick <= self.tick:
                at.outside = list(self.growth)
            at.gross += delta
            at.net += net
            assert at.gross >= 0
            if at.gross == 0:
                del self.ticks[tick]
        if lower <= self.tick < upper:
            self.observe(timestamp)
            self.liquidity = add_delta(self.liquidity, delta)

    def flash(self, paid: tuple[int, int]) -> None:
        for token, share in ((0, self.fee_protocol % 16), (1, self.fee_protocol >> 4)):
            protocol = paid[token] // share if share else 0
            self.protocol_fees[token] = (self.protocol_fees[token] + protocol) % Q128
            added = mul_div(paid[token] - protocol, Q128, self.liquidity)
            self.growth[token] = (self.growth[token] + added) % 2**256

    def observe(self, timestamp: int) -> None:
        """Write an observation, at most one for each timestamp."""
        if self.observed_at == timestamp:
            return
        index, cardinality, following = self.observation
        if following > cardinality and index == cardinality - 1:
            cardinality = following
        self.observation[:2] = [(index + 1) % cardinality, cardinality]
        self.observed_at = timestamp
