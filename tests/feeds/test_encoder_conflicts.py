"""Rows at one place (block, log index): the same log again is dropped, another one is a conflict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from disruptor.errors import InputError
from disruptor.feeds.encoder import MAX_SLOTS_PER_LOG, Encoder
from disruptor.handlers import messages as m
from tests.feeds.test_encoder import (
    CAPACITY,
    PAIR,
    POOL,
    STRANGER,
    TOKEN_A,
    TOKEN_B,
    TOPICS,
    V2,
    batch,
    log,
    only,
    pair_created,
    pool_created,
    ring,
    run,
    sync,
)

OTHER = bytes([9]) * 20
JUNK = [TOPICS["UniswapV2Sync", V2]]


def marks(slots: list[dict[str, Any]]) -> list[tuple[int, int, int, int]]:
    return [
        (s["pool"], s["reason"], s["log_index"], s["source_sequence"]) for s in only(slots, "PoolIncomplete")
    ]


def note(data: bytes = b"", topics: tuple[Any, ...] = (), **more: Any) -> dict[str, Any]:
    """A log of the pair with any data and topics; none of them means anything."""
    return log(1, 1, PAIR, ["ff" * 32, *topics], **more) | {"data": data}


def changed(first: dict[str, Any], name: str) -> dict[str, Any]:
    values = {
        "address": OTHER,
        "data": first["data"][:-1] + b"\x01",
        "topics": [*first["topics"][:-1], bytes(32)],
        "tx": 999,
    }
    return first | {name: values[name]}


@pytest.mark.parametrize("data", [b"", b"\x05", b"\x05" * 7, b"\x05" * 8, b"\x05" * 77])
def test_the_same_log_again_is_a_duplicate(data):
    first = note(data, (3, 4, 5))
    slots, encoder = run([pair_created(1, 0), first, first, first])
    assert encoder.warnings == {"duplicate_logs": 2} and not marks(slots)


@pytest.mark.parametrize("name", ["address", "data", "topics", "tx"])
@pytest.mark.parametrize("data", [b"\x05", b"\x05" * 8, b"\x05" * 77])
def test_a_log_that_differs_in_anything_is_a_conflict(name, data):
    first = note(data, (3, 4, 5))
    slots, encoder = run([pair_created(1, 0), first, changed(first, name)])
    assert encoder.warnings == {"log_conflicts": 1}
    assert encoder.warning_positions == {"log_conflicts": "logs.jsonl:3"}
    assert marks(slots) == [(0, m.REASON_CONFLICT, 1, 2)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (note(b"\0"), note(b"\0\0")),
        (note(b"\0" * 8), note(b"\0" * 16)),
        (note(), note(topics=(0,))),
        (note(b"\0" * 32), note(topics=(0,))),
        (note(bytes(8) + b"\x01" + bytes(7)), note(b"\x01" + bytes(15))),
    ],
)
def test_zeros_tell_logs_apart_by_number_and_place(first, second):
    assert run([first, second])[1].warnings["log_conflicts"] == 1


def test_a_transaction_hash_that_one_log_lacks_tells_nothing():
    logs = batch([pair_created(1, 0, tx=5), sync(1, 1, tx=5), sync(1, 1, tx=5)])
    logs.rows["flags"][2] &= ~np.uint8(4)
    logs.rows["tx_hash"][2] = 0
    encoder = Encoder(chain_id=5)
    encoder.encode(logs, 0, ring(), CAPACITY - 1, CAPACITY)
    assert encoder.warnings == {"duplicate_logs": 1}


def test_a_conflict_of_logs_without_block_hash_is_one_too():
    logs = [pair_created(1, 0, hash=b""), sync(1, 1, hash=b""), sync(1, 1, reserves=(9, 9), hash=b"")]
    assert run(logs)[1].warnings == {"block_hashes_absent": 1, "log_conflicts": 1}


def test_the_first_log_stands_and_the_pools_of_both_are_marked_in_its_transaction():
    logs = [pair_created(1, 0, tx=5), pool_created(1, 1), sync(1, 2, reserves=(1, 2), tx=6)]
    initialize = log(1, 2, POOL, [TOPICS["UniswapV3Initialize", m.KIND_UNISWAP_V3]], [2**96, 0])
    slots, _ = run([*logs, initialize, sync(1, 3, reserves=(3, 4), tx=6)])
    assert [s["reserve0"] for s in only(slots, "UniswapV2Sync")] == [1, 3]
    assert not only(slots, "UniswapV3Initialize")
    assert marks(slots) == [(pool, m.REASON_CONFLICT, 2, 3) for pool in (0, 1)]
    names = [slot["type"] for slot in slots]
    first = names.index("UniswapV2Sync")
    assert names[first:] == [
        *("UniswapV2Sync", "PoolIncomplete", "PoolIncomplete", "UniswapV2Sync"),
        *("TransactionEnd", "BlockEnd"),
    ]
    assert slots[-2]["log_count"] == 2 and slots[-1]["log_count"] == 4  # dropped ones are in no block


def test_a_transaction_of_which_only_the_conflict_is_left_has_an_end():
    slots, _ = run([pair_created(1, 0, tx=5), note(b"a", tx=6), sync(1, 1, tx=7)])
    names = [slot["type"] for slot in slots]
    assert names[-3:] == ["PoolIncomplete", "TransactionEnd", "BlockEnd"]
    assert slots[-2]["log_count"] == 1


def test_every_further_log_is_held_against_the_one_that_stands():
    first, second = sync(1, 1), sync(1, 1, reserves=(9, 9))
    slots, encoder = run([pair_created(1, 0), first, second, first, second])
    assert encoder.warnings == {"duplicate_logs": 1, "log_conflicts": 2}
    assert marks(slots) == [(0, m.REASON_CONFLICT, 1, source) for source in (2, 4)]


def test_emitters_that_nobody_registered_are_marked_for_a_later_replay():
    slots, encoder = run([sync(1, 0, STRANGER), sync(1, 0, OTHER), note(b"a"), note(b"b")])
    assert [(s["pool"], s["address"]) for s in only(slots, "PoolSeen")] == [(0, STRANGER), (1, OTHER)]
    assert [mark[0] for mark in marks(slots)] == [0, 1]
    assert encoder.warnings == {"unknown_pool_logs": 1, "log_conflicts": 2}


def test_strict_runs_stop_at_a_conflict_with_its_place_and_not_at_a_duplicate():
    logs = [pair_created(1, 0), sync(1, 1), sync(1, 1), sync(1, 1, reserves=(9, 9))]
    run(logs[:3], strict=True)
    with pytest.raises(InputError, match=r"logs.jsonl:4: block 1 log 1 is another log .*--strict"):
        run(logs, strict=True)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_is_a_conflict_does_not_depend_on_batches_or_room(size):
    first, second = sync(1, 2, tx=7), sync(1, 2, POOL, tx=8)
    logs = [pair_created(1, 0), pool_created(1, 1), first, second, first, second, sync(1, 3), sync(1, 3)]
    logs += [log(2, 0, STRANGER, JUNK, [1]), log(2, 0, STRANGER, JUNK, [2])]
    whole, parts = ring(), ring()
    encoder, other = Encoder(chain_id=5), Encoder(chain_id=5)
    encoder.encode(batch(logs), 0, whole, CAPACITY - 1, CAPACITY)
    for begin in range(0, len(logs), size):
        piece, row = batch(logs[begin : begin + size]), 0
        while row < len(piece.rows):
            row = other.encode(piece, row, parts, CAPACITY - 1, other.next_sequence + MAX_SLOTS_PER_LOG)
    assert other.warnings == encoder.warnings
    assert encoder.warnings == {
        "duplicate_logs": 2,
        "log_conflicts": 3,
        "undecodable_unknown": 1,
    }
    assert other.next_sequence == encoder.next_sequence and (whole == parts).all()


def test_an_undecodable_log_of_a_stranger_stops_nobody_and_its_pool_is_not_born_later():
    logs = [log(1, 0, STRANGER, JUNK, [1]), log(1, 1, STRANGER, JUNK, [2]), pair_created(1, 2, STRANGER)]
    slots, encoder = run([*logs, sync(1, 3, STRANGER)], strict=True)
    assert encoder.warnings == {"undecodable_unknown": 2}
    assert encoder.warning_positions == {"undecodable_unknown": "logs.jsonl:1"}
    assert marks(slots) == [(0, m.REASON_UNDECODABLE, index, index) for index in (0, 1)]
    assert [slot["type"] for slot in slots[:3]] == ["BlockStart", "PoolSeen", "PoolIncomplete"]
    registered = only(slots, "PoolRegistered")[0]
    assert (registered["pool"], registered["flags"], registered["token0_address"]) == (0, 0, TOKEN_A)
    assert registered["token1_address"] == TOKEN_B
