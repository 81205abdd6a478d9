"""Digests: the hash kernel against the `xxhash` package, the state digest against one over dicts."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from disruptor.access import PlainView, claim_id, insert, remove
from disruptor.compile_cache import entry
from disruptor.digest import xxh64
from disruptor.message import byte_string, i32, u32, u128
from disruptor.processor import plain_allocate
from disruptor.state import State
from disruptor.table import Table, derived, ref

NO_ID = 0xFFFFFFFF
POOLS = Table(
    "pools",
    {"flag": u32, "address": byte_string(20), "token": ref("tokens"), "reserve": u128},
    key="pools",
    identity="address",
)
TOKENS = Table("tokens", {"address": byte_string(20)}, key="tokens", identity="address")
TICKS = Table(
    "ticks", {"pool": ref("pools"), "tick": i32, "net": u128, "rank": derived(u32)}, key=("pool", "tick")
)
TOTALS = Table("totals", {"swaps": u32}, digest=True)
HINTS = Table("hints", {"seen": u32}, digest=False)
TABLES = [POOLS, TOKENS, TICKS, TOTALS, HINTS]


@entry
def hash_once(words, octets, length, seed):  # type: ignore[no-untyped-def]
    return xxh64(words, octets, length, seed)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_hash_kernel_is_xxh64_at_every_length(seed: int) -> None:
    octets = np.arange(1, 209, dtype=np.uint8) * np.uint8(37)
    for length in range(201):
        found = int(hash_once(octets.view(np.uint64), octets, length, np.uint64(seed)))
        assert found == xxhash.xxh64_intdigest(octets[:length].tobytes(), seed), length


def address(kind: str, number: int) -> bytes:
    return hashlib.sha256(f"{kind} {number}".encode()).digest()[:20]


Model = dict[str, Any]


def models() -> st.SearchStrategy[Model]:
    """Pools by number with their token, ticks by (pool, tick), and one total."""
    pools = st.dictionaries(
        st.integers(0, 5), st.tuples(st.integers(0, 3), st.integers(0, 2**128 - 1)), max_size=5
    )
    ticks = st.dictionaries(
        st.tuples(st.integers(0, 5), st.integers(-3, 3)), st.integers(1, 2**128 - 1), max_size=8
    )
    return st.fixed_dictionaries({"pools": pools, "ticks": ticks, "swaps": st.integers(0, 3)})


def limbs(value: int) -> list[int]:
    return [value & (2**64 - 1), value >> 64]


def build(model: Model, *, capacity: int, shuffle: Any = None) -> State:
    """A state that holds the model, its ids and its hashed rows in an order of choice."""
    order = shuffle or sorted
    state = State(TABLES, {"pools": capacity, "tokens": capacity, "ticks": capacity}, plain_allocate)
    pools, tokens, ticks = (
        PlainView(*state.arrays[n], np.zeros(8, np.int64)) for n in ("pools", "tokens", "ticks")
    )
    token_ids = {t: k for k, t in enumerate(order({t for t, _ in model["pools"].values()}))}
    for token, k in token_ids.items():
        claim_id(tokens, k)
        tokens.rows[k]["address"] = list(address("token", token))
    pool_ids = {p: k for k, p in enumerate(order(model["pools"]))}
    for pool, k in pool_ids.items():
        token, reserve = model["pools"][pool]
        claim_id(pools, k)
        pools.rows[k] = (7, list(address("pool", pool)), token_ids[token], limbs(reserve))
    with np.errstate(over="ignore"):
        insert_ticks(ticks, model, pool_ids, order(model["ticks"]))
    state.arrays["totals"].rows[0]["swaps"] = model["swaps"]
    return state


def insert_ticks(ticks: Any, model: Model, pool_ids: dict[int, int], order: list[tuple[int, int]]) -> None:
    """Among them comes and goes a row, so that the free list is in use."""
    for at, (pool, tick) in enumerate(order):
        k = pool_ids.get(pool, NO_ID)
        ticks.meta[0]["inserts_left"] = 2
        insert(ticks, np.uint32(77), np.int32(at))
        # A tick of no pool is told apart by a number of its own beyond all ids.
        index = insert(ticks, np.uint32(k if k != NO_ID else 1000 + pool), np.int32(tick))
        ticks.rows[index] = (k, tick, limbs(model["ticks"][pool, tick]), at + 1)
        assert remove(ticks, np.uint32(77), np.int32(at))


def expected(model: Model) -> str:
    """The digest as the documents define it."""
    total = 0

    def add(table: Table, canonical: bytes, *, hashed: bool = False) -> None:
        nonlocal total
        if not hashed and not any(canonical):
            return
        names = [name for name, kind in table.fields.items() if not kind.name.startswith("derived")]
        tag = hashlib.sha256(f"{table.name}:{','.join(names)}".encode()).digest()[:8]
        octets = tag + canonical
        total += xxhash.xxh64_intdigest(octets, 0) + (xxhash.xxh64_intdigest(octets, 1) << 64)

    for token in {t for t, _ in model["pools"].values()}:
        add(TOKENS, address("token", token))
    for pool, (token, reserve) in model["pools"].items():
        row = (
            (7).to_bytes(4, "little")
            + address("pool", pool)
            + address("token", token)
            + reserve.to_bytes(16, "little")
        )
        add(POOLS, row)
    for (pool, tick), net in model["ticks"].items():
        known = address("pool", pool) if pool in model["pools"] else bytes(20)
        add(TICKS, known + tick.to_bytes(4, "little", signed=True) + net.to_bytes(16, "little"), hashed=True)
    add(TOTALS, model["swaps"].to_bytes(4, "little"))
    return f"{total % 2**128:032x}"


@settings(max_examples=20)
@given(models(), st.randoms(use_true_random=False), st.integers(11, 40))
def test_digest_is_that_of_the_rows_whatever_their_ids_order_and_room(
    model: Model, random: Any, capacity: int
) -> None:
    def shuffled(items: Any) -> list[Any]:
        found = sorted(items)
        random.shuffle(found)
        return found

    assert build(model, capacity=11).digest() == expected(model)
    assert build(model, capacity=capacity, shuffle=shuffled).digest() == expected(model)


SMALL: Model = {"pools": {1: (1, 5), 2: (2, 2**127)}, "ticks": {(1, -2): 9, (2, 3): 1}, "swaps": 4}


def test_empty_state_has_the_zero_digest() -> None:
    assert build({"pools": {}, "ticks": {}, "swaps": 0}, capacity=11).digest() == "0" * 32


@pytest.mark.parametrize(
    ("table", "field", "value"),
    [
        ("pools", "flag", 8),
        ("pools", "token", 0),
        ("ticks", "tick", 7),
        ("ticks", "net", [9, 1]),
        ("totals", "swaps", 5),
    ],
)
def test_any_changed_field_changes_the_digest(table: str, field: str, value: Any) -> None:
    state = build(SMALL, capacity=11)
    before = state.digest()
    rows = state.arrays[table].rows
    at = 1 if table != "totals" else 0
    kept = rows[at][field].copy()
    rows[at][field] = value
    assert state.digest() != before
    rows[at][field] = kept
    assert state.digest() == before == expected(SMALL)


def test_derived_fields_and_undigested_tables_do_not_show() -> None:
    state = build(SMALL, capacity=11)
    state.arrays["ticks"].rows["rank"] += 5
    state.arrays["hints"].rows["seen"] = 6
    assert state.digest() == expected(SMALL)


def test_two_rows_of_equal_content_count_twice() -> None:
    """A sum, not an exclusive or, which would cancel them."""
    twice = {**SMALL, "ticks": {(4, 1): 3, (5, 1): 3}}
    once = {**SMALL, "ticks": {(4, 1): 3}}
    none = {**SMALL, "ticks": {}}
    digests = [build(m, capacity=11).digest() for m in (twice, once, none)]
    assert digests == [expected(m) for m in (twice, once, none)] and len(set(digests)) == 3


def test_hashed_row_of_zeros_still_names_what_it_refers_to() -> None:
    model: Model = {"pools": {1: (1, 5), 2: (1, 6)}, "ticks": {(1, 0): 0}, "swaps": 0}
    assert build(model, capacity=11).digest() == expected(model)
