"""Executes cycles that are said to be open, each after its block; `tests/support/executions.py` says what is kept.

The execution is the searcher contract's (`solidity/Searcher.sol`), in calls that are thrown away: it holds nothing but
the input, asks of V2 pairs what the declared fee promises, and counts its profit by balances.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.support.executions import Said, digest, from_json, in_order
from tests.tools.adversarial_market import AdversarialMarket
from tests.tools.node import Reverted

Step = tuple[str, bool, bool, int]


def execute_opened(market: AdversarialMarket, opened: Path) -> dict[str, Any]:
    """What executing every open cycle of a file gave, by block.

    opened : lines of `{"block", "open": [...]}`, the open cycles as `executions.as_json` writes them
    """
    found = {}
    for text in opened.read_text().splitlines():
        entry = json.loads(text)
        found[str(entry["block"])] = _execute_block(market, entry["block"], map(from_json, entry["open"]))
    return found


def _execute_block(market: AdversarialMarket, block: int, opened: Any) -> dict[str, Any]:
    paid: list[Said] = []
    otherwise = defaultdict(list)
    for place, said in enumerate(in_order(opened)):
        given = _execute(market, block, said)
        if isinstance(given, str):
            otherwise[given].append(place)
        else:
            paid.append((said[0], said[1], *given))
    return {"paid": len(paid), "digest": digest(paid), "otherwise": otherwise}


def _execute(market: AdversarialMarket, block: int, said: Said) -> str | tuple[list[int], int]:
    """(what each hop paid, the profit), or in words why it is not what was said."""
    venues = {venue.address: venue for venue in market.venues.values()}
    hops, amount, outs, profit = said
    steps: list[Step] = [(pool, venues[pool].kind == "v3", way, venues[pool].fee) for pool, way in hops]
    octets = market.searching.call("run", steps, amount, False, True)
    try:
        answer = market.node.view(market.searcher, octets, block)
    except Reverted as reverted:
        return f"reverts: {re.sub(r'[^ -~]', '', reverted.reason)}"
    got, paid, _, _ = market.searching.answer("run", answer)[0]
    if (got, list(paid)) != (profit, list(outs)):
        return "pays more" if got > profit else "pays less" if got > 0 else "pays nothing"
    return list(paid), got
