"""Record a stream of Uniswap V3 swaps, and what the contracts say after every one of them.

    python -m tests.tools.v3_swaps --modules node_modules --out DIR [--swaps 20000] [--seed 1] [--pack v3_swaps]

`tests/tools/contracts.py` lists the packages. A folder of 20,000 swaps takes a few minutes. With `--pack`, its files
are also packed into tests/streams. tests/streams/README.md describes the files.

The driver makes several calls a transaction and returns, for each, what the call answered and the pool's state right
after it: those are read from the trace of the mined transaction, so they are facts of the chain that emitted the logs.
At the end of every block the same states are asked for by `eth_call`, and must agree.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.tools.contracts import Workshop, reason
from tests.tools.node import Log, Node
from tests.tools.stream_folder import STREAMS, pack, write_chain, write_lines
from tests.tools.v3_actions import Action, Planner
from tests.tools.v3_market import Market, Pool, as_json
from tests.tools.v3_quotes import birth_quotes, quotes_now

SNAPSHOTS, QUOTED_BLOCKS = 4, 30
#: The log that each call leaves; a growth that grows nothing leaves none.
EVENTS = {
    "mint": "Mint",
    "swap": "Swap",
    "burn": "Burn",
    "collect": "Collect",
    "flash": "Flash",
    "setFeeProtocol": "SetFeeProtocol",
    "collectProtocol": "CollectProtocol",
    "increaseObservationCardinalityNext": "IncreaseObservationCardinalityNext",
}


class Recorder:
    """Plays a plan on a market and keeps the truth.

    Attributes
    ----------
    actions : lines of truth_actions.jsonl
    blocks : lines of truth_blocks.jsonl
    snapshots, quotes : parts of truth.json and quotes.json
    """

    def __init__(self, market: Market, rng: random.Random) -> None:
        self.market, self.rng, self.planner = market, rng, Planner(market, rng)
        self.actions: list[dict[str, Any]] = []
        self.blocks: list[dict[str, Any]] = []
        self.snapshots: list[dict[str, Any]] = []
        self.quotes: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()

    def open_pools(self) -> None:
        """The first positions, one pool a block."""
        for pool in self.market.pools:
            self.play([self.planner.opening(pool)], seconds=12)

    def trade(self, swaps: int) -> None:
        """Play blocks until there were that many swaps."""
        away = {swaps * part // 5: pool for part, pool in zip((1, 2, 3, 4), self.market.pools, strict=True)}
        rests = [swaps * k // SNAPSHOTS for k in range(1, SNAPSHOTS)]
        asks = [swaps * k // QUOTED_BLOCKS for k in range(1, QUOTED_BLOCKS)]
        while self.counts["swap"] < swaps:
            done = self.counts["swap"]
            far = [self.planner.swap_away(away.pop(n)) for n in sorted(away) if n <= done]
            self.planner.planned.clear()
            batches = [[self.planner.draw() for _ in range(self._few(4))] for _ in range(self._few(5))]
            self.play([far, *batches] if far else batches, self._wait())
            if rests and self.counts["swap"] >= rests[0]:
                rests.pop(0)
                self.snapshots.append(self.market.snapshot())
            if asks and self.counts["swap"] >= asks[0]:
                asks.pop(0)
                self.quotes += quotes_now(self.market, self.planner, 10)
        self.snapshots.append(self.market.snapshot())
        self.quotes += quotes_now(self.market, self.planner, 10) + birth_quotes(self.market, self.planner)

    def _few(self, most: int) -> int:
        return self.rng.randint(1, most)

    def _wait(self) -> int:
        """Seconds to the next block: as some chains do it, sometimes none."""
        return self.rng.choices([12, 0, 1, 3600, 40 * 86_400], [80, 12, 5, 2.8, 0.2])[0]

    def play(self, batches: list[list[Action]], seconds: int) -> None:
        """Mine one block with a transaction a batch, and record what happened."""
        market, node = self.market, self.market.node
        sent = [
            node.send(market.actor, market.calls([(a.pool, a.octets(market)) for a in batch]), gas=60_000_000)
            for batch in batches
        ]
        block = node.mine(seconds)
        logs = node.logs(block, block)
        for index, (batch, transaction) in enumerate(zip(batches, sent, strict=True)):
            mine = [entry for entry in logs if entry["transactionHash"] == transaction]
            events = self._pool_events(mine)
            for action, outcome in zip(batch, market.outcomes(node.returned(transaction)), strict=True):
                self._record(block, index, action, outcome, events)
            assert next(events, None) is None, "a log that no call explains"
        changed = list(dict.fromkeys(a.pool.address for batch in batches for a in batch))
        self._check(block, [p for p in market.pools if p.address in changed])

    def _pool_events(self, logs: list[Log]) -> Iterator[Log]:
        pools = {pool.address for pool in self.market.pools}
        return iter([entry for entry in logs if entry["address"] in pools])

    def _record(
        self,
        block: int,
        index: int,
        action: Action,
        outcome: tuple[bool, bytes, tuple[int, ...]],
        events: Iterator[Log],
    ) -> None:
        ok, answer, state = outcome
        pool, name = action.pool, action.name
        silent = not ok or (name.startswith("increase") and state[9] == pool.state[9])
        log = None
        if not silent:
            entry = next(events)
            assert (entry["address"], entry["topics"][0]) == (pool.address, self.market.topic(EVENTS[name]))
            log = int(entry["logIndex"], 16)
        line: dict[str, Any] = {"block": block, "tx": index, "log": log, "pool": pool.address, "call": name}
        line["arguments"] = [_plain(a) for a in action.arguments]
        line |= {"answer": _answers(self.market, name, answer)} if ok else {"error": reason(answer)}
        line["state"] = as_json(state)
        self.actions.append(line)
        self.counts[name if ok else "reverted"] += 1
        if name == "swap" and ok and state[0] != pool.state[0]:
            self._count_places(pool, state)
        pool.state = state
        if ok:
            _follow(action)

    def _count_places(self, pool: Pool, state: tuple[int, ...]) -> None:
        """Count swaps that end where rounding and tick differ from the middle of a range."""
        price, tick, liquidity = state[:3]
        edge = 256 * pool.spacing
        ends = [
            t for t in (tick, tick + 1) if self.market.price_at(t) == price
        ]  # one below a tick crossed downwards
        self.counts["swaps ending on an initialized tick"] += any(t in pool.touched for t in ends)
        self.counts["swaps ending on a word's edge"] += any(
            t % edge in (0, edge - pool.spacing) for t in ends
        )
        self.counts["swaps changing liquidity"] += liquidity != pool.state[2]
        self.counts["swaps ending without liquidity"] += not liquidity

    def _check(self, block: int, pools: list[Pool]) -> None:
        for pool in pools:
            assert self.market.state_of(pool) == pool.state, f"block {block}: {pool.name} differs"
        row = {"block": block, "timestamp": self.market.node.now}
        self.blocks.append(row | {"pools": {p.address: as_json(p.state) for p in pools}})


def _plain(argument: Any) -> Any:
    if isinstance(argument, bytes):
        return "0x" + argument.hex()
    whole = isinstance(argument, int) and not isinstance(argument, bool)
    return str(argument) if whole and abs(argument) > 2**53 else argument


def _answers(market: Market, name: str, octets: bytes) -> list[str]:
    return [str(value) for value in market.pool.answer(name, octets)]


def _follow(action: Action) -> None:
    """Keep a pool's positions and the ticks that ever were an end of one."""
    pool = action.pool
    if action.name == "mint":
        _, lower, upper, liquidity, _ = action.arguments
        pool.positions[lower, upper] = pool.positions.get((lower, upper), 0) + liquidity
        pool.touched |= {lower, upper}
    elif action.name == "burn":
        lower, upper, liquidity = action.arguments
        pool.positions[lower, upper] -= liquidity


