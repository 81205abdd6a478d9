"""Token lists: JSON, CSV and Parquet name the same tokens; symbols can't disturb a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from disruptor.errors import InputError
from disruptor.feeds.token_list import SYMBOL_LENGTH_MAX, load_tokens

WETH, USDC = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
EXPECTED = {bytes.fromhex(WETH[2:]): ("WETH", 18), bytes.fromhex(USDC[2:]): ("USDC", 6)}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tokens"
    path.write_text(text)
    return path


def make_list() -> list[dict[str, object]]:
    return [
        {"chainId": 1, "address": WETH, "symbol": "WETH", "decimals": 18, "name": "Wrapped"},
        {"chainId": 1, "address": USDC, "symbol": "USDC", "decimals": 6},
    ]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"name": "l", "tokens": make_list()}),
        json.dumps(make_list()),
        f"address,symbol,name,decimals\n{WETH},WETH,x,18\n{USDC},USDC,,6\n",
        f"block_number,erc20,name,symbol,decimals,chain_id\n1,{WETH},x,WETH,18,1\n1,{USDC},,USDC,6,1\n",
    ],
    ids=["token list", "bare list", "ethereum-etl", "cryo csv"],
)
def test_every_layout_names_the_same_tokens(text: str, tmp_path: Path) -> None:
    assert load_tokens(write(tmp_path, text)) == EXPECTED


@pytest.mark.parametrize("hexed", [False, True])
def test_cryo_metadata_is_read_raw_and_hex(hexed: bool, tmp_path: Path) -> None:
    addresses = [text if hexed else bytes.fromhex(text[2:]) for text in (WETH, USDC)]
    table = {
        "erc20": pa.array(addresses),
        "symbol": ["WETH", "USDC"],
        "decimals": pa.array([18, 6], pa.uint8()),
        "chain_id": pa.array([1, 1], pa.uint64()),
    }
    pq.write_table(pa.table(table), tmp_path / "tokens.parquet")
    assert load_tokens(str(tmp_path / "tokens.parquet")) == EXPECTED


def test_tokens_of_other_chains_can_be_left_out(tmp_path: Path) -> None:
    listed = make_list()
    listed[0]["chainId"] = 10
    path = write(tmp_path, json.dumps({"tokens": listed}))
    assert list(load_tokens(path, chain_id=1).values()) == [("USDC", 6)]
    assert load_tokens(path) == EXPECTED


def test_the_first_entry_counts_and_one_without_decimals_does_not(tmp_path: Path) -> None:
    text = f"address,symbol,decimals\n{WETH},NONE,\n{WETH},WETH,18\n{WETH},FAKE,6\n{USDC},USDC,6\n"
    assert load_tokens(write(tmp_path, text)) == EXPECTED


def test_a_symbol_can_not_disturb_a_terminal(tmp_path: Path) -> None:
    listed = make_list()[:1]
    listed[0]["symbol"] = "\x1b[2J\n" + "W" * 99
    ((symbol, _),) = load_tokens(write(tmp_path, json.dumps(listed))).values()
    assert symbol.isprintable() and len(symbol) == SYMBOL_LENGTH_MAX


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"tokens": 5}', "not a token list"),
        ('{"tokens": [', "can't be read as a token list"),
        ('{"tokens": [{"address": "0x12", "symbol": "A", "decimals": 1}]}', "token 1: expected an object"),
        ('{"tokens": [5]}', "token 1: expected an object"),
        ("address,name\n0x,x\n", "column symbol, decimals missing; found address, name"),
        ("address,symbol,decimals\n0x12,A,1\n", "line 2: address: expected 20 bytes"),
        (f"address,symbol,decimals\n{WETH},A,256\n", "line 2: decimals: expected at most 255"),
        ("address,symbol,decimals\n,A,6\n", "line 2: address: missing"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_tokens(write(tmp_path, text))
