"""Swaps over tables: against the contracts' own answers after every call, and against the oracle on made-up pools."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.handlers import reverts
from disruptor.handlers.uniswap_v3 import HIGHEST_LIMIT, LOWEST_LIMIT
from disruptor.status import OK
from tests.support.streams import read_document, read_lines, unpack
from tests.support.uniswap_ledger import INITIALIZE, Ledger, words
from tests.support.uniswap_oracle import MAX_RATIO, MAX_TICK, MIN_RATIO, Pool, Tick, sqrt_ratio_at_tick
from tests.support.uniswap_state import (
    CHANGE,
    COLLECT,
    FLASH,
    FLIP,
    GROW,
    PROTOCOL,
    QUOTE,
    START,
    STATE_FIELDS,
    SWAP,
    Tables,
)
from tests.support.wide_records import number, put

#: What the lane without a compiler has time for: this many calls and quotes, of pools whose range has few words.
SOME_CALLS, SOME_SPACING, SOME_QUOTES = 60, 60, 20
ENDS = {True: int(LOWEST_LIMIT), False: int(HIGHEST_LIMIT)}


def state_told(action):
    return [number(action[name]) for name in STATE_FIELDS]


class Recording:
    """The recorded stream of calls as actions; calls that left the state alone become quotes or nothing."""

    def __init__(self):
        truth = read_document("v3_swaps", "truth.json")
        self.ids = {pool["address"]: k for k, pool in enumerate(truth["pools"])}
        self.pools = truth["pools"]
        self.last = truth["snapshots"][-1]["pools"]
        self.times = {b["number"]: b["timestamp"] for b in read_lines("v3_swaps", "blocks.jsonl")}
        self.logs = {}
        self.starts = []
        for entry in read_lines("v3_swaps", "logs.jsonl"):
            block = int(entry["blockNumber"], 16)
            self.logs[block, int(entry["logIndex"], 16)] = entry
            if entry["topics"][0] == INITIALIZE:
                price, tick = words(entry)
                fields = {"kind": START, "limit": price, "lower": tick, "timestamp": self.times[block]}
                self.starts.append(fields | {"pool": self.ids[entry["address"]]})

    def spacing(self, call):
        return self.pools[self.ids[call["pool"]]]["tickSpacing"]

    def action(self, call):
        """What a call does to the tables, or None."""
        name, given = call["call"], call["arguments"]
        made = {"pool": self.ids[call["pool"]], "timestamp": self.times[call["block"]]}
        if name == "swap":
            amount = int(given[2])
            made |= {"kind": SWAP, "zero_for_one": given[1], "exact_in": amount > 0}
            return made | {"amount": abs(amount), "limit": int(given[3])}
        if "error" in call:
            return None
        if name in ("mint", "burn"):
            lower, upper, amount = given[1:4] if name == "mint" else (*given[:2], -int(given[2]))
            return made | {"kind": CHANGE, "lower": lower, "upper": upper, "amount": int(amount)}
        if name == "setFeeProtocol":
            return made | {"kind": PROTOCOL, "count": given[0] | given[1] << 4}
        if name == "increaseObservationCardinalityNext":
            current = call["state"][9]
            return made | {"kind": GROW, "count": max(given[0], current)}
        if name in ("flash", "collectProtocol"):
            first, second = words(self.logs[call["block"], call["log"]])[-2:]
            kind = FLASH if name == "flash" else COLLECT
            return made | {"kind": kind, "amount": first, "limit": second}
        return None


@pytest.fixture(scope="module")
def recording():
    return Recording()


@pytest.mark.slow
def test_pool_is_the_contracts_after_every_call(recording, lane):
    """Exact in, exact out and limited swaps, partly filled, to the last wei before a tick, over gaps, to the ends."""
    tables = Tables()
    for k, pool in enumerate(recording.pools):
        tables.create(k, pool["fee"], pool["tickSpacing"])
    tables.act(recording.starts)
    calls = list(read_lines("v3_swaps", "truth_actions.jsonl"))
    if lane == "nojit":
        calls = [call for call in calls if recording.spacing(call) >= SOME_SPACING][:SOME_CALLS]
    pairs = [(call, made) for call in calls if (made := recording.action(call))]
    done = tables.act(made for _, made in pairs)
    for (call, _), action in zip(pairs, done, strict=True):
        where = call["block"], call["tx"], call["call"]
        assert state_told(action) == [int(v) for v in call["state"]], where
        if "error" in call:
            assert reverts.REASONS[int(action["status"])] == call["error"], where
        else:
            assert int(action["status"]) == OK, where
        if call["call"] == "swap" and "error" not in call:
            moved = [number(action[name], signed=True) for name in ("amount0", "amount1")]
            assert moved == [int(v) for v in call["answer"]], where
    if lane != "nojit":
        for address, k in recording.ids.items():
            ends = recording.last[address]
            assert tables.ticks_of(k) == {int(t): tick_told(at) for t, at in ends["ticks"].items()}
            assert tables.words_of(k) == {int(w): int(bits) for w, bits in ends["tickBitmap"].items()}


def tick_told(at):
    names = ("liquidityGross", "liquidityNet", "feeGrowthOutside0X128", "feeGrowthOutside1X128")
    return [int(at[name]) for name in names]


QUOTED = ("amount0", "amount1", "remaining", "sqrt_price", "tick", "liquidity", "crossed")


def quoted(action):
    return [number(action[name], signed=name in ("amount0", "amount1")) for name in QUOTED]


def expected_of(found):
    return [
        found.amount0,
        found.amount1,
        abs(found.remaining),
        found.price,
        found.tick,
        found.liquidity,
        len(found.crossed),
    ]


def state_expected(pool):
    fees = [*pool.growth, *pool.protocol_fees, *pool.observation, pool.fee_protocol]
    return [pool.price, pool.tick, pool.liquidity, *fees]


def swap_line(zero_for_one, amount, limit, **more):
    fields = {"pool": 0, "kind": SWAP, "zero_for_one": zero_for_one, "exact_in": amount > 0}
    return fields | {"amount": abs(amount), "limit": limit} | more


@st.composite
def made_up_pools(draw):
    """A pool with a few ranges around its price, gaps between them, fees that are about to wrap."""
    spacing = draw(st.sampled_from([1, 10, 60, 200]))
    last = MAX_TICK // spacing
    centre = draw(
        st.integers(-last + 700, last - 700) | st.integers(-5, 5) | st.sampled_from([-last + 700, last - 700])
    )
    pool = Pool(draw(st.sampled_from([0, 100, 500, 3000, 10_000, 999_999])), spacing)
    tick = centre * spacing + draw(st.integers(-2, 2) | st.integers(-300, 300))
    price = sqrt_ratio_at_tick(tick) + draw(st.sampled_from([0, 0, 1]) | st.integers(0, 2**20))
    pool.initialize(min(max(price, MIN_RATIO), MAX_RATIO - 1), 1)
    pool.fee_protocol = draw(st.sampled_from([0, 4, 10 << 4, 5 | 7 << 4]))
    pool.growth = [draw(st.sampled_from([0, 2**256 - 1, 2**255])) for _ in range(2)]
    for _ in range(draw(st.integers(0, 5))):
        low = centre + draw(st.integers(-300, 300) | st.integers(-3, 3))
        high = low + draw(st.integers(1, 3) | st.integers(1, 400))
        amount = draw(st.integers(1, 9) | st.integers(1, 2**100))
        pool.change_range(low * spacing, high * spacing, amount, 1)
    return pool


@st.composite
def requests(draw, pool):
    """Something to ask of a pool: any amount, or one next to what reaches a tick exactly; often with a limit."""
    way = draw(st.booleans())
    if not MIN_RATIO + 1 < pool.price < MAX_RATIO - 1:
        way = pool.price > MIN_RATIO + 1
    distance = draw(st.integers(0, 3) | st.integers(0, 700)) * pool.spacing
    tick = max(
        -MAX_TICK, min(MAX_TICK, pool.tick // pool.spacing * pool.spacing + (-distance if way else distance))
    )
    limit = sqrt_ratio_at_tick(tick) + draw(st.sampled_from([0, 0, 1, -1]))
    if way:
        limit = max(MIN_RATIO + 1, min(limit, pool.price - 1))
    else:
        limit = min(MAX_RATIO - 1, max(limit, pool.price + 1))
    if draw(st.booleans()):
        found = pool.swap(way, 2**254, limit)
        paid, bought = (found.amount0, found.amount1) if way else (found.amount1, found.amount0)
        amount = (paid if draw(st.booleans()) else bought) + draw(st.integers(-2, 2))
    else:
        amount = draw(st.integers(-(2**110), 2**110) | st.integers(-50, 50))
    return way, amount or 1, limit


@given(st.data())
def test_swaps_are_the_oracles_on_any_pool(drawn):
    pool = drawn.draw(made_up_pools())
    tables = Tables(1, 64)
    tables.install(0, pool)
    for timestamp in range(1, drawn.draw(st.integers(2, 4))):
        way, amount, limit = drawn.draw(requests(pool))
        found = pool.swap(way, amount, limit)
        line = swap_line(way, amount, limit, timestamp=timestamp)
        told, done = tables.act([line | {"kind": QUOTE}, line])
        assert int(told["status"]) == OK
        assert quoted(told) == expected_of(found)
        pool.apply(way, found, timestamp)
        assert state_told(done) == state_expected(pool)
        ticks = {t: [at.gross, at.net, *at.outside] for t, at in pool.ticks.items()}
        assert tables.ticks_of(0) == ticks


@pytest.mark.parametrize("zero_for_one", [True, False])
@pytest.mark.parametrize("spacing", [1, 60])
def test_a_price_without_liquidity_goes_to_its_limit_at_once(zero_for_one, spacing):
    """To the end of all prices, and to limits around ticks where a word ends: there the contract's tick differs."""
    pool = Pool(3000, spacing)
    pool.initialize(sqrt_ratio_at_tick(77), 1)
    ends = [(-k if zero_for_one else k) * 256 * spacing + d for k in (1, 2, 3) for d in (-spacing, -1, 0, 1)]
    limits = [sqrt_ratio_at_tick(t) + d for t in ends for d in (-1, 0, 1)] + [ENDS[zero_for_one]]
    limits = [p for p in limits if (p < pool.price) == zero_for_one and p != pool.price]
    tables = Tables(1, 8)
    tables.install(0, pool)
    lines = [swap_line(zero_for_one, 5, limit, kind=QUOTE) for limit in limits]
    for limit, told in zip(limits, tables.act(lines), strict=True):
        assert quoted(told) == expected_of(pool.swap(zero_for_one, 5, limit)), limit
        assert int(told["steps"]) <= 2, "the contract makes one for each of up to 3,466 words"


