"""Opportunities as this package handles them: many as one array, and the few that people see as objects.

Records and their context belong to the run and are valid during one call only. What is needed of them is copied into
one array of `REPORT`, so that filters, ranks and states are plain functions of it. Objects are made last.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.engine.output import wide_integers
from disruptor.handlers.messages import FLAG_GROSS, FLAG_TOKEN_UNKNOWN, KIND_UNKNOWN
from disruptor.handlers.path_tables import MAX_HOPS
from disruptor.replay.request import OutputContext, PoolAddress, header

#: One opportunity and its route. Arrays of four are by hop; what the route does not have is 0.
REPORT = np.dtype(
    [
        ("sequence", "<i8"),
        ("ordinal", "<i8"),
        ("block", "<u8"),
        ("opened_block", "<u8"),
        ("flags", "<u2"),
        ("path", "<u4"),
        ("hops", "<u4"),
        ("pools", "<u4", MAX_HOPS),
        ("zero_for_one", "<u4"),
        ("kinds", "<u4", MAX_HOPS),
        ("fees", "<u4", MAX_HOPS),
        ("tokens", "u1", (MAX_HOPS, 20)),
        ("amount_in", "<u8", 2),
        ("profit", "<u8", 2),
        ("cost", "<u8", 2),
        ("amounts_out", "<u8", (MAX_HOPS - 1, 2)),
        ("gas", "<u8"),
        ("gas_cost_wei", "<u8"),
        ("spread_bps", "<f8"),
        ("confidence", "<f4"),
    ]
)
_SAME_NAME = ("opened_block", "path", "hops", "zero_for_one", "amount_in", "profit", "cost", "gas_cost_wei")
#: By hop: field of `REPORT`, name of the columns.
_BY_HOP = (("pools", "pool"), ("kinds", "kind"), ("fees", "fee"), ("tokens", "token_in"))


class Hop(NamedTuple):
    """One swap of a cycle. What nobody told is None, or the kind 0; `amount_out` is raw units of the next token."""

    pool: bytes | None
    kind: int
    fee: int | None
    zero_for_one: bool
    token_in: bytes | None
    amount_out: int


class Opportunity(NamedTuple):
    """One opening at its best. Amounts are raw units of the token that the cycle starts and ends with."""

    sequence: int
    block: int
    opened_block: int
    open: bool
    hops: tuple[Hop, ...]
    amount_in: int
    profit: int
    cost: int
    gas: int
    gas_cost_wei: int
    spread_bps: float
    confidence: float
    gas_unknown: bool
    token_unknown: bool

    @property
    def token(self) -> bytes | None:
        """The token that the cycle starts and ends with."""
        return self.hops[0].token_in


def reports_of(records: npt.NDArray[Any], context: OutputContext) -> npt.NDArray[Any]:
    """Opportunities and their routes as an array of `REPORT`.

    Parameters
    ----------
    records : (n,) slots of `ArbitrageOpportunity`
    context : theirs; what stands in `extra` is described in `disruptor.replay.routes`

    Returns
    -------
    Those that have a route, in their order.
    """
    reports = np.zeros(len(records), REPORT)
    extra = context.extra
    if "hops" not in extra:
        return reports[:0]
    reports["sequence"] = header(records, context.message, "sequence")
    reports["ordinal"] = header(records, context.message, "source_sequence")
    reports["flags"] = header(records, context.message, "flags")
    reports["block"] = context.block
    reports["gas"], reports["confidence"] = records["gas_estimate"], records["confidence"]
    reports["spread_bps"] = records["price_diff"]
    for name in _SAME_NAME:
        reports[name] = extra[name]
    reports["tokens"][:, :2] = _first_tokens(records["token_pair"], extra["zero_for_one"])
    for name, column in _BY_HOP:
        for hop in range(MAX_HOPS):
            if f"{column}{hop}" in extra:
                reports[name][:, hop] = extra[f"{column}{hop}"]
    for hop in range(MAX_HOPS - 1):
        reports["amounts_out"][:, hop] = extra[f"amount_out{hop}"]
    return reports[reports["hops"] > 0]


def _first_tokens(pairs: npt.NDArray[np.uint8], zero_for_one: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """(n, 2, 20): what the first two hops sell, from the pair of the first pool."""
    both = pairs.reshape(-1, 2, 20)
    return np.where((zero_for_one & 1).astype(np.bool_)[:, None, None], both, both[:, ::-1])


def is_in_route(reports: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """(n, 4): which hops the routes have."""
    return np.asarray(np.arange(MAX_HOPS) < reports["hops"][:, None])


def opportunity_of(report: Any, pool_address: PoolAddress, *, is_open: bool) -> Opportunity:
    """One report as an object."""
    amount_in, profit, cost = (wide(report[name]) for name in ("amount_in", "profit", "cost"))
    count = int(report["hops"])
    outs = [*(wide(amount) for amount in report["amounts_out"][: count - 1]), amount_in + profit]
    flags = int(report["flags"])
    return Opportunity(
        sequence=int(report["sequence"]),
        block=int(report["block"]),
        opened_block=int(report["opened_block"]),
        open=is_open,
        hops=tuple(
            Hop(
                pool=pool_address(int(report["pools"][hop])),
                kind=int(report["kinds"][hop]),
                fee=int(report["fees"][hop]) if report["kinds"][hop] != KIND_UNKNOWN else None,
                zero_for_one=bool(int(report["zero_for_one"]) >> hop & 1),
                token_in=known_address(report["tokens"][hop]),
                amount_out=outs[hop],
            )
            for hop in range(count)
        ),
        amount_in=amount_in,
        profit=profit,
        cost=cost,
        gas=int(report["gas"]),
        gas_cost_wei=int(report["gas_cost_wei"]),
        spread_bps=float(report["spread_bps"]),
        confidence=float(report["confidence"]),
        gas_unknown=bool(flags & FLAG_GROSS),
        token_unknown=bool(flags & FLAG_TOKEN_UNKNOWN),
    )


def known_address(octets: npt.NDArray[np.uint8]) -> bytes | None:
    """An address, or None for zeros."""
    return octets.tobytes() if octets.any() else None


def wide(limbs: npt.NDArray[np.uint64]) -> int:
    """One integer of several limbs."""
    return wide_integers(limbs[None, :], signed=False)[0]
