"""Arbitrages that are known to have happened: right before each, its path is open with at least what it made.

The labels are eight cyclic transactions of whole mainnet blocks, two of them also with the profit that mev-inspect
found, and 649 transactions of Arbitrum. Of the latter only the arbitrages' own swaps are recorded, no log of any pool,
so no state is determined and nothing can be asked. Of the former the logs determine

- a V2 pair's reserves before its swap: balances of its `Sync` less what came in plus what went out;
- a V3 pool's price and liquidity, from the pool's swap before in the same block, or, if the swap stays in one range,
  from the one price that leads to what is logged. The ticks beyond the range are not known and not needed.
"""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Row, log, replay, write_lines
from tests.support.uniswap_oracle import (
    MAX_RATIO,
    MAX_TICK,
    MILLION,
    MIN_RATIO,
    Q96,
    compute_swap_step,
    tick_at_sqrt_ratio,
)
from tests.test_truth import NAMED

SYNC, SWAP2, SWAP3 = (
    NAMED[kind, name]
    for kind, name in (("uniswap_v2", "Sync"), ("uniswap_v2", "Swap"), ("uniswap_v3", "Swap"))
)
SPACINGS = {100: 1, 500: 10, 3000: 60, 10000: 200}


def numbers(row: Row) -> list[int]:
    """The data of a log as signed words."""
    body = row["data"][2:]
    words = [int(body[k : k + 64], 16) for k in range(0, len(body), 64)]
    return [w - 2**256 if w >> 255 else w for w in words]


