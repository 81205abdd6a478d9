"""Recorded logs of V3 pools through the oracle: the pools' state after every block, and every swap explained.

Logs say what a swap did and not what was asked for, so each is tried as an exact input, an exact output and up
to its final price as the limit: exactly those that give the logged amounts, price, tick and liquidity count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.uniswap_oracle import (
    MAX_RATIO,
    MIN_RATIO,
    Outcome,
    Pool,
    Revert,
    v2_amount_in,
    v2_amount_out,
)

Log = dict[str, Any]
INITIALIZE = "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95"
SWAP = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
MINT = "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"
BURN = "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c"
FLASH = "0xbdbdb71d7860376ba52b25a5028beea23581364a40522f6bcfb86bb1f2dca633"
SET_FEE_PROTOCOL = "0x973d8d92bb299f4af6ce49b52a8adb85ae46b9f214c4c4fc06ac77401237b133"
COLLECT_PROTOCOL = "0x596b573906218d3411850b26a6b437d6c4522fdb43d2d2386263f86d50b8b151"
GROW = "0xac49e518f90a358f652e4400164f05a5d8f7e35e7747279bc3a93dbf584e125a"
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
EVENTS = {INITIALIZE, SWAP, MINT, BURN, FLASH, SET_FEE_PROTOCOL, COLLECT_PROTOCOL, GROW, SYNC}


def signed(word: str) -> int:
    value = int(word, 16)
    return value - 2**256 if value >> 255 else value


def words(log: Log) -> list[int]:
    """The data of a log as signed 256-bit integers."""
    text = log["data"][2:]
    return [signed(text[k : k + 64]) for k in range(0, len(text), 64)]


def asked(logged: list[int]) -> Iterator[tuple[bool, int, int]]:
    """What could have been asked for to end in this log: (zero for one, amount, limit)."""
    zero_for_one = logged[0] > 0 or logged[1] < 0
    ends = MIN_RATIO + 1 if zero_for_one else MAX_RATIO - 1
    into, out = logged[:2] if zero_for_one else logged[1::-1]
    if into > 0:
        yield zero_for_one, into, ends
    if out < 0:
        yield zero_for_one, out, ends
    for way in {zero_for_one, not zero_for_one} if logged[:2] == [0, 0] else {zero_for_one}:
        yield way, 2**255 - 1, logged[2]


class Ledger:
    """All pools of a recorded stream, moved on block by block."""

    def __init__(self, folder: Path) -> None:
        blocks = (json.loads(line) for line in (folder / "blocks.jsonl").open())
        self.timestamps = {b["number"]: b["timestamp"] for b in blocks}
        self.described = {p["address"]: p for p in json.loads((folder / "truth.json").read_text())["pools"]}
        self.pools = {
            a: Pool(p["fee"], p["tickSpacing"]) for a, p in self.described.items() if p["kind"] == "v3"
        }
        self.reserves = {a: [0, 0] for a, p in self.described.items() if p["kind"] == "v2"}
        logs = (json.loads(line) for line in (folder / "logs.jsonl").open())
        self.logs = [entry for entry in logs if entry["topics"][0] in EVENTS]
        self.position = 0
        self.unexplained: list[Log] = []
        #: Called with (pool, zero for one, amount, limit, outcome, timestamp) before each swap is applied.
        self.on_swap: Callable[..., None] = lambda *_: None

    def advance(self, block: int) -> None:
        """Apply all logs up to and including a block."""
        while self.position < len(self.logs) and int(self.logs[self.position]["blockNumber"], 16) <= block:
            self._apply(self.logs[self.position])
            self.position += 1

    def state_of(self, address: str) -> list[int]:
        """What `truth_blocks.jsonl` tells of a pool, save the time of a pair's last update."""
        if address in self.reserves:
            return self.reserves[address]
        p = self.pools[address]
        return [p.price, p.tick, p.liquidity, *p.growth, *p.protocol_fees, *p.observation, p.fee_protocol]

    def _apply(self, log: Log) -> None:
        address, topic, data = log["address"], log["topics"][0], words(log)
        timestamp = self.timestamps[int(log["blockNumber"], 16)]
        if address in self.reserves and topic == SYNC:
            self.reserves[address] = data
        pool = self.pools.get(address)
        if pool is None:
            return
        if topic == INITIALIZE:
            pool.initialize(data[0], timestamp)
        elif topic == SWAP:
            self._swap(pool, log, data, timestamp)
        elif topic in (MINT, BURN):
            lower, upper = signed(log["topics"][2]), signed(log["topics"][3])
            amount = data[1] if topic == MINT else -data[0]
            pool.change_range(lower, upper, amount, timestamp)
        elif topic == FLASH:
            pool.flash((data[2], data[3]))
        elif topic == SET_FEE_PROTOCOL:
            pool.fee_protocol = data[2] | data[3] << 4
        elif topic == COLLECT_PROTOCOL:
            pool.protocol_fees = [a - b for a, b in zip(pool.protocol_fees, data, strict=True)]
        elif topic == GROW:
            pool.observation[2] = data[1]

    def _swap(self, pool: Pool, log: Log, data: list[int], timestamp: int) -> None:
        for zero_for_one, amount, limit in asked(data):
            found = _try(pool, zero_for_one, amount, limit)
            if found and [found.amount0, found.amount1, found.price, found.liquidity, found.tick] == data:
                self.on_swap(pool, zero_for_one, amount, limit, found, timestamp)
                pool.apply(zero_for_one, found, timestamp)
                return
        self.unexplained.append(log)


def quote(ledger: Ledger, asked: dict[str, Any]) -> tuple[int, int]:
    """The amount and the price after of a recorded quote; a pair has no price."""
    address, zero_for_one, amount = asked["pool"], asked["zeroForOne"], int(asked["amount"])
    if address in ledger.reserves:
        reserves = ledger.reserves[address][:: 1 if zero_for_one else -1]
        answer = v2_amount_out if asked["exact"] == "in" else v2_amount_in
        return answer(amount, *reserves, ledger.described[address]["fee"]), 0
    limit = int(asked["sqrtPriceLimitX96"]) or (MIN_RATIO + 1 if zero_for_one else MAX_RATIO - 1)
    exact_in = asked["exact"] == "in"
    found = ledger.pools[address].swap(zero_for_one, amount if exact_in else -amount, limit)
    into, out = found.amount0, -found.amount1
    if not zero_for_one:
        into, out = found.amount1, -found.amount0
    return out if exact_in else into, found.price


def _try(pool: Pool, zero_for_one: bool, amount: int, limit: int) -> Outcome | None:
    try:
        return pool.swap(zero_for_one, amount, limit)
    except Revert:
        return None
