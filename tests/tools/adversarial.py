"""Record the adversarial stream: honest venues among fakes, forks and hostile tokens, and what cycles really pay.

    python -m tests.tools.adversarial --modules node_modules --out DIR [--seed 1] [--pack adversarial]

`tests/tools/contracts.py` lists the packages; it takes some three minutes. tests/streams/README.md describes the files.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.tools.adversarial_market import TOKENS, AdversarialMarket, Venue
from tests.tools.adversarial_script import BLOCKS, Script
from tests.tools.contracts import Workshop
from tests.tools.cycles import CycleFinder
from tests.tools.evidence import find_evidence
from tests.tools.executed import execute_opened
from tests.tools.node import Node
from tests.tools.stream_folder import STREAMS, pack, write_chain, write_lines
from tests.tools.v2_quotes import V2Quoter
from tests.tools.v3_market import as_json

#: Steps after whose block cycles are executed: around every mishap.
ASKED = (5, 20, 45, 65, 78, 95, 108, 115, 135, 155, 175, 195, 207, 217, 239)


def states(market: AdversarialMarket, block: int) -> dict[str, list[Any]]:
    """The states of the real pools that emitted a log in a block, asked for at its end."""
    node, found = market.node, {}
    emitters = {entry["address"] for entry in node.logs(block, block)}
    for venue in market.venues.values():
        if venue.address not in emitters or not venue.real:
            continue
        if venue.kind == "v2":
            reserve0, reserve1, when = node.ask(market.pair, venue.address, "getReserves", block=block)
            found[venue.address] = [str(reserve0), str(reserve1), when]
        else:
            found[venue.address] = as_json(
                node.ask(market.driver, market.actor, "stateOf", venue.address, block=block)
            )
    return found


def pool_entry(market: AdversarialMarket, venue: Venue) -> dict[str, Any]:
    """One pool of truth.json."""
    entry: dict[str, Any] = {
        "address": venue.address,
        "name": venue.name,
        "venue": venue.name.split(":")[0],
        "kind": venue.kind,
        "token0": venue.token0,
        "token1": venue.token1,
        "symbols": [market.symbols[t] for t in (venue.token0, venue.token1)],
        "fee": venue.fee,
        "factory": venue.factory,
        "created_block": venue.created_block,
        "real": venue.real,
        "hazard": venue.hazard.as_json() if venue.hazard else None,
    }
    return entry | ({} if venue.spacing is None else {"tickSpacing": venue.spacing})


def truth(market: AdversarialMarket, meta: dict[str, Any]) -> dict[str, Any]:
    """What truth.json holds."""
    return {
        "meta": meta | {"node": market.node.rpc("web3_clientVersion"), "chain_id": 31337},
        "contracts": market.factories | {"trader": market.trader, "searcher": market.searcher},
        "tokens": {
            name: {
                "address": address,
                "decimals": TOKENS[name][1],
                "hazard": market.hazards[name].as_json() if name in market.hazards else None,
            }
            for name, address in market.tokens.items()
        },
        "pools": [pool_entry(market, venue) for venue in market.venues.values()],
        "snapshots": [],
    }


def declared(market: AdversarialMarket) -> list[dict[str, Any]]:
    """The pools file that belongs to the stream: one wrong fee."""
    venue = market.venues["as25:DAI/USDC"]
    names = {"pool": venue.address, "kind": "uniswap_v2", "token0": venue.token0, "token1": venue.token1}
    return [names | {"fee": venue.fee, "factory": venue.factory}]


def record(modules: Path, folder: Path, seed: int, opened: Path | None = None) -> Counter[str]:
    """Write a folder with the stream and its truth; with a file of open cycles also what executing them gave."""
    rng, counts = random.Random(seed), Counter[str]()
    with Node(modules) as node:
        workshop = Workshop(modules)
        market = AdversarialMarket(node, workshop)
        script, quoter = Script(market, rng), V2Quoter(market, workshop, rng)
        script.prepare()
        first = node.height + 1
        cycles: list[dict[str, Any]] = []
        quotes: list[dict[str, Any]] = []
        taken: list[dict[str, Any]] = []
        asked: list[int] = []
        for step in range(BLOCKS):
            if step - 1 in ASKED[1::2]:
                taken.append(take_best(market, script, cycles))
            script.play(step)
            if taken and taken[-1]["block"] == node.height:
                check_taken(market, taken[-1])
            if step in ASKED:
                asked.append(node.height)
                found = list(CycleFinder(market, rng).records())
                cycles += found
                counts["paying"] += sum(c["profit"] is not None and int(c["profit"]) > 0 for c in found)
                counts["traps"] += sum("hazards" in c for c in found)
                quotes += quoter.quotes_now(20)
        logs = write_chain(node, folder)
        if opened is not None:
            (folder / "executed.json").write_text(json.dumps(execute_opened(market, opened), sort_keys=True))
        find_evidence(market, node.logs(0, node.height), first)
        rows = ((b, states(market, b)) for b in range(1, node.height + 1))
        times = {h["number"]: h["timestamp"] for h in node.headers(0, node.height)}
        truth_rows = ({"block": b, "timestamp": times[b], "pools": pools} for b, pools in rows if pools)
        write_lines(folder / "truth_blocks.jsonl", truth_rows)
        write_lines(folder / "pools.jsonl", declared(market))
        counts |= Counter(cycles=len(cycles), quotes=len(quotes), logs=logs, blocks=node.height)
        meta = {
            "seed": seed,
            "first_trading_block": first,
            "asked": asked,
            "taken": taken,
            "lies": script.lies,
        }
        (folder / "truth.json").write_text(json.dumps(truth(market, meta | counts)))
        (folder / "quotes.json").write_text(json.dumps({"quotes": quotes, "cycles": cycles}))
    return counts


def take_best(market: AdversarialMarket, script: Script, cycles: list[dict[str, Any]]) -> dict[str, Any]:
    """Execute the honest cycle that paid most in dollars, first in the next block."""
    decimals = {market.tokens[name]: 10 ** TOKENS[name][1] for name in TOKENS}
    last = [c for c in cycles if c["block"] == market.node.height and c["profit"] and "hazards" not in c]

    def dollars(cycle: dict[str, Any]) -> float:
        token = cycle["start"]
        return int(cycle["profit"]) * script.worth[market.symbols[token]] / decimals[token]

    best = max(last, key=dollars)
    venues = {venue.address: venue for venue in market.venues.values()}
    steps = [
        (hop["pool"], venues[hop["pool"]].kind == "v3", hop["zeroForOne"], venues[hop["pool"]].fee)
        for hop in best["steps"]
    ]
    script.execute(steps, int(best["amountIn"]))
    named = {key: best[key] for key in ("steps", "amountIn", "profit")}
    return {"block": market.node.height + 1, "tx": 0} | named


def check_taken(market: AdversarialMarket, taken: dict[str, Any]) -> None:
    """What the mined transaction earned is what the call before it said."""
    header = market.node.rpc("eth_getBlockByNumber", "latest", False)
    transaction = header["transactions"][taken["tx"]]
    result = market.searching.answer("run", market.node.returned(transaction))[0]
    assert str(result[0]) == taken["profit"], f"{transaction} earned {result[0]}"
    taken["hash"] = transaction


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", type=Path, required=True, help="folder of node modules")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--opened", type=Path, help="also execute the open cycles of this file")
    parser.add_argument("--pack", metavar="NAME", help="also pack the files into tests/streams")
    options = parser.parse_args()
    started = time.monotonic()
    print(dict(record(options.modules, options.out, options.seed, options.opened)))
    if options.pack:
        print(pack(options.out, STREAMS, options.pack))
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
