"""`--state-out`: one JSON line a pool, readable as a pools file of a later run.

Integers are decimal strings, addresses lower-case hex. Pools come in the order of their ids. The tick map of a V3 pool
is given only while it is whole; `complete` says whether the numbers are the chain's. Fees are null where they are not
known. Growths outside of ticks lie apart from the tick map, whose entries stay pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.handlers.messages import KIND_NAMES, KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.pools import FEES_KNOWN, NO_FEE, RESERVES_KNOWN, TICKS_KNOWN, UNVERIFIED, pools
from disruptor.handlers.venues import Venue
from disruptor.message import FieldType
from disruptor.replay.line_file import write_lines
from disruptor.state import State


def write_state(state: State, path: str, venues: Sequence[Venue] = ()) -> int:
    """Write every registered pool to `path`, replacing it in one step; returns the number of pools.

    Raises
    ------
    InputError : the file can't be written.
    """
    return write_lines(path, "--state-out", pool_lines(state, venues))


def pool_lines(state: State, venues: Sequence[Venue] = ()) -> Iterator[dict[str, Any]]:
    """The pools as plain objects, in the order of their ids; `venues` are users' own."""
    declared = {venue.kind: venue for venue in venues}
    rows, directory = state.rows("pools"), state.rows("pool_directory")
    chain = state.rows("chain")[0]
    ticks, firsts = _ticks_by_pool(state)
    for pool in np.flatnonzero(rows["kind"]):
        row, names = rows[pool], directory[pool]
        line: dict[str, Any] = {
            "pool": _hex(names["address"]),
            "kind": _kind_name(int(row["kind"]), declared),
            "token0": _hex(names["token0_address"]),
            "token1": _hex(names["token1_address"]),
            "fee": None if row["fee"] == NO_FEE else int(row["fee"]),
            "factory": _hex(names["factory"]) if names["factory"].any() else None,
            "block": int(chain["block_number"]),
            "complete": _is_complete(row, chain, declared),
            "verified": not row["flags"] & UNVERIFIED,
        }
        if not line["verified"]:
            line["unverified_at"] = _place(state.rows("audit_failures")[pool])
        if row["kind"] == KIND_UNISWAP_V2:
            line |= {"reserve0": _integer(row["reserve0"]), "reserve1": _integer(row["reserve1"])}
        elif row["kind"] != KIND_UNISWAP_V3:
            venue = declared.get(int(row["kind"]))
            line |= {} if venue is None else _own_fields(state, venue, int(pool))
        else:
            line["tick_spacing"] = int(names["tick_spacing"])
            line["sqrt_price_x96"] = _integer(row["sqrt_price_x96"])
            line["tick"] = int(row["tick"])
            line["liquidity"] = _integer(row["liquidity"])
            line["fee_protocol"] = int(row["fee_protocol"])
            known = bool(line["complete"] and row["flags"] & FEES_KNOWN)
            own = ticks[firsts[pool] : firsts[pool + 1]]
            line |= _fees(state.rows("v3_fees")[pool], known=known)
            line["fee_growth_outside_x128"] = _outside(own) if known else None
            if line["complete"]:
                line["ticks"] = _tick_map(own)
        yield line


def _place(failure: Any) -> dict[str, int] | None:
    """Where the first swap is that did not match; None if it was in an earlier run."""
    if failure["block_number"] == 0:
        return None
    return {"block": int(failure["block_number"]), "log_index": int(failure["log_index"])}


def _fees(fees: Any, *, known: bool) -> dict[str, Any]:
    """Fee growth, protocol fees and observations: null where they are not known to be the chain's."""
    names = ("fee_growth_global0_x128", "fee_growth_global1_x128", "protocol_fees0", "protocol_fees1")
    line: dict[str, Any] = {name: _integer(fees[name]) if known else None for name in names}
    observed = known and fees["observation_cardinality"] != 0
    for name in ("observation_index", "observation_cardinality", "observation_cardinality_next"):
        line[name] = int(fees[name]) if observed else None
    return line


def _is_complete(row: Any, chain: Any, own: Mapping[int, Venue]) -> bool:
    """Whether the numbers are the chain's; never of a kind that nobody here has declared."""
    kind = int(row["kind"])
    needed = TICKS_KNOWN if kind == KIND_UNISWAP_V3 else RESERVES_KNOWN
    return bool(
        (kind in KIND_NAMES or kind in own) and row["epoch"] == chain["epoch"] and row["flags"] & needed
    )


def _kind_name(kind: int, own: Mapping[int, Venue]) -> str:
    return own[kind].name if kind in own else KIND_NAMES.get(kind, f"kind_{kind}")


def _own_fields(state: State, venue: Venue, pool: int) -> dict[str, Any]:
    """What a user's venue keeps of a pool: the reserves if it trades with those of the pool's row, and its tables."""
    fields = [(pools, name) for name in venue.moves.get(pools, ())]
    fields += [(table, name) for table in venue.tables for name in table.fields if name != "reserved"]
    return {name: _shown(table.fields[name], state.rows(table.name)[pool][name]) for table, name in fields}


def _shown(kind: FieldType, value: Any) -> Any:
    """A field: wide integers as decimal strings, byte strings as hex."""
    if kind.base == "<u8" and kind.count:
        return str(int.from_bytes(value.tobytes(), "little", signed=kind.name.startswith("i")))
    return _hex(value) if kind.count else value.item()


def _ticks_by_pool(state: State) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Live ticks sorted by (pool, tick), and where each pool's begin."""
    ticks = state.live("ticks")
    ticks = ticks[np.lexsort((ticks["tick"], ticks["pool"]))]
    return ticks, np.searchsorted(ticks["pool"], np.arange(len(state.rows("pools")) + 1))


def _tick_map(ticks: npt.NDArray[Any]) -> dict[str, list[str]]:
    return {
        str(int(t["tick"])): [_integer(t["liquidity_gross"]), _signed128(t["liquidity_net"])] for t in ticks
    }


def _outside(ticks: npt.NDArray[Any]) -> dict[str, list[str]]:
    names = ("fee_growth_outside0_x128", "fee_growth_outside1_x128")
    return {str(int(t["tick"])): [_integer(t[name]) for name in names] for t in ticks}


def _hex(octets: npt.NDArray[np.uint8]) -> str:
    return "0x" + octets.tobytes().hex()


def _integer(limbs: npt.NDArray[np.uint64]) -> str:
    return str(int.from_bytes(limbs.tobytes(), "little"))


def _signed128(limbs: npt.NDArray[np.uint64]) -> str:
    return str(int.from_bytes(limbs.tobytes(), "little", signed=True))
