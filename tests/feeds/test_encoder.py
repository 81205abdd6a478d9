"""The encoder's rules, one by one, on a small hand-made stream."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from disruptor.errors import InputError
from disruptor.feeds.columns import HAS_BLOCK_HASH, HAS_TX_HASH, LOG_DTYPE, REMOVED, LogBatch
from disruptor.feeds.encode_state import HEADER_DTYPE
from disruptor.feeds.encoder import MAX_SLOTS_PER_LOG, Encoder, RemovedLogsFound, collect_removed
from disruptor.feeds.topics import EVENTS
from disruptor.handlers import messages as m

TOPICS = {(event.message.name, event.kind): event.topic for event in EVENTS if len(event.words) != 7}
V2, V3 = m.KIND_UNISWAP_V2, m.KIND_UNISWAP_V3
TOKEN_A, TOKEN_B = bytes([1]) * 20, bytes([2]) * 20
PAIR, POOL, STRANGER, FACTORY = (bytes([k]) * 20 for k in (3, 4, 5, 6))
BY_TYPE = {message.type_id: message for message in m.BUILT_IN}
CAPACITY = 1024


def word(value: int | bytes) -> bytes:
    return value.rjust(32, b"\0") if isinstance(value, bytes) else (value % 2**256).to_bytes(32, "big")


def log(block: int, index: int, address: bytes, topics: list[Any], data: list[Any] = (), **more: Any) -> dict:  # type: ignore[assignment]
    first = bytes.fromhex(topics[0]) if topics else b""
    return {
        "block": block,
        "index": index,
        "address": address,
        "topics": ([first] if topics else []) + [word(t) for t in topics[1:]],
        "data": b"".join(word(d) for d in data),
        "tx": more.get("tx", block * 100 + index),
        "hash": more.get("hash", block.to_bytes(32, "big")),
        "time": more.get("time", 1000 + block),
        "removed": more.get("removed", False),
    }


def pair_created(
    block: int, index: int, pool: bytes = PAIR, tokens: tuple = (TOKEN_A, TOKEN_B), **more: Any
) -> dict:
    return log(block, index, FACTORY, [TOPICS["PoolRegistered", V2], *tokens], [pool, 1], **more)


def pool_created(
    block: int, index: int, fee: int = 500, spacing: int = 10, tokens: tuple = (TOKEN_A, TOKEN_B)
) -> dict:
    return log(block, index, FACTORY, [TOPICS["PoolRegistered", V3], *tokens, fee], [spacing, POOL])


def sync(block: int, index: int, pool: bytes = PAIR, reserves: tuple = (7, 8), **more: Any) -> dict:
    return log(block, index, pool, [TOPICS["UniswapV2Sync", V2]], list(reserves), **more)


def transfer(block: int, index: int, sender: bytes, receiver: bytes, token: bytes = TOKEN_A) -> dict:
    return log(block, index, token, [TOPICS["Erc20Transfer", 0], sender, receiver], [99])


def batch(logs: list[dict]) -> LogBatch:
    rows, blob = np.zeros(len(logs), LOG_DTYPE), b""
    for i, entry in enumerate(logs):
        row = rows[i]
        row["block_number"], row["log_index"], row["timestamp"] = (
            entry["block"],
            entry["index"],
            entry["time"],
        )
        row["position"], row["transaction_index"] = i + 1, entry["tx"]
        row["data_offset"], row["data_length"] = len(blob), len(entry["data"])
        row["topic_count"] = len(entry["topics"])
        row["flags"] = (
            HAS_TX_HASH | (HAS_BLOCK_HASH if entry["hash"] else 0) | (REMOVED if entry["removed"] else 0)
        )
        row["address"] = np.frombuffer(entry["address"], np.uint8)
        row["block_hash"] = np.frombuffer(entry["hash"] or bytes(32), np.uint8)
        row["tx_hash"] = np.frombuffer(word(entry["tx"]), np.uint8)
        for k, topic in enumerate(entry["topics"]):
            row["topics"][k] = np.frombuffer(topic, np.uint8)
        blob += entry["data"]
    return LogBatch(rows, np.frombuffer(bytearray(blob), np.uint8))


def ring(capacity: int = CAPACITY) -> np.ndarray:
    raw = np.full(capacity * 192 + 64, 0xEE, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + capacity * 192].reshape(capacity, 192)


def integer(limbs: Any) -> int:
    return sum(int(limb) << (64 * k) for k, limb in enumerate(limbs))


def read_slot(slot: np.ndarray) -> dict[str, Any]:
    """A slot as a dict; wide integers unsigned, byte strings as bytes."""
    message = BY_TYPE[int(slot.view("<u2")[12])]
    record = slot.view(message.slot_dtype())[0]
    fields: dict[str, Any] = {"type": message.name, "flags": int(record["flags"])}
    for name in ("sequence", "source_sequence", "event_time_ns"):
        fields[name] = int(record[name])
    for name, kind in message.fields.items():
        value = record[name]
        fields[name] = (
            int(value) if not kind.count else (value.tobytes() if kind.base == "<u1" else integer(value))
        )
    return fields


def run(
    logs: list[dict], encoder: Encoder | None = None, **options: Any
) -> tuple[list[dict[str, Any]], Encoder]:
    encoder = encoder or Encoder(chain_id=5, files=["logs.jsonl"], **options)
    slots = ring()
    encoder.write_registrations(slots, CAPACITY - 1, CAPACITY)
    taken = encoder.encode(batch(logs), 0, slots, CAPACITY - 1, CAPACITY)
    assert taken == len(logs)
    assert encoder.finish(slots, CAPACITY - 1, CAPACITY)
    return [read_slot(slots[k]) for k in range(encoder.next_sequence)], encoder


def only(slots: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [slot for slot in slots if slot["type"] == name]


def test_structure_surrounds_the_logs_of_a_block():
    slots, _ = run([pair_created(1, 0), sync(1, 1, tx=7), sync(1, 2, tx=7), sync(3, 0)])
    assert [slot["type"] for slot in slots] == [
        *("BlockStart", "TokenRegistered", "TokenRegistered", "PoolRegistered", "TransactionEnd"),
        *("UniswapV2Sync", "UniswapV2Sync", "TransactionEnd", "BlockEnd"),
        *("BlockStart", "UniswapV2Sync", "TransactionEnd", "BlockEnd"),
    ]
    assert [slot["sequence"] for slot in slots] == list(range(len(slots)))
    assert [slot["source_sequence"] for slot in only(slots, "UniswapV2Sync")] == [1, 2, 3]
    assert slots[0]["source_sequence"] == -1 and slots[0]["chain_id"] == 5 and slots[0]["number"] == 1
    assert slots[0]["timestamp"] == 1001 and slots[5]["event_time_ns"] == 1001 * 10**9
    assert slots[0]["hash"] == (1).to_bytes(32, "big") and slots[0]["flags"] == m.FLAG_PARENT_UNKNOWN
    assert slots[7]["log_count"] == 2 and slots[7]["flags"] == m.FLAG_GAS_PRICE_UNKNOWN
    assert (slots[8]["transaction_count"], slots[8]["log_count"]) == (2, 3)


def test_a_transaction_that_wrote_nothing_has_no_end_but_counts():
    slots, encoder = run([log(1, 0, STRANGER, ["ff" * 32]), log(1, 1, STRANGER, [])])
    assert [slot["type"] for slot in slots] == ["BlockStart", "BlockEnd"]
    assert slots[1]["transaction_count"] == 2 and encoder.counts["ignored_logs"] == 2


def test_a_creation_log_registers_a_pool_born_in_the_stream():
    slots, _ = run([pair_created(1, 0), pool_created(1, 1)], factories={FACTORY: 2500})
    tokens, pools = only(slots, "TokenRegistered"), only(slots, "PoolRegistered")
    assert [(t["token"], t["decimals"], t["address"]) for t in tokens] == [
        (0, 255, TOKEN_A),
        (1, 255, TOKEN_B),
    ]
    assert [(p["pool"], p["kind"], p["fee"], p["tick_spacing"], p["address"]) for p in pools] == [
        (0, V2, 2500, 0, PAIR),
        (1, V3, 500, 10, POOL),
    ]
    assert all(p["flags"] == m.FLAG_BORN and p["factory"] == FACTORY for p in pools)
    assert pools[0]["token0_address"] == TOKEN_A and pools[0]["token1_address"] == TOKEN_B


@pytest.mark.parametrize(
    "bad",
    [
        pair_created(1, 0, tokens=(TOKEN_B, TOKEN_A)),
        pair_created(1, 0, tokens=(TOKEN_A, TOKEN_A)),
        pair_created(1, 0, pool=bytes(20)),
        pool_created(1, 0, fee=1_000_000),
        pool_created(1, 0, spacing=-10),
    ],
)
def test_a_creation_log_that_can_not_be_true_registers_nothing(bad):
    slots, encoder = run([bad])
    assert not only(slots, "PoolRegistered") and encoder.warnings == {"undecodable_logs": 1}
    assert encoder.warning_positions == {"undecodable_logs": "logs.jsonl:1"}


def test_the_first_registration_wins_and_a_conflict_marks_the_pool():
    slots, encoder = run([pair_created(1, 0), pair_created(1, 1, tokens=(TOKEN_A, STRANGER))])
    assert len(only(slots, "PoolRegistered")) == 1 and encoder.warnings == {"pool_conflicts": 1}
    assert [(s["pool"], s["reason"], s["log_index"]) for s in only(slots, "PoolIncomplete")] == [
        (0, m.REASON_CONFLICT, 1)
    ]


def test_a_repeated_creation_log_is_not_a_second_birth():
    slots, encoder = run([pair_created(1, 0), sync(1, 1), pair_created(1, 2)])
    assert len(only(slots, "PoolRegistered")) == 1 and encoder.warnings == {"duplicate_pools": 1}


def test_an_unknown_emitter_is_seen_once_and_its_logs_are_kept():
    slots, encoder = run(
        [sync(1, 0, STRANGER), sync(1, 1, STRANGER), pair_created(1, 2, STRANGER), sync(1, 3, STRANGER)]
    )
    assert [s["address"] for s in only(slots, "PoolSeen")] == [STRANGER]
    assert [s["pool"] for s in only(slots, "UniswapV2Sync")] == [0, 0, 0]
    assert encoder.warnings == {"unknown_pool_logs": 2}
    assert only(slots, "PoolRegistered")[0]["flags"] == 0  # it lived before: no birth


def test_malformed_logs_mark_their_pools_and_stop_strict_runs_where_the_pool_is_known():
    bad = [TOPICS["UniswapV2Sync", V2]]
    logs = [
        log(1, 0, STRANGER, bad, [1]),
        pair_created(1, 1),
        log(1, 2, PAIR, bad, [1]),
        log(1, 3, PAIR, bad, [2**112, 1]),
    ]
    slots, encoder = run(logs)
    assert [(s["pool"], s["reason"]) for s in only(slots, "PoolIncomplete")] == [
        (pool, m.REASON_UNDECODABLE) for pool in (0, 1, 1)
    ]
    assert [(s["pool"], s["address"]) for s in only(slots, "PoolSeen")] == [(0, STRANGER)]
    assert encoder.warnings == {"undecodable_logs": 2, "undecodable_unknown": 1}
    assert encoder.counts["ignored_logs"] == 0
    with pytest.raises(InputError, match=r"logs.jsonl:3: .*--strict"):
        run(logs, strict=True)


def test_a_topic_of_the_other_kind_is_foreign():
    swap = log(1, 1, PAIR, [TOPICS["UniswapV3Initialize", V3]], [2**96, 0])
    slots, encoder = run([pair_created(1, 0), swap])
    assert encoder.warnings == {"foreign_topics": 1} and not only(slots, "UniswapV3Initialize")


def test_ticks_must_ascend_and_lie_in_range():
    topic = TOPICS["UniswapV3Mint", V3]
    ticks = [(-10, 10), (10, 10), (-887273, 0), (-887272, 887272), (2**24 - 10, 10)]
    logs = [pool_created(1, 0)]
    logs += [log(1, k + 1, POOL, [topic, PAIR, *pair], [PAIR, 5, 6, 7]) for k, pair in enumerate(ticks)]
    slots, encoder = run(logs)
    assert [(s["tick_lower"], s["tick_upper"]) for s in only(slots, "UniswapV3Mint")] == [
        (-10, 10),
        (-887272, 887272),
    ]
    assert encoder.warnings == {"undecodable_logs": 3}


def test_pancake_swaps_are_v3_swaps():
    topic = next(event.topic for event in EVENTS if len(event.words) == 7)
    slots, _ = run([pool_created(1, 0), log(1, 1, POOL, [topic, PAIR, PAIR], [-5, 6, 2**96, 77, -3, 1, 2])])
    swap = only(slots, "UniswapV3Swap")[0]
    assert (swap["amount0"], swap["amount1"], swap["tick"], swap["liquidity"]) == (2**256 - 5, 6, -3, 77)


def test_amounts_beyond_their_field_are_saturated_and_flagged():
    topic = TOPICS["UniswapV2Swap", V2]
    slots, _ = run([pair_created(1, 0), log(1, 1, PAIR, [topic, PAIR, PAIR], [2**128, 0, 1, 2**128 - 1])])
    swap = only(slots, "UniswapV2Swap")[0]
    assert swap["amount0_in"] == swap["amount1_out"] == 2**128 - 1
    assert swap["flags"] == m.FLAG_AMOUNT_OVERFLOW


def test_transfers_count_only_where_a_registered_pool_is_a_party():
    logs = [sync(1, 0, STRANGER), pair_created(1, 1), pool_created(1, 2)]
    parties = [(STRANGER, FACTORY), (FACTORY, PAIR), (PAIR, bytes(20)), (PAIR, POOL)]
    logs += [transfer(1, 3 + k, *pair) for k, pair in enumerate(parties)]
    slots, _ = run(logs)
    assert [
        (s["direction"], s["pool"], s["other_pool"], s["counterparty"]) for s in only(slots, "Erc20Transfer")
    ] == [
        (1, 1, m.NO_ID, FACTORY),
        (2, 1, m.NO_ID, bytes(20)),
        (3, 1, 2, POOL),
    ]
    assert all(s["amount"] == 99 and s["token"] == 0 for s in only(slots, "Erc20Transfer"))


def test_duplicates_are_dropped_and_counted():
    slots, encoder = run([pair_created(1, 0), sync(1, 1), sync(1, 1)])
    assert len(only(slots, "UniswapV2Sync")) == 1 and encoder.warnings == {"duplicate_logs": 1}


@pytest.mark.parametrize("logs", [[sync(2, 0), sync(1, 5)], [sync(1, 5), sync(1, 4)]])
def test_disorder_is_an_error_with_its_place(logs):
    with pytest.raises(InputError, match=r"logs.jsonl:2: .*--sort"):
        run(logs)


def test_two_hashes_at_a_height_are_an_error_without_headers():
    with pytest.raises(InputError, match=r"logs.jsonl:2: two hashes at height 1.*--blocks"):
        run([sync(1, 0), sync(1, 1, hash=b"x" * 32)])


def headers(*numbers: int) -> np.ndarray:
    table = np.zeros(len(numbers), HEADER_DTYPE)
    for row, number in zip(table, numbers, strict=True):
        row["number"], row["timestamp"], row["base_fee"], row["has_hash"] = number, 5000 + number, 7, 1
        row["has_parent"] = 1
        row["hash"] = np.frombuffer(number.to_bytes(32, "big"), "<u8")
        row["parent_hash"] = np.frombuffer((number - 1).to_bytes(32, "big"), "<u8")
    return table


def test_headers_decide_between_hashes_and_tell_times():
    logs = [pair_created(1, 0), sync(1, 1, hash=b"x" * 32), sync(1, 1), sync(2, 0)]
    slots, encoder = run(logs, headers=headers(1, 2))
    assert encoder.warnings == {"orphaned_logs": 1} and len(only(slots, "UniswapV2Sync")) == 2
    start = slots[0]
    assert (start["timestamp"], start["base_fee"], start["flags"]) == (5001, 7, 0)
    assert start["parent_hash"] == bytes(32)


def test_a_missing_header_is_a_missing_block():
    slots, encoder = run([sync(1, 0), sync(2, 0)], headers=headers(1))
    assert encoder.warnings["missing_header"] == 1
    types = [slot["type"] for slot in slots]
    assert types[types.index("PoolIncomplete") - 1] == "BlockStart"
    assert only(slots, "PoolIncomplete")[0]["pool"] == m.NO_ID


def test_a_gap_makes_all_pools_incomplete_after_it():
    slots, encoder = run([sync(1, 0), sync(9, 0), sync(10, 0)], gaps=[(3, 5), (7, 7), (20, 30)])
    marks = only(slots, "PoolIncomplete")
    assert [(s["pool"], s["reason"], s["block_number"]) for s in marks] == [
        (m.NO_ID, m.REASON_MISSING_BLOCK, 9)
    ]
    assert encoder.warnings["missing_blocks"] == 4
    assert slots[marks[0]["sequence"] - 1]["type"] == "BlockStart"


def test_absent_hashes_and_times_are_flagged():
    slots, encoder = run([sync(1, 0, hash=b"", time=-1), sync(1, 1, hash=b"", time=-1)])
    assert slots[0]["flags"] == m.FLAG_TIME_UNKNOWN | m.FLAG_HASH_UNKNOWN | m.FLAG_PARENT_UNKNOWN
    assert encoder.warnings["block_hashes_absent"] == 1
    assert all(s["flags"] & m.FLAG_TIME_UNKNOWN and s["event_time_ns"] == 0 for s in slots)


def test_removed_logs_need_a_first_pass():
    logs = [pair_created(1, 0), sync(1, 1), sync(1, 1, removed=True)]
    with pytest.raises(RemovedLogsFound, match=r"logs.jsonl:3"):
        run(logs)


def test_a_removal_cancels_its_log_and_not_the_one_that_comes_again():
    again = sync(1, 1, reserves=(1, 2), hash=b"y" * 32)
    logs = [log(1, 0, STRANGER, []), sync(1, 1), sync(1, 1, removed=True)]
    slots, encoder = run([*logs, sync(1, 1)], removed=collect_removed([batch([*logs, sync(1, 1)])]))
    assert len(only(slots, "UniswapV2Sync")) == 1 and encoder.warnings["removed_logs"] == 1
    mined = [sync(1, 1), sync(1, 1, removed=True), again]
    slots, encoder = run(mined, removed=collect_removed([batch(mined)]))
    assert [s["reserve0"] for s in only(slots, "UniswapV2Sync")] == [1]
    assert "removed_unmatched" not in encoder.warnings


def test_a_removal_without_its_log_makes_the_pool_incomplete():
    logs = [pair_created(1, 0), sync(1, 7, removed=True), sync(2, 0)]
    slots, encoder = run(logs, removed=collect_removed([batch(logs)]))
    marks = [(s["pool"], s["reason"], s["log_index"]) for s in only(slots, "PoolIncomplete")]
    assert marks == [(0, m.REASON_REMOVED, 7)] and encoder.warnings == {"removed_unmatched": 1}


def test_unused_bytes_of_a_slot_are_zero():
    slots = ring()
    encoder = Encoder(chain_id=5)
    encoder.encode(batch([sync(1, 0)]), 0, slots, CAPACITY - 1, CAPACITY)
    message = BY_TYPE[int(slots[2].view("<u2")[12])]
    assert message is m.UniswapV2Sync and not slots[2, 32 + message.size :].any()


def stream() -> list[dict]:
    logs = [pair_created(1, 0), pool_created(1, 1)]
    for block in range(2, 8):
        logs += [transfer(block, 0, STRANGER, PAIR), sync(block, 1), sync(block, 2, bytes([block]) * 20)]
        logs += [log(block, 3, STRANGER, []), sync(block, 3)]
    return logs


@pytest.mark.parametrize("size", [1, 7])
def test_slots_do_not_depend_on_batches_or_room(size):
    logs, whole, parts = stream(), ring(), ring()
    encoder = Encoder(chain_id=5)
    encoder.encode(batch(logs), 0, whole, CAPACITY - 1, CAPACITY)
    other = Encoder(chain_id=5)
    for first in range(0, len(logs), size):
        piece, row = batch(logs[first : first + size]), 0
        while row < len(piece.rows):
            row = other.encode(piece, row, parts, CAPACITY - 1, other.next_sequence + MAX_SLOTS_PER_LOG)
    assert other.next_sequence == encoder.next_sequence
    assert (whole == parts).all()


def test_no_room_consumes_nothing():
    encoder, slots = Encoder(chain_id=5), ring()
    assert encoder.encode(batch([sync(1, 0)]), 0, slots, CAPACITY - 1, MAX_SLOTS_PER_LOG - 1) == 0
    assert encoder.next_sequence == 0 and not encoder.finish(slots, CAPACITY - 1, 1)


def test_maps_grow_with_the_stream():
    number = 5000
    rows = np.repeat(batch([sync(1, 0)]).rows, number)
    rows["log_index"] = np.arange(number)
    rows["address"][:, 4:8] = np.arange(1, number + 1, dtype="<u4")[:, None].view(np.uint8)
    slots, encoder = ring(1 << 14), Encoder(chain_id=5)
    reserves = np.frombuffer(bytearray(word(7) + word(8)), np.uint8)
    assert encoder.encode(LogBatch(rows, reserves), 0, slots, (1 << 14) - 1, 1 << 14) == number
    assert encoder.counts["pools"] == number
    assert encoder.type_counts["UniswapV2Sync"] == number == encoder.type_counts["PoolSeen"]


def test_slots_are_the_same_bytes_compiled_or_not():
    slots, encoder = ring(), Encoder(chain_id=5)
    encoder.encode(batch(stream()), 0, slots, CAPACITY - 1, CAPACITY)
    digest = hashlib.sha256(slots[: encoder.next_sequence].tobytes()).hexdigest()
    assert digest == "00c3b3a100fef1ef11cb633fbe7e28e6ce2790ad13be3e541bb10410929d18e1"
