"""The adversarial stream: what is open after a block pays what it says, and honest cycles that pay are open.

What logs can't tell stays open, with a capped confidence: a fee that is declared too low until a swap contradicts it,
a pair that would let go of more than its constant product allows, and tokens that strangers can't sell or that stop
moving. `BLIND` lists them by the names of tests/streams/README.md.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from typing import Any

import pytest

from tests.harness import Row, replay
from tests.support.executions import Said, digest, in_order
from tests.support.streams import read_document, stream_path

#: Hazards of which the logs have no evidence, or had none yet when somebody could have been hurt.
BLIND = {"HONEY", "INSIDE", "STOP", "as25:DAI/USDC"}
#: Through what alone open cycles did not pay when executed, while the logs had not shown it yet; of `BLIND` never do.
#: Tokens: taxed and rebasing ones before the first transfer that tells, and those that strangers can't sell. Pairs: a
#: fee that is declared too low, or was just raised. A V3 pool that just began to take more than it announced.
UNPAID = {
    "DTT",
    "GROSS",
    "LATE",
    "REB",
    "HONEY",
    "INSIDE",
    "as25:DAI/USDC",
    "changing:WETH/DAI",
    "fork3:WETH/USDC:500",
}
Hop = tuple[str, bool]


class Stream:
    """The outputs of one replay, and the truth."""

    def __init__(self) -> None:
        pools = (str(stream_path("adversarial", "pools.jsonl")),)
        logs = str(stream_path("adversarial", "logs.jsonl"))
        outcome = replay(logs, "arbitrage.gas=off", pools=pools)
        self.rows = sorted(outcome.sink.rows, key=lambda row: (row["sequence"], row["source_sequence"]))
        self.address, self.pools = outcome.sink.address, outcome.pools
        self.truth = read_document("adversarial", "truth.json")
        self.cycles = read_document("adversarial", "quotes.json")["cycles"]
        self.named = {pool["address"]: pool for pool in self.truth["pools"]}
        self.evidence = self._evidence()

    def _evidence(self) -> dict[str, int | None]:
        """The block from which each hazard shows in the logs, by name."""
        found = {name: token["hazard"] for name, token in self.truth["tokens"].items()}
        found |= {pool["name"]: pool["hazard"] for pool in self.truth["pools"]}
        return {name: hazard["evidence"] for name, hazard in found.items() if hazard}

    def open_after(self, block: int) -> dict[frozenset[Hop], Row]:
        """The last word on each cycle that is open, by its hops."""
        found: dict[int, Row] = {}
        for row in self.rows:
            if row["block"] > block:
                break
            if row["type"] == "ArbitragePath":
                found[row["path"]] = row
            elif row["type"] == "OpportunityClosed":
                del found[row["path"]]
        return {frozenset(self.hops(row)): row for row in found.values()}

    def hops(self, row: Row) -> list[Hop]:
        numbers = range(row["hops"])
        return [
            ("0x" + self.address(row[f"pool{k}"]).hex(), bool(row["zero_for_one"] >> k & 1)) for k in numbers
        ]

    def said(self, row: Row) -> Said:
        """What an open cycle says that it pays."""
        amount_in, profit = int(row["amount_in"]), int(row["profit"])
        outs = [int(row[f"amount_out{k}"]) for k in range(row["hops"] - 1)]
        return self.hops(row), amount_in, [*outs, amount_in + profit], profit

    def token_in(self, row: Row) -> Any:
        pool, zero_for_one = self.hops(row)[0]
        return self.named[pool]["token0" if zero_for_one else "token1"]

    def hazards(self, hops: frozenset[Hop]) -> set[str]:
        """Names of what is hostile on a way."""
        symbols = {self.named[pool]["name"] for pool, _ in hops}
        symbols |= {symbol for pool, _ in hops for symbol in self.named[pool]["symbols"]}
        return symbols & set(self.evidence)


@functools.cache
def stream() -> Stream:
    return Stream()


def hops_of(cycle: dict[str, Any]) -> frozenset[Hop]:
    return frozenset((step["pool"], step["zeroForOne"]) for step in cycle["steps"])


@pytest.mark.slow
@pytest.mark.compiled
def test_honest_cycles_that_pay_are_open_with_at_least_that_profit() -> None:
    """Also those in which a pool takes only a part of its input."""
    one, held = stream(), 0
    by_block = defaultdict(list)
    for cycle in one.cycles:
        if "hazards" not in cycle and int(cycle["profit"] or 0) > 0:
            by_block[cycle["block"]].append(cycle)
    for block, cycles in by_block.items():
        found = one.open_after(block)
        for cycle in cycles:
            row = found[hops_of(cycle)]
            if one.token_in(row) == cycle["start"]:
                assert row["profit"] >= int(cycle["profit"])
                held += 1
    assert held > 900


@pytest.mark.slow
@pytest.mark.compiled
def test_nothing_goes_through_what_the_logs_have_shown_to_be_hostile() -> None:
    one = stream()
    for block in one.truth["meta"]["asked"]:
        for hops in one.open_after(block):
            for name in one.hazards(hops):
                shown = one.evidence[name]
                assert shown is None or block < shown, (block, name)


@pytest.mark.slow
@pytest.mark.compiled
def test_every_open_cycle_was_executed_after_every_block_and_paid_what_it_says() -> None:
    """But for those through what the logs had not shown to be hostile by then, which `UNPAID` names.

    Where better inputs are found than when they were executed, execute them anew: tests/streams/README.md says how.
    """
    one, held, alone = stream(), 0, set()
    executed = read_document("adversarial", "executed.json")
    for block in range(1, one.truth["meta"]["blocks"] + 1):
        opened = in_order(one.said(row) for row in one.open_after(block).values())
        given = executed.pop(str(block), {"paid": 0, "digest": digest([]), "otherwise": {}})
        places = {place: why for why, listed in given["otherwise"].items() for place in listed}
        paid = [said for place, said in enumerate(opened) if place not in places]
        assert (len(paid), digest(paid)) == (given["paid"], given["digest"]), block
        for place, why in places.items():
            hazards = one.hazards(frozenset(opened[place][0]))
            shown = {name for name in hazards if block >= (one.evidence[name] or block + 1)}
            assert hazards & UNPAID and not shown, (block, why, hazards)
            alone |= hazards if len(hazards) == 1 else set()
        held += len(paid)
    assert not executed and held > 30_000 and alone == UNPAID


@pytest.mark.slow
@pytest.mark.compiled
def test_what_is_open_without_evidence_is_open_with_less_confidence() -> None:
    one = stream()
    sure = {"uni3:UNI/DAI:3000"}  # honest; announced falsely first
    for row, report in zip(one.rows[1:], one.rows, strict=False):
        if row["type"] == "ArbitragePath":
            hazards = one.hazards(frozenset(one.hops(row)))
            never = {name for name in hazards if one.evidence[name] is None} - sure
            assert never <= BLIND
            if "HONEY" in hazards:
                assert report["type"] == "ArbitrageOpportunity" and report["confidence"] <= 0.5


@pytest.mark.slow
@pytest.mark.compiled
def test_false_announcements_neither_bar_an_honest_pool_nor_give_it_a_fee() -> None:
    one = stream()
    for lie in one.truth["meta"]["lies"]:
        told, known = one.pools[lie["pool"]], one.named[lie["pool"]]
        assert told["complete"] and told["fee"] == known["fee"] and told["token0"] == known["token0"]
