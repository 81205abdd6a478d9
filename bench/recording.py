"""A recorded stream as columns that clones are cut from, and the plain rules for its pools' true states.

The truth is kept in Python integers by the obvious rules: V2's `Sync` says the reserves; V3's `Swap` says
price, tick and liquidity, and its `Mint` and `Burn` move liquidity at two ticks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

PAIR_CREATED = "0x0d3648bd0f6ba80134a33ba9275ac585d9d315f0ad8355cddefde31afa28d0e9"
POOL_CREATED = "0x783cca1c0412dd0d695e784568c96da2e9c22ff989357a2e8b1d9b2b4e6b7118"
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
V2_SWAP = "0xd78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"
V3_INITIALIZE = "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95"
V3_SWAP = "0xc42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"
V3_MINT = "0x7a53080ba414158be7ec69b987b5fb7d07dee101fe85488f0853ae16239d0bde"
V3_BURN = "0x0c396cd989a39f4459b5fa1aed6a9a8dcdbc45908acfd67e028cd568da98982c"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
APPROVAL = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Log = dict[str, Any]


def word(text: str, index: int) -> int:
    """The index-th 32-byte word of hex data, as an unsigned integer."""
    return int(text[2 + 64 * index : 66 + 64 * index], 16)


def signed(value: int) -> int:
    return value - (1 << 256) if value >> 255 else value


def address(value: int) -> str:
    return f"0x{value & ((1 << 160) - 1):040x}"


@dataclass
class PoolTruth:
    """One recorded pool, tracked by the obvious rules."""

    kind: str
    token0: str
    token1: str
    fee: int
    factory: str
    reserves: tuple[int, int] = (0, 0)
    price: int = 0
    tick: int = 0
    liquidity: int = 0
    ticks: dict[int, list[int]] = field(default_factory=dict)

    def apply(self, log: Log) -> None:
        """Follow one log that the pool emitted."""
        topic, body = log["topics"][0], log["data"]
        if topic == SYNC:
            self.reserves = (word(body, 0), word(body, 1))
        elif topic == V3_INITIALIZE:
            self.price, self.tick = word(body, 0), signed(word(body, 1))
        elif topic == V3_SWAP:
            self.price, self.liquidity, self.tick = word(body, 2), word(body, 3), signed(word(body, 4))
        elif topic in (V3_MINT, V3_BURN):
            lower, upper = (signed(int(t, 16)) for t in log["topics"][2:4])
            self._move(lower, upper, word(body, 1) if topic == V3_MINT else -word(body, 0))

    def _move(self, lower: int, upper: int, amount: int) -> None:
        for tick, net in ((lower, amount), (upper, -amount)):
            entry = self.ticks.setdefault(tick, [0, 0])
            entry[0] += amount
            entry[1] += net
            if not entry[0]:
                del self.ticks[tick]
        if lower <= self.tick < upper:
            self.liquidity += amount

    def row(self, pool: str, renamed: dict[str, str]) -> dict[str, Any]:
        """The pool under a clone's addresses, in the form of `disruptor replay --state-out`."""
        head: dict[str, Any] = {
            "pool": renamed[pool],
            "kind": self.kind,
            "token0": renamed[self.token0],
            "token1": renamed[self.token1],
        }
        head |= {"fee": self.fee, "factory": self.factory}
        if self.kind == "uniswap_v2":
            return head | {"reserve0": str(self.reserves[0]), "reserve1": str(self.reserves[1])}
        ticks = {str(t): [str(gross), str(net)] for t, (gross, net) in sorted(self.ticks.items())}
        state = {"sqrt_price_x96": str(self.price), "tick": self.tick, "liquidity": str(self.liquidity)}
        return head | state | {"ticks": ticks}


def created(log: Log) -> tuple[str, PoolTruth] | None:
    """The pool that a factory's log announces."""
    topics, body = log["topics"], log["data"]
    if not topics or topics[0] not in (PAIR_CREATED, POOL_CREATED):
        return None
    token0, token1 = (address(int(t, 16)) for t in topics[1:3])
    if topics[0] == PAIR_CREATED:
        return address(word(body, 0)), PoolTruth("uniswap_v2", token0, token1, 3000, log["address"])
    return address(word(body, 1)), PoolTruth("uniswap_v3", token0, token1, int(topics[3], 16), log["address"])


