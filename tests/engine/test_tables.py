"""The table of opportunities: symbols and decimals where known, strangers' text made harmless."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from disruptor.engine.opportunities import Opportunity
from disruptor.engine.tables import (
    amount_text,
    opportunity_json,
    opportunity_table,
    print_opportunities,
    scaled,
    token_name,
)

WETH, USDC = b"\xc0" * 20, b"\xa0" * 20
TOKENS = {WETH: ("WETH", 18), USDC: ("USDC", 6)}
ROW = Opportunity(
    sequence=5,
    block=17_000_000,
    token0=USDC,
    token1=WETH,
    buy_pool=b"\x11" * 20,
    sell_pool=b"\x22" * 20,
    spread_bps=12.345,
    depth0=1_500_000,
    depth1=2 * 10**18,
)


def _text(rows, tokens=TOKENS, *, whole=True):
    out = io.StringIO()
    Console(file=out, width=240).print(opportunity_table(rows, tokens, whole=whole))
    return out.getvalue()


def test_a_row_shows_block_pair_pools_spread_and_depth():
    text = _text([ROW])
    for part in ("17000000", "USDC/WETH", "0x" + "11" * 20, "0x" + "22" * 20, "12.35", "1.5 USDC (1500000)"):
        assert part in text
    assert "2 WETH (2000000000000000000)" in text


def test_unknown_tokens_are_short_addresses_and_raw_amounts():
    text = _text([ROW], {}, whole=False)
    assert "0xa0a0…a0a0/0xc0c0…c0c0" in text
    assert "1500000 raw 0xa0a0…a0a0" in text
    assert "0x1111…1111" in text


def test_depth_has_no_column_where_none_is_known():
    assert "depth" not in _text([ROW._replace(depth0=None, depth1=None)])


def test_no_rows_say_so():
    assert "no opportunities" in _text([])


@pytest.mark.parametrize("symbol", ["[red]A[/red]", "A\x1b[31mB", "A\nB", "X" * 100, ""])
def test_a_symbol_cannot_disturb_the_table(symbol):
    name = token_name(WETH, {WETH: (symbol, 18)})
    assert name and len(name) <= 16 and name.isprintable()
    assert name in _text([ROW._replace(token0=WETH)], {WETH: (symbol, 18)})


def test_the_printed_table_is_not_cut_where_stdout_is_no_terminal(capsys):
    print_opportunities([ROW], TOKENS)
    assert "0x" + "22" * 20 in capsys.readouterr().out


def test_amounts_are_exact_in_json():
    row = opportunity_json(ROW._replace(depth1=10**30 + 1), TOKENS)
    assert row == {
        "sequence": 5,
        "block": 17_000_000,
        "pair": ["0x" + "a0" * 20, "0x" + "c0" * 20],
        "symbols": ["USDC", "WETH"],
        "buy_pool": "0x" + "11" * 20,
        "sell_pool": "0x" + "22" * 20,
        "spread_bps": 12.345,
        "depth0": "1500000",
        "depth0_decimal": "1.500000",
        "depth1": str(10**30 + 1),
        "depth1_decimal": "1000000000000.000000000000000001",
    }
    assert opportunity_json(ROW, {})["symbols"] == [None, None]
    assert "depth0_decimal" not in opportunity_json(ROW, {})


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [(0, 6, "0"), (1, 18, "0.000000000000000001"), (123456789, 6, "123.457"), (2 * 10**24, 18, "2000000")],
)
def test_amounts_for_people_have_six_digits(amount, decimals, text):
    assert amount_text(amount, WETH, {WETH: ("T", decimals)}) == f"{text} T ({amount})"


def test_scaling_keeps_all_78_digits_of_a_word():
    assert str(scaled(2**256 - 1, 0)) == str(2**256 - 1)
