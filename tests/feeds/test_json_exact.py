"""The slow path decides what the scanner hands back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from disruptor.feeds.json_exact import NotALogError, Pairs, parse_json, read_exactly

WORD = "0x" + "ab" * 32
LOG: dict[str, Any] = {
    "address": "0x" + "12" * 20,
    "topics": [],
    "data": "0x",
    "blockNumber": 5,
    "logIndex": "6",
}


def test_unknown_fields_are_none_and_null_means_absent() -> None:
    nulls = dict.fromkeys(("blockHash", "transactionHash", "transactionIndex", "blockTimestamp", "removed"))
    found = read_exactly(json.dumps(LOG | nulls).encode())
    assert found == read_exactly(json.dumps(LOG).encode())
    assert (found.block_hash, found.tx_hash, found.transaction_index, found.timestamp) == (None,) * 4
    assert (found.removed, found.block_number, found.log_index, found.topics, found.data) == (
        False,
        5,
        6,
        [],
        b"",
    )


def test_escapes_in_keys_and_values_mean_what_json_says() -> None:
    text = json.dumps(LOG).replace("address", "\\u0061ddress").replace('"0x"', '"\\u0030x"')
    assert read_exactly(text.encode()) == read_exactly(json.dumps(LOG).encode())


def test_a_key_given_twice_is_refused_even_when_escaped_or_spelled_otherwise() -> None:
    for twice in ('"dat\\u0061":"0x",', '"block_number":5,'):
        with pytest.raises(NotALogError, match="given twice"):
            read_exactly(json.dumps(LOG).replace("{", "{" + twice, 1).encode())


def test_times_with_zones_and_zero_fractions_are_exact() -> None:
    for text in ("2023-08-26T18:21:35+02:00", "2023-08-26 16:21:35.000000 UTC", 1693066895, hex(1693066895)):
        assert read_exactly(json.dumps(LOG | {"blockTimestamp": text}).encode()).timestamp == 1693066895


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[" * 100_000, "not usable JSON"),
        (b"1" * 5000, "not usable JSON"),
        (b"[1]", r"expected a log object, got \[1\]"),
        (b"{}", "address: missing; the object is empty"),
        (b'{"number":"0x1","hash":"0x2"}', "address: missing; the keys are number, hash$"),
        (json.dumps(LOG | {"logIndex": 10**400}).encode(), r"logIndex: expected .* a number of 1329 bits"),
        (json.dumps(LOG | {"logIndex": {"a": 1}}).encode(), "logIndex: expected .* got an object"),
        (
            json.dumps(LOG | {"topics": ["0x" + "g" * 64]}).encode(),
            r"topics\[0\]: expected .* \(68 characters\)",
        ),
        (json.dumps(LOG | {"logIndex": "１"}).encode(), "logIndex: expected a whole number"),
        (json.dumps(LOG | {"blockTimestamp": "noon"}).encode(), "blockTimestamp: expected seconds or a time"),
    ],
)
def test_refusals_say_what_was_expected_and_what_was_there(text: bytes, message: str) -> None:
    with pytest.raises(NotALogError, match=message):
        read_exactly(text)


def test_parse_json_keeps_members_in_order_with_duplicates() -> None:
    found = parse_json(b'{"b":1,"a":{"c":2},"b":3}')
    assert found == [("b", 1), ("a", [("c", 2)]), ("b", 3)]
    assert isinstance(found, Pairs)
    assert (found.first("b"), found.first("z")) == (1, None)