def test_liquidity_beyond_a_gap_is_found():
    pool = Pool(500, 1)
    pool.initialize(sqrt_ratio_at_tick(-400_000), 1)
    pool.change_range(123_456, 123_470, 10**30, 1)
    tables = Tables(1, 8)
    tables.install(0, pool)
    [told] = tables.act([swap_line(False, 10**15, ENDS[False], kind=QUOTE)])
    assert quoted(told) == expected_of(pool.swap(False, 10**15, ENDS[False]))
    assert number(told["liquidity"]) == 10**30
    assert int(told["steps"]) <= 3


def installed(**changes):
    """A pool with one range over the price, one number of which may be wrong."""
    pool = Pool(3000, 60)
    pool.initialize(2**96, 1)
    pool.change_range(-600, 600, 10**18, 1)
    tables = Tables(1, 8)
    tables.install(0, pool)
    for table, name, value in changes.values():
        tables.state.arrays[table].rows[0][name] = value
    return tables


@pytest.mark.parametrize(
    ("zero_for_one", "amount", "limit", "status"),
    [
        (True, 0, ENDS[True], reverts.ZERO_AMOUNT),
        (True, 5, 2**96, reverts.PRICE_LIMIT),
        (True, 5, 2**96 + 1, reverts.PRICE_LIMIT),
        (True, 5, MIN_RATIO, reverts.PRICE_LIMIT),
        (True, 5, 0, reverts.PRICE_LIMIT),
        (False, 5, 2**96, reverts.PRICE_LIMIT),
        (False, 5, 2**96 - 1, reverts.PRICE_LIMIT),
        (False, 5, MAX_RATIO, reverts.PRICE_LIMIT),
        (False, 5, 2**256 - 1, reverts.PRICE_LIMIT),
        (True, 2**255, ENDS[True], reverts.AMOUNT_TOO_LARGE),
        (False, -(2**256 - 1), ENDS[False], reverts.AMOUNT_TOO_LARGE),
    ],
)
def test_what_the_contract_refuses_has_a_name(zero_for_one, amount, limit, status):
    tables = installed()
    before = tables.state.digest()
    [told] = tables.act([swap_line(zero_for_one, amount, limit)])
    assert int(told["status"]) == status
    assert tables.state.digest() == before


