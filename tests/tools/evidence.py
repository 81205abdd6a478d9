"""The first blocks whose logs betray a hazard: what a reader of logs can know, and not before.

Two contradictions are looked for: a `Swap` of a V2 pair and the `Transfer`s of its transaction tell different amounts
of a token, or the reserves after a `Swap` lie below what the declared fee would have left. A swap that paid less than
the declared fee gives contradicts nothing, since anybody may ask for less; it is a hint.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from eth_hash.auto import keccak

from tests.tools.adversarial_market import AdversarialMarket, Hazard, Venue
from tests.tools.node import Log

SWAP = "0x" + keccak(b"Swap(address,uint256,uint256,uint256,uint256,address)").hex()
SYNC = "0x" + keccak(b"Sync(uint112,uint112)").hex()
TRANSFER = "0x" + keccak(b"Transfer(address,address,uint256)").hex()
MILLION = 10**6


def words(entry: Log) -> list[int]:
    """The 32-byte words of a log's data."""
    body = entry["data"][2:]
    return [int(body[k : k + 64], 16) for k in range(0, len(body), 64)]


def find_evidence(market: AdversarialMarket, logs: list[Log], first: int) -> None:
    """Fill in `evidence` and `hint` of all hazards that show from block `first` on."""
    for venue in market.venues.values():
        if venue.kind == "v2" and venue.hazard and venue.real:
            _of_fee(
                venue, venue.hazard, [entry for entry in logs if entry["address"] == venue.address], first
            )
        elif venue.hazard and not venue.real:
            seen = [_block(entry) for entry in logs if entry["address"] == venue.address]
            venue.hazard.evidence = min(seen)
    for name in ("DTT", "GROSS", "LATE"):
        market.hazards[name].evidence = _mismatch(market, logs, market.tokens[name])
    market.hazards["HONEY"].hint = first


def _block(entry: Log) -> int:
    return int(entry["blockNumber"], 16)


def _of_fee(venue: Venue, hazard: Hazard, logs: list[Log], first: int) -> None:
    """A V2 pair's swaps against its declared fee; the Sync before a Swap has the reserves after it."""
    assert hazard.since is not None
    before = after = (0, 0)
    for entry in logs:
        values = words(entry)
        if entry["topics"][0] == SYNC:
            before, after = after, (values[0], values[1])
        if entry["topics"][0] != SWAP or _block(entry) < max(first, hazard.since):
            continue
        kept = [MILLION * after[k] - venue.fee * values[k] for k in (0, 1)]
        if kept[0] * kept[1] < before[0] * before[1] * MILLION**2:
            hazard.evidence = hazard.evidence or _block(entry)
        elif any(_most(venue.fee, values[k], before[k], before[1 - k]) > values[3 - k] > 0 for k in (0, 1)):
            hazard.hint = hazard.hint or _block(entry)


def _most(fee: int, paid: int, reserve_in: int, reserve_out: int) -> int:
    """What a pair with that fee would have paid at most."""
    kept = paid * (MILLION - fee)
    return kept * reserve_out // (reserve_in * MILLION + kept)


def _mismatch(market: AdversarialMarket, logs: list[Log], token: str) -> int:
    """The first block in which a pair's Swap and the token's Transfers disagree."""
    pairs = {v.address: v for v in market.venues.values() if token in (v.token0, v.token1)}
    by_transaction: dict[str, list[Log]] = defaultdict(list)
    for entry in logs:
        by_transaction[entry["transactionHash"]].append(entry)
    for group in by_transaction.values():
        for entry in group:
            venue = pairs.get(entry["address"])
            if venue is None or entry["topics"][0] != SWAP:
                continue
            side, values = (0 if venue.token0 == token else 1), words(entry)
            moved = [_moved(group, token, venue.address, position) for position in (2, 1)]
            if moved != [values[side], values[2 + side]]:
                return _block(entry)
    raise LookupError(f"no log betrays {token}")


def _moved(group: list[Log], token: str, pair: str, position: int) -> int:
    """What a transaction's Transfers moved to a pair (topic 2), or away from it (topic 1), in the largest of them."""
    found: list[Any] = [
        words(entry)[0]
        for entry in group
        if entry["address"] == token
        and entry["topics"][0] == TRANSFER
        and entry["topics"][position][-40:] == pair[2:]
    ]
    return max(found, default=0)
