"""The oracle of Uniswap's arithmetic against recorded answers of the contracts."""

from __future__ import annotations

import json

import pytest

from tests.support import uniswap_oracle as oracle
from tests.support.streams import read_document, read_lines, unpack
from tests.support.uniswap_ledger import Ledger, quote

VECTORS = read_document("v3_maths", "vectors.json")
FUNCTIONS = {
    "mulDiv": oracle.mul_div,
    "mulDivRoundingUp": lambda a, b, d: oracle.mul_div(a, b, d, up=True),
    "addDelta": oracle.add_delta,
    "sqrtRatioAtTick": oracle.sqrt_ratio_at_tick,
    "tickAtSqrtRatio": oracle.tick_at_sqrt_ratio,
    "amount0Delta": lambda a, b, c, up: oracle.amount0_delta(a, b, c, up=up),
    "amount1Delta": lambda a, b, c, up: oracle.amount1_delta(a, b, c, up=up),
    "nextPriceFromInput": oracle.next_price_from_input,
    "nextPriceFromOutput": oracle.next_price_from_output,
    "swapStep": oracle.compute_swap_step,
}


@pytest.mark.parametrize("name", VECTORS)
def test_oracle_answers_as_the_libraries_do(name):
    for arguments, answers in VECTORS[name]:
        given = [a if isinstance(a, bool) else int(a) for a in arguments]
        try:
            found = FUNCTIONS[name](*given)
        except oracle.Revert as refused:
            # Solidity's own refusals have no words.
            assert answers in ("", str(refused)), arguments
        else:
            assert [str(f) for f in (found if isinstance(found, tuple) else (found,))] == answers, arguments


def test_oracle_has_the_recorded_state_after_every_block(tmp_path):
    ledger = Ledger(unpack("v3_swaps", tmp_path))
    follow(ledger, read_lines("v3_swaps", "truth_blocks.jsonl"))


@pytest.mark.slow
def test_oracle_has_the_contracts_state_in_the_larger_stream(data_dir):
    ledger = Ledger(data_dir / "evm")
    follow(ledger, map(json.loads, (data_dir / "evm" / "truth_blocks.jsonl").open()))


def follow(ledger, truth):
    compared = 0
    for row in truth:
        ledger.advance(row["block"])
        for address, expected in row["pools"].items():
            known = expected[: 2 if address in ledger.reserves else None]
            assert ledger.state_of(address) == [int(v) for v in known], (row["block"], address)
            compared += 1
    assert compared > 400
    assert not ledger.unexplained


@pytest.mark.slow
def test_oracle_quotes_as_the_contracts_do(data_dir):
    ledger = Ledger(data_dir / "evm")
    quotes = json.loads((data_dir / "evm" / "quotes.json").read_text())["quotes"]
    for asked in sorted(quotes, key=lambda q: q["block"]):
        ledger.advance(asked["block"])
        amount, price = quote(ledger, asked)
        assert amount == int(asked["result"])
        assert price == int(asked.get("sqrtPriceX96After", 0))
