"""Opportunities as a run hands them to a sink, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from disruptor.handlers.messages import (
    FLAG_OPENING,
    NO_ID,
    ArbitrageOpportunity,
    ArbitragePath,
    OpportunityClosed,
)
from disruptor.message import MessageType
from disruptor.replay.request import OutputContext

WETH, USDC, DAI, WBTC = (bytes([n]) * 20 for n in (1, 2, 3, 4))


def pool_address(number: int) -> bytes:
    return bytes([100 + number]) * 20


@dataclass(frozen=True, kw_only=True)
class Told:
    """One report: a cycle through `pools` that sells `tokens`, one a pool."""

    sequence: int
    ordinal: int = 0
    path: int = 0
    opens: bool = True
    pools: tuple[int, ...] = (0, 1)
    tokens: tuple[bytes, ...] = (WETH, USDC)
    spread: float = 1.0
    block: int = 0
    amount_in: int = 0
    profit: int = 1
    cost: int = 0
    outs: tuple[int, ...] = (0, 0, 0)
    flags: int = 0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of an opportunity."""

    sequence: int
    ordinal: int = 0
    path: int = 0


def limbs(value: int) -> list[int]:
    return [value & 2**64 - 1, value >> 64]


def opportunities(rows: Sequence[Told], *, looked_up: bool = True) -> tuple[np.ndarray, OutputContext]:
    """Records and context of reports; `looked_up`: with what the pools are."""
    records = np.zeros(len(rows), ArbitrageOpportunity.slot_dtype())
    extra: dict[str, Any] = {
        name: np.zeros((len(rows), *kind.subdtype[1]) if kind.subdtype else len(rows), kind.base)
        for name, kind in ((n, ArbitragePath.dtype[n]) for n in ArbitragePath.fields)
    }
    if looked_up:
        extra |= {f"{n}{hop}": np.zeros(len(rows), np.uint32) for n in ("kind", "fee") for hop in range(4)}
        extra |= {f"token_in{hop}": np.zeros((len(rows), 20), np.uint8) for hop in (2, 3)}
    for at, row in enumerate(rows):
        _fill(records, extra, at, row)
    return records, _context(ArbitrageOpportunity, [row.block for row in rows], extra)


def endings(rows: Sequence[Ended]) -> tuple[np.ndarray, OutputContext]:
    """Records and context of ends."""
    records = np.zeros(len(rows), OpportunityClosed.slot_dtype())
    for at, row in enumerate(rows):
        records["sequence"][at], records["source_sequence"][at] = row.sequence, row.ordinal
        records["path"][at] = row.path
    return records, _context(OpportunityClosed, [0] * len(rows), {})


def _fill(records: np.ndarray, extra: dict[str, Any], at: int, row: Told) -> None:
    record, hops = records[at : at + 1], len(row.pools)
    record["sequence"], record["source_sequence"] = row.sequence, row.ordinal
    record["flags"] = row.flags | (FLAG_OPENING if row.opens else 0)
    record["price_diff"], record["gas_estimate"], record["confidence"] = row.spread, 200_000, 0.5
    record["token_pair"][0] = np.frombuffer(b"".join(sorted(row.tokens[:2])), np.uint8)
    # A pool's token0 is the lower address: a hop that sells it is zero for one.
    bought = (*row.tokens[1:], row.tokens[0])
    bits = sum(int(row.tokens[k] < bought[k]) << k for k in range(hops))
    plain = {"hops": hops, "zero_for_one": bits, "path": row.path, "opened_block": row.block}
    for name, value in {**plain, "gas_cost_wei": 7}.items():
        extra[name][at] = value
    for name in ("amount_in", "profit", "cost"):
        extra[name][at] = limbs(getattr(row, name))
    for hop in range(4):
        extra[f"pool{hop}"][at] = row.pools[hop] if hop < hops else NO_ID
        if hop < 3:
            extra[f"amount_out{hop}"][at] = limbs(row.outs[hop])
        if hop < hops and "kind0" in extra:
            extra[f"kind{hop}"][at], extra[f"fee{hop}"][at] = (2, 3000) if hop % 2 else (3, 500)
        if 2 <= hop < hops and "token_in2" in extra:
            extra[f"token_in{hop}"][at] = np.frombuffer(row.tokens[hop], np.uint8)


def _context(message: MessageType, blocks: Sequence[int], extra: dict[str, Any]) -> OutputContext:
    count = len(blocks)
    return OutputContext(
        message=message,
        block=np.array(blocks, np.uint64),
        tx_hash=np.zeros((count, 32), np.uint8),
        has_tx=np.zeros(count, np.bool_),
        log_index=np.full(count, -1),
        extra=extra,
    )
