"""An obvious model of the engine's pools: hex decoded by hand, state in dicts of Python integers.

It shares no code with the engine. `Ledger` takes events by name, `decode` makes them from `eth_getLogs`
objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

Log = dict[str, Any]
Event = tuple[str, dict[str, Any]]

CREATED = {
    "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9": "uniswap_v2",
    "0x783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118": "uniswap_v3",
}
#: Topic by kind of pool -> name, indexed integers, words of data. "-" is of no interest here.
TOPICS = {
    ("uniswap_v2", "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"): (
        "Sync",
        [],
        ["reserve0", "reserve1"],
    ),
    ("uniswap_v2", "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"): (
        "Swap",
        ["-", "-"],
        ["in0", "in1", "out0", "out1"],
    ),
    ("uniswap_v3", "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95"): (
        "Initialize",
        [],
        ["sqrt_price_x96", "tick"],
    ),
    ("uniswap_v3", "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"): (
        "Swap",
        ["-", "-"],
        ["amount0", "amount1", "sqrt_price_x96", "liquidity", "tick"],
    ),
    ("uniswap_v3", "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"): (
        "Mint",
        ["-", "lower", "upper"],
        ["-", "liquidity", "-", "-"],
    ),
    ("uniswap_v3", "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c"): (
        "Burn",
        ["-", "lower", "upper"],
        ["liquidity", "-", "-"],
    ),
}
SIGNED = {"tick", "lower", "upper", "amount0", "amount1"}


def read_lines(path: Path) -> list[Log]:
    """The objects of a JSON Lines file, plain or zstd."""
    octets = path.read_bytes()
    text = zstandard.ZstdDecompressor().decompress(octets) if path.suffix == ".zst" else octets
    return [json.loads(line) for line in text.splitlines()]


def number(text: str | int) -> int:
    return text if isinstance(text, int) else int(text, 16)


def place(log: Log) -> tuple[int, int]:
    """(block, log index)."""
    return number(log["blockNumber"]), number(log["logIndex"])


def address(word: str) -> str:
    return "0x" + word[-40:]


def decode(log: Log, kind: str | None) -> Event | None:
    """A pool's log as (name, fields); None for what says nothing of state or swaps."""
    topics = log["topics"]
    known = TOPICS.get((kind or "", topics[0])) if topics else None
    if known is None:
        return None
    name, indexed, words = known
    body = log["data"][2:]
    texts = [topic[2:] for topic in topics[1:]] + [body[k : k + 64] for k in range(0, len(body), 64)]
    fields: dict[str, Any] = {}
    for key, text in zip(indexed + words, texts, strict=True):
        value = int(text, 16)
        fields[key] = value - 2**256 if key in SIGNED and value >= 2**255 else value
    fields.pop("-", None)
    return name, fields | {"pool": log["address"]}


@dataclass
class Pool:
    """What is known of one pool."""

    address: str
    kind: str
    token0: str
    token1: str
    fee: int | None
    reserves: tuple[int, int] = (0, 0)
    sqrt_price_x96: int = 0
    tick: int = 0
    liquidity: int = 0
    ticks: dict[int, list[int]] = field(default_factory=dict)
    complete: bool = False
    price_known: bool = False  # V3: price, tick and liquidity
    map_whole: bool = False  # V3: every mint and burn since the map was known has been applied


class Ledger:
    """Pools by address, in order of registration."""

    def __init__(self) -> None:
        self.pools: dict[str, Pool] = {}

    def register(self, pool: Pool, *, born: bool) -> None:
        """The first registration of an address counts; birth in the stream makes the (empty) state known."""
        known = self.pools.setdefault(pool.address, pool)
        if born:
            known.complete = True
            known.map_whole = known.kind == "uniswap_v3"

    def lose(self, address_: str | None) -> None:
        """One pool's state, or all pools', is no longer certain."""
        for pool in self.pools.values() if address_ is None else [self.pools[address_]]:
            pool.complete = False
            if address_ is not None:
                pool.price_known = pool.map_whole = False

    def apply(self, name: str, fields: dict[str, Any]) -> bool:
        """Take one event; whether it changed what the pool asks or offers."""
        pool = self.pools[fields["pool"]]
        if name in ("Mint", "Burn"):
            return self._change_range(pool, fields, 1 if name == "Mint" else -1)
        if name == "Sync":
            pool.reserves = fields["reserve0"], fields["reserve1"]
            pool.complete = True
        elif name == "Initialize":
            pool.sqrt_price_x96, pool.tick = fields["sqrt_price_x96"], fields["tick"]
            if not pool.price_known:
                pool.complete = pool.map_whole = pool.price_known = True
        elif pool.kind == "uniswap_v3":
            pool.sqrt_price_x96, pool.tick = fields["sqrt_price_x96"], fields["tick"]
            pool.liquidity, pool.price_known = fields["liquidity"], True
        return name != "Swap" or pool.kind == "uniswap_v3"

    def _change_range(self, pool: Pool, fields: dict[str, Any], sign: int) -> bool:
        change = sign * fields["liquidity"]
        if not change:
            return False
        wrong = False
        if pool.map_whole:
            for tick, net in ((fields["lower"], change), (fields["upper"], -change)):
                at = pool.ticks.setdefault(tick, [0, 0])
                at[0] += change
                at[1] += net
                wrong |= not 0 <= at[0] < 2**128
                if at[0] == 0:
                    del pool.ticks[tick]
        if pool.price_known and fields["lower"] <= pool.tick < fields["upper"]:
            pool.liquidity += change
            wrong |= not 0 <= pool.liquidity < 2**128
        if wrong:
            self.lose(pool.address)
        return True


def created(log: Log, default_fee: int = 3000) -> Pool | None:
    """The pool that a creation log of either factory tells of."""
    kind = CREATED.get(log["topics"][0]) if log["topics"] else None
    if kind is None:
        return None
    token0, token1 = address(log["topics"][1]), address(log["topics"][2])
    if kind == "uniswap_v2":
        return Pool(address(log["data"][2:66]), kind, token0, token1, default_fee)
    return Pool(address(log["data"][66:130]), kind, token0, token1, int(log["topics"][3], 16))


def track(logs: Iterable[Log]) -> Ledger:
    """The pools of a stream after its last log."""
    ledger = Ledger()
    for log in logs:
        pool = created(log)
        if pool is not None:
            ledger.register(pool, born=True)
        tracked = ledger.pools.get(log["address"])
        event = decode(log, tracked.kind if tracked else None)
        if event is not None:
            ledger.apply(*event)
    return ledger
