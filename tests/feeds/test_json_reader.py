"""Logs in JSON against json.loads: any framing, any key order, any white space, any chunk size."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.errors import InputError
from disruptor.feeds import json_reader
from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH, REMOVED, LogBatch
from disruptor.feeds.json_reader import read_logs

PATH = Path("logs.json")
ADDRESS, WORD = "0x" + "Ab" * 20, "0x" + "cD" * 32


def log(**changes: Any) -> dict[str, Any]:
    """A log as eth_getLogs answers; a change to `...` takes the key away."""
    whole = {
        "address": ADDRESS,
        "topics": [WORD, "0x" + "00" * 32],
        "data": "0x0102ff",
        "blockHash": WORD,
        "blockNumber": "0x10",
        "blockTimestamp": "0x64ea3f0f",
        "transactionHash": WORD,
        "transactionIndex": "0x3",
        "logIndex": "0x7",
        "removed": False,
    } | changes
    return {key: value for key, value in whole.items() if value is not ...}


def read(text: str | bytes, *, batch_rows: int = 4, chunk_bytes: int = 64) -> list[dict[str, Any]]:
    content = text.encode() if isinstance(text, str) else text
    logs: list[dict[str, Any]] = []
    for batch in read_logs(PATH, 5, lambda: io.BytesIO(content), batch_rows, chunk_bytes=chunk_bytes):  # type: ignore[arg-type, return-value]
        assert 0 < len(batch.rows) <= batch_rows
        logs += [plain(batch, i) for i in range(len(batch.rows))]
    return logs


def plain(batch: LogBatch, index: int) -> dict[str, Any]:
    """A row as plain Python, with None for what it does not know."""
    row = batch.rows[index]
    start = int(row["data_offset"])
    assert row["file"] == 5
    assert not row["topics"][int(row["topic_count"]) :].any()
    return {
        "address": row["address"].tobytes(),
        "topics": [topic.tobytes() for topic in row["topics"][: int(row["topic_count"])]],
        "data": batch.blob[start : start + int(row["data_length"])].tobytes(),
        "blockHash": row["block_hash"].tobytes() if row["flags"] & HAS_BLOCK_HASH else None,
        "blockNumber": int(row["block_number"]),
        "blockTimestamp": int(row["timestamp"]) if row["timestamp"] >= 0 else None,
        "transactionHash": row["tx_hash"].tobytes() if row["flags"] & HAS_TX_HASH else None,
        "transactionIndex": int(row["transaction_index"]) if row["transaction_index"] >= 0 else None,
        "logIndex": int(row["log_index"]),
        "removed": bool(row["flags"] & REMOVED),
        "position": int(row["position"]),
    }


def oracle(text: str, position: int) -> dict[str, Any]:
    """What json.loads and int make of one log, in either spelling."""
    found = json.loads(text)

    def get(camel: str, snake: str) -> Any:
        return found.get(camel, found.get(snake))

    def number(value: Any) -> int | None:
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        if "-" in value:
            return int(datetime.fromisoformat(value[:19]).replace(tzinfo=UTC).timestamp())
        return int(value, 16) if value.startswith("0x") else int(value)

    def unhex(value: str | None) -> bytes | None:
        return None if value is None else bytes.fromhex(value[2:])

    return {
        "address": unhex(found["address"]),
        "topics": [unhex(topic) for topic in found["topics"]],
        "data": unhex(found["data"]),
        "blockHash": unhex(get("blockHash", "block_hash")),
        "blockNumber": number(get("blockNumber", "block_number")),
        "blockTimestamp": number(get("blockTimestamp", "block_timestamp")),
        "transactionHash": unhex(get("transactionHash", "transaction_hash")),
        "transactionIndex": number(get("transactionIndex", "transaction_index")),
        "logIndex": number(get("logIndex", "log_index")),
        "removed": bool(found.get("removed")),
        "position": position,
    }


def hex_of(size: int | None) -> st.SearchStrategy[str]:
    content = st.binary(max_size=70) if size is None else st.binary(min_size=size, max_size=size)
    return st.builds(lambda b, up: "0x" + (b.hex().upper() if up else b.hex()), content, st.booleans())


def number_of(largest: int) -> st.SearchStrategy[Any]:
    return st.integers(0, largest).flatmap(lambda n: st.sampled_from([n, hex(n), str(n)]))


times = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)).map(lambda t: t.replace(microsecond=0))
time_values = number_of(2**40) | times.map(lambda t: f"{t} UTC") | times.map(lambda t: f"{t.isoformat()}Z")
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
unknown = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(), scalars, max_size=2)
required = {
    "address": hex_of(20),
    "topics": st.lists(hex_of(32), max_size=4),
    "data": hex_of(None),
    "blockNumber": number_of(2**63 - 1),
    "logIndex": number_of(2**31 - 1),
}
optional = {
    "blockHash": st.none() | hex_of(32),
    "blockTimestamp": st.none() | time_values,
    "transactionHash": st.none() | hex_of(32),
    "transactionIndex": st.none() | number_of(2**31 - 1),
    "removed": st.none() | st.booleans(),
    "id": unknown,
    "übrig\n": unknown,
}
SNAKE = {
    "blockNumber": "block_number",
    "logIndex": "log_index",
    "blockHash": "block_hash",
    "blockTimestamp": "block_timestamp",
    "transactionHash": "transaction_hash",
    "transactionIndex": "transaction_index",
}
spaces = st.sampled_from(["", "", " ", "\t", "\r\n", "\n  "])


@st.composite
def log_texts(draw: st.DrawFn, fixed: Callable[[str], bool] = lambda _: True) -> str:
    """The text of a random log, in random key order, spelling and white space."""
    found = draw(st.fixed_dictionaries(required, optional=optional))
    snake = draw(st.booleans())
    members = draw(st.permutations([(SNAKE.get(k, k) if snake else k, v) for k, v in found.items()]))
    space, plain_text = draw(spaces), draw(st.booleans())
    return (
        f"{{{space}"
        + f"{space},{space}".join(
            f"{json.dumps(k, ensure_ascii=plain_text)}{space}:{space}"
            + json.dumps(v, ensure_ascii=plain_text, separators=(f"{space},{space}", f"{space}:"))
            for k, v in members
        )
        + f"{space}}}"
    )


@given(st.lists(log_texts(), max_size=4), spaces, st.integers(1, 300))
def test_lines_agree_with_json_loads(texts: list[str], space: str, chunk_bytes: int) -> None:
    text, expected = "", []
    for part in texts:
        text += space
        expected.append(oracle(part, 1 + text.count("\n")))
        text += part + "\n"
    assert read(text, chunk_bytes=chunk_bytes, batch_rows=3) == expected


@given(st.lists(log_texts(), max_size=4), spaces, st.integers(1, 300), st.booleans())
def test_arrays_and_answers_agree_with_json_loads(
    texts: list[str], space: str, chunk_bytes: int, answer: bool
) -> None:
    text = f"{space}[{space}" + f"{space},{space}".join(texts) + f"{space}]{space}"
    if answer:
        text = f'{{"jsonrpc":"2.0",{space}"id":1,"result":{text},"more":{{"a":[1]}}}}{space}'
    expected = [oracle(part, i + 1) for i, part in enumerate(texts)]
    assert read(text, chunk_bytes=chunk_bytes, batch_rows=3) == expected


def test_several_documents_in_one_file_follow_each_other() -> None:
    one = json.dumps(log())
    answer = f'{{"id":1,"result":[{one}],"jsonrpc":"2.0"}}'
    positions = [found["position"] for found in read(f"{one}\n\n[{one},{one}]\n{answer}\n[]\n{one}\n")]
    assert positions == [1, 2, 3, 4, 6]


def test_ethereum_etl_items_are_read() -> None:
    item = {
        "type": "log",
        "log_index": 7,
        "transaction_hash": WORD,
        "transaction_index": 3,
        "block_hash": WORD,
        "block_number": 16,
        "address": ADDRESS,
        "data": "0x0102ff",
        "topics": [WORD, "0x" + "00" * 32],
        "block_timestamp": "2023-08-26 18:06:07 UTC",
        "item_id": "log_0x_7",
    }
    assert read(json.dumps(item)) == read(json.dumps(log()))


def test_nothing_is_no_log_and_no_error() -> None:
    assert read("") == read("\n \n") == read("[]") == read('{"result":[]}') == []


def test_a_last_line_without_newline_and_a_byte_order_mark_are_accepted() -> None:
    assert len(read(b"\xef\xbb\xbf" + json.dumps(log()).encode())) == 1


def test_a_log_larger_than_the_chunk_is_read() -> None:
    assert read(json.dumps(log(data="0x" + "ab" * 5000)), chunk_bytes=16)[0]["data"] == b"\xab" * 5000


def test_a_log_larger_than_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reader, "MAX_OBJECT_BYTES", 1024)
    with pytest.raises(InputError, match="a log of more than"):
        read(json.dumps(log(data="0x" + "ab" * 5000)), chunk_bytes=64)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logIndex": None}, "logIndex: null, so the log is pending"),
        ({"blockNumber": None}, "blockNumber: null, so the log is pending"),
        ({"logIndex": "0x80000000"}, 'logIndex: expected 0 to 2147483647, got "0x80000000"'),
        ({"logIndex": -1}, "logIndex: expected 0 to 2147483647, got -1"),
        ({"logIndex": 1.0}, "logIndex: expected a whole number or a 0x string, got 1.0"),
        ({"logIndex": True}, "logIndex: expected a whole number or a 0x string, got true"),
        ({"logIndex": "7x"}, 'logIndex: expected a whole number or a 0x string, got "7x"'),
        ({"logIndex": "0x"}, 'logIndex: expected a whole number or a 0x string, got "0x"'),
        ({"transactionIndex": 2**31}, "transactionIndex: expected 0 to 2147483647"),
        ({"blockNumber": hex(2**63)}, "blockNumber: expected 0 to 9223372036854775807"),
        ({"blockNumber": 2**63}, "blockNumber: expected 0 to 9223372036854775807"),
        ({"blockTimestamp": "2023-02-30 00:00:00 UTC"}, "blockTimestamp: expected seconds or a time like"),
        ({"address": "0xabc"}, "address: expected 0x and 40 hex digits, got 3 digits"),
        ({"address": ADDRESS + "00"}, "address: expected 0x and 40 hex digits, got 42 digits"),
        ({"address": "0x" + "zz" * 20}, "address: expected 0x and 40 hex digits, got"),
        ({"address": 5}, "address: expected 0x and 40 hex digits, got 5"),
        ({"data": "0x1"}, "data: expected 0x and an even number of hex digits, got 1 digits"),
        ({"data": "0x1g"}, 'data: expected 0x and an even number of hex digits, got "0x1g"'),
        ({"data": "0102"}, 'data: expected 0x and an even number of hex digits, got "0102"'),
        ({"data": None}, "data: expected 0x and an even number of hex digits, got null"),
        ({"topics": [WORD] * 5}, "topics: expected at most 4, got 5"),
        ({"topics": [WORD, "0x12"]}, r"topics\[1\]: expected 0x and 64 hex digits, got 2 digits"),
        ({"topics": WORD}, "topics: expected a list of 0x strings"),
        ({"blockHash": WORD[:-2]}, "blockHash: expected 0x and 64 hex digits, got 62 digits"),
        ({"transactionHash": WORD + "0"}, "transactionHash: expected 0x and 64 hex digits, got 65 digits"),
        ({"removed": "no"}, 'removed: expected true or false, got "no"'),
        ({"address": ...}, "address: missing"),
        ({"topics": ...}, "topics: missing"),
        ({"data": ...}, "data: missing"),
        ({"blockNumber": ...}, "blockNumber: missing"),
        ({"logIndex": ...}, "logIndex: missing"),
        ({"log_index": 7}, "log_index: given twice"),
    ],
)
def test_a_bad_field_is_named_with_file_and_place(changes: dict[str, Any], message: str) -> None:
    good, bad = json.dumps(log()), json.dumps(log(**changes))
    with pytest.raises(InputError, match=rf"^logs\.json:3: {message}"):
        read(f"{good}\n\n{bad}\n{good}\n")
    with pytest.raises(InputError, match=rf"^logs\.json: element 2 \(line 1\): {message}"):
        read(f"[{good},{bad}]")


GOOD = json.dumps(log())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{GOOD}\nhello\n", r"logs\.json:2: expected a log object, got b'hello'"),
        (f"{GOOD}\n5\n", r"logs\.json:2: expected a log object, got b'5'"),
        (f"{GOOD}\n{{}}\n", r"logs\.json:2: address: missing"),
        (f"{GOOD} {GOOD}\n", r"logs\.json:1: expected a new line after the log before"),
        (f"{GOOD[:100]}\n{GOOD}\n", r"logs\.json:1: not valid JSON: Invalid control character at"),
        (f"{GOOD[:-1]},\n{GOOD}\n", r"logs\.json:1: not valid JSON: Expecting property name"),
        (f"{GOOD[:-1]}\n{GOOD}\n", r"logs\.json:1: not valid JSON: Expecting ',' delimiter"),
        (f"{GOOD}\n{GOOD[:-1]}", r"logs\.json:2: the file ends within this log: it is cut off"),
        (f"{GOOD}\n{GOOD[:57]}", r"logs\.json:2: the file ends within this log: it is cut off"),
        (f"[{GOOD}", r"logs\.json: after element 1 \(line 1\): the file ends within the array"),
        (f"[{GOOD},]", r"logs\.json: after element 1 \(line 1\): expected a log object, got b'\]'"),
        (f"[{GOOD} {GOOD}]", r"after element 1 \(line 1\): expected a comma or \] after the log before"),
        ("[[]]", r"expected a log object, got b'\[\]\]'"),
        (GOOD.replace("false", "False"), r"logs\.json:1: not valid JSON: Expecting value"),
        (GOOD.replace("false", "NaN"), r"logs\.json:1: not usable JSON: NaN is no JSON"),
        (GOOD.replace("false", "falsetto"), r"logs\.json:1: not valid JSON"),
        (GOOD.replace('"0x7"', "07"), r"logs\.json:1: not valid JSON"),
        (GOOD.replace("{", '{"id":"\\x",', 1), r"logs\.json:1: not valid JSON: Invalid \\escape"),
        (GOOD.encode().replace(b"{", b'{"id":"\xff",', 1), r"logs\.json:1: not UTF-8 at byte 7"),
        (
            '{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"too many"}}',
            r"an error: too many \(code -32005\)",
        ),
        ('{"jsonrpc":"2.0","id":1,"result":null}', "whose result is no array of logs"),
        ('{"jsonrpc":"2.0","id":1,"resul', "without a result array"),
        (f'{{"result":[{GOOD}]', "around the logs does not end as JSON"),
        (f'[{{"jsonrpc":"2.0","result":[{GOOD}]}}]', "an answer|a JSON-RPC answer within an array"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text: str | bytes, message: str) -> None:
    for chunk_bytes in (16, 4096):
        with pytest.raises(InputError, match=message):
            read(text, chunk_bytes=chunk_bytes)


def test_every_truncation_of_a_file_is_an_error_or_a_prefix() -> None:
    lines, whole = f"{GOOD}\n{GOOD}\n", read(f"{GOOD}\n{GOOD}\n", chunk_bytes=4096)
    for length in range(0, len(lines), 7):
        try:
            found = read(lines[:length], chunk_bytes=4096)
        except InputError as error:
            assert "cut off" in str(error)
        else:
            assert length in (0, len(GOOD), len(GOOD) + 1)
            assert found == whole[: length // len(GOOD)]


def test_a_changed_byte_is_an_error_or_read_as_json_loads_reads_it() -> None:
    chance = random.Random(20)
    text, survivors = bytearray(GOOD.encode()), 0
    for _ in range(600):
        place, byte = chance.randrange(len(text)), chance.choice(b'0aZ" ,:{}[]\\\n\x00\x80\xff')
        changed = bytes(text[:place]) + bytes([byte]) + bytes(text[place + 1 :])
        try:
            found = read(changed, chunk_bytes=4096)
        except InputError:
            continue
        survivors += 1
        assert found == [oracle(changed.decode(), 1)]
    assert survivors > 50
