"""What trades change, kept before a trade and put back afterwards: how a path is tried without leaving a trace.

Which fields those are is declared by the venues (`Venue.moves`). All of them are kept of a pool, whatever its kind: a
few words more, and nothing to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numba.extending import overload

from disruptor.access import assign, row
from disruptor.handlers.by_venue import venues_of
from disruptor.handlers.uniswap_venues import BUILT_IN
from disruptor.handlers.venues import Venue
from disruptor.message import FieldType


def _moved_fields(venues: Sequence[Venue]) -> Iterator[tuple[str, str, FieldType]]:
    """(table, field, type) of all that trades with pools of these venues change, each once."""
    found = {
        (table.name, name): table.fields[name] for v in venues for table in v.moves for name in v.moves[table]
    }
    for (table, name), kind in found.items():
        yield table, name, kind


def moved_dtype(extensions: Sequence[Venue] = ()) -> np.dtype[Any]:
    """Layout of one pool's kept fields.

    >>> moved_dtype().names
    ('pools_reserve0', 'pools_reserve1', 'pools_sqrt_price_x96', 'pools_liquidity', 'pools_tick')
    """
    fields = [
        (f"{table}_{name}", kind.dtype) for table, name, kind in _moved_fields((*BUILT_IN, *extensions))
    ]
    return np.dtype(fields, align=True)


def keep_moved(state: Any, pool: Any, kept: Any) -> None:
    """Copy what trades change of a pool into `kept`, a record of `moved_dtype`."""
    for table, name, _ in _moved_fields(venues_of(state)):
        kept[f"{table}_{name}"] = row(getattr(state, table), pool)[name]


def put_back(state: Any, pool: Any, kept: Any) -> None:
    """Give a pool back what `keep_moved` has kept of it."""
    for table, name, _ in _moved_fields(venues_of(state)):
        row(getattr(state, table), pool)[name] = kept[f"{table}_{name}"]


def _copying(state: Any, target: str, source: str) -> Any:
    """The function that copies each field by its name, written out."""
    lines = ["def copy(state, pool, kept):"]
    for table, name, kind in _moved_fields(venues_of(state)):
        places = {"kept": f"kept['{table}_{name}']", "state": f"row(state.{table}, pool)['{name}']"}
        to, given = places[target], places[source]
        lines.append(f"    assign({to}, {given})" if kind.count else f"    {to} = {given}")
    scope: dict[str, Any] = {"assign": assign, "row": row}
    exec("\n".join(lines), scope)
    return scope["copy"]


@overload(keep_moved, strict=False)
def _keep_moved(state: Any, pool: Any, kept: Any) -> Any:
    return _copying(state, "kept", "state")


@overload(put_back, strict=False)
def _put_back(state: Any, pool: Any, kept: Any) -> Any:
    return _copying(state, "state", "kept")