class Recording:
    """A recorded stream as columns, with the places at which clones differ from it.

    Attributes
    ----------
    first_log : (transactions + 1,) int64, where each transaction's logs begin
    setup, setup_pools : number of transactions before the one with the first swap, and of pools they create
    tokens, pools : the addresses that clones rename; `numbers` counts them tokens first
    patch_log, patch_place, patch_number : log, place and address number of each renamed word;
        a place below 4 is a topic, others are 4 + byte offset in the data; sorted by log
    """

    def __init__(self, logs: list[Log]) -> None:
        self.logs = logs
        found = [pool for log in logs if (pool := created(log))]
        if not found:
            raise SystemExit("enlarge: the source creates no pool: it needs the factories' logs")
        self.pools = [pool for pool, _ in found]
        self.tokens = sorted({token for _, truth in found for token in (truth.token0, truth.token1)})
        self.numbers = {name: i for i, name in enumerate(self.tokens + self.pools)}
        hashes = [log["transactionHash"] for log in logs]
        starts = [i for i, value in enumerate(hashes) if i == 0 or value != hashes[i - 1]]
        self.first_log = np.array([*starts, len(logs)], dtype=np.int64)
        swaps = [i for i, log in enumerate(logs) if log["topics"] and log["topics"][0] in (V2_SWAP, V3_SWAP)]
        self.setup = (
            int(np.searchsorted(self.first_log, swaps[0], side="right")) - 1 if swaps else len(starts)
        )
        self.setup_pools = sum(created(log) is not None for log in logs[: self.first_log[self.setup]])
        self._columns()
        self._patches()
        self.is_transfer = self._topic_in({TRANSFER}) & (self.emitter < len(self.tokens))
        self.is_pool_event = (self.emitter >= len(self.tokens)) & ~self._topic_in({TRANSFER, APPROVAL})

    @property
    def transactions(self) -> int:
        return len(self.first_log) - 1

    def _columns(self) -> None:
        count = len(self.logs)
        self.address = np.frombuffer(
            bytes.fromhex("".join(g["address"][2:] for g in self.logs)), np.uint8
        ).reshape(-1, 20)
        self.emitter = np.array([self.numbers.get(g["address"], -1) for g in self.logs], dtype=np.int64)
        self.topic_count = np.array([len(g["topics"]) for g in self.logs], dtype=np.int64)
        self.topics = np.zeros((count, 4, 32), np.uint8)
        for i, log in enumerate(self.logs):
            for t, topic in enumerate(log["topics"]):
                self.topics[i, t] = np.frombuffer(bytes.fromhex(topic[2:]), np.uint8)
        self.data = np.frombuffer(bytes.fromhex("".join(g["data"][2:] for g in self.logs)), np.uint8)
        self.data_first = np.cumsum([0] + [len(g["data"]) // 2 - 1 for g in self.logs])

    def _patches(self) -> None:
        found: list[tuple[int, int, int]] = []
        for i, log in enumerate(self.logs):
            words = [(t, topic[2:]) for t, topic in enumerate(log["topics"])]
            body = log["data"][2:]
            words += [(4 + at // 2, body[at : at + 64]) for at in range(0, len(body) - 63, 64)]
            found += [
                (i, place, self.numbers["0x" + w[24:]])
                for place, w in words
                if "0x" + w[24:] in self.numbers and not int(w[:24], 16)
            ]
        patches = np.array(found, dtype=np.int64).reshape(-1, 3)
        self.patch_log, self.patch_place, self.patch_number = patches.T
        self.patch_first = np.searchsorted(self.patch_log, np.arange(len(self.logs) + 1))

    def _topic_in(self, topics: set[str]) -> Flags:
        return np.array([bool(g["topics"]) and g["topics"][0] in topics for g in self.logs])

    def clone_addresses(self, seed: int, clone: int) -> Bytes:
        """(len(numbers), 20) bytes: the addresses of one clone, token order kept."""
        new = [hashlib.sha256(f"{seed}:{clone}:{name}".encode()).digest()[:20] for name in self.numbers]
        count = len(self.tokens)
        return np.frombuffer(b"".join(sorted(new[:count]) + new[count:]), np.uint8).reshape(-1, 20)
