"""State of a pool as somebody recorded it: parsed exactly and checked before it is believed.

The numbers come as JSON integers, decimal or 0x text; none passes through a float. What is checked is what
the contracts guarantee: widths, TickMath's bounds, ticks on the spacing, and that the net liquidity of all
ticks up to the current one is the active liquidity. A snapshot that fails was taken at two moments, or
mistyped.

Source: Uniswap v3-core, TickMath.sol (bounds), Tick.sol (gross and net); v2-core, UniswapV2Pair.sol
(uint112).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from disruptor.message import FieldType, MessageType

TICK_MAX = 887272
SQRT_PRICE_MIN = 4295128739
SQRT_PRICE_MAX = 1461446703485210103287273052203988822378723970342  # exclusive
#: A log index behind every log of a block.
END_OF_BLOCK = (1 << 63) - 1

_U112, _U128, _U256 = (1 << 112) - 1, (1 << 128) - 1, (1 << 256) - 1
_I128_MIN, _I128_MAX = -(1 << 127), (1 << 127) - 1
_CAPITAL = re.compile(r"(?<!^)([A-Z])")
#: What has to be known of a pool for its fees to be known from there on, beside the growths outside of its ticks.
_FEE_FIELDS = (
    "fee_protocol",
    "fee_growth_global0_x128",
    "fee_growth_global1_x128",
    "protocol_fees0",
    "protocol_fees1",
)
_OUTSIDE = ("fee_growth_outside0_x128", "fee_growth_outside1_x128")
_STATE_FIELDS = ("reserve0", "reserve1", "sqrt_price_x96")
_WHOLE_FRACTION = re.compile(r"-?\d+\.0*")
_LOG_TICK = math.log(1.0001)
#: A float of the price finds the tick to within one; at a boundary the contract itself may be one lower.
_TICK_TOLERANCE = 3

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class V2State:
    """Reserves right after log `log_index` of `block`; `refuted`: some swap before did not match the pool."""

    block: int
    log_index: int
    reserve0: int
    reserve1: int
    refuted: bool = False


@dataclass(frozen=True, slots=True)
class GivenState:
    """The state of a pool of a user's venue right after log `log_index` of `block`: the fields of `message`."""

    block: int
    log_index: int
    message: MessageType
    values: Mapping[str, int]
    refuted: bool = False


@dataclass(frozen=True, slots=True)
class TickState:
    """One initialized tick."""

    tick: int
    liquidity_gross: int
    liquidity_net: int
    fee_growth_outside0_x128: int
    fee_growth_outside1_x128: int


@dataclass(frozen=True, slots=True)
class V3State:
    """Slot0, liquidity and ticks right after log `log_index` of `block`.

    ticks_complete : all initialized ticks were given
    fees_given : and so was all that fees to come are added to; else the fee fields are 0 and mean nothing
    refuted : some swap before did not match the pool
    """

    block: int
    log_index: int
    sqrt_price_x96: int
    tick: int
    liquidity: int
    fee_protocol: int
    fee_growth_global0_x128: int
    fee_growth_global1_x128: int
    protocol_fees0: int
    protocol_fees1: int
    ticks: tuple[TickState, ...]
    ticks_complete: bool
    fees_given: bool = False
    refuted: bool = False


def snake_keys(record: Record) -> Record:
    """The record with camelCase names as snake_case.

    >>> snake_keys({"sqrtPriceX96": 1, "feeGrowthGlobal0X128": 2, "token0": 3})
    {'sqrt_price_x96': 1, 'fee_growth_global0_x128': 2, 'token0': 3}
    """
    return {_CAPITAL.sub(r"_\1", str(name)).lower(): value for name, value in record.items()}


def exact_integer(record: Record, name: str, low: int, high: int) -> int | None:
    """A field as an exact integer within bounds; None where absent or empty. ValueError names the field.

    >>> exact_integer({"fee": "3000.0"}, "fee", 0, 10**6), exact_integer({"fee": ""}, "fee", 0, 1)
    (3000, None)
    """
    value = record.get(name)
    if value is None or value == "" or value != value:
        return None
    number = _integer(value)
    if number is None or not low <= number <= high:
        raise ValueError(f"{name}: expected a whole number from {low} to {high}, found {str(value)[:90]}")
    return number


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    text = str(value).strip()
    if _WHOLE_FRACTION.fullmatch(text):
        text = text[: text.index(".")]
    try:
        return int(text, 16 if text[:2].lower() == "0x" else 10)
    except ValueError:
        return None


