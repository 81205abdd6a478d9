"""A journal replayed with more pools against the logs replayed with the same pools: the oracle is the encoder.

Without ERC-20 transfers, which an import keeps for the pools that it knows only, the slots have to be the same
bytes, and warnings and totals the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disruptor.config.loader import load_settings
from disruptor.errors import InputError, JournalError
from disruptor.handlers import messages as m
from disruptor.journal.writer import JournalWriter
from disruptor.replay.events import EventSource, Inputs, open_events
from disruptor.replay.importer import journal_facts
from disruptor.replay.program import Memory
from tests.harness import EXAMPLE, Row, log, replay, write_lines
from tests.model import CREATED, created, place, read_lines

TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
PAIR_CREATED, POOL_CREATED = CREATED
SYNC = "0x1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"
INITIALIZE = "0x98636036cb66a9c19a37435efc1e90142190214e8abeb821bdba3f2990dd4c95"
FACTORY, PAIR, OTHER, A, B, C = (f"0x{k:040x}" for k in (0xFAC, 0xAAA, 0xBBB, 1, 2, 3))
SETTINGS, _ = load_settings(None, ["huge_pages=off", "ring_slots=4096"])
Write = Callable[[str, Iterable[Any]], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return lambda name, objects: str(write_lines(tmp_path / f"{name}.jsonl", objects))


@cache
def stream(lane: str) -> tuple[list[Row], list[Row]]:
    """Creation logs of the example, and what else it holds but transfers; less of it in plain Python."""
    logs = [entry for entry in read_lines(EXAMPLE) if entry["topics"][0] != TRANSFER]
    others = [entry for entry in logs if entry["topics"][0] not in CREATED]
    return [e for e in logs if e["topics"][0] in CREATED], (
        others[150:400] if lane == "nojit" else others[:3000]
    )


def events(source: str, pools: Sequence[str] = (), strict: bool = False) -> EventSource:
    return open_events(Inputs((source,), tuple(pools), (), False, strict), SETTINGS, Memory(SETTINGS))


def drain(source: EventSource) -> np.ndarray:
    """All slots; sequences are checked on the way."""
    parts = [np.zeros((0, 192), np.uint8)]
    for run in source.runs():
        assert len(run.slots) and run.first == sum(map(len, parts))
        assert run.slots[:, :8].reshape(-1).view("<i8").tolist() == list(
            range(run.first, run.first + len(run.slots))
        )
        parts.append(run.slots.copy())
    return np.concatenate(parts)


def journal(folder: Path, logs: str, pools: Sequence[str] = (), frame_slots: int = 4096) -> str:
    """An import with frames of a size of our choice."""
    source = events(logs, pools)
    with JournalWriter(folder, frame_slots=frame_slots, **journal_facts(SETTINGS, None)) as writer:
        for run in source.runs():
            writer.append(run.slots, run.first)
        writer.finish({**source.counts, "warnings": source.warnings, "chain_id": None})
    return str(folder)


def assert_same(
    folder: Path, logs: str, pools: Sequence[str], imported: Sequence[str] = (), frame_slots: int = 4096
) -> tuple[np.ndarray, dict[str, int]]:
    """Hold a journal, imported with some pools and replayed with others, against the logs with all of them.

    Returns slots and warnings, which were the same.
    """
    expected = events(logs, [*pools, *imported])
    found = events(journal(folder, logs, imported, frame_slots), pools)
    truth, slots = drain(expected), drain(found)
    assert len(slots) == len(truth)
    different = np.flatnonzero((slots != truth).any(axis=1))
    assert not len(different), f"slot {different[0]} of {len(different)}"
    assert found.counts == expected.counts and found.warnings == expected.warnings
    return slots, found.warnings


def types(slots: np.ndarray) -> list[int]:
    return slots[:, 24:26].copy().view("<u2")[:, 0].tolist()


def pool_record(creation: Row, **more: Any) -> Row:
    """A line of a pools file for the pool that a creation log tells of."""
    pool = created(creation)
    assert pool is not None
    record = {"address": pool.address, "kind": pool.kind, "token0": pool.token0, "token1": pool.token1}
    return record | more | ({"fee": str(pool.fee)} if pool.kind == "uniswap_v3" else {})


def in_order(*parts: Iterable[Row]) -> list[Row]:
    return sorted((entry for part in parts for entry in part), key=place)


def with_states(creations: Iterable[Row], block: int, index: int) -> list[Row]:
    """Pools with some state: where it comes from is no business of the order of slots."""
    v2 = {"reserve0": "5", "reserve1": "7"}
    v3 = {
        "sqrt_price_x96": str(2**96),
        "tick": 0,
        "liquidity": "9",
        "ticks": {"-600": [9, 9], "600": [9, -9]},
    }
    found = []
    for creation in creations:
        state = v2 if creation["topics"][0] == PAIR_CREATED else v3
        found.append(pool_record(creation, state=state | {"block": block, "log_index": index}))
    return found


def by_type(rows: Iterable[Row], *without: str) -> list[Row]:
    """Outputs, type by type: how a sink interleaves types depends on batches."""
    bare = ({name: value for name, value in row.items() if name not in without} for row in rows)
    return sorted(bare, key=lambda row: str(row["type"]))


def v2_record(**more: Any) -> Row:
    return {"address": PAIR, "kind": "uniswap_v2", "token0": A, "token1": B} | more


def v3_record(**more: Any) -> Row:
    return {"address": OTHER, "kind": "uniswap_v3", "token0": A, "token1": B, "fee": "3000"} | more


def v2_created(block: int, index: int) -> Row:
    return log(block, index, FACTORY, [PAIR_CREATED, A, B], [PAIR, 1])


def v3_created(block: int, index: int) -> Row:
    return log(block, index, FACTORY, [POOL_CREATED, A, B, hex(3000)], [60, OTHER])


@pytest.mark.parametrize("frame_slots", [1, 7, 4096])
def test_pools_unknown_at_import_are_tracked_as_from_logs_whatever_the_frames(
    tmp_path, write, lane, frame_slots
):
    creations, others = stream(lane)
    logs, pools = write("logs", others[: 150 * frame_slots]), write("factory", creations)
    slots, warnings = assert_same(tmp_path / "journal", logs, [pools], frame_slots=frame_slots)
    assert m.PoolSeen.type_id not in types(slots) and "unknown_pool_logs" not in warnings


def test_a_part_of_the_pools_leaves_the_others_unknown(tmp_path, write, lane):
    creations, others = stream(lane)
    pools = write("pools", [pool_record(creation, fee="2500") for creation in creations[:4]])
    slots, warnings = assert_same(tmp_path / "journal", write("logs", others), [pools], frame_slots=64)
    assert types(slots).count(m.PoolRegistered.type_id) == 4
    assert m.PoolSeen.type_id in types(slots) and warnings["unknown_pool_logs"] > 0


def test_a_given_state_skips_what_it_holds_and_ends_transactions_that_are_left_empty(tmp_path, write, lane):
    creations, others = stream(lane)
    middle = others[len(others) // 2]
    pools = write("pools", with_states(creations, *place(middle)))
    slots, warnings = assert_same(tmp_path / "journal", write("logs", others), [pools], frame_slots=64)
    assert warnings["skipped_before_state"] > 30
    assert (
        types(slots).count(m.UniswapV3TickState.type_id)
        == 2 * types(slots).count(m.UniswapV3State.type_id)
        > 0
    )


def test_pools_given_as_another_kind_lose_all_their_logs(tmp_path, write, lane):
    creations, others = stream(lane)
    kinds = {"uniswap_v2": "uniswap_v3", "uniswap_v3": "uniswap_v2"}
    records = [pool_record(creation) for creation in creations]
    pools = write("pools", [record | {"kind": kinds[record["kind"]], "fee": "500"} for record in records])
    slots, warnings = assert_same(tmp_path / "journal", write("logs", others), [pools])
    assert warnings["foreign_topics"] > 30 and not any(20 <= kind < 40 for kind in types(slots))


def test_without_pools_to_give_the_journal_stays_as_it_is(tmp_path, write, lane):
    creations, others = stream(lane)
    source = journal(tmp_path / "journal", write("logs", in_order(creations, others[:100])), frame_slots=16)
    (tmp_path / "none.csv").write_text("address,kind,token0,token1,fee\n")
    given = events(source, [str(tmp_path / "none.csv")])
    plain = events(source)
    assert np.array_equal(drain(given), drain(plain))
    assert given.warnings == plain.warnings and given.progress() == plain.progress()
    assert given.counts == plain.counts


@pytest.mark.parametrize("known", ["stream", "import"])
def test_a_pool_that_the_journal_knows_may_be_given_again(tmp_path, write, lane, known):
    """By its creation log it is born as before, with the fee that was given; by the import it repeats."""
    creations, others = stream(lane)
    pools = write("pools", [pool_record(creation, fee="2500") for creation in creations[::2]])
    logs = write("logs", in_order(creations, others) if known == "stream" else others)
    imported = [] if known == "stream" else [write("factory", creations)]
    slots, warnings = assert_same(tmp_path / "journal", logs, [pools], imported, frame_slots=32)
    registered = types(slots).count(m.PoolRegistered.type_id)
    if known == "stream":
        assert registered == len(creations) + len(creations[::2]) and "duplicate_pools" not in warnings
    else:
        assert registered == len(creations) and warnings["duplicate_pools"] == len(creations[::2])


def test_a_creation_log_of_the_journal_that_contradicts_the_file_is_a_conflict(tmp_path, write):
    logs = write("logs", [v3_created(5, 0), log(5, 1, OTHER, [INITIALIZE], [2**96, 0])])
    pools = write("pools", [v3_record(fee="500")])
    slots, warnings = assert_same(tmp_path / "journal", logs, [pools])
    assert warnings == {"pool_conflicts": 1} and m.PoolIncomplete.type_id in types(slots)


def test_a_creation_log_before_the_given_state_says_nothing(tmp_path, write):
    logs = write("logs", [v2_created(5, 0), log(5, 1, PAIR, [SYNC], [1, 2]), log(6, 0, PAIR, [SYNC], [3, 4])])
    state = {"reserve0": "1", "reserve1": "2", "block": 5, "log_index": 1}
    slots, warnings = assert_same(tmp_path / "journal", logs, [write("pools", [v2_record(state=state)])])
    assert warnings == {"skipped_before_state": 2} and types(slots).count(m.TransactionEnd.type_id) == 1


def test_foreign_logs_before_its_creation_log_do_not_keep_a_pool_from_being_born(tmp_path, write):
    logs = write("logs", [log(5, 0, PAIR, [INITIALIZE], [2**96, 0]), v2_created(5, 1)])
    slots, _ = assert_same(tmp_path / "journal", logs, [write("pools", [v2_record()])], frame_slots=2)
    assert slots[types(slots).index(m.BlockStart.type_id) + 1, 26] & m.FLAG_BORN


def test_a_fee_that_the_import_only_assumed_contradicts_nothing_and_one_that_was_named_does(tmp_path, write):
    logs = write("logs", [log(5, 0, PAIR, [SYNC], [1, 2])])
    given = [write("given", [v2_record(fee="2500")])]
    _, assumed = assert_same(tmp_path / "assumed", logs, given, [write("unnamed", [v2_record()])])
    _, named = assert_same(tmp_path / "named", logs, given, [write("named", [v2_record(fee="100")])])
    assert assumed == {"duplicate_pools": 1}
    assert named == {"pool_conflicts": 1}


def test_a_state_that_the_journal_brings_is_kept_and_the_given_one_is_not(tmp_path, write):
    """The import has skipped what its own state holds: a given older one would leave a gap."""
    logs = write("logs", [log(block, 0, PAIR, [SYNC], [block, block]) for block in (5, 6, 7)])
    states = [{"reserve0": str(b), "reserve1": str(b), "block": b, "log_index": 0} for b in (5, 6)]
    early, late = (write(f"at{k}", [v2_record(state=state)]) for k, state in enumerate(states))
    source = events(journal(tmp_path / "journal", logs, [late]), [early])
    slots = drain(source)
    assert source.warnings == {"skipped_before_state": 2, "states_in_journal": 1}
    reserves = slots[[kind in (m.UniswapV2State.type_id, m.UniswapV2Sync.type_id) for kind in types(slots)]]
    # The state's reserves begin at byte 48, after pool id and padding; those of a log after the common 48.
    assert reserves[:, [48, 80]].tolist() == [[6, 0], [reserves[1, 48], 7]]


def test_transfers_keep_naming_the_pools_that_they_named(tmp_path, write):
    """Ids change, addresses don't: PAIR is pool 0 in the journal and 1 after the given one."""
    transfer = log(5, 1, C, [TRANSFER, PAIR, FACTORY], [10])
    logs = write("logs", [v2_created(5, 0), transfer])
    slots = drain(events(journal(tmp_path / "journal", logs), [write("pools", [v3_record()])]))
    moved = slots[types(slots).index(m.Erc20Transfer.type_id)].view(m.Erc20Transfer.slot_dtype())[0]
    tokens = slots[[kind == m.TokenRegistered.type_id for kind in types(slots)]].reshape(-1)
    by_id = {int(t["token"]): t["address"].tobytes() for t in tokens.view(m.TokenRegistered.slot_dtype())}
    assert (moved["pool"], moved["other_pool"]) == (1, m.NO_ID)
    assert by_id[int(moved["token"])] == bytes.fromhex(C[2:])


