"""What the compiled scanner takes itself, and what it hands back."""

from __future__ import annotations

import json

import numpy as np
import pytest

from disruptor.feeds import json_scan as scanner
from disruptor.feeds.columns import LOG_DTYPE
from disruptor.feeds.json_fields import FIELDS, KEYS, find_field
from disruptor.feeds.json_tokens import INVALID, NEED_MORE, UNUSUAL, find_object_end

WORD = "0x" + "ab" * 32
LOG = {
    "address": "0x" + "12" * 20,
    "topics": [WORD],
    "data": "0x",
    "blockHash": WORD,
    "blockNumber": "0x1",
    "blockTimestamp": "0x2",
    "transactionHash": WORD,
    "transactionIndex": "0x0",
    "logIndex": "0x3",
    "removed": False,
}
ETL = {
    "type": "log",
    "log_index": 3,
    "transaction_hash": WORD,
    "transaction_index": 0,
    "block_hash": WORD,
    "block_number": 1,
    "address": LOG["address"],
    "data": "0x",
    "topics": [WORD],
    "block_timestamp": "1970-01-01 00:00:02 UTC",
}


def scan(text: str, *, rows: int = 8, framing: int = scanner.LINES) -> tuple[int, np.void, np.ndarray]:
    """Reason, where the scanner stands, and the rows."""
    buffer = np.frombuffer(bytearray(text.encode()), dtype=np.uint8)
    table, blob = np.zeros(rows, dtype=LOG_DTYPE), np.zeros(len(text), dtype=np.uint8)
    state = np.zeros(1, dtype=scanner.SCAN_DTYPE)
    state["stop"], state["line"], state["framing"] = len(buffer), 1, framing
    reason = int(scanner.scan_logs(buffer, table, table.view(np.uint8), blob, state))
    return reason, state[0], table[: int(state[0]["row_count"])]


@pytest.mark.parametrize("log", [LOG, ETL])
def test_usual_logs_never_need_python(log: dict[str, object]) -> None:
    reason, state, rows = scan("\n".join([json.dumps(log)] * 3) + "\n")
    assert (reason, int(state["row_count"]), int(state["line"])) == (NEED_MORE, 3, 4)
    assert rows["position"].tolist() == [1, 2, 3]
    assert rows["timestamp"].tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps(LOG | {"removed": None}), UNUSUAL),
        (json.dumps(LOG | {"id": "\\"}), UNUSUAL),
        (json.dumps(LOG | {"id": [1]}), UNUSUAL),
        (json.dumps(LOG | {"id": -1}), UNUSUAL),
        (json.dumps(LOG | {"id": 1.5}), UNUSUAL),
        (json.dumps(LOG | {"data": "0x1"}), UNUSUAL),
        (json.dumps(LOG | {"log_index": 3}), UNUSUAL),
        (json.dumps({"address": LOG["address"]}), UNUSUAL),
        ("{}", UNUSUAL),
        ('{"a" 1}', INVALID),
        ('{"a":1;}', INVALID),
        ('{"a":1,}', INVALID),
        ('{"a":tru}', INVALID),
        ('{"a\n":1}', INVALID),
        ("5", INVALID),
        ('{"jsonrpc":"2.0"}', scanner.ENVELOPE),
        ('{"id":1,"error":{}}', scanner.ENVELOPE),
        ("[", scanner.ARRAY_START),
    ],
)
def test_all_else_is_handed_back_at_its_first_byte(text: str, reason: int) -> None:
    found, state, rows = scan(f"{json.dumps(LOG)}\n  {text}\n")
    assert found == reason
    at = len(json.dumps(LOG)) + 3 + (1 if reason == scanner.ARRAY_START else 0)
    assert (int(state["position"]), int(state["line"]), len(rows)) == (at, 2, 1)


def test_a_log_cut_off_anywhere_waits_at_its_first_byte() -> None:
    text = json.dumps(LOG)
    for length in range(1, len(text)):
        reason, state, rows = scan(text[:length])
        assert (reason, int(state["position"]), len(rows)) == (NEED_MORE, 0, 0)


def test_full_rows_stop_the_scan_before_the_next_log() -> None:
    line = json.dumps(LOG) + "\n"
    reason, state, rows = scan(line * 3, rows=2)
    assert (reason, int(state["position"]), len(rows)) == (scanner.ROWS_FULL, 2 * len(line) - 1, 2)


def test_elements_want_commas_and_end_at_the_bracket() -> None:
    one = json.dumps(LOG)
    reason, state, rows = scan(f"{one} ,{one}] tail", framing=scanner.ELEMENTS)
    assert (reason, rows["position"].tolist()) == (scanner.ARRAY_END, [1, 2])
    assert int(state["position"]) == 2 * len(one) + 3
    assert scan(f"{one}{one}]", framing=scanner.ELEMENTS)[0] == INVALID
    assert scan(f"{one},]", framing=scanner.ELEMENTS)[0] == INVALID
    assert scan(f",{one}]", framing=scanner.ELEMENTS)[0] == INVALID


def test_every_key_is_found_and_its_neighbours_are_not() -> None:
    for key, field in KEYS.items():
        for text, expected in (
            (key, field),
            (key[:-1] + "?", None),
            ("?" + key[1:], None),
            (key + key[-1], None),
        ):
            found = int(find_field(np.frombuffer(text.encode(), dtype=np.uint8), 0, len(text)))
            assert found == expected if expected is not None else found > len(FIELDS)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("{}", 2),
        ('{"a":[{"b":"]}"}]} x', 18),
        ('{"a":"\\"}"}', 11),
        ("{", NEED_MORE),
        ('{"a":"x\\', NEED_MORE),
        ("{]", INVALID),
        ('{"a\n":1}', INVALID),
        ("[" * 62 + "]" * 62, 124),
        ("[" * 63 + "]" * 63, INVALID),
    ],
)
def test_an_object_ends_at_its_own_bracket(text: str, end: int) -> None:
    assert int(find_object_end(np.frombuffer(text.encode(), dtype=np.uint8), 0, len(text))) == end
