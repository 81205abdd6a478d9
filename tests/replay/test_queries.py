"""Queries out of JSON Lines, and answers as JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.errors import InputError
from disruptor.handlers import quoting
from disruptor.handlers.quote_kernels import ANSWER_DTYPE, EXACT_IN, EXACT_OUT, MAX_HOPS, PATH, QUERY_DTYPE
from disruptor.replay.queries import _RECORD, answer_lines, read_queries
from disruptor.status import OK

POOL = "0x" + "Ab" * 20
SINGLE: dict[str, Any] = {"block": 7, "pool": POOL, "zero_for_one": True, "exact": "in", "amount": 5}
HOP = {"pool": POOL, "zero_for_one": False}
WALK: dict[str, Any] = {"block": 7, "amount_in": 5, "path": [HOP]}


def written(tmp_path: Path, *lines: Any) -> str:
    path = tmp_path / "q.jsonl"
    path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))
    return str(path)


def integer(limbs: Any) -> int:
    return int.from_bytes(limbs.tobytes(), "little")


def test_a_single_query_is_read(tmp_path: Path) -> None:
    limit = 2**160 - 1
    found, refused = read_queries(
        written(tmp_path, {**SINGLE, "amount": 2**256 - 1}, {**SINGLE, "exact": "out", "zero_for_one": False})
    )
    assert list(refused) == [OK, OK] and found.dtype == QUERY_DTYPE
    assert list(found["form"]) == [EXACT_IN, EXACT_OUT] and list(found["hops"]) == [1, 1]
    assert [integer(a) for a in found["amount"]] == [2**256 - 1, 5]
    assert found["zero_for_one"][:, 0].tolist() == [1, 0] and found["block"].tolist() == [7, 7]
    assert found["pool"][0, 0].tobytes() == b"\xab" * 20 and not found["pool"][0, 1:].any()
    assert not found["sqrt_price_limit_x96"].any()
    found, _ = read_queries(written(tmp_path, {**SINGLE, "sqrt_price_limit_x96": str(limit)}))
    assert integer(found["sqrt_price_limit_x96"][0]) == limit


def test_a_path_is_read(tmp_path: Path) -> None:
    hops = [{"pool": "0x" + f"{k:040x}", "zero_for_one": k % 2 == 0} for k in range(MAX_HOPS)]
    found, _ = read_queries(written(tmp_path, {**WALK, "path": hops}))
    assert (found["form"][0], found["hops"][0], integer(found["amount"][0])) == (PATH, MAX_HOPS, 5)
    assert [int.from_bytes(p.tobytes(), "big") for p in found["pool"][0]] == list(range(MAX_HOPS))
    assert found["zero_for_one"][0].tolist() == [1, 0] * (MAX_HOPS // 2)


def test_a_record_has_the_fields_where_the_dtype_has_them() -> None:
    assert _RECORD.size == QUERY_DTYPE.itemsize
    fields = QUERY_DTYPE.fields
    assert fields is not None
    sizes = [(at, kind.itemsize) for kind, at, *_ in fields.values()]
    assert [at for at, _ in sizes] == [sum(size for _, size in sizes[:k]) for k in range(len(sizes))]


@pytest.mark.parametrize("amount", [0, 5, "0", "5", "0005", str(2**256 - 1), 2**256 - 1])
def test_integers_come_as_such_or_as_digits(tmp_path: Path, amount: Any) -> None:
    found, refused = read_queries(written(tmp_path, {**SINGLE, "amount": amount}))
    assert integer(found["amount"][0]) == int(amount) and refused[0] == OK


@pytest.mark.parametrize("amount", [2**256, str(2**256), "9" * 5000, "1" + "0" * 79])
@pytest.mark.parametrize("query", [SINGLE, WALK])
def test_an_amount_beyond_u256_is_a_query_and_refused(tmp_path: Path, query: Any, amount: Any) -> None:
    name = "amount" if "amount" in query else "amount_in"
    _, refused = read_queries(written(tmp_path, SINGLE, {**query, name: amount}))
    assert list(refused) == [OK, quoting.BEYOND_U256]


def test_an_amount_of_any_number_of_digits_is_refused(tmp_path: Path) -> None:
    line = json.dumps({**SINGLE, "amount": "@"}).replace('"@"', "7" * 6000)
    assert read_queries(written(tmp_path, line))[1].tolist() == [quoting.BEYOND_U256]


def test_a_limit_beyond_u256_is_as_bad_as_the_largest(tmp_path: Path) -> None:
    found, refused = read_queries(written(tmp_path, {**SINGLE, "sqrt_price_limit_x96": 2**300}))
    assert integer(found["sqrt_price_limit_x96"][0]) == 2**256 - 1 and refused[0] == OK


def without(query: dict[str, Any], name: str) -> dict[str, Any]:
    return {k: v for k, v in query.items() if k != name}


MALFORMED = [
    ("{", "expected a query as one JSON object"),
    ("[1]", "expected a query as one JSON object, found [1]"),
    ("null", "expected a query as one JSON object, found null"),
    ("[" * 100_000, "expected a query as one JSON object"),
    ('{"a": 1} {"b": 2}', "expected a query as one JSON object"),
    (json.dumps(SINGLE)[:-1] + ', "block": 8}', "block: given twice"),
    (without(SINGLE, "pool"), "pool: missing"),
    (without(SINGLE, "exact"), "exact: missing"),
    (without(WALK, "amount_in"), "amount_in: missing"),
    ({**SINGLE, "sqrtPriceLimitX96": 1}, "sqrtPriceLimitX96: no such key; expected amount, block, exact"),
    ({**WALK, "pool": POOL}, "pool: no such key; expected amount_in, block, path"),
    ({**SINGLE, "exact": "both"}, 'exact: expected "in" or "out", found "both"'),
    ({**SINGLE, "exact": ["in"]}, 'exact: expected "in" or "out", found ["in"]'),
    ({**SINGLE, "amount": -1}, "amount: expected an integer from 0 up, or its digits, found -1"),
    ({**SINGLE, "amount": 1.5}, "amount: expected an integer from 0 up, or its digits, found 1.5"),
    ({**SINGLE, "amount": "1e18"}, 'amount: expected an integer from 0 up, or its digits, found "1e18"'),
    ({**SINGLE, "amount": "٣"}, "amount: expected an integer from 0 up"),
    ({**SINGLE, "amount": True}, "amount: expected an integer from 0 up, or its digits, found true"),
    ({**SINGLE, "amount": None}, "amount: expected an integer from 0 up, or its digits, found null"),
    ({**SINGLE, "block": "x"}, 'block: expected an integer from 0 up, or its digits, found "x"'),
    ({**SINGLE, "block": 2**63}, f"block: expected a block number below 2^63, found {2**63}"),
    ({**SINGLE, "pool": "0x12"}, 'pool: expected 0x and 40 hex digits, found "0x12"'),
    ({**SINGLE, "pool": 5}, "pool: expected 0x and 40 hex digits, found 5"),
    ({**SINGLE, "zero_for_one": 1}, "zero_for_one: expected true or false, found 1"),
    ({**WALK, "path": []}, f"path: expected a list of 1 to {MAX_HOPS} hops, found 0 hops"),
    ({**WALK, "path": [HOP] * (MAX_HOPS + 1)}, f"path: expected a list of 1 to {MAX_HOPS} hops, found 9"),
    ({**WALK, "path": HOP}, f"path: expected a list of 1 to {MAX_HOPS} hops, found {{"),
    ({**WALK, "path": [HOP, 1]}, "path[1]: expected an object, found 1"),
    ({**WALK, "path": [HOP, without(HOP, "pool")]}, "path[1].pool: missing"),
    ({**WALK, "path": [{**HOP, "pool": "x"}]}, 'path[0].pool: expected 0x and 40 hex digits, found "x"'),
    ({**WALK, "path": [{**HOP, "fee": 5}]}, "path[0].fee: no such key; expected pool, zero_for_one"),
]


@pytest.mark.parametrize(("line", "said"), MALFORMED, ids=[said[:40] for _, said in MALFORMED])
def test_a_line_that_is_no_query_is_named(tmp_path: Path, line: Any, said: str) -> None:
    path = written(tmp_path, SINGLE, "", line)
    with pytest.raises(InputError) as caught:
        read_queries(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:3: {said}") and len(message) < 300
    assert caught.value.exit_code == 2


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(json.dumps(SINGLE).encode() + b'\n{"block": "\xff"}\n')
    with pytest.raises(InputError, match=r"q\.jsonl:2: expected a query in UTF-8"):
        read_queries(str(path))


def test_a_compressed_file_without_last_line_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "q.gz"
    path.write_bytes(gzip.compress((json.dumps(SINGLE) + "\r\n\n" + json.dumps(WALK)).encode()))
    assert read_queries(str(path))[0]["form"].tolist() == [EXACT_IN, PATH]


def test_an_empty_file_has_no_queries(tmp_path: Path) -> None:
    queries, refused = read_queries(written(tmp_path, ""))
    assert queries.dtype == QUERY_DTYPE and len(queries) == len(refused) == 0
    assert list(answer_lines(queries, np.zeros(0, ANSWER_DTYPE))) == []


def limbs(value: int) -> list[int]:
    return [value >> 64 * k & 2**64 - 1 for k in range(4)]


def said(query: dict[str, Any], tmp_path: Path, **fields: Any) -> Any:
    """The JSON of an answer with these fields."""
    queries, _ = read_queries(written(tmp_path, query))
    answers = np.zeros(1, ANSWER_DTYPE)
    for name, value in fields.items():
        answers[0][name] = value
    return json.loads(next(answer_lines(queries, answers)))


def test_answers_say_what_there_is(tmp_path: Path) -> None:
    amount = 2**256 - 1
    pair = said(SINGLE, tmp_path, amount=limbs(amount))
    assert pair == {"amount": str(amount), "partial": False}
    pool = said(SINGLE, tmp_path, amount=limbs(3), sqrt_price_x96_after=limbs(2**159), partial=1)
    assert pool == {"amount": "3", "sqrt_price_x96_after": str(2**159), "partial": True}
    outs = [limbs(k * 2**64 + 1) for k in range(MAX_HOPS)]
    walk = said({**WALK, "path": [HOP, HOP]}, tmp_path, hops=2, outs=outs, profit=limbs(-5 % 2**256))
    assert walk == {"outs": ["1", str(2**64 + 1)], "profit": "-5", "partial": False}


def test_refusals_say_why_and_in_paths_at_which_hop(tmp_path: Path) -> None:
    assert said(SINGLE, tmp_path, status=quoting.INCOMPLETE) == {"error": "incomplete pool"}
    assert said(WALK, tmp_path, status=quoting.INCOMPLETE) == {"error": "incomplete pool", "hop": 0}
    assert said(WALK, tmp_path, status=quoting.AFTER_END) == {"error": "block after the end of the stream"}
    assert said(SINGLE, tmp_path, status=999) == {"error": "status 999"}


def test_every_status_of_quotes_has_a_reason() -> None:
    own = {v for n, v in vars(quoting).items() if n.isupper() and isinstance(v, int) and 200 <= v < 1000}
    assert own and own <= set(quoting.REASONS)
