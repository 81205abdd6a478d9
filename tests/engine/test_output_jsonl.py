"""JSON lines against an oracle that builds a dict per record."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from disruptor.engine.output_jsonl import JsonlOutput, json_lines
from disruptor.errors import InputError
from disruptor.handlers.messages import ArbitrageOpportunity, DeFiSwapEvent, HotMarketData, UniswapV3Swap
from disruptor.message import byte_string, f32, f64, i16, i128, i256, message, u8, u64, u128, u256

EVERYTHING = message(
    "Everything",
    1001,
    {
        "tiny": u8,
        "below": i16,
        "large": u64,
        "single": f32,
        "double": f64,
        "unsigned": u128,
        "signed": i128,
        "word": u256,
        "signed_word": i256,
        "raw": byte_string(3),
    },
)
ROWS = [
    {
        "sequence": 7,
        "flags": 513,
        "tiny": 255,
        "below": -5,
        "large": 2**64 - 1,
        "single": 0.1,
        "double": 1e22,
        "unsigned": 2**128 - 1,
        "signed": -(2**127),
        "word": 2**256 - 1,
        "signed_word": -1,
        "raw": b"\x00\xab\xff",
    },
    {"sequence": 8, "double": 0.1, "single": -2.5, "unsigned": 12, "signed": 3, "word": 2**64},
]


def _rows(slots, where):
    text, ends = json_lines(slots, where)
    lines = text.splitlines(keepends=True)
    assert np.cumsum([len(line) for line in lines]).tolist() == ends.tolist()
    return [json.loads(line) for line in lines]


def test_every_field_type_is_written_exactly(records, context):
    first, second = _rows(records(EVERYTHING, ROWS), context(EVERYTHING, 2))
    assert first == {
        "sequence": 7,
        "block": 17_000_000,
        "transaction_hash": "0x" + "00" * 32,
        "log_index": 0,
        "type": "Everything",
        "flags": 513,
        "tiny": 255,
        "below": -5,
        "large": 2**64 - 1,
        "single": float(np.float32(0.1)),
        "double": 1e22,
        "unsigned": str(2**128 - 1),
        "signed": str(-(2**127)),
        "word": str(2**256 - 1),
        "signed_word": "-1",
        "raw": "0x00abff",
    }
    assert (second["transaction_hash"], second["log_index"]) == ("0x" + "01" * 32, 1)
    assert (second["double"], second["unsigned"], second["word"]) == (0.1, "12", str(2**64))
    assert list(first)[:6] == ["sequence", "block", "transaction_hash", "log_index", "type", "flags"]


def test_unknown_transaction_and_log_are_null(records, context):
    slots = records(EVERYTHING, ROWS)
    where = context(EVERYTHING, 2, has_tx=np.array([True, False]), log_index=np.array([-1, 4]))
    first, second = _rows(slots, where)
    assert (first["transaction_hash"], first["log_index"]) == ("0x" + "00" * 32, None)
    assert (second["transaction_hash"], second["log_index"]) == (None, 4)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_json_does_not_know_are_null(records, context, value):
    (row,) = _rows(records(EVERYTHING, [{"double": value}]), context(EVERYTHING, 1))
    assert row["double"] is None


@pytest.mark.parametrize("kind", [DeFiSwapEvent, ArbitrageOpportunity, HotMarketData, UniswapV3Swap])
def test_built_in_messages_have_every_field(records, context, kind):
    (row,) = _rows(records(kind, [{}]), context(kind, 1))
    assert len(row) == 6 + len(kind.fields)


def test_a_payload_field_called_sequence_does_not_hide_the_events(records, context):
    slots = records(HotMarketData, [{"header_sequence": 5, "sequence": 99}])
    (row,) = _rows(slots, context(HotMarketData, 1))
    assert (row["sequence"], row["payload_sequence"]) == (5, 99)


def _write(path, batches, types=None, context=None):
    sink = JsonlOutput(path, types)
    sink.open([EVERYTHING, DeFiSwapEvent], lambda pool: None)
    for batch in batches:
        for kind, slots in batch:
            sink.write(slots, context(kind, len(slots)))
        sink.end_batch()
    sink.close()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_types_are_interleaved_in_the_order_of_the_run_whatever_the_batches(tmp_path, records, context):
    events = [(s, EVERYTHING if s % 3 else DeFiSwapEvent) for s in range(30)]
    written = []
    for size in (1, 7, 30):
        batches = []
        for start in range(0, 30, size):
            part = events[start : start + size]
            batches.append(
                [
                    (kind, records(kind, [{"sequence": s} for s, k in part if k is kind]))
                    for kind in (EVERYTHING, DeFiSwapEvent)
                ]
            )
        rows = _write(tmp_path / f"{size}.jsonl", batches, context=context)
        written.append([(row["sequence"], row["type"]) for row in rows])
    assert written == [[(s, kind.name) for s, kind in events]] * 3


def test_only_the_chosen_types_are_written(tmp_path, records, context):
    batch = [(kind, records(kind, [{"sequence": 1}])) for kind in (EVERYTHING, DeFiSwapEvent)]
    rows = _write(tmp_path / "a.jsonl", [batch], types=["DeFiSwapEvent"], context=context)
    assert [row["type"] for row in rows] == ["DeFiSwapEvent"]


def test_an_unknown_type_names_the_nearest_one(tmp_path):
    sink = JsonlOutput(tmp_path / "a.jsonl", ["defiswapevnt"])
    with pytest.raises(InputError, match=r"this run emits DeFiSwapEvent; did you mean DeFiSwapEvent\?"):
        sink.open([DeFiSwapEvent], lambda pool: None)
    sink.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_outputs_writes_an_empty_file(tmp_path, context):
    assert _write(tmp_path / "a.jsonl", [], context=context) == []


def test_a_batch_larger_than_one_part_is_written_whole_and_in_order(tmp_path, records, context):
    slots = records(EVERYTHING, [{}] * 2500)
    slots["sequence"] = np.arange(2500)[::-1]
    rows = _write(tmp_path / "a.jsonl", [[(EVERYTHING, slots)]], context=context)
    assert [(row["sequence"], row["log_index"]) for row in rows] == [(s, 2499 - s) for s in range(2500)]
