"""The table of opportunities: symbols and decimals where known, strangers' text made harmless."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from disruptor.engine.open_paths import Total
from disruptor.engine.opportunity_rows import Hop, Opportunity
from disruptor.engine.tables import (
    amount_text,
    opportunity_json,
    opportunity_table,
    print_opportunities,
    scaled,
    token_name,
    total_json,
    total_lines,
)

WETH, USDC, DAI = b"\xc0" * 20, b"\xa0" * 20, b"\xda" * 20
TOKENS = {WETH: ("WETH", 18), USDC: ("USDC", 6)}
HOPS = (
    Hop(pool=b"\x11" * 20, kind=3, fee=500, zero_for_one=False, token_in=WETH, amount_out=1_500_000),
    Hop(pool=b"\x22" * 20, kind=2, fee=3000, zero_for_one=True, token_in=USDC, amount_out=7),
    Hop(
        pool=b"\x33" * 20, kind=0, fee=None, zero_for_one=True, token_in=DAI, amount_out=10**18 + 25 * 10**16
    ),
)
ROW = Opportunity(
    sequence=5,
    block=17_000_000,
    opened_block=16_999_998,
    open=True,
    hops=HOPS,
    amount_in=10**18,
    profit=25 * 10**16,
    cost=10**15,
    gas=310_000,
    gas_cost_wei=10**15,
    spread_bps=12.345,
    confidence=0.5,
    gas_unknown=False,
    token_unknown=False,
)


def _text(rows, tokens=TOKENS, *, whole=True):
    out = io.StringIO()
    Console(file=out, width=240).print(opportunity_table(rows, tokens, whole=whole))
    return out.getvalue()


def test_a_row_shows_route_pools_amounts_and_gas():
    text = _text([ROW])
    for part in (
        "17000000",
        "WETH > USDC > 0xdada…dada > WETH",
        "0x" + "11" * 20 + " v3 0.05%",
        "0x" + "22" * 20 + " v2 0.3%",
        "0x" + "33" * 20 + "  ",
        "1 WETH",
        "(1000000000000000000)",
        "0.25 WETH",
        "(250000000000000000)",
        "12.35",
        "310,000 gas",
        "(1000000000000000)",
        "open",
    ):
        assert part in text


def test_a_row_says_how_it_ended_and_what_to_mind():
    text = _text([ROW._replace(open=False, gas_unknown=True, token_unknown=True, gas_cost_wei=0)])
    for part in ("closed", "cost of gas unknown", "token unproven"):
        assert part in text and part not in _text([ROW])
    assert "(0)" not in text


def test_unknown_tokens_are_short_addresses_and_raw_amounts():
    text = _text([ROW], {}, whole=False)
    assert "0xc0c0…c0c0 > 0xa0a0…a0a0 > 0xdada…dada > 0xc0c0…c0c0" in text
    assert "1000000000000000000 raw 0xc0c0…c0c0" in text
    assert "0x1111…1111 v3 0.05%" in text
    assert "> ? > ?" in _text(
        [ROW._replace(hops=(HOPS[0], HOPS[1]._replace(token_in=None), HOPS[0]._replace(token_in=None)))]
    )


def test_no_rows_say_so():
    assert "no opportunities" in _text([])


@pytest.mark.parametrize("symbol", ["[red]A[/red]", "A\x1b[31mB", "A\nB", "X" * 100, ""])
def test_a_symbol_cannot_disturb_the_table(symbol):
    name = token_name(USDC, {USDC: (symbol, 18)})
    assert name and len(name) <= 16 and name.isprintable()
    assert name in _text([ROW], {USDC: (symbol, 18)})


def test_the_printed_table_is_not_cut_where_stdout_is_no_terminal(capsys):
    print_opportunities([ROW], TOKENS)
    assert "0x" + "22" * 20 in capsys.readouterr().out


def test_json_has_the_route_and_exact_amounts():
    assert opportunity_json(ROW, TOKENS) == {
        "sequence": 5,
        "block": 17_000_000,
        "opened_block": 16_999_998,
        "open": True,
        "token_in": "0x" + "c0" * 20,
        "symbols": ["WETH", "USDC", None, "WETH"],
        "amount_in": str(10**18),
        "amount_in_decimal": "1.000000000000000000",
        "profit": str(25 * 10**16),
        "profit_decimal": "0.250000000000000000",
        "cost": str(10**15),
        "cost_decimal": "0.001000000000000000",
        "gas": 310_000,
        "gas_cost_wei": str(10**15),
        "gas_unknown": False,
        "token_unknown": False,
        "confidence": 0.5,
        "spread_bps": 12.345,
        "path": [
            {
                "pool": "0x" + "11" * 20,
                "kind": "uniswap_v3",
                "fee": 500,
                "zero_for_one": False,
                "token_in": "0x" + "c0" * 20,
                "amount_out": "1500000",
            },
            {
                "pool": "0x" + "22" * 20,
                "kind": "uniswap_v2",
                "fee": 3000,
                "zero_for_one": True,
                "token_in": "0x" + "a0" * 20,
                "amount_out": "7",
            },
            {
                "pool": "0x" + "33" * 20,
                "kind": "unknown",
                "fee": None,
                "zero_for_one": True,
                "token_in": "0x" + "da" * 20,
                "amount_out": "1250000000000000000",
            },
        ],
    }
    bare = opportunity_json(ROW, {})
    assert bare["symbols"] == [None] * 4 and not any(name.endswith("_decimal") for name in bare)


def test_totals_say_how_they_were_added_up():
    totals = [Total(USDC, 1_500_000, 0, 2, 3, 2), Total(DAI, 12, 1, 0, 1, 0)]
    first, *lines = total_lines(totals, TOKENS)
    assert "greedily" in first and "overlapping ones are never summed" in first
    assert lines == [
        "  1.5 USDC (1500000) before costs of 0 USDC (0), gas of 2 not known: 3 taken, 2 left out",
        "  12 raw 0xdada…dada before costs of 1 raw 0xdada…dada: 1 taken, 0 left out",
    ]
    assert total_lines([], TOKENS) == ["open at the end: none"]
    assert total_json(totals[0], TOKENS) == {
        "token": "0x" + "a0" * 20,
        "symbol": "USDC",
        "profit": "1500000",
        "profit_decimal": "1.500000",
        "cost": "0",
        "cost_decimal": "0.000000",
        "gas_unknown": 2,
        "taken": 3,
        "left_out": 2,
    }


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [(0, 6, "0"), (1, 18, "0.000000000000000001"), (123456789, 6, "123.457"), (2 * 10**24, 18, "2000000")],
)
def test_amounts_for_people_have_six_digits(amount, decimals, text):
    assert amount_text(amount, WETH, {WETH: ("T", decimals)}) == f"{text} T ({amount})"


def test_scaling_keeps_all_78_digits_of_a_word():
    assert str(scaled(2**256 - 1, 0)) == str(2**256 - 1)
