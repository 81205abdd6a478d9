"""Logs of users' venues: decoded by declared words, and told apart where several venues log under one topic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from disruptor.feeds.encoder import Encoder
from disruptor.handlers.messages import FLAG_AMOUNT_OVERFLOW
from disruptor.handlers.venues import CreationLog, PoolLog, Venue, pool_message
from disruptor.message import byte_string, i32, i128, u32, u64, u128, u256
from tests.feeds.test_encoder import (
    BY_TYPE,
    FACTORY,
    PAIR,
    POOL,
    STRANGER,
    TOKEN_A,
    TOKEN_B,
    log,
    only,
    pair_created,
    sync,
)
from tests.feeds.test_encoder import run as run_encoder
from tests.support.fork_venue import FORK, ForkSync

OWN_FACTORY, FORK_FACTORY = bytes([9]) * 20, bytes.fromhex("fc" * 20)
FIELDS = {
    "flag": u32,
    "small": i32,
    "number": u64,
    "signed": i128,
    "amount": u128,
    "wide": u256,
    "who": byte_string(20),
}
Wide = pool_message("WideWords", 1040, FIELDS)
Plain = pool_message("PlainWords", 1041, {"amount": u128})
WORDS = ("bool flag", "int24 small", "uint64 number", "int128 signed", "uint256 amount", "bytes32 wide")
TOPIC, CREATED = "a1" * 32, "a2" * 32
OWN = Venue(
    kind=1040,
    name="own",
    fee=77,
    logs=(PoolLog(Wide, TOPIC, ("address who",), WORDS), PoolLog(Plain, TOPIC, (), ("uint128 amount",))),
    creations=(CreationLog(CREATED, ("address token0", "address token1"), ("uint24 fee", "address pool")),),
)
BY_TYPE.update({m.type_id: m for m in (Wide, Plain, ForkSync)})


def run(logs: list[dict[str, Any]], *venues: Venue) -> tuple[list[dict[str, Any]], Encoder]:
    return run_encoder(logs, Encoder(chain_id=5, files=["logs.jsonl"], venues=venues))


def created(block: int, index: int, fee: int, pool: bytes = POOL) -> dict[str, Any]:
    return log(block, index, OWN_FACTORY, [CREATED, TOKEN_A, TOKEN_B], [fee, pool])


def test_every_declared_word_is_checked_and_stored_in_its_field() -> None:
    data = [1, -5, 2**64 - 1, -7, 2**127 + 3, 2**255 + 9]
    slots, encoder = run([created(1, 0, 500), log(1, 1, POOL, [TOPIC, STRANGER], data)], OWN)
    (found,) = only(slots, "WideWords")
    assert (found["flag"], found["small"], found["number"], found["signed"]) == (1, -5, 2**64 - 1, 2**128 - 7)
    assert (found["amount"], found["wide"], found["who"]) == (2**127 + 3, 2**255 + 9, STRANGER)
    assert found["flags"] & FLAG_AMOUNT_OVERFLOW == 0
    assert encoder.counts["events"] == 2 and encoder.type_counts["WideWords"] == 1
    (birth,) = only(slots, "PoolRegistered")
    assert (birth["kind"], birth["fee"], birth["tick_spacing"], birth["address"]) == (1040, 500, 0, POOL)


def test_an_amount_beyond_its_field_is_the_largest_and_flagged_and_a_word_out_of_range_is_no_event() -> None:
    large, false = [1, -5, 1, -7, 2**128, 0], [2, -5, 1, -7, 1, 0]
    slots, encoder = run(
        [
            created(1, 0, 500),
            *(log(1, k, POOL, [TOPIC, STRANGER], data) for k, data in ((1, large), (2, false))),
        ],
        OWN,
    )
    (found,) = only(slots, "WideWords")
    assert found["amount"] == 2**128 - 1 and found["flags"] & FLAG_AMOUNT_OVERFLOW
    assert encoder.warnings == {"undecodable_logs": 1}


def test_logs_of_one_topic_and_kind_are_told_apart_by_their_words() -> None:
    slots, _ = run([created(1, 0, 500), log(1, 1, POOL, [TOPIC], [42])], OWN)
    assert only(slots, "PlainWords")[0]["amount"] == 42 and not only(slots, "WideWords")


def test_a_topic_of_two_venues_means_what_the_emitter_is() -> None:
    fork = pair_created(1, 1, POOL) | {"address": FORK_FACTORY}
    slots, encoder = run([pair_created(1, 0), fork, sync(1, 2), sync(1, 3, POOL), sync(1, 4, STRANGER)], FORK)
    kinds = {birth["address"]: (birth["kind"], birth["fee"]) for birth in only(slots, "PoolRegistered")}
    assert kinds == {PAIR: (2, 3000), POOL: (1020, 2500)}
    ids = {birth["address"]: birth["pool"] for birth in only(slots, "PoolRegistered")}
    assert [slot["pool"] for slot in only(slots, "ForkSync")] == [ids[POOL]]
    # Nobody knows the stranger: its log is kept as the built-in one, the first of its topic.
    assert only(slots, "UniswapV2Sync")[0]["pool"] == ids[PAIR]
    assert len(only(slots, "UniswapV2Sync")) == 2 and encoder.warnings == {"unknown_pool_logs": 1}


def test_without_the_venue_its_topics_are_ignored_and_its_factory_is_anybody() -> None:
    fork = pair_created(1, 0, POOL) | {"address": FORK_FACTORY}
    slots, encoder = run([fork, log(1, 1, POOL, [TOPIC], [42])])
    assert only(slots, "PoolRegistered")[0]["kind"] == 2 and encoder.counts["ignored_logs"] == 1


def test_a_creation_log_that_only_named_factories_may_emit_is_ignored_from_others() -> None:
    named = replace(OWN, factories=("0x" + "0b" * 20,))
    slots, encoder = run([created(1, 0, 500)], named)
    assert not only(slots, "PoolRegistered") and encoder.counts["ignored_logs"] == 1
    assert FACTORY != OWN_FACTORY