def test_an_amount_below_2_255_is_taken():
    [told] = installed().act([swap_line(True, 2**255 - 1, ENDS[True], kind=QUOTE)])
    assert int(told["status"]) == OK


@pytest.mark.parametrize(
    ("table", "name", "value", "status"),
    [
        ("pools", "sqrt_price_x96", 0, reverts.NOT_INITIALIZED),
        ("pools", "fee", 10**6, reverts.FEE_OUT_OF_RANGE),
        ("pools", "fee", 2**32 - 1, reverts.FEE_OUT_OF_RANGE),
        ("pools", "tick_spacing", 0, reverts.BAD_TICK_SPACING),
        ("pools", "tick_spacing", -1, reverts.BAD_TICK_SPACING),
        ("pools", "tick", 2**31 - 1, reverts.TICK_OUT_OF_RANGE),
        ("pools", "tick", -(2**31), reverts.TICK_OUT_OF_RANGE),
    ],
)
def test_states_that_no_contract_has_are_refused(table, name, value, status):
    tables = installed(change=(table, name, value))
    for way in (True, False):
        [told] = tables.act([swap_line(way, 10**17, ENDS[way])])
        assert int(told["status"]) == status


@pytest.mark.parametrize(
    ("price", "way"), [(MAX_RATIO, True), (2**256 - 1, True), (1, False), (MIN_RATIO - 1, False)]
)
def test_a_price_that_no_pool_has_is_refused(price, way):
    tables = installed()
    put(tables.state.arrays["pools"].rows[0], "sqrt_price_x96", price)
    [told] = tables.act([swap_line(way, 10**17, ENDS[way])])
    assert int(told["status"]) == reverts.PRICE_OUT_OF_RANGE


