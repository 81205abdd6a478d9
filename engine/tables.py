"""Opportunities for people: a rich table, with symbols and decimal amounts where a token list knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from disruptor.engine.open_paths import Total
from disruptor.engine.opportunity_rows import Hop, Opportunity
from disruptor.handlers.messages import KIND_NAMES

#: Token address -> symbol, decimals.
Tokens = dict[bytes, tuple[str, int]]
#: Kind of pool -> name.
Kinds = Mapping[int, str]
#: Wide enough for whole addresses where nobody looks at a screen.
_FILE_WIDTH = 240
_WHOLE_ADDRESS_WIDTH = 180
_SYMBOL_MAX = 16
_SIX_DIGITS = Context(prec=6)
#: A fee of one percent, in millionths.
_PERCENT = 10_000


def print_opportunities(rows: Sequence[Opportunity], tokens: Tokens, kinds: Kinds = KIND_NAMES) -> None:
    """Print the table on stdout."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    console.print(opportunity_table(rows, tokens, kinds, whole=console.width >= _WHOLE_ADDRESS_WIDTH))


def opportunity_table(
    rows: Sequence[Opportunity], tokens: Tokens, kinds: Kinds = KIND_NAMES, *, whole: bool = True
) -> Table:
    """A table of opportunities, one row each in the order given.

    Parameters
    ----------
    rows : best first
    tokens : symbols and decimals by address; others are shown as short addresses and raw amounts
    kinds : names of kinds of pools
    whole : show pool addresses whole
    """
    table = Table(title=None if rows else "no opportunities")
    table.add_column("block", justify="right")
    table.add_column("route")
    table.add_column("pools", overflow="fold")
    table.add_column("amount in (raw)", justify="right", overflow="fold")
    table.add_column("profit (raw)", justify="right", overflow="fold")
    table.add_column("spread bps", justify="right")
    table.add_column("gas (wei)", justify="right")
    table.add_column("at the end")
    for row in rows:
        cells = (
            str(row.block),
            route_text(row, tokens),
            "\n".join(hop_text(hop, kinds, whole=whole) for hop in row.hops),
            amount_text(row.amount_in, row.token, tokens, raw_below=True),
            amount_text(row.profit, row.token, tokens, raw_below=True),
            f"{row.spread_bps:.2f}",
            gas_text(row),
            state_text(row),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def total_lines(totals: Sequence[Total], tokens: Tokens) -> list[str]:
    """What is open at the end would pay, by token; and how that was added up."""
    if not totals:
        return ["open at the end: none"]
    lines = [
        "open at the end, added up greedily for each token: the most profitable first, "
        "without those that share a pool with one taken; overlapping ones are never summed"
    ]
    for total in totals:
        profit = amount_text(total.profit, total.token, tokens)
        cost = amount_text(total.cost, total.token, tokens)
        gas = f", gas of {total.gas_unknown:,} not known" if total.gas_unknown else ""
        lines.append(
            f"  {profit} before costs of {cost}{gas}: {total.taken:,} taken, {total.left_out:,} left out"
        )
    return lines


def opportunity_json(row: Opportunity, tokens: Tokens, kinds: Kinds = KIND_NAMES) -> dict[str, Any]:
    """One opportunity as a JSON object: addresses in hex, amounts as decimal strings."""
    return {
        "sequence": row.sequence,
        "block": row.block,
        "opened_block": row.opened_block,
        "open": row.open,
        "token_in": _hex(row.token),
        "symbols": [_symbol(token, tokens) for token in route(row)],
        **_amount("amount_in", row.amount_in, row.token, tokens),
        **_amount("profit", row.profit, row.token, tokens),
        **_amount("cost", row.cost, row.token, tokens),
        "gas": row.gas,
        "gas_cost_wei": str(row.gas_cost_wei),
        "gas_unknown": row.gas_unknown,
        "token_unknown": row.token_unknown,
        "confidence": row.confidence,
        "spread_bps": row.spread_bps,
        "path": [
            {
                "pool": _hex(hop.pool),
                "kind": kinds.get(hop.kind, str(hop.kind)),
                "fee": hop.fee,
                "zero_for_one": hop.zero_for_one,
                "token_in": _hex(hop.token_in),
                "amount_out": str(hop.amount_out),
            }
            for hop in row.hops
        ],
    }


def total_json(total: Total, tokens: Tokens) -> dict[str, Any]:
    """One greedy total as a JSON object."""
    return {
        "token": _hex(total.token),
        "symbol": _symbol(total.token, tokens),
        **_amount("profit", total.profit, total.token, tokens),
        **_amount("cost", total.cost, total.token, tokens),
        "gas_unknown": total.gas_unknown,
        "taken": total.taken,
        "left_out": total.left_out,
    }


def route(row: Opportunity) -> list[bytes | None]:
    """The tokens along a cycle, the first one again at its end."""
    return [*(hop.token_in for hop in row.hops), row.token]


def route_text(row: Opportunity, tokens: Tokens) -> str:
    """The tokens along a cycle by name: `WETH > USDC > WETH`."""
    return " > ".join(token_name(token, tokens) for token in route(row))


def hop_text(hop: Hop, kinds: Kinds = KIND_NAMES, *, whole: bool) -> str:
    """A pool, with its kind and fee where they are known.

    >>> hop_text(Hop(bytes(18) + bytes([0xAB, 0xCD]), 3, 500, True, None, 1), whole=False)
    '0x0000…abcd v3 0.05%'
    """
    if hop.fee is None:
        return address_name(hop.pool, whole=whole)
    kind = kinds.get(hop.kind, str(hop.kind)).removeprefix("uniswap_")
    return f"{address_name(hop.pool, whole=whole)} {kind} {hop.fee / _PERCENT:g}%"


def gas_text(row: Opportunity) -> str:
    """Units of gas, and below them what they cost where that is known."""
    return f"{row.gas:,} gas" + (f"\n({row.gas_cost_wei})" if row.gas_cost_wei else "")


def state_text(row: Opportunity) -> str:
    """Whether an opening lasts to the end of the run, and what to mind about it."""
    words = ["open" if row.open else "closed"]
    words += ["cost of gas unknown"] if row.gas_unknown else []
    words += ["token unproven"] if row.token_unknown else []
    return "\n".join(words)


def token_name(token: bytes | None, tokens: Tokens) -> str:
    """The symbol of a token, or its short address. Symbols are strangers' text: only printable signs pass.

    >>> token_name(bytes(19) + b"x", {bytes(19) + b"x": ("WETH", 18)})
    'WETH'
    """
    known = tokens.get(token) if token is not None else None
    symbol = "".join(sign for sign in known[0] if sign.isprintable()) if known else ""
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


def amount_text(amount: int, token: bytes | None, tokens: Tokens, *, raw_below: bool = False) -> str:
    """A raw amount, after or below its decimal-adjusted form where the token is known.

    >>> amount_text(1500000, b"t", {b"t": ("USDC", 6)})
    '1.5 USDC (1500000)'
    """
    if token is None or token not in tokens:
        return f"{amount} raw {token_name(token, tokens)}"
    short = scaled(amount, tokens[token][1]).normalize(_SIX_DIGITS)
    between = "\n" if raw_below else " "
    return f"{short:f} {token_name(token, tokens)}{between}({amount})"


def scaled(amount: int, decimals: int) -> Decimal:
    """The exact amount in whole tokens."""
    return Decimal(amount).scaleb(-decimals, Context(prec=100))


def _amount(name: str, amount: int, token: bytes | None, tokens: Tokens) -> dict[str, str]:
    """A raw amount by name, and its decimal form where the token is known."""
    answer = {name: str(amount)}
    if token is not None and token in tokens:
        answer[f"{name}_decimal"] = format(scaled(amount, tokens[token][1]), "f")
    return answer


def _symbol(token: bytes | None, tokens: Tokens) -> str | None:
    return tokens[token][0] if token is not None and token in tokens else None


def _hex(address: bytes | None) -> str | None:
    return f"0x{address.hex()}" if address is not None else None
