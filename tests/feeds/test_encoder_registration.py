"""Pools given beside the stream: pools files, state, and creation logs of --pools."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from disruptor.feeds.encoder import MAX_SLOTS_PER_LOG, Encoder
from disruptor.feeds.pool_state import TickState, V2State, V3State
from disruptor.feeds.pools_file import PoolEntry
from disruptor.handlers import messages as m
from disruptor.handlers.pools import NO_FEE

_spec = importlib.util.spec_from_file_location("encoder_helpers", Path(__file__).with_name("test_encoder.py"))
assert _spec is not None and _spec.loader is not None
helpers = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = helpers
_spec.loader.exec_module(helpers)
run, only, batch, sync, ring, read_slot = (
    getattr(helpers, name) for name in ("run", "only", "batch", "sync", "ring", "read_slot")
)
pair_created, pool_created, PAIR, POOL, TOKEN_A, TOKEN_B, FACTORY, V2, V3 = (
    getattr(helpers, name)
    for name in ("pair_created", "pool_created", "PAIR", "POOL", "TOKEN_A", "TOKEN_B", "FACTORY", "V2", "V3")
)


def v2_entry(address: bytes = PAIR, state: V2State | None = None, fee: int | None = None) -> PoolEntry:
    return PoolEntry(address, V2, TOKEN_A, TOKEN_B, fee, None, None, state, "pools.json:1")


def v3_entry(fee: int = 500, spacing: int | None = 10, state: V3State | None = None) -> PoolEntry:
    return PoolEntry(POOL, V3, TOKEN_A, TOKEN_B, fee, spacing, FACTORY, state, "pools.json:1")


def with_pools(*entries: PoolEntry) -> Encoder:
    encoder = Encoder(chain_id=5, files=["logs.jsonl"])
    encoder.register(entries)
    return encoder


def test_pools_of_a_file_are_registered_in_mid_life_before_the_stream():
    slots, _ = run([sync(1, 0)], with_pools(v2_entry(), v3_entry()))
    assert [slot["type"] for slot in slots[:4]] == ["TokenRegistered"] * 2 + ["PoolRegistered"] * 2
    pair, pool = only(slots, "PoolRegistered")
    assert (pair["fee"], pair["log_index"], pair["transaction_index"]) == (3000, m.NO_ID, m.NO_ID)
    assert (pool["fee"], pool["tick_spacing"], pool["factory"]) == (500, 10, FACTORY)
    assert pair["flags"] == m.FLAG_HASH_UNKNOWN | m.FLAG_TIME_UNKNOWN and pair["source_sequence"] == -1


def test_given_state_follows_its_pool_and_skips_what_it_holds():
    encoder = with_pools(v2_entry(state=V2State(5, 3, 111, 222)))
    logs = [pair_created(4, 0), sync(5, 3), sync(5, 4), sync(6, 0)]
    slots, _ = run(logs, encoder)
    registered, state = slots[2], slots[3]
    assert registered["flags"] & m.FLAG_WITH_STATE and not registered["flags"] & m.FLAG_BORN
    assert (state["type"], state["reserve0"], state["reserve1"]) == ("UniswapV2State", 111, 222)
    assert [s["log_index"] for s in only(slots, "UniswapV2Sync")] == [4, 0]
    assert encoder.warnings == {"skipped_before_state": 2}


def test_v3_state_is_written_with_its_ticks_however_little_room_there_is():
    ticks = tuple(TickState(tick, 5, -5 if tick > 0 else 5, 1, 2) for tick in range(200, -201, -10))
    state = V3State(5, 3, 2**96, 0, 5, 0, 2**200, 9, 1, 2, ticks, True)
    encoder, slots = with_pools(v3_entry(state=state), v2_entry()), ring()
    while not encoder.write_registrations(slots, 1023, encoder.next_sequence + MAX_SLOTS_PER_LOG):
        pass
    written = [read_slot(slots[k]) for k in range(encoder.next_sequence)]
    main = only(written, "UniswapV3State")[0]
    assert (main["sqrt_price_x96"], main["fee_growth_global0_x128"], main["ticks_complete"]) == (
        2**96,
        2**200,
        1,
    )
    given = only(written, "UniswapV3TickState")
    assert len(given) == 41 and given[-1]["liquidity_net"] == 2**128 - 5
    signed = [(s["tick"] + 2**31) % 2**32 - 2**31 for s in given]
    assert signed == sorted(signed) and written[-1]["type"] == "PoolRegistered"
    assert [s["sequence"] for s in written] == list(range(len(written)))


@pytest.mark.parametrize("given", [False, True])
def test_fees_that_were_given_are_marked_as_such(given):
    state = V3State(5, 3, 2**96, 0, 0, 0, 2**200, 9, 1, 2, (), True, given)
    encoder, slots = with_pools(v3_entry(state=state)), ring()
    assert encoder.write_registrations(slots, 1023, 1024)
    main = only([read_slot(slots[k]) for k in range(encoder.next_sequence)], "UniswapV3State")[0]
    assert bool(main["flags"] & m.FLAG_FEES_GIVEN) == given and main["flags"] & m.FLAG_TIME_UNKNOWN


def test_a_creation_log_in_the_stream_gives_a_known_pool_its_birth():
    slots, encoder = run(
        [pair_created(1, 0), pool_created(1, 1)], with_pools(v2_entry(fee=2500), v3_entry(NO_FEE, None))
    )
    born = [s for s in only(slots, "PoolRegistered") if s["flags"] & m.FLAG_BORN]
    assert [(s["pool"], s["fee"], s["tick_spacing"]) for s in born] == [(0, 2500, 0), (1, 500, 10)]
    assert not encoder.warnings


@pytest.mark.parametrize("entry", [v3_entry(3000, 10), v3_entry(500, 60)])
def test_a_creation_log_that_contradicts_the_file_is_a_conflict(entry):
    slots, encoder = run([pool_created(1, 0)], with_pools(entry))
    assert encoder.warnings == {"pool_conflicts": 1} and len(only(slots, "PoolIncomplete")) == 1


def test_creation_logs_beside_the_stream_register_without_birth():
    encoder, slots = Encoder(chain_id=5), ring()
    logs = batch([pair_created(9, 0), sync(9, 1), pool_created(3, 0)])
    assert encoder.register_logs(logs, 0, slots, 1023, 1024) == 3
    written = [read_slot(slots[k]) for k in range(encoder.next_sequence)]
    assert [s["flags"] for s in only(written, "PoolRegistered")] == [
        m.FLAG_HASH_UNKNOWN | m.FLAG_TIME_UNKNOWN
    ] * 2
    assert len(written) == 4 and encoder.counts["logs"] == 0


def test_what_contradicts_a_pool_that_has_logged_is_a_lie():
    lie = pair_created(1, 2, tokens=(TOKEN_A, FACTORY))
    slots, encoder = run([pair_created(1, 0), sync(1, 1), lie])
    assert len(only(slots, "PoolRegistered")) == 1 and not only(slots, "PoolIncomplete")
    assert encoder.warnings == {"pool_conflicts": 1}


def test_of_two_announcements_of_a_pool_that_has_not_logged_the_later_names_the_fee():
    slots, encoder = run([pool_created(1, 0, fee=3000, spacing=60), pool_created(1, 1)])
    told = [
        (s["pool"], s["fee"], s["tick_spacing"], s["flags"] & m.FLAG_BORN)
        for s in only(slots, "PoolRegistered")
    ]
    assert told == [(0, 3000, 60, m.FLAG_BORN), (0, 500, 10, m.FLAG_BORN)]
    assert not only(slots, "PoolIncomplete") and encoder.warnings == {"pool_conflicts": 1}