def _needed(record: Record, name: str, low: int, high: int) -> int:
    number = exact_integer(record, name, low, high)
    if number is None:
        raise ValueError(f"{name}: missing from the pool's state")
    return number


def _or_zero(record: Record, name: str, high: int) -> int:
    return exact_integer(record, name, 0, high) or 0


def find_state(record: Record, given: MessageType | None = None) -> Record | None:
    """The part of a pool's record that holds state: its `state`, or itself where it has the fields.

    given : the message of a venue's state; None for Uniswap's
    """
    nested = record.get("state")
    if isinstance(nested, str) and nested:
        nested = json.loads(nested)
    if nested:
        if not isinstance(nested, dict):
            raise ValueError("state: expected an object")
        places = {
            name: record[name] for name in ("block", "log_index", "complete", "verified") if name in record
        }
        return places | snake_keys(nested)
    names = _STATE_FIELDS if given is None else _fields_of(given)
    return record if any(record.get(name) not in (None, "") for name in names) else None


def _fields_of(given: MessageType) -> dict[str, FieldType]:
    """The fields of a venue's state that somebody has to tell."""
    return {n: kind for n, kind in given.fields.items() if n not in ("pool", "reserved")}


def parse_given_state(state: Record, given: MessageType) -> GivenState:
    """The state of a pool of a user's venue: every field of its message. ValueError says what is wrong."""
    block, log_index = _place(state)
    values = {}
    for name, kind in _fields_of(given).items():
        bits = 8 * kind.dtype.itemsize
        low, high = (
            (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if kind.name[0] == "i" else (0, (1 << bits) - 1)
        )
        values[name] = _needed(state, name, low, high)
    return GivenState(block, log_index, given, values, _is_refuted(state))


def _place(state: Record) -> tuple[int, int]:
    named = state if state.get("block") not in (None, "") else {"block": state.get("block_number")}
    block = exact_integer(named, "block", 0, (1 << 63) - 1)
    if block is None:
        raise ValueError("block: missing: say as of which block the state is")
    log_index = exact_integer(state, "log_index", 0, END_OF_BLOCK)
    return block, END_OF_BLOCK if log_index is None else log_index


def parse_v2_state(state: Record) -> V2State:
    """Reserves as of a block. ValueError says what is wrong."""
    block, log_index = _place(state)
    reserves = [_needed(state, name, 0, _U112) for name in ("reserve0", "reserve1")]
    return V2State(block, log_index, reserves[0], reserves[1], _is_refuted(state))


def _is_refuted(state: Record) -> bool:
    return str(state.get("verified", True)).lower() == "false"


def parse_v3_state(state: Record, tick_spacing: int | None) -> V3State | None:
    """Slot0, liquidity and ticks as of a block; None for a pool without a price yet.

    ValueError says what is wrong.
    """
    block, log_index = _place(state)
    if _or_zero(state, "sqrt_price_x96", SQRT_PRICE_MAX - 1) == 0:
        return None
    price = _needed(state, "sqrt_price_x96", SQRT_PRICE_MIN, SQRT_PRICE_MAX - 1)
    tick = _needed(state, "tick", -TICK_MAX, TICK_MAX)
    if abs(2 * (math.log(price) - 96 * math.log(2)) / _LOG_TICK - tick) > _TICK_TOLERANCE:
        raise ValueError(f"tick: {tick} does not belong to sqrt_price_x96 {price}")
    liquidity = _needed(state, "liquidity", 0, _U128)
    given = state.get("ticks")
    complete = given not in (None, "")
    ticks, fees_given = _parse_ticks(given, _outside(state), tick_spacing) if complete else ((), False)
    if complete:
        _check_liquidity(ticks, tick, liquidity)
    return V3State(
        block,
        log_index,
        price,
        tick,
        liquidity,
        _or_zero(state, "fee_protocol", 255),
        _or_zero(state, "fee_growth_global0_x128", _U256),
        _or_zero(state, "fee_growth_global1_x128", _U256),
        _or_zero(state, "protocol_fees0", _U128),
        _or_zero(state, "protocol_fees1", _U128),
        ticks,
        complete,
        fees_given and all(state.get(name) not in (None, "") for name in _FEE_FIELDS),
        _is_refuted(state),
    )


def _outside(state: Record) -> Record:
    """Growths outside by tick, where they lie apart from the ticks, as `--state-out` writes them."""
    given = state.get("fee_growth_outside_x128")
    if given in (None, ""):
        return {}
    found = json.loads(given) if isinstance(given, str) else given
    if not isinstance(found, dict) or not all(isinstance(v, list) and len(v) == 2 for v in found.values()):
        raise ValueError("fee_growth_outside_x128: expected an object of tick: [token0, token1]")
    return {str(tick): dict(zip(_OUTSIDE, growths, strict=True)) for tick, growths in found.items()}


def _parse_ticks(given: Any, outside: Record, tick_spacing: int | None) -> tuple[tuple[TickState, ...], bool]:
    """All initialized ticks, ascending, and whether the growths outside of each were given.

    Entries whose gross liquidity is zero are no ticks. `outside` are growths that lie apart, by the tick's text.
    """
    if isinstance(given, str):
        given = json.loads(given)
    if isinstance(given, dict):
        entries = [(number, entry) for number, entry in given.items()]
    elif isinstance(given, list):
        entries = [(entry.get("tick") if isinstance(entry, dict) else None, entry) for entry in given]
    else:
        raise ValueError("ticks: expected an object or a list")
    ticks: dict[int, TickState] = {}
    fees_given = True
    for number, entry in entries:
        fields = _tick_fields(number, entry) | outside.get(str(number), {})
        tick = _parse_tick(number, fields)
        if tick_spacing and tick.tick % tick_spacing:
            raise ValueError(f"ticks: {tick.tick} is not on the tick spacing of {tick_spacing}")
        if tick.tick in ticks:
            raise ValueError(f"ticks: {tick.tick} is there twice")
        if tick.liquidity_gross:
            ticks[tick.tick] = tick
            fees_given = fees_given and all(fields.get(name) not in (None, "") for name in _OUTSIDE)
    return tuple(ticks[number] for number in sorted(ticks)), fees_given


def _tick_fields(number: Any, entry: Any) -> Record:
    if isinstance(entry, list):
        return dict(zip(("liquidity_gross", "liquidity_net", *_OUTSIDE), entry, strict=False))
    if isinstance(entry, dict):
        return snake_keys(entry)
    raise ValueError(f"ticks: {number}: expected [gross, net] or an object")


def _parse_tick(number: Any, fields: Record) -> TickState:
    tick = _needed({"ticks": number}, "ticks", -TICK_MAX, TICK_MAX)
    try:
        gross = _needed(fields, "liquidity_gross", 0, _U128)
        net = _needed(fields, "liquidity_net", _I128_MIN, _I128_MAX)
        outside = [_or_zero(fields, name, _U256) for name in _OUTSIDE]
    except ValueError as problem:
        raise ValueError(f"ticks: {tick}: {problem}") from None
    if abs(net) > gross:
        raise ValueError(f"ticks: {tick}: net liquidity {net} exceeds the gross {gross}")
    return TickState(tick, gross, net, outside[0], outside[1])


def _check_liquidity(ticks: tuple[TickState, ...], current: int, liquidity: int) -> None:
    active = sum(tick.liquidity_net for tick in ticks if tick.tick <= current)
    if active != liquidity:
        raise ValueError(
            f"liquidity: {liquidity}, but the ticks up to {current} add up to {active}: "
            "give all initialized ticks of one moment, or none"
        )
    rest = sum(tick.liquidity_net for tick in ticks if tick.tick > current)
    if active + rest:
        raise ValueError(f"ticks: their net liquidity adds up to {active + rest}, not to 0: some are missing")
