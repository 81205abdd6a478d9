"""Queries out of JSON Lines, and answers as JSON: the two ends of `disruptor quote`.

A line that is no query is an error with its place, before anything is run: a misspelt key must not change an answer.
What a contract could be asked but would refuse is no such error, and answered. Integers come as JSON integers or as
decimal strings and leave as decimal strings, because most readers of JSON round what is beyond 2^53.
"""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.feeds.compression import open_recorded
from disruptor.handlers.quote_kernels import EXACT_IN, EXACT_OUT, MAX_HOPS, PATH, QUERY_DTYPE
from disruptor.handlers.quoting import AFTER_END, BEYOND_U256, REASONS
from disruptor.status import OK

#: QUERY_DTYPE byte by byte: filling a numpy record field by field takes ten times as long.
_RECORD = struct.Struct(f"<Q32s32s{20 * MAX_HOPS}s{MAX_HOPS}sBB6x")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_DIGITS = re.compile(r"[0-9]+")
#: More digits than any u256 has; not turned into an integer at all.
_MAX_DIGITS = 78
_FORMS = {"in": EXACT_IN, "out": EXACT_OUT}
_SINGLE = {"block", "pool", "zero_for_one", "exact", "amount"}
_SINGLE_OPTIONAL = {"sqrt_price_limit_x96"}
_PATH = {"block", "amount_in", "path"}
_HOP = {"pool", "zero_for_one"}
#: Statuses that concern a query as a whole, not one hop of a path.
_WHOLE = (AFTER_END, BEYOND_U256)


