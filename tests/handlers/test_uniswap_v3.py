"""Swaps over tables: against the contracts' own answers after every call, and against the oracle on made-up pools."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from disruptor.handlers import reverts
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT
from disruptor.status import OK
from tests.support.streams import read_document, read_lines
from tests.support.uniswap_ledger import INITIALIZE, words
from tests.support.uniswap_oracle import MAX_RATIO, MIN_RATIO, Pool, Revert, Tick, sqrt_ratio_at_tick, tick_at_sqrt_ratio
from tests.support.uniswap_state import CHANGE, COLLECT, FLASH, GROW, PROTOCOL, QUOTE, START, STATE_FIELDS, SWAP, Tables
from tests.support.wide_records import number

#: What the lane without a compiler has time for: this many calls, of pools whose range has few words.
SOME_CALLS, SOME_SPACING = 200, 60
ENDS = {True: int(LOWEST_LIMIT), False: int(HIGHEST_LIMIT)}


def state_told(action):
    return [number(action[name]) for name in STATE_FIELDS]


class Recording:
    """The recorded stream of calls as actions; calls that left the state alone become quotes or nothing."""

    def __init__(self):
        truth = read_document("v3_swaps", "truth.json")
        self.ids = {pool["address"]: k for k, pool in enumerate(truth["pools"])}
        self.pools = truth["pools"]
        self.last = truth["snapshots"][-1]["pools"]
        self.times = {b["number"]: b["timestamp"] for b in read_lines("v3_swaps", "blocks.jsonl")}
        self.logs = {}
        self.starts = []
        for entry in read_lines("v3_swaps", "logs.jsonl"):
            block = int(entry["blockNumber"], 16)
            self.logs[block, int(entry["logIndex"], 16)] = entry
            if entry["topics"][0] == INITIALIZE:
                price, tick = words(entry)
                fields = {"kind": START, "limit": price, "lower": tick, "timestamp": self.times[block]}
                self.starts.append(fields | {"pool": self.ids[entry["address"]]})

    def spacing(self, call):
        return self.pools[self.ids[call["pool"]]]["tickSpacing"]

    def action(self, call):
        """What a call does to the tables, or None."""
        name, given = call["call"], call["arguments"]
        made = {"pool": self.ids[call["pool"]], "timestamp": self.times[call["block"]]}
        if name == "swap":
            amount = int(given[2])
            made |= {"kind": SWAP, "zero_for_one": given[1], "exact_in": amount > 0}
            return made | {"amount": abs(amount), "limit": int(given[3])}
        if "error" in call:
            return None
        if name in ("mint", "burn"):
            lower, upper, amount = given[1:4] if name == "mint" else (*given[:2], -int(given[2]))
            return made | {"kind": CHANGE, "lower": lower, "upper": upper, "amount": int(amount)}
        if name == "setFeeProtocol":
            return made | {"kind": PROTOCOL, "count": given[0] | given[1] << 4}
        if name == "increaseObservationCardinalityNext":
            current = call["state"][9]
            return made | {"kind": GROW, "count": max(given[0], current)}
        if name in ("flash", "collectProtocol"):
            first, second = words(self.logs[call["block"], call["log"]])[-2:]
            kind = FLASH if name == "flash" else COLLECT
            return made | {"kind": kind, "amount": first, "limit": second}
        return None


@pytest.fixture(scope="module")
def recording():
    return Recording()


def test_pool_is_the_contracts_after_every_call(recording, lane):
    """Swaps exact in, exact out and limited, partly filled, to the last wei before a tick, over gaps and to the ends."""
    tables = Tables()
    for k, pool in enumerate(recording.pools):
        tables.create(k, pool["fee"], pool["tickSpacing"])
    tables.act(recording.starts)
    calls = list(read_lines("v3_swaps", "truth_actions.jsonl"))
    if lane == "nojit":
        calls = [call for call in calls if recording.spacing(call) >= SOME_SPACING][:SOME_CALLS]
    pairs = [(call, made) for call in calls if (made := recording.action(call))]
    done = tables.act(made for _, made in pairs)
    for (call, _), action in zip(pairs, done, strict=True):
        where = call["block"], call["tx"], call["call"]
        assert state_told(action) == [int(v) for v in call["state"]], where
        if "error" in call:
            assert reverts.REASONS[int(action["status"])] == call["error"], where
        else:
            assert int(action["status"]) == OK, where
        if call["call"] == "swap" and "error" not in call:
            moved = [number(action[name], signed=True) for name in ("amount0", "amount1")]
            assert moved == [int(v) for v in call["answer"]], where
    if lane != "nojit":
        for address, k in recording.ids.items():
            ends = recording.last[address]
            assert tables.ticks_of(k) == {int(t): tick_told(at) for t, at in ends["ticks"].items()}
            assert tables.words_of(k) == {int(w): int(bits) for w, bits in ends["tickBitmap"].items()}


def tick_told(at):
    names = ("liquidityGross", "liquidityNet", "feeGrowthOutside0X128", "feeGrowthOutside1X128")
    return [int(at[name]) for name in names]
