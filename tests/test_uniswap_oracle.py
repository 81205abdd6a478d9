"""The oracle of Uniswap's arithmetic against recorded answers of the contracts (needs DISRUPTOR_DATA)."""

from __future__ import annotations

import json

from tests.support.uniswap_ledger import Ledger, quote


def test_oracle_has_the_contracts_state_after_every_block(data_dir):
    ledger = Ledger(data_dir / "evm")
    compared = 0
    for line in (data_dir / "evm" / "truth_blocks.jsonl").open():
        row = json.loads(line)
        ledger.advance(row["block"])
        for address, expected in row["pools"].items():
            assert ledger.state_of(address) == [
                int(v) for v in expected[: 2 if len(expected) == 3 else None]
            ], (row["block"], address)
            compared += 1
    assert compared > 1000
    assert not ledger.unexplained


def test_oracle_quotes_as_the_contracts_do(data_dir):
    ledger = Ledger(data_dir / "evm")
    quotes = json.loads((data_dir / "evm" / "quotes.json").read_text())["quotes"]
    for asked in sorted(quotes, key=lambda q: q["block"]):
        ledger.advance(asked["block"])
        amount, price = quote(ledger, asked)
        assert amount == int(asked["result"])
        assert price == int(asked.get("sqrtPriceX96After", 0))