def read_queries(path: str) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The queries of a JSON Lines file, plain or compressed; empty lines are left out.

    Returns
    -------
    queries : (n,) QUERY_DTYPE
    refused : (n,) int64, a status where a query is answered already: an integer that no array can hold

    Raises
    ------
    InputError : a line that is no query, with its place and what was expected.
    """
    records, refused = [], []
    with io.BufferedReader(open_recorded(Path(path))) as stream:
        for number, line in enumerate(stream, 1):
            if line.isspace():
                continue
            try:
                record, status = _record(_query_object(line))
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}:{number}: {error}", file=path, line=number) from None
            records.append(record)
            refused.append(status)
    queries: npt.NDArray[Any] = np.frombuffer(bytearray(b"".join(records)), QUERY_DTYPE)
    return queries, np.array(refused, np.int64)


def _query_object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line, parse_int=_json_integer, object_pairs_hook=_distinct)
    except UnicodeDecodeError:
        raise ValueError("expected a query in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"expected a query as one JSON object ({error})") from None
    except RecursionError:
        raise ValueError("expected a query as one JSON object, found one nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a query as one JSON object, found {_shown(value)}")
    return value


def _json_integer(text: str) -> int:
    """A JSON integer; one of more digits than a u256 has becomes 10^78, which is as much too large."""
    digits = text.lstrip("-")
    value = int(digits) if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS
    return -value if text.startswith("-") else value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for k, (name, _) in enumerate(pairs) if name in dict(pairs[:k]))
        raise ValueError(f"{twice}: given twice")
    return found


def _record(query: dict[str, Any]) -> tuple[bytes, int]:
    """A query as the bytes of a QUERY_DTYPE record, and a status if it is answered already."""
    if "path" in query:
        _check_keys(query, "", _PATH, set())
        form, amount, limit = PATH, _integer(query, "amount_in"), 0
        hops = _hops(query["path"])
    else:
        _check_keys(query, "", _SINGLE, _SINGLE_OPTIONAL)
        if query["exact"] not in ("in", "out"):
            raise ValueError(f'exact: expected "in" or "out", found {_shown(query["exact"])}')
        form, amount = _FORMS[query["exact"]], _integer(query, "amount")
        limit = _integer(query, "sqrt_price_limit_x96") if "sqrt_price_limit_x96" in query else 0
        hops = [_hop(query, "")]
    block = _integer(query, "block")
    if block >= 2**63:
        raise ValueError(f"block: expected a block number below 2^63, found {_shown(query['block'])}")
    if amount >= 2**256:
        return bytes(_RECORD.size), BEYOND_U256
    # No price is beyond 160 bits, so the largest u256 is refused for the same reason as what is larger.
    limit = min(limit, 2**256 - 1)
    record = _RECORD.pack(
        block,
        amount.to_bytes(32, "little"),
        limit.to_bytes(32, "little"),
        b"".join(pool for pool, _ in hops),
        bytes(direction for _, direction in hops),
        len(hops),
        form,
    )
    return record, OK


def _hops(path: Any) -> list[tuple[bytes, bool]]:
    if not isinstance(path, list) or not 1 <= len(path) <= MAX_HOPS:
        found = f"{len(path)} hops" if isinstance(path, list) else _shown(path)
        raise ValueError(f"path: expected a list of 1 to {MAX_HOPS} hops, found {found}")
    hops = []
    for k, hop in enumerate(path):
        where = f"path[{k}]"
        if not isinstance(hop, dict):
            raise ValueError(f"{where}: expected an object, found {_shown(hop)}")
        _check_keys(hop, f"{where}.", _HOP, set())
        hops.append(_hop(hop, f"{where}."))
    return hops


def _hop(hop: dict[str, Any], where: str) -> tuple[bytes, bool]:
    pool, direction = hop["pool"], hop["zero_for_one"]
    if not isinstance(pool, str) or not _ADDRESS.fullmatch(pool):
        raise ValueError(f"{where}pool: expected 0x and 40 hex digits, found {_shown(pool)}")
    if not isinstance(direction, bool):
        raise ValueError(f"{where}zero_for_one: expected true or false, found {_shown(direction)}")
    return bytes.fromhex(pool[2:]), direction


def _check_keys(found: dict[str, Any], where: str, required: set[str], optional: set[str]) -> None:
    """Refuse unknown and missing keys."""
    for name in found.keys() - required - optional:
        known = ", ".join(sorted(required | optional))
        raise ValueError(f"{where}{name}: no such key; expected {known}")
    for name in sorted(required - found.keys()):
        raise ValueError(f"{where}{name}: missing")


def _integer(query: dict[str, Any], name: str) -> int:
    """An integer from 0 up, given as such or as decimal digits."""
    value = query[name]
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return _json_integer(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"{name}: expected an integer from 0 up, or its digits, found {_shown(value)}")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def answer_lines(queries: npt.NDArray[Any], answers: npt.NDArray[Any]) -> Iterator[str]:
    """Answers as JSON, in order, without line ends.

    Parameters
    ----------
    queries : (n,) QUERY_DTYPE; answers : (n,) ANSWER_DTYPE
    """
    for query, answer in zip(queries, answers, strict=True):
        yield json.dumps(_answer_object(query["form"] == PATH, answer))


def _answer_object(is_path: bool, answer: Any) -> dict[str, Any]:
    status = int(answer["status"])
    if status != OK:
        found: dict[str, Any] = {"error": REASONS.get(status, f"status {status}")}
        if is_path and status not in _WHOLE:
            found["hop"] = int(answer["hops"])
    else:
        found = _amounts(is_path, answer) | {"partial": bool(answer["partial"])}
    return found | ({"unverified": True} if answer["unverified"] else {})


def _amounts(is_path: bool, answer: Any) -> dict[str, Any]:
    if is_path:
        outs = [_text(answer["outs"][k]) for k in range(answer["hops"])]
        return {"outs": outs, "profit": _text(answer["profit"], signed=True)}
    found = {"amount": _text(answer["amount"])}
    if answer["sqrt_price_x96_after"].any():
        found["sqrt_price_x96_after"] = _text(answer["sqrt_price_x96_after"])
    return found


def _text(limbs: npt.NDArray[np.uint64], *, signed: bool = False) -> str:
    return str(int.from_bytes(limbs.tobytes(), "little", signed=signed))
