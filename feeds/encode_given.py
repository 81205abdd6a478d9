"""State that a pools file gives, as slots: rare and cold, so plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from disruptor.feeds.encode_state import Array
from disruptor.feeds.pool_state import GivenState
from disruptor.handlers.messages import (
    FLAG_FEES_GIVEN,
    FLAG_REFUTED,
    FLAG_TIME_UNKNOWN,
    UniswapV2State,
    UniswapV3State,
    UniswapV3TickState,
)
from disruptor.message import FieldType, MessageType, header_dtype


def _limbs(value: int, count: int) -> list[int]:
    """A possibly negative integer as `count` little-endian 64-bit limbs, in two's complement."""
    assert -(1 << (64 * count - 1)) <= value < 1 << (64 * count), value
    return [value >> (64 * k) & (2**64 - 1) for k in range(count)]


def _stored(kind: FieldType, value: int) -> Any:
    return _limbs(value, kind.count) if kind.count else value


def message_slots(message: MessageType, payloads: Sequence[Mapping[str, int]]) -> Array:
    """Slots of one type, (n, 192) uint8; sequences are left 0, the source is -1 and the time unknown."""
    slots = np.zeros(len(payloads), message.slot_dtype())
    slots["type_id"], slots["flags"], slots["source_sequence"] = message.type_id, FLAG_TIME_UNKNOWN, -1
    for slot, payload in zip(slots, payloads, strict=True):
        for name, value in payload.items():
            slot[name] = _stored(message.fields[name], value)
    return slots.view(np.uint8).reshape(len(payloads), slots.dtype.itemsize)


def state_slots(state: Any, pool: int) -> Array:
    """The slots that follow the registration of `pool`: its state, and for V3 every given tick, ascending.

    Fees count as given only all together (`V3State.fees_given`): a part of them would make wrong sums of the rest.
    """
    refuted = FLAG_REFUTED if state.refuted else 0
    if isinstance(state, GivenState):
        return _flagged(message_slots(state.message, [{"pool": pool} | dict(state.values)]), refuted)
    if hasattr(state, "reserve0"):
        payload = {"pool": pool, "reserve0": state.reserve0, "reserve1": state.reserve1}
        return _flagged(message_slots(UniswapV2State, [payload]), refuted)
    names = [name for name in UniswapV3State.fields if name not in ("pool", "ticks_complete")]
    main = {name: getattr(state, name) for name in names}
    main |= {"pool": pool, "ticks_complete": int(state.ticks_complete)}
    ticks = []
    for tick in sorted(state.ticks, key=lambda tick: int(tick.tick)):
        fields = [name for name in UniswapV3TickState.fields if name != "pool"]
        ticks.append({"pool": pool} | {name: getattr(tick, name) for name in fields})
    slots = _flagged(
        message_slots(UniswapV3State, [main]), refuted | (FLAG_FEES_GIVEN if state.fees_given else 0)
    )
    return np.concatenate([slots, message_slots(UniswapV3TickState, ticks)])


def _flagged(slots: Array, flags: int) -> Array:
    slots.reshape(-1).view(header_dtype(slots.shape[1]))["flags"] |= flags
    return slots
