"""A few pools of three tokens, told to an engine block by block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from disruptor.handlers import messages as m
from tests.support.uniswap_oracle import v2_amount_in, v2_amount_out

#: In the order of their addresses, which is that of their ids.
WETH, USDC, DAI = 0, 1, 2
FEE = 3000
ETHER = 10**18
Event = tuple[Any, dict[str, Any]]


def token_address(token: int) -> bytes:
    return bytes([1 + token]) * 20


def pool_address(pool: int) -> bytes:
    return bytes([100 + pool]) * 20


def hex_of(address: bytes) -> str:
    return "0x" + address.hex()


def tx_hash(block: int, transaction: int) -> bytes:
    return bytes([7]) * 24 + block.to_bytes(4, "big") + transaction.to_bytes(4, "big")


def sync(pool: int, reserve0: int, reserve1: int, tx: int = 0) -> Event:
    return m.UniswapV2Sync, {
        "pool": pool,
        "reserve0": reserve0,
        "reserve1": reserve1,
        "transaction_index": tx,
    }


def registration(pool: int, tokens: Sequence[int], kind: int = m.KIND_UNISWAP_V2) -> Event:
    fields = {"pool": pool, "kind": kind, "fee": FEE, "tick_spacing": 60, "address": pool_address(pool)}
    for side, token in enumerate(tokens):
        fields |= {f"token{side}": token, f"token{side}_address": token_address(token)}
    return m.PoolRegistered, fields


class Market:
    """An engine with pools, and the number of the block that it is told next."""

    def __init__(self, engine: Any, *pools: Sequence[int], kind: int = m.KIND_UNISWAP_V2) -> None:
        self.engine, self.number = engine, 10
        named = [(m.TokenRegistered, {"token": t, "address": token_address(t)}) for t in (WETH, USDC, DAI)]
        assert not engine.feed([*named, *(registration(n, pair, kind) for n, pair in enumerate(pools))])

    def block(self, *logs: Event, **header: int) -> list[dict[str, Any]]:
        """What a block with these logs makes the engine say of cycles; each log's place is its own."""
        self.number += 1
        start = {"number": self.number, "timestamp": 1_000_000 + self.number, **header}
        events: list[Event] = [(m.BlockStart, start)]
        for index, (message, fields) in enumerate(logs):
            tx = fields.get("transaction_index", 0)
            place = {"log_index": index, "tx_hash": tx_hash(self.number, tx)}
            told = "tx_hash" in message.slot_dtype().names and message is not m.TransactionEnd
            events.append((message, {**place, **fields} if told else fields))
        told_by = self.engine.feed([*events, (m.BlockEnd, {"block_number": self.number})])
        kinds = ("ArbitrageOpportunity", "ArbitragePath", "OpportunityClosed")
        return [row for row in told_by if row["type"] in kinds]

    def cursor(self) -> dict[str, int]:
        row = self.engine.processor.state.rows("path_cursor")[0]
        return {name: int(row[name]) for name in row.dtype.names}


def types(rows: Iterable[dict[str, Any]]) -> list[str]:
    short = {"ArbitrageOpportunity": "open", "ArbitragePath": "path", "OpportunityClosed": "closed"}
    return [short[row["type"]] for row in rows]


def v2_cycle(amount: int, *hops: tuple[int, int]) -> list[int]:
    """Outputs of V2 hops, given (reserve in, reserve out)."""
    found = []
    for into, out in hops:
        found.append(amount := v2_amount_out(amount, into, out, FEE))
    return found


def v2_price(amount_out: int, into: int, out: int) -> int:
    return v2_amount_in(amount_out, into, out, FEE)
