"""Pools files: every format and spelling gives the same entries, and nothing contradictory is believed."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from disruptor.errors import InputError
from disruptor.feeds.pool_state import END_OF_BLOCK, SQRT_PRICE_MAX, SQRT_PRICE_MIN, V2State, V3State
from disruptor.feeds.pools_file import PoolEntry, PoolList, load_pools, looks_like_pools
from disruptor.handlers.messages import KIND_UNISWAP_V2, KIND_UNISWAP_V3
from disruptor.handlers.pools import NO_FEE

Record = dict[str, Any]

POOL, TOKEN0, TOKEN1, FACTORY = ("0x" + digit * 40 for digit in "a12f")
V2: Record = {"address": POOL, "kind": "uniswap_v2", "token0": TOKEN0, "token1": TOKEN1}
V3: Record = V2 | {"kind": "uniswap_v3", "fee": 3000}
Q96 = 1 << 96
#: Price 1 (tick 0), with one position around it and one above.
V3_STATE: Record = {
    "block": 70,
    "sqrt_price_x96": Q96,
    "tick": 0,
    "liquidity": 5,
    "ticks": {"-60": [5, 5], "60": [12, 2], "120": [7, -7]},
}


def write(tmp_path: Path, *records: Record, name: str = "pools") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(map(json.dumps, records)))
    return path


def load(tmp_path: Path, *records: Record) -> PoolList:
    return load_pools([write(tmp_path, *records)])


def check_static(entry: PoolEntry, kind: int, fee: int | None, tick_spacing: int | None) -> None:
    assert (entry.address, entry.token0, entry.token1) == tuple(
        bytes.fromhex(a[2:]) for a in (POOL, TOKEN0, TOKEN1)
    )
    assert (entry.kind, entry.fee, entry.tick_spacing) == (kind, fee, tick_spacing)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(V3),
        json.dumps(V3, indent=1),
        json.dumps([V3]),
        json.dumps({"pools": [V3]}),
        json.dumps({"pools": {POOL: {k: v for k, v in V3.items() if k != "address"}}}),
        json.dumps(V3 | {"kind": "V3", "fee": "0xbb8", "tickSpacing": "60"}),
        "address,kind,token0,token1,fee,symbol0\n" + f"{POOL},v3,{TOKEN0},{TOKEN1},3000.0,X\n\n",
    ],
    ids=["line", "indented", "list", "pools", "by address", "spelling", "csv"],
)
def test_every_layout_gives_the_same_pool(text: str, tmp_path: Path) -> None:
    path = tmp_path / "pools"
    path.write_text(text)
    (entry,) = load_pools([path])
    check_static(entry, KIND_UNISWAP_V3, 3000, 60)
    assert entry.state is None and entry.factory is None


def test_compressed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pools.gz"
    path.write_bytes(gzip.compress(json.dumps(V2).encode()))
    (entry,) = load_pools([path])
    check_static(entry, KIND_UNISWAP_V2, None, None)


def test_an_unknown_fee_stays_unknown(tmp_path: Path) -> None:
    path = tmp_path / "pools.csv"
    other = "0x" + "b" * 40
    path.write_text(
        f"address,kind,token0,token1,fee\n{POOL},v2,{TOKEN0},{TOKEN1},\n{other},v3,{TOKEN0},{TOKEN1},\n"
    )
    first, second = load_pools([path])
    assert (first.fee, second.fee, second.tick_spacing) == (None, NO_FEE, None)


@pytest.mark.parametrize(("fee", "spacing"), [(100, 1), (500, 10), (2500, 50), (3000, 60), (10000, 200)])
def test_the_fee_implies_the_tick_spacing(fee: int, spacing: int, tmp_path: Path) -> None:
    assert load(tmp_path, V3 | {"fee": fee})[0].tick_spacing == spacing
    assert load(tmp_path, V3 | {"fee": fee, "tick_spacing": 7})[0].tick_spacing == 7


def test_what_is_not_tracked_is_counted(tmp_path: Path) -> None:
    pools = load(
        tmp_path, V2 | {"kind": "balancer"}, V2 | {"token1": ""}, V2 | {"token0": None}, V2 | {"kind": "v2"}
    )
    assert len(pools) == 1
    assert pools.skipped == {"kind_unsupported": 1, "tokens_unknown": 2}


def test_reserves_are_taken_exactly(tmp_path: Path) -> None:
    largest = (1 << 112) - 1
    expected = V2State(9, 4, largest, 1)
    nested = {"state": {"block": 9, "logIndex": "0x4", "reserve0": largest, "reserve1": "0x1"}}
    flat = {"block": "9", "log_index": 4, "reserve0": str(largest), "reserve1": 1}
    for record in (V2 | nested, V2 | flat):
        assert load(tmp_path, record)[0].state == expected


def test_state_counts_from_the_end_of_the_block_unless_it_says_otherwise(tmp_path: Path) -> None:
    state = load(tmp_path, V2 | {"block": 9, "reserve0": 1, "reserve1": 2})[0].state
    assert state == V2State(9, END_OF_BLOCK, 1, 2)


def test_a_whole_v3_state_is_taken_exactly(tmp_path: Path) -> None:
    growth = (1 << 256) - 1
    more = {"feeProtocol": 68, "feeGrowthGlobal0X128": growth, "protocol_fees1": "7"}
    ticks = {
        "60": {"liquidityGross": 12, "liquidity_net": "2", "feeGrowthOutside1X128": str(growth)},
        "120": [7, -7],
        "-60": [5, "5"],
        "180": [0, 0],
    }
    state = load(tmp_path, V3 | {"state": V3_STATE | more | {"ticks": ticks}})[0].state
    assert isinstance(state, V3State)
    assert (state.sqrt_price_x96, state.tick, state.liquidity, state.fee_protocol) == (Q96, 0, 5, 68)
    assert (state.fee_growth_global0_x128, state.fee_growth_global1_x128) == (growth, 0)
    assert (state.protocol_fees0, state.protocol_fees1, state.ticks_complete) == (0, 7, True)
    assert [(t.tick, t.liquidity_gross, t.liquidity_net) for t in state.ticks] == [
        (-60, 5, 5),
        (60, 12, 2),
        (120, 7, -7),
    ]
    assert state.ticks[1].fee_growth_outside1_x128 == growth


FEES = {
    "fee_protocol": 0,
    "fee_growth_global0_x128": "3",
    "fee_growth_global1_x128": (1 << 256) - 1,
    "protocol_fees0": "0",
    "protocol_fees1": 9,
}
WITH_GROWTHS = {"-60": [5, 5, "1", "2"], "60": [5, -5, 3, 4], "120": [0, 0]}
APART = {"-60": ["1", "2"], "60": ["3", 4]}


@pytest.mark.parametrize("apart", [False, True])
def test_fees_are_given_only_all_together(tmp_path: Path, apart: bool) -> None:
    ticks = {t: v[:2] for t, v in WITH_GROWTHS.items()} if apart else WITH_GROWTHS
    whole = V3 | V3_STATE | FEES | {"ticks": ticks, "fee_growth_outside_x128": APART if apart else None}
    state = load(tmp_path, whole)[0].state
    assert isinstance(state, V3State) and state.fees_given
    growths = [(t.fee_growth_outside0_x128, t.fee_growth_outside1_x128) for t in state.ticks]
    assert growths == [(1, 2), (3, 4)]
    lacking = [{name: None} for name in FEES]
    lacking.append(
        {"fee_growth_outside_x128": {"60": [3, 4]}} if apart else {"ticks": {**ticks, "60": [5, -5]}}
    )
    for lost in lacking:
        state = load(tmp_path, whole | lost)[0].state
        assert isinstance(state, V3State) and state.ticks_complete and not state.fees_given, lost


def test_without_liquidity_anywhere_there_are_no_growths_to_give(tmp_path: Path) -> None:
    state = load(tmp_path, V3 | V3_STATE | FEES | {"liquidity": 0, "ticks": {}})[0].state
    assert isinstance(state, V3State) and state.fees_given


@pytest.mark.parametrize("given", ["[1, 2]", {"60": 1}, {"60": [1]}, {"60": [1, -1], "-60": [1, 1]}])
def test_growths_outside_that_can_not_be_read_are_an_error(tmp_path: Path, given: object) -> None:
    ticks = {t: v[:2] for t, v in WITH_GROWTHS.items()}
    with pytest.raises(InputError, match="fee_growth_outside"):
        load(tmp_path, V3 | V3_STATE | FEES | {"ticks": ticks, "fee_growth_outside_x128": given})


def test_ticks_may_be_a_list_of_objects(tmp_path: Path) -> None:
    listed = [
        {"tick": -60, "liquidity_gross": 5, "liquidity_net": 5},
        {"tick": 60, "liquidity_gross": 5, "liquidity_net": -5},
    ]
    state = load(tmp_path, V3 | {"state": V3_STATE | {"ticks": listed}})[0].state
    assert isinstance(state, V3State) and [tick.tick for tick in state.ticks] == [-60, 60]


def test_without_ticks_the_map_is_not_complete(tmp_path: Path) -> None:
    state = load(tmp_path, V3 | {k: v for k, v in V3_STATE.items() if k != "ticks"})[0].state
    assert isinstance(state, V3State) and not state.ticks_complete and state.ticks == ()


def test_written_state_is_read_back(tmp_path: Path) -> None:
    """The lines of `--state-out`: `pool` instead of `address`, integers as text, and `complete`."""
    line = {
        "pool": POOL,
        "kind": "uniswap_v3",
        "token0": TOKEN0,
        "token1": TOKEN1,
        "fee": 450,
        "factory": FACTORY,
    }
    whole = line | V3_STATE | {"complete": True, "sqrt_price_x96": str(Q96), "liquidity": "5"}
    entry = load(tmp_path, whole)[0]
    check_static(entry, KIND_UNISWAP_V3, 450, None)
    assert entry.factory == bytes.fromhex(FACTORY[2:])
    assert isinstance(entry.state, V3State) and entry.state.ticks_complete
    assert entry.state.log_index == END_OF_BLOCK


def test_state_of_an_incomplete_or_unpriced_pool_is_left_out(tmp_path: Path) -> None:
    pools = load(tmp_path, V3 | V3_STATE | {"complete": False})
    assert pools[0].state is None and pools.skipped == {"state_incomplete": 1}
    unpriced = {"block": 1, "sqrt_price_x96": "0", "tick": 0, "liquidity": "0", "ticks": {}}
    assert load(tmp_path, V3 | unpriced)[0].state is None


def test_repetitions_join_and_contradictions_name_both_places(tmp_path: Path) -> None:
    first = write(tmp_path, V3 | {"fee": None, "state": V3_STATE}, name="first")
    second = write(tmp_path, V2 | {"address": "0x" + "b" * 40}, V3 | {"factory": FACTORY}, name="second")
    joined = load_pools([first, second])
    assert len(joined) == 2
    assert joined[0].fee == 3000 and joined[0].state is not None and joined[0].factory is not None
    third = write(tmp_path, V3 | {"fee": 500}, name="third")
    with pytest.raises(InputError, match=r"third: line 1: pool 0xa.*another fee than in .*second:2"):
        load_pools([second, third])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"address": "0x12"}, "address: expected an address"),
        ({"address": "0x" + "g" * 40}, "address: expected an address"),
        ({"address": None}, "address: missing"),
        ({"kind": None}, "kind: missing: expected one of"),
        ({"token0": TOKEN1, "token1": TOKEN0}, "token0: .* must be below token1"),
        ({"token0": TOKEN1}, "token0: .* must be below token1"),
        ({"fee": 1_000_000}, "fee: expected a whole number from 0 to 999999"),
        ({"fee": "0.3"}, "fee: expected a whole number"),
        ({"fee": 450}, "tick_spacing: missing, and a fee of 450 does not imply one"),
        ({"tick_spacing": 0}, "tick_spacing: expected a whole number from 1"),
        ({"state": V3_STATE | {"block": None}}, "block: missing"),
        ({"state": V3_STATE | {"tick": None}}, "tick: missing"),
        ({"state": V3_STATE | {"tick": 887273}}, "tick: expected"),
        ({"state": V3_STATE | {"tick": 60}}, "tick: 60 does not belong to sqrt_price_x96"),
        ({"state": V3_STATE | {"sqrt_price_x96": SQRT_PRICE_MAX}}, "sqrt_price_x96: expected"),
        ({"state": V3_STATE | {"sqrt_price_x96": SQRT_PRICE_MIN - 1}}, "sqrt_price_x96: expected"),
        ({"state": V3_STATE | {"liquidity": 6}}, "liquidity: 6, but the ticks up to 0 add up to 5"),
        ({"state": V3_STATE | {"ticks": {"-60": [5, 5]}}}, "ticks: .* adds up to 5, not to 0"),
        (
            {"state": V3_STATE | {"ticks": {"-61": [5, 5], "61": [5, -5]}}},
            "ticks: -61 is not on the tick spacing",
        ),
        ({"state": V3_STATE | {"ticks": {"-60": [4, 5]}}}, "ticks: -60: net liquidity 5 exceeds the gross 4"),
        ({"state": V3_STATE | {"ticks": {"-60": [5]}}}, "ticks: -60: liquidity_net: missing"),
        ({"state": V3_STATE | {"ticks": {"-60": 5}}}, "ticks: -60: expected .gross, net."),
        ({"state": V3_STATE | {"ticks": 5}}, "ticks: expected an object or a list"),
        ({"state": [1]}, "state: expected an object"),
        ({"kind": "v2", "block": 1, "reserve0": 1 << 112, "reserve1": 1}, "reserve0: expected"),
        ({"kind": "v2", "block": 1, "reserve0": 1}, "reserve1: missing"),
        ({"kind": "v2", "block": 1, "reserve0": True, "reserve1": 1}, "reserve0: expected"),
    ],
)
def test_a_bad_value_is_named_with_its_line(change: Record, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"pools: line 2: {message}"):
        load(tmp_path, V2 | {"address": "0x" + "b" * 40}, V3 | change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(V2) + '\n{"address": "0x', "line 2: is no JSON at column"),
        (json.dumps(V2)[:-1], "line 1: is no JSON"),
        (json.dumps(V2) + "\n5\n", "line 2: expected an object"),
        ('{"address": tru, "kind": 1}\n', "line 1: is no JSON"),
        ("address,kind,token0,token1\n0x,v2\n", "line 2: expected 4 columns, found 2"),
        ('{"fee": ' + "1" * 5000 + "}", "line 1: holds a number"),
        ("", "empty"),
    ],
)
def test_other_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pools"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_pools([path])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b'[{"pool": "0x", "token0": "0x", "token1": "0x"', True),
        (b"\xef\xbb\xbfpool,kind,token0,token1\r\n", True),
        (b"block_number,log_index,address,topic0,data\n", False),
        (b'{"address":"0x","topics":["0x"],"data":"0x"}', False),
        (b"", False),
    ],
)
def test_a_pools_file_is_told_from_logs_by_its_beginning(head: bytes, expected: bool) -> None:
    assert looks_like_pools(head) is expected


@pytest.mark.skipif("DISRUPTOR_DATA" not in os.environ, reason="DISRUPTOR_DATA is not set")
def test_pools_of_whole_mainnet_blocks_are_read() -> None:
    path = Path(os.environ["DISRUPTOR_DATA"]) / "mainnet/blocks/pools.csv"
    pools = load_pools([path])
    assert len(pools) + sum(pools.skipped.values()) == len(path.read_text().splitlines()) - 1
    assert {entry.kind for entry in pools} == {KIND_UNISWAP_V2, KIND_UNISWAP_V3}
