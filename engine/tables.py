"""Opportunities for people: a rich table, with symbols and decimal amounts where a token list knows them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from disruptor.engine.opportunities import Opportunity

#: Token address -> symbol, decimals.
Tokens = dict[bytes, tuple[str, int]]
#: Wide enough for whole addresses where nobody looks at a screen.
_FILE_WIDTH = 240
_WHOLE_ADDRESS_WIDTH = 180
_SYMBOL_MAX = 16
_SIX_DIGITS = Context(prec=6)


def print_opportunities(rows: Sequence[Opportunity], tokens: Tokens) -> None:
    """Print the table on stdout."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(opportunity_table(rows, tokens, whole=console.width >= _WHOLE_ADDRESS_WIDTH))


def opportunity_table(rows: Sequence[Opportunity], tokens: Tokens, *, whole: bool = True) -> Table:
    """A table of opportunities, one row each in the order given.

    Parameters
    ----------
    rows : best first
    tokens : symbols and decimals by address; others are shown as short addresses and raw amounts
    whole : show pool addresses whole
    """
    with_depth = any(row.depth0 is not None or row.depth1 is not None for row in rows)
    table = Table(title=None if rows else "no opportunities")
    table.add_column("block", justify="right")
    table.add_column("pair")
    table.add_column("buy from pool", overflow="fold")
    table.add_column("sell to pool", overflow="fold")
    table.add_column("spread bps", justify="right")
    if with_depth:
        table.add_column("depth (raw)", justify="right", overflow="fold")
    for row in rows:
        cells = [
            str(row.block),
            f"{token_name(row.token0, tokens)}/{token_name(row.token1, tokens)}",
            address_name(row.buy_pool, whole=whole),
            address_name(row.sell_pool, whole=whole),
            f"{row.spread_bps:.2f}",
        ]
        if with_depth:
            depths = ((row.depth0, row.token0), (row.depth1, row.token1))
            cells.append("\n".join(amount_text(d, t, tokens) for d, t in depths if d is not None))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def opportunity_json(row: Opportunity, tokens: Tokens) -> dict[str, Any]:
    """One opportunity as a JSON object: addresses in hex, amounts as decimal strings."""
    answer: dict[str, Any] = {
        "sequence": row.sequence,
        "block": row.block,
        "pair": [f"0x{row.token0.hex()}", f"0x{row.token1.hex()}"],
        "symbols": [tokens[t][0] if t in tokens else None for t in (row.token0, row.token1)],
        "buy_pool": f"0x{row.buy_pool.hex()}" if row.buy_pool else None,
        "sell_pool": f"0x{row.sell_pool.hex()}" if row.sell_pool else None,
        "spread_bps": row.spread_bps,
    }
    for name, depth, token in (("depth0", row.depth0, row.token0), ("depth1", row.depth1, row.token1)):
        if depth is not None:
            answer[name] = str(depth)
            if token in tokens:
                answer[f"{name}_decimal"] = format(scaled(depth, tokens[token][1]), "f")
    return answer


def token_name(token: bytes, tokens: Tokens) -> str:
    """The symbol of a token, or its short address. Symbols are strangers' text: only printable signs pass.

    >>> token_name(bytes(19) + b"x", {bytes(19) + b"x": ("WETH", 18)})
    'WETH'
    """
    symbol = "".join(sign for sign in tokens[token][0] if sign.isprintable()) if token in tokens else ""
    return symbol[:_SYMBOL_MAX] or address_name(token, whole=False)


def address_name(address: bytes | None, *, whole: bool) -> str:
    """An address in hex, whole or as `0x1234…cdef`.

    >>> address_name(bytes(18) + bytes([0xAB, 0xCD]), whole=False)
    '0x0000…abcd'
    """
    if address is None:
        return "?"
    text = address.hex()
    return f"0x{text}" if whole else f"0x{text[:4]}…{text[-4:]}"


def amount_text(amount: int, token: bytes, tokens: Tokens) -> str:
    """A raw amount, after its decimal-adjusted form where the token is known.

    >>> amount_text(1500000, b"t", {b"t": ("USDC", 6)})
    '1.5 USDC (1500000)'
    """
    if token not in tokens:
        return f"{amount} raw {token_name(token, tokens)}"
    short = scaled(amount, tokens[token][1]).normalize(_SIX_DIGITS)
    return f"{short:f} {token_name(token, tokens)} ({amount})"


def scaled(amount: int, decimals: int) -> Decimal:
    """The exact amount in whole tokens."""
    return Decimal(amount).scaleb(-decimals, Context(prec=100))