def test_a_bit_without_a_tick_is_a_broken_map():
    tables = installed()
    tables.act([{"kind": FLIP, "pool": 0, "lower": -5}])
    [told] = tables.act([swap_line(True, 10**20, ENDS[True])])
    assert int(told["status"]) == reverts.BROKEN_TICK_MAP


def test_liquidity_that_contradicts_its_ticks_is_refused():
    tables = installed()
    put(tables.state.arrays["pools"].rows[0], "liquidity", 10**17)
    [told] = tables.act([swap_line(True, 10**20, ENDS[True])])
    assert reverts.REASONS[int(told["status"])] == "LS"


@pytest.mark.slow
def test_quotes_of_recorded_pools_are_the_pools_own(tmp_path, lane):
    """What `pool.swap` did in calls that were thrown away; and QuoterV2, which refuses a little more."""
    ledger = Ledger(unpack("v3_swaps", tmp_path))
    quotes = read_document("v3_swaps", "quotes.json")["quotes"]
    quotes = [q for q in quotes if q["pool_answer"].get("error") != "no contract"]
    if lane == "nojit":
        quotes = [q for q in quotes if ledger.pools[q["pool"]].spacing >= SOME_SPACING][:SOME_QUOTES]
    assert len(quotes) >= SOME_QUOTES
    for asked in sorted(quotes, key=lambda q: q["block"]):
        ledger.advance(asked["block"])
        answer, told = asked["pool_answer"], answered(ledger, asked)
        if "error" in answer:
            assert reverts.REASONS[int(told["status"])] == answer["error"], asked
            continue
        names = ("amount0", "amount1", "sqrtPriceX96", "tick", "liquidity")
        assert [quoted(told)[k] for k in (0, 1, 3, 4, 5)] == [int(answer[n]) for n in names], asked
        assert bool(number(told["remaining"])) == answer["partial"], asked
        if not asked["reverted"]:
            assert (other_amount(asked, told), number(told["sqrt_price"])) == recorded(asked), asked