def truth(recorder: Recorder, seed: int, logs: int) -> dict[str, Any]:
    """What truth.json holds."""
    market = recorder.market
    symbols = {token["address"]: name for name, token in market.tokens.items()}
    pools = [
        {
            "address": p.address,
            "name": f"univ3:{symbols[p.token0]}/{symbols[p.token1]}:{p.fee}:{p.name}",
            "venue": "univ3",
            "kind": "v3",
            "token0": p.token0,
            "token1": p.token1,
            "symbols": [symbols[p.token0], symbols[p.token1]],
            "fee": p.fee,
            "created_block": p.created_block,
            "tickSpacing": p.spacing,
        }
        for p in market.pools
    ]
    meta = {"seed": seed, "blocks": market.node.height, "logs": logs, "calls": dict(recorder.counts)}
    return {
        "meta": meta | {"node": market.node.rpc("web3_clientVersion"), "chain_id": 31337},
        "contracts": {"uniV3Factory": market.registry, "driver": market.actor},
        "tokens": market.tokens,
        "pools": pools,
        "snapshots": recorder.snapshots,
    }


def record(modules: Path, folder: Path, swaps: int, seed: int) -> Counter[str]:
    """Write a folder with the stream and its truth."""
    with Node(modules, gas_limit=1_000_000_000) as node:
        recorder = Recorder(Market(node, Workshop(modules)), random.Random(seed))
        recorder.open_pools()
        recorder.trade(swaps)
        logs = write_chain(node, folder)
        write_lines(folder / "truth_actions.jsonl", recorder.actions)
        write_lines(folder / "truth_blocks.jsonl", recorder.blocks)
        (folder / "truth.json").write_text(json.dumps(truth(recorder, seed, logs)))
        (folder / "quotes.json").write_text(json.dumps({"quotes": recorder.quotes, "cycles": []}))
    return recorder.counts


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", type=Path, required=True, help="folder of node modules")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--swaps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pack", metavar="NAME", help="also pack the files into tests/streams")
    options = parser.parse_args()
    started = time.monotonic()
    print(dict(record(options.modules, options.out, options.swaps, options.seed)))
    if options.pack:
        print(pack(options.out, STREAMS, options.pack))
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