def test_a_journal_that_names_unregistered_pools_is_refused_with_the_place(tmp_path, write):
    slots = np.zeros(3, m.UniswapV2Sync.slot_dtype())
    slots["sequence"], slots["type_id"], slots["pool"] = range(3), m.UniswapV2Sync.type_id, 77
    with JournalWriter(tmp_path / "odd", messages=m.BUILT_IN, identity={}, settings={}) as writer:
        writer.append(slots.view(np.uint8).reshape(3, 192), 0)
        writer.finish({})
    with pytest.raises(JournalError, match=r"odd: sequence 0 names a pool that nothing before it registers"):
        drain(events(str(tmp_path / "odd"), [write("pools", [v2_record()])]))


def test_a_missing_pools_file_and_a_wrong_record_are_errors_with_their_place(tmp_path, write):
    source = journal(tmp_path / "journal", write("logs", [log(5, 0, PAIR, [SYNC], [1, 2])]))
    with pytest.raises(InputError, match=r"gone\.json: no such file"):
        drain(events(source, [str(tmp_path / "gone.json")]))
    with pytest.raises(InputError, match=r"pools\.jsonl: line 1: token0: .* must be below"):
        drain(events(source, [write("pools", [v2_record() | {"token0": C, "token1": A}])]))


@pytest.mark.slow
@pytest.mark.compiled
def test_state_and_swaps_are_those_of_the_logs(tmp_path, write, lane):
    creations, others = stream(lane)
    logs, factory = write("logs", others), write("factory", creations)
    truth = replay(logs, pools=(factory,))
    found = replay(journal(tmp_path / "journal", logs, frame_slots=512), pools=(factory,))
    assert found.digests == truth.digests and found.pools == truth.pools
    assert by_type(found.sink.rows) == by_type(truth.sink.rows)
    assert len(found.sink.of("DeFiSwapEvent")) > 100 and len(found.sink.of("ArbitrageOpportunity")) > 0


@pytest.mark.slow
@pytest.mark.compiled
def test_with_transfers_only_sequences_differ(tmp_path, write):
    logs = read_lines(EXAMPLE)
    source = write("logs", [entry for entry in logs if entry["topics"][0] not in CREATED])
    factory = write("factory", [entry for entry in logs if entry["topics"][0] in CREATED])
    truth = replay(source, pools=(factory,))
    found = replay(journal(tmp_path / "journal", source), pools=(factory,))
    assert found.pools == truth.pools
    # Not the opportunities: the import dropped the transfers of addresses that had not emitted a pool's log by then,
    # so that less is known of tokens (docs/adr/0007).
    assert _swaps(found) == _swaps(truth) and len(_swaps(found)) > 1000
    assert found.result.state_digest == truth.result.state_digest
    assert found.result.events == truth.result.events


def _swaps(outcome):
    """The normalised swaps, without what an input's sequence shows in."""
    return [
        {k: v for k, v in row.items() if k not in ("sequence", "header_sequence")}
        for row in outcome.sink.of("DeFiSwapEvent")
    ]
