"""Pools files: which pools there are, and if known their state as of a stated block and log.

JSON, JSONL or CSV, plain or compressed, one record a pool: address, kind, token0, token1, fee,
tick_spacing, factory, and state either nested under `state` or beside them. What `--state-out` writes is
such a file. A record that names no tokens, or a kind that is not tracked, is counted in `skipped` rather
than guessed at; a record that contradicts itself or another one is an error.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from disruptor.errors import InputError
from disruptor.feeds.compression import open_recorded
from disruptor.feeds.csv_reader import line_error
from disruptor.feeds.paths import expand_paths
from disruptor.feeds.pool_state import (
    GivenState,
    Record,
    V2State,
    V3State,
    exact_integer,
    find_state,
    parse_given_state,
    parse_v2_state,
    parse_v3_state,
    snake_keys,
)
from disruptor.feeds.recognise import CSV, PARQUET, UTF8_MARK, recognise
from disruptor.handlers.pools import NO_FEE
from disruptor.handlers.uniswap_venues import BUILT_IN, UNISWAP_V2, UNISWAP_V3
from disruptor.handlers.venues import Venue

#: Kinds by name, and what else they are called.
KINDS: dict[str, Venue] = {venue.name: venue for venue in BUILT_IN} | {"v2": UNISWAP_V2, "v3": UNISWAP_V3}
#: Tick spacing of the fees that Uniswap's and PancakeSwap's factories enable.
SPACING_OF_FEE = {100: 1, 500: 10, 2500: 50, 3000: 60, 10000: 200}
_FEE_MAX = 999_999
_SPACING_MAX = 16_383

# Why a record was skipped, or its state.
TOKENS_UNKNOWN, KIND_UNSUPPORTED, STATE_INCOMPLETE = "tokens_unknown", "kind_unsupported", "state_incomplete"


@dataclass(frozen=True, slots=True)
class PoolEntry:
    """One pool.

    default_fee : what the pool's venue has where nobody said a fee
    fee : millionths; None for a V2 pool whose record has none (its factory's, else the default, applies),
    `NO_FEE`
        for such a V3 pool: it is tracked, and barred from what counts fees
    tick_spacing : None for V2, and where nobody said
    state : None, or as of (`block`, `log_index`)
    place : file and position, for messages
    """

    address: bytes
    kind: int
    token0: bytes
    token1: bytes
    fee: int | None
    tick_spacing: int | None
    factory: bytes | None
    state: V2State | V3State | GivenState | None
    place: str
    default_fee: int | None = None


class PoolList(list[PoolEntry]):
    """The pools, and in `skipped` how many records or states were left out, by reason."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped: dict[str, int] = {}

    def skip(self, reason: str) -> None:
        """Count one."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1


def load_pools(paths: Iterable[str | Path], venues: Iterable[Venue] = ()) -> PoolList:
    """Load pools files.

    Parameters
    ----------
    paths : files, folders or patterns
    venues : users' own

    Returns
    -------
    PoolList : each address once, in the order of first mention.

    Raises
    ------
    InputError : a record that can't be right, or contradicts another; with file and line (or element).
    """
    pools = PoolList()
    kinds = KINDS | {venue.name: venue for venue in venues}
    index_of: dict[bytes, int] = {}
    for path in expand_paths(paths, "a pools file"):
        for position, unit, record in _records(path):
            try:
                entry = _parse(record, f"{path}:{position}", pools, kinds)
                if entry is None:
                    continue
                if entry.address not in index_of:
                    index_of[entry.address] = len(pools)
                    pools.append(entry)
                    continue
                at = index_of[entry.address]
                pools[at] = _merge(pools[at], entry)
            except (ValueError, RecursionError) as problem:
                raise line_error(str(path), position, str(problem), unit) from None
    return pools


def looks_like_pools(first_bytes: bytes) -> bool:
    """Whether the beginning of a (decompressed) file reads like a pools file.

    >>> looks_like_pools(b"address,kind,token0,token1,fee\\n")
    True
    >>> looks_like_pools(b'{"address":"0x","topics":[]}')
    False
    """
    text = first_bytes.removeprefix(UTF8_MARK).lstrip()
    if text[:1] in (b"{", b"["):
        named = b'"token0"' in text and b'"token1"' in text
        return named and b'"topics"' not in text
    names = {name.strip(b' "\r') for name in text.split(b"\n", 1)[0].split(b",")}
    return {b"token0", b"token1"} <= names and bool(names & {b"address", b"pool"})


# Records.


def _records(path: Path) -> Iterator[tuple[int, str, Record]]:
    """The records of a file with their positions; names in snake_case."""
    with io.BufferedReader(open_recorded(path)) as stream:
        content = stream.read().removeprefix(UTF8_MARK)
    kind = recognise(content[: 1 << 16], path)
    if kind == PARQUET:
        raise InputError(
            f"{path}: is Parquet, but no log file: give pools as JSON, JSONL or CSV", file=str(path)
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as problem:
        raise InputError(f"{path}: is no text in UTF-8 at byte {problem.start}", file=str(path)) from None
    found = _csv_records(path, text) if kind == CSV else _json_records(path, text)
    for position, unit, record in found:
        if not isinstance(record, dict):
            raise line_error(str(path), position, "expected an object with the pool's fields", unit)
        yield position, unit, snake_keys(record)


def _csv_records(path: Path, text: str) -> Iterator[tuple[int, str, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    names = [name.strip() for name in next(reader)]
    try:
        for row in filter(None, reader):
            if len(row) != len(names):
                what = f"expected {len(names)} columns, found {len(row)}: repair or remove the line"
                raise line_error(str(path), reader.line_num, what)
            yield reader.line_num, "line", dict(zip(names, row, strict=True))
    except csv.Error as problem:
        raise line_error(str(path), reader.line_num, f"{problem}: give large states as JSON") from None


def _json_records(path: Path, text: str) -> Iterator[tuple[int, str, Any]]:
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if not first.lstrip().startswith("[") and _is_json(first):
        for number, line in enumerate(lines, 1):
            if line.strip():
                for record in _unfolded(_decoded(path, line, number)):
                    yield number, "line", record
        return
    yield from (
        (number, "element", item) for number, item in enumerate(_unfolded(_decoded(path, text, 1)), 1)
    )


def _is_json(line: str) -> bool:
    """Whether a line is complete; one that is cut at its end is taken for the first of several lines."""
    try:
        json.loads(line)
    except json.JSONDecodeError as problem:
        return problem.pos < len(line.rstrip()) - 1
    except (ValueError, RecursionError):
        return True
    return True


def _decoded(path: Path, text: str, first_line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        line = first_line + problem.lineno - 1
        what = f"is no JSON at column {problem.colno} ({problem.msg}): fetch or write the file again"
        raise line_error(str(path), line, what) from None
    except (ValueError, RecursionError):
        raise line_error(str(path), first_line, "holds a number or nesting past every limit") from None


def _unfolded(value: Any) -> list[Any]:
    """The records in a list, in `{"pools": …}`, or in an object whose names are the addresses."""
    if isinstance(value, dict) and isinstance(value.get("pools"), (list, dict)):
        value = value["pools"]
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and value and all(str(name).lower().startswith("0x") for name in value):
        return [
            {"address": name, **fields} if isinstance(fields, dict) else fields
            for name, fields in value.items()
        ]
    return [value]


# One record.


def _parse(record: Record, place: str, pools: PoolList, kinds: Mapping[str, Venue]) -> PoolEntry | None:
    kind_name = str(record.get("kind") or "").strip().lower()
    if not kind_name:
        raise ValueError(f"kind: missing: expected one of {', '.join(kinds)}")
    if kind_name not in kinds:
        pools.skip(KIND_UNSUPPORTED)
        return None
    venue = kinds[kind_name]
    address = _address(record, "address" if record.get("address") else "pool")
    if address is None:
        raise ValueError("address: missing")
    token0, token1 = _address(record, "token0"), _address(record, "token1")
    if token0 is None or token1 is None:
        pools.skip(TOKENS_UNKNOWN)
        return None
    if token0 >= token1:
        raise ValueError(
            f"token0: 0x{token0.hex()} must be below token1 0x{token1.hex()}, as the factories order them"
        )
    fee, tick_spacing = _fee_and_spacing(record, venue)
    state = _state(record, venue, tick_spacing, pools)
    factory = _address(record, "factory")
    return PoolEntry(address, venue.kind, token0, token1, fee, tick_spacing, factory, state, place, venue.fee)


def _address(record: Record, name: str) -> bytes | None:
    value = record.get(name)
    if value is None or value == "":
        return None
    text = str(value).strip()
    try:
        if len(text) == 42 and text[:2].lower() == "0x":
            return bytes.fromhex(text[2:])
    except ValueError:
        pass
    raise ValueError(f"{name}: expected an address of 0x and 40 hex digits, found {text[:60]!r}")


def _fee_and_spacing(record: Record, venue: Venue) -> tuple[int | None, int | None]:
    no_fee = NO_FEE if venue is UNISWAP_V3 else None
    unknown = record | {"fee": None} if record.get("fee") in (NO_FEE, str(NO_FEE)) else record
    fee = exact_integer(unknown, "fee", 0, _FEE_MAX)
    if venue is UNISWAP_V2:
        return fee, None
    spacing = exact_integer(record, "tick_spacing", 1, _SPACING_MAX)
    if spacing is None and fee is not None and venue is UNISWAP_V3:
        spacing = SPACING_OF_FEE.get(fee)
        # Our own state files leave the spacing out; it is in the creation log, or the ticks imply nothing.
        if spacing is None and "complete" not in record:
            raise ValueError(f"tick_spacing: missing, and a fee of {fee} does not imply one")
    return no_fee if fee is None else fee, spacing


def _state(
    record: Record, venue: Venue, tick_spacing: int | None, pools: PoolList
) -> V2State | V3State | GivenState | None:
    """The state in a record; that of an incomplete pool is left out: some of it is not the chain's."""
    state = find_state(record, venue.given)
    if state is None:
        return None
    if str(state.get("complete", True)).lower() == "false":
        pools.skip(STATE_INCOMPLETE)
        return None
    if venue is UNISWAP_V2:
        return parse_v2_state(state)
    if venue is UNISWAP_V3:
        return parse_v3_state(state, tick_spacing)
    return None if venue.given is None else parse_given_state(state, venue.given)


def _merge(first: PoolEntry, second: PoolEntry) -> PoolEntry:
    """One entry out of two for an address, where neither contradicts the other."""
    known: dict[str, Any] = {}
    for name in ("kind", "token0", "token1", "fee", "tick_spacing", "factory", "state"):
        values = [value for entry in (first, second) if (value := getattr(entry, name)) not in (None, NO_FEE)]
        if len(values) == 2 and values[0] != values[1]:
            raise ValueError(
                f"pool 0x{first.address.hex()}: another {name} than in {first.place}: remove one"
            )
        if values:
            known[name] = values[0]
    return replace(first, **known)