def price_before(swap: list[int], fee: int) -> int | None:
    """The price from which an exact input or output within one range ends in this log, or None."""
    after, liquidity = swap[2], swap[3]
    zero_for_one = swap[0] > 0
    paid, bought = max(swap[:2]), -min(swap[:2])
    left = paid * (MILLION - fee) // MILLION
    # Which way the price comes back, by what moved of token0 or of token1; the formulas' roundings are tried out.
    by_token0 = {True: liquidity * Q96 - left * after, False: liquidity * Q96 + bought * after}[zero_for_one]
    by_token1 = after + (bought if zero_for_one else -left) * Q96 // liquidity if liquidity else 0
    guesses = [by_token1, liquidity * Q96 * after // by_token0 if by_token0 > 0 else 0]
    starts = (guess + nearby for guess, nearby in itertools.product(guesses, range(-5, 6)))
    return next((start for start in starts if leads_to(start, swap, fee)), None)


def leads_to(start: int, swap: list[int], fee: int) -> bool:
    """Whether an exact input or output from this price ends in this log, within one range."""
    zero_for_one, paid, bought = swap[0] > 0, max(swap[:2]), -min(swap[:2])
    if not MIN_RATIO < start < MAX_RATIO or (start > swap[2]) != zero_for_one or start == swap[2]:
        return False
    end = MIN_RATIO + 1 if zero_for_one else MAX_RATIO - 1
    for exact in (paid, -bought):
        after, moved, out, taken = compute_swap_step(start, end, swap[3], exact, fee)
        if (after, moved + taken, out) == (swap[2], paid, bought):
            return True
    return False


class Block:
    """The logs of one block, and what they say of pools right before one of its transactions."""

    def __init__(self, rows: list[Row], kinds: dict[str, Row], transaction: str) -> None:
        self.kinds = kinds
        self.own = [r for r in rows if r["tx_hash"] == transaction]
        self.first = int(self.own[0]["log_index"])
        self.before = [r for r in rows if int(r["log_index"]) < self.first]
        self.number = int(self.own[0]["block_number"])
        self.swaps = [r for r in self.own if r["topic0"] in (SWAP2, SWAP3)]

    def pool(self, swap: Row) -> dict[str, Any] | None:
        """The pool of a swap, as a record of a pools file with its state before the transaction; None if not known."""
        about = self.kinds.get(swap["address"], {})
        if not about.get("token0"):
            return None
        place = (
            {"block": self.number, "log_index": self.first - 1} if self.first else {"block": self.number - 1}
        )
        record = {"address": swap["address"], "token0": about["token0"], "token1": about["token1"], **place}
        if swap["topic0"] == SWAP2:
            return record | {"kind": "uniswap_v2", "fee": 3000} | self._reserves(swap)
        return self._v3(record, swap, about)

    def _reserves(self, swap: Row) -> dict[str, int]:
        sync = self.own[self.own.index(swap) - 1]
        assert (sync["topic0"], sync["address"]) == (SYNC, swap["address"])
        balances, moved = numbers(sync), numbers(swap)
        reserves = [balances[k] - moved[k] + moved[2 + k] for k in (0, 1)]
        told = [numbers(r) for r in self.before if r["topic0"] == SYNC and r["address"] == swap["address"]]
        assert not told or told[-1] == reserves
        return {"reserve0": reserves[0], "reserve1": reserves[1]}

    def _v3(self, record: dict[str, Any], swap: Row, about: Row) -> dict[str, Any] | None:
        logged = numbers(swap)
        fees = [int(float(about["fee"]))] if about["fee"] else list(SPACINGS)
        told = [r for r in self.before if r["topic0"] == SWAP3 and r["address"] == swap["address"]]
        for fee in fees:
            price = numbers(told[-1])[2] if told else price_before(logged, fee)
            if price is None or not leads_to(price, logged, fee):
                continue
            last = MAX_TICK // SPACINGS[fee] * SPACINGS[fee]
            ticks = {-last: [logged[3], logged[3]], last: [logged[3], -logged[3]]}
            state = {"sqrt_price_x96": price, "tick": tick_at_sqrt_ratio(price), "liquidity": logged[3]}
            return (
                record
                | {"kind": "uniswap_v3", "fee": fee, "tick_spacing": SPACINGS[fee], "ticks": ticks}
                | state
            )
        return None


def gained(swaps: list[Row], pools: list[dict[str, Any]], token: str) -> int:
    """What is left of a token after these swaps."""
    total = 0
    for swap, pool in zip(swaps, pools, strict=True):
        moved = numbers(swap)
        side = (
            (pool["token0"], pool["token1"]).index(token)
            if token in (pool["token0"], pool["token1"])
            else None
        )
        if side is not None:
            total -= moved[side] if swap["topic0"] == SWAP3 else moved[side] - moved[2 + side]
    return total


WETH, USDT = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "0xdac17f958d2ee523a2206206994597c13d831ec7"
#: Labelled transaction -> where it profits, and which of its swaps, by log order, are one cycle.
DETERMINED = {
    "0xdcbcdde335d54f2387a04125652a27814498a72394c1d868cc12443c60006537": (WETH, [(0, 1)]),
    "0x51ff488cfd8a36749bf8a90744b683fa3a5bdb538fbdae1a14121a205d7cc9a8": (WETH, [(0, 1, 2)]),
    "0x448245bf1a507b73516c4eeee01611927dada6610bf26d403012f2e66800d8f0": (WETH, [(0, 1, 2)]),
    "0x9c4a07b0328989a456b7e2a1dec7954475e79953f985375758e0d60fbd6474c1": (USDT, [(0, 1, 2)]),
    "0x3ac4287e7519544aba1f204c05f67b2a95a73a725c7529aeedbdbd59d24947a1": (WETH, [(0, 1, 2), (3, 4)]),
}
NOT_ASKED = {
    "0x5ab21bfba50ad3993528c2828c63e311aafe93b40ee934790e545e150cb6ca73": "five hops: cycles have up to four",
    "0xfcf4558f6432689ea57737fe63124a5ec39fd6ba6aaf198df13a825dd599bffc": "V3 swaps over ticks that nobody told",
    "0x8888d59068b4b9067bd7b1d76d0b2520ff2b7aa827ee18a6273f68516ec56afe": "a V3 swap over ticks that nobody told",
}


def open_before(block: Block, pools: list[dict[str, Any]], token: str, folder: Path) -> list[Row]:
    """What is open at the end of the transaction before, at `transaction` level, gross."""
    logs = folder / "logs.csv"
    if block.before:
        with logs.open("w", newline="") as file:
            writer = csv.DictWriter(file, block.before[0].keys())
            writer.writeheader()
            writer.writerows(block.before)
    else:  # the first of its block: any log of the block before makes a boundary
        logs = write_lines(folder / "logs.jsonl", [log(block.number - 1, 0, token, ["0x" + "77" * 32], [])])
    given, found = write_lines(folder / "pools.jsonl", pools), folder / "open.jsonl"
    sets = ("arbitrage.evaluate=transaction", "arbitrage.gas=off", f'arbitrage.base_tokens=["{token}"]')
    replay(logs, *sets, keep=False, pools=(str(given),), opportunities_out=str(found))
    return [json.loads(line) for line in found.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.own_loop
def test_every_labelled_path_whose_state_is_determined_is_open_before(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "mainnet"
    with (folder / "blocks" / "pools.csv").open() as file:
        kinds = {row["address"]: row for row in csv.DictReader(file)}
    with (folder / "blocks" / "logs.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (folder / "arb_labelled" / "derived_cyclic_txs_from_blocks_logs.csv").open() as file:
        labels = {row["tx_hash"]: row for row in csv.DictReader(file)}
    assert labels.keys() == DETERMINED.keys() | NOT_ASKED.keys()
    told = json.loads((folder / "arb_labelled" / "mev_inspect_expected.json").read_text())
    inspected = {a["tx"]: int(a["profit_amount"]) for e in told.values() for a in e.get("arbitrages", [])}
    asked = 0
    for number, (transaction, label) in enumerate(labels.items()):
        block = Block([r for r in rows if r["block_number"] == label["block_number"]], kinds, transaction)
        pools = [block.pool(swap) for swap in block.swaps]
        if transaction in NOT_ASKED:
            assert len(pools) > 4 or None in pools
            continue
        token, cycles = DETERMINED[transaction]
        gains = [gained([block.swaps[k] for k in c], [pools[k] for k in c], token) for c in cycles]
        assert f"{token}:{sum(gains)}" in label["net_token_gain_raw"].split(";")
        assert sum(gains) == inspected.get(transaction, sum(gains))
        (tmp_path / str(number)).mkdir()
        found = open_before(block, pools, token, tmp_path / str(number))
        for cycle, gain in zip(cycles, gains, strict=True):
            wanted = {pools[k]["address"] for k in cycle}
            lines = [line for line in found if {hop["pool"] for hop in line["path"]} == wanted]
            assert len(lines) == 1, (transaction, found)
            line = lines[0]
            assert line["token_in"] == token and int(line["profit"]) >= gain > 0, (transaction, gain, line)
            asked += 1
    assert asked == 6


@pytest.mark.slow
def test_nothing_tells_the_states_before_the_arbitrages_of_arbitrum(data_dir: Path) -> None:
    """They are held against what can be held: each closes a cycle. Were there logs of pools, they could be asked."""
    path = data_dir / "mainnet" / "arb_labelled" / "arbitrum_arbitrages_79135392_119092000.jsonl"
    rows = [json.loads(line) for line in path.open()]
    assert len(rows) == 649 and not any("logs" in row or "receipt" in row for row in rows)
    for row in rows:
        for arbitrage in row["arbitrages"]:
            swaps = arbitrage["swaps"]
            assert all(a["out_token"] == b["in_token"] for a, b in itertools.pairwise([*swaps, swaps[0]]))
            assert not {"reserve0", "sqrtPriceX96", "liquidity"} & swaps[0].keys()