def answered(ledger, asked):
    """One quote by the kernels, of the oracle's pool at that block."""
    tables = Tables(1, 1024)
    tables.install(0, ledger.pools[asked["pool"]])
    way, amount = asked["zeroForOne"], int(asked["amount"])
    limit = int(asked["sqrtPriceLimitX96"]) or ENDS[way]
    signed = amount if asked["exact"] == "in" else -amount
    [told] = tables.act([swap_line(way, signed, limit, kind=QUOTE)])
    return told


def other_amount(asked, told):
    into = asked["zeroForOne"] == (asked["exact"] == "out")
    return abs(number(told["amount0" if into else "amount1"], signed=True))


def recorded(asked):
    return int(asked["result"]), int(asked["sqrtPriceX96After"])


@pytest.mark.slow
def test_quotes_of_the_larger_stream_are_the_quoters(data_dir, lane):
    ledger = Ledger(data_dir / "evm")
    recording = json.loads((data_dir / "evm" / "quotes.json").read_text())
    quotes = [q for q in recording["quotes"] if q["pool"] in ledger.pools and not q["reverted"]]
    assert len(quotes) > 200
    quotes = quotes[:SOME_QUOTES] if lane == "nojit" else quotes
    for asked in sorted(quotes, key=lambda q: q["block"]):
        ledger.advance(asked["block"])
        told = answered(ledger, asked)
        assert (other_amount(asked, told), number(told["sqrt_price"])) == recorded(asked), asked


@pytest.mark.slow
def test_hops_of_recorded_cycles_are_the_contracts(data_dir, lane):
    """Each hop by itself: no cycle passes a pool twice. A hop through a pair comes from the oracle."""
    ledger = Ledger(data_dir / "evm")
    cycles = json.loads((data_dir / "evm" / "quotes.json").read_text())["cycles"]
    cycles = cycles[:SOME_QUOTES] if lane == "nojit" else cycles
    hops = 0
    for cycle in sorted(cycles, key=lambda c: c["block"]):
        ledger.advance(cycle["block"])
        into = cycle["amountIn"]
        for hop, out in zip(cycle["steps"], cycle["outs"], strict=True):
            if hop["pool"] in ledger.pools:
                asked = {**hop, "exact": "in", "amount": into, "sqrtPriceLimitX96": "0"}
                assert other_amount(asked, answered(ledger, asked)) == int(out), cycle
                hops += 1
            into = out
    assert hops >= len(cycles)


@pytest.mark.slow
def test_quotes_of_a_mainnet_pool_are_the_quoters(data_dir, lane):
    """WBTC/WETH 0.30 % at block 24407242, to amounts that empty it (degenbot's recording)."""
    folder = data_dir / "mainnet" / "pool_snapshots" / "degenbot"
    [state] = folder.glob("fixtures__chain_data__1__uniswap_v3_wbtc_weth_block_24407242.json")
    [answers] = folder.glob("golden__*test_cached_calculations_v3_wbtc_weth.json")
    known = json.loads(state.read_text())
    slot = known["scalars"]
    pool = Pool(slot["fee"], slot["tick_spacing"], slot["sqrt_price_x96"], slot["tick"], slot["liquidity"])
    pool.ticks = {int(t): Tick(at[0], at[1]) for t, at in known["tick_data"].items()}
    tables = Tables(1, 1024)
    tables.install(0, pool)
    entries = json.loads(answers.read_text())["entries"]
    assert len(entries) == 80
    some = slice(None, None, 8) if lane == "nojit" else slice(None)
    for name, entry in list(entries.items())[some]:
        _, function, tokens, amount = name.split("|")
        asked = {"zeroForOne": tokens == "WBTC->WETH", "exact": "in" if "Input" in function else "out"}
        signed = int(amount) if asked["exact"] == "in" else -int(amount)
        line = swap_line(asked["zeroForOne"], signed, ENDS[asked["zeroForOne"]], kind=QUOTE)
        assert other_amount(asked, tables.act([line])[0]) == entry["value"], name
