"""Symbols and decimals of tokens, for people's eyes only: nothing that is computed or digested uses them.

Read from a Uniswap token list (tokenlists.org), or from a table with an address column: cryo's
`erc20_metadata` (Parquet or CSV) or ethereum-etl's `tokens`. A symbol is somebody else's text: what can't be
printed is left out of it, and it is cut at `SYMBOL_LENGTH_MAX`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from disruptor.errors import InputError
from disruptor.feeds.arrow_columns import fixed_column, integer_column, is_bytes
from disruptor.feeds.compression import open_recorded
from disruptor.feeds.csv_reader import line_error
from disruptor.feeds.paths import expand_paths
from disruptor.feeds.recognise import JSON, UTF8_MARK, read_head, recognise
from disruptor.feeds.tables import TablePart, match_columns, read_parts

Token = tuple[bytes, str, int, int]  # address, symbol, decimals, chain id or -1

SYMBOL_LENGTH_MAX = 32
_ALIASES = {
    "address": ("erc20", "address", "token_address"),
    "symbol": ("symbol",),
    "decimals": ("decimals",),
    "chain_id": ("chain_id", "chainId"),
}
_DECIMALS_MAX = 255


def load_tokens(path: str | Path, *, chain_id: int | None = None) -> dict[bytes, tuple[str, int]]:
    """Symbol and decimals by token address.

    Parameters
    ----------
    path : file, folder or pattern; JSON, CSV or Parquet, plain or compressed, told apart by content
    chain_id : leave out tokens that say they are on another chain; None takes all

    Returns
    -------
    dict : address (20 bytes) -> (symbol, decimals). Of several entries for an address the first counts;
        entries without decimals are left out.

    Raises
    ------
    InputError : no token list, or a malformed entry; with file and position.
    """
    tokens: dict[bytes, tuple[str, int]] = {}
    for file in expand_paths([path], "a token list"):
        kind = recognise(read_head(file), file)
        found = _json_tokens(file) if kind == JSON else _table_tokens(file, kind)
        for address, symbol, decimals, chain in found:
            if chain_id is None or chain in (-1, chain_id):
                tokens.setdefault(address, (symbol, decimals))
    return tokens


def printable(symbol: str) -> str:
    """A symbol that can't disturb a terminal.

    >>> printable(" WE\\x1b[2JTH ")
    'WE[2JTH'
    """
    return "".join(letter for letter in symbol if letter.isprintable()).strip()[:SYMBOL_LENGTH_MAX]


def _json_tokens(path: Path) -> Iterator[Token]:
    with io.BufferedReader(open_recorded(path)) as stream:
        content = stream.read().removeprefix(UTF8_MARK)
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise InputError(f"{path}: can't be read as a token list: {problem}", file=str(path)) from None
    listed = whole.get("tokens") if isinstance(whole, dict) else whole
    if not isinstance(listed, list):
        raise InputError(f"{path}: not a token list: expected a list `tokens` of objects", file=str(path))
    for number, item in enumerate(listed, 1):
        try:
            yield _json_token(item)
        except (ValueError, TypeError, KeyError, AttributeError):
            what = "expected an object with address, symbol and decimals"
            raise line_error(str(path), number, what, "token") from None


def _json_token(item: Any) -> Token:
    text, decimals = item["address"], int(item["decimals"])
    if len(text) != 42 or text[:2].lower() != "0x" or not 0 <= decimals <= _DECIMALS_MAX:
        raise ValueError
    return bytes.fromhex(text[2:]), printable(str(item["symbol"])), decimals, int(item.get("chainId", -1))


def _table_tokens(path: Path, kind: str) -> Iterator[Token]:
    required = ("address", "symbol", "decimals")
    for part in read_parts(
        path, kind, lambda found: match_columns(found, _ALIASES, required, path, "tokens")
    ):
        yield from _part_tokens(part)


def _part_tokens(part: TablePart) -> Iterator[Token]:
    columns, fail = part.columns, part.fail
    addresses, present = fixed_column(columns["address"], 20, "address", fail)
    decimals = integer_column(columns["decimals"], "decimals", fail)
    chains = (
        integer_column(columns["chain_id"], "chain_id", fail) if "chain_id" in columns else decimals * 0 - 1
    )
    symbols = columns["symbol"].to_pylist()
    if not is_bytes(columns["symbol"].type) and not pa.types.is_null(columns["symbol"].type):
        raise fail(0, "symbol: expected text")
    for row, symbol in enumerate(symbols):
        if not present[row]:
            raise fail(row, "address: missing")
        if decimals[row] < 0:
            continue
        if decimals[row] > _DECIMALS_MAX:
            raise fail(row, f"decimals: expected at most {_DECIMALS_MAX}, found {decimals[row]}")
        text = symbol.decode(errors="replace") if isinstance(symbol, bytes) else symbol or ""
        yield bytes(addresses[row]), printable(text), int(decimals[row]), int(chains[row])
