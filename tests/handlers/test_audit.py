"""The audit: swaps that the contracts could have made are told from those that they could not, and how far fees go."""

from __future__ import annotations

import functools
import random

import pytest

from disruptor.handlers import messages as m
from disruptor.handlers.pools import AUDITED, NO_FEE, UNVERIFIED
from tests.support.uniswap_oracle import (
    MAX_RATIO,
    MIN_RATIO,
    Pool,
    Revert,
    sqrt_ratio_at_tick,
    v2_amount_in,
    v2_amount_out,
    v2_swap_check,
)

QUIET = ("arbitrage.enabled=false", "normalised_swaps=false")
RESERVES = (3 * 10**21, 5 * 10**12)
TOKENS = {"token0": 0, "token1": 1, "token0_address": bytes([91]) * 20, "token1_address": bytes([92]) * 20}
NOTHING_KNOWN = ("fee_growth_global0_x128", "fee_growth_global1_x128", "protocol_fees0", "protocol_fees1")


@pytest.fixture
def quiet(engine):
    return functools.partial(engine, *QUIET)


def audit(one):
    """(audited, mismatched, not checkable)."""
    row = one.processor.state.arrays["audit_counters"].rows[0]
    return tuple(int(row[name]) for name in ("audited", "mismatched", "not_checkable"))


def marks(one, pool=0):
    """(confirmed, unverified)."""
    flags = int(one.processor.state.arrays["pools"].rows[pool]["flags"])
    return bool(flags & AUDITED), bool(flags & UNVERIFIED)


def registered(pool=0, kind=m.KIND_UNISWAP_V2, fee=3000, **more):
    address = bytes([pool + 1]) * 20
    fields = {"pool": pool, "kind": kind, "fee": fee, "tick_spacing": 60, "address": address}
    return m.PoolRegistered, {**fields, **TOKENS, "flags": m.FLAG_BORN, **more}


def block(number, **more):
    return m.BlockStart, {"number": number, "timestamp": 1000 + number, **more}


def sync(reserves, log=0, pool=0):
    return m.UniswapV2Sync, {"pool": pool, "log_index": log, "reserve0": reserves[0], "reserve1": reserves[1]}


def v2_swap(ins, outs, log=1, pool=0, **more):
    amounts = {f"amount{k}_{side}": v[k] for side, v in (("in", ins), ("out", outs)) for k in (0, 1)}
    return m.UniswapV2Swap, {"pool": pool, "log_index": log, **amounts, **more}


def made(before, ins, outs, log=10, pool=0):
    """What a pair logs that was paid `ins` and paid `outs`."""
    after = tuple(r + i - o for r, i, o in zip(before, ins, outs, strict=True))
    return [sync(after, log, pool), v2_swap(ins, outs, log + 1, pool)]


# V2


@pytest.mark.parametrize(
    ("true", "declared", "holds", "confirmed"),
    [
        (3000, 3000, True, True),
        (500, 500, True, True),
        (0, 0, True, True),
        (30000, 30000, True, True),
        (999_950, 999_950, True, True),  # one basis point more would be all
        (3050, 3000, True, True),
        (2500, 3000, False, False),
        (2999, 3000, False, False),
        (3000, 2500, True, False),  # a fee that is higher contradicts nothing: but it confirms nothing either
        (3100, 3000, True, False),
    ],
)
@pytest.mark.parametrize("exact_in", [True, False])
def test_v2_fees_are_told_from_lower_ones_and_confirmed_against_higher_ones(
    quiet, true, declared, holds, confirmed, exact_in
):
    one = quiet()
    one.feed([registered(fee=declared), sync(RESERVES)])
    if exact_in:
        paid = 10**19
        bought = v2_amount_out(paid, *RESERVES, true)
    else:
        bought = 10**8 if true > 900_000 else 10**11
        paid = v2_amount_in(bought, *RESERVES, true)
    one.feed(made(RESERVES, (paid, 0), (0, bought)))
    assert audit(one) == ((1, 0, 0) if holds else (0, 1, 0))
    assert marks(one) == (confirmed, not holds)


def test_a_v2_swap_of_a_few_wei_confirms_nothing(quiet):
    one = quiet()
    one.feed([registered(fee=2500), sync((10**18, 10**18)), *made((10**18, 10**18), (100, 0), (0, 99))])
    assert audit(one) == (1, 0, 0) and marks(one) == (False, False)


def test_a_confirmed_pool_stays_so_and_is_still_refuted(quiet):
    one, paid = quiet(), 10**19
    bought = v2_amount_out(paid, *RESERVES, 3000)
    one.feed([registered(), sync(RESERVES), *made(RESERVES, (paid, 0), (0, bought))])
    assert marks(one) == (True, False)
    after = (RESERVES[0] + paid, RESERVES[1] - bought)
    one.feed(made(after, (0, 10**9), (10**10, 0), log=20))  # leaves nearly all to the pair
    assert audit(one) == (2, 0, 0) and marks(one) == (True, False)
    one.feed(
        [sync(RESERVES, 30), *made(RESERVES, (0, 10**9), (v2_amount_out(10**9, *RESERVES[::-1], 5), 0), 40)]
    )
    assert audit(one) == (2, 1, 0) and marks(one) == (True, True)


def test_random_v2_swaps_hold_where_a_pair_would_accept_them(quiet, seed, lane):
    """Also both tokens in or out, more paid than logged, and amounts beyond the reserves."""
    draw, held = random.Random(seed), 0
    one = quiet()
    one.feed([registered(pool, fee=fee) for pool, fee in enumerate((0, 25, 2500, 3000, 999_999))])
    for k in range(40 if lane == "nojit" else 300):
        pool, fee = draw.choice(list(enumerate((0, 25, 2500, 3000, 999_999))))
        before = tuple(draw.randrange(1, 2 ** draw.randrange(2, 112)) for _ in "01")
        side = draw.randrange(2)
        ins = [draw.randrange(2 ** draw.randrange(90)) * (side == n or draw.random() < 0.2) for n in (0, 1)]
        try:
            most = v2_amount_out(ins[side], before[side], before[1 - side], fee)
        except Revert:
            continue
        out = max(0, most + draw.choice([0, 0, 0, 1, -1, -most]))
        outs = [0, 0]
        outs[1 - side] = out
        outs[side] = draw.choice([0, 0, 0, draw.randrange(1 + ins[side])])
        after = [r + i - o for r, i, o in zip(before, ins, outs, strict=True)]
        if min(after) < 0 or max(after) >= 2**112:
            continue
        logged = [max(0, i + draw.choice([0] * 20 + [1, -1])) for i in ins]
        try:
            holds = list(v2_swap_check(before, tuple(after), tuple(outs), fee)) == logged
        except Revert:
            holds = False
        was = audit(one)
        one.feed([sync(before, 0, pool), sync(after, 10, pool), v2_swap(logged, outs, 11, pool)])
        assert audit(one) == (was[0] + holds, was[1] + (not holds), 0), (k, fee, before, after, logged, outs)
        held += holds
    assert 5 < held < audit(one)[0] + audit(one)[1] - 2


SWAPPED = made(RESERVES, (10**19, 0), (0, v2_amount_out(10**19, *RESERVES, 3000)))


@pytest.mark.parametrize(
    "events",
    [
        [registered(flags=0), *SWAPPED],  # nobody knew the reserves before
        [registered(), sync(RESERVES), SWAPPED[0], v2_swap((10**19, 0), (0, 1), log=12)],
        [registered(), sync(RESERVES), SWAPPED[0], block(8), SWAPPED[1]],
        [registered(), sync(RESERVES), (m.PoolIncomplete, {"pool": 0}), *SWAPPED],
        [registered(), sync(RESERVES), (m.PoolIncomplete, {"pool": m.NO_ID}), *SWAPPED],
        [
            registered(),
            sync(RESERVES),
            SWAPPED[0],
            v2_swap((10**19, 0), (0, 1), 11, flags=m.FLAG_AMOUNT_OVERFLOW),
        ],
        [registered(fee=NO_FEE), sync(RESERVES), *SWAPPED],
    ],
    ids=["unknown before", "no Sync right before", "another block", "lost", "all lost", "cut off", "no fee"],
)
def test_what_can_not_be_checked_is_counted_and_marks_nothing(quiet, events):
    one = quiet()
    one.feed([block(7), *events])
    assert audit(one) == (0, 0, 1) and marks(one) == (False, False)


NO_HEADER = {"flags": m.FLAG_PARENT_UNKNOWN}


@pytest.mark.parametrize(
    ("blocks", "checkable"),
    [
        ([block(8, **NO_HEADER)], True),
        ([block(9)], True),  # its header is there, and that of 8 would be if it had logs
        ([block(9, **NO_HEADER)], False),
        ([block(9, **NO_HEADER), block(10)], False),
    ],
)
def test_reserves_that_do_not_fit_contradict_only_a_whole_stream(quiet, blocks, checkable):
    one, other = quiet(), tuple(r // 2 for r in RESERVES)
    one.feed([block(7, **NO_HEADER), registered(), sync(RESERVES), *blocks])
    missed = made(other, (10**19, 0), (0, v2_amount_out(10**19, *other, 3000)))
    one.feed(missed)
    assert audit(one) == ((0, 1, 0) if checkable else (0, 0, 1)) and marks(one) == (False, checkable)
    after = (other[0] + 10**19, missed[0][1]["reserve1"])
    one.feed(made(after, (10**19, 0), (0, v2_amount_out(10**19, *after, 3000)), log=20))
    assert audit(one)[0] == 1 and marks(one) == (True, checkable)


@pytest.mark.parametrize("known", [False, True])
def test_a_swap_refutes_a_fee_whatever_is_known_of_the_reserves(quiet, known):
    one = quiet()
    one.feed([block(7), registered(flags=0), *([sync((9, 9))] if known else []), block(99, **NO_HEADER)])
    one.feed(made(RESERVES, (10**19, 0), (0, v2_amount_out(10**19, *RESERVES, 2500))))
    assert audit(one) == (0, 1, 0) and marks(one) == (False, True)


@pytest.mark.parametrize(
    ("balances", "ins", "outs"),
    [
        ((5, 10), (6, 0), (0, 1)),  # more came in than there is
        ((5, 10), (4, 0), (0, 2**112)),  # more went out than a pair can hold
        ((2**112, 10), (4, 0), (0, 1)),
        ((5, 10), (0, 0), (0, 1)),
    ],
)
def test_what_no_pair_could_have_done_is_a_mismatch(quiet, balances, ins, outs):
    one = quiet()
    one.feed([registered(flags=0), sync(balances, 10), v2_swap(ins, outs, 11)])
    assert audit(one) == (0, 1, 0)


def test_the_first_mismatch_is_remembered_with_its_place(quiet):
    one = quiet()
    wrong = made(RESERVES, (10**19, 0), (0, 10**12), log=10, pool=1)
    again = made(RESERVES, (10**19, 0), (0, 10**12), log=20, pool=1)
    one.feed(
        [block(7), registered(0), registered(1), sync(RESERVES), sync(RESERVES, pool=1), *SWAPPED, *wrong]
    )
    one.feed([block(8), sync(RESERVES, pool=1), *again])
    good, bad = one.pools()
    assert audit(one) == (1, 2, 0)
    assert int(one.processor.state.arrays["audit_counters"].rows[0]["unverified"]) == 1
    assert good["verified"] and "unverified_at" not in good
    assert not bad["verified"] and bad["unverified_at"] == {"block": 7, "log_index": 11}
    one.feed([block(9), sync(RESERVES, pool=1), *made(RESERVES, (10**19, 0), (0, 10**9), pool=1)])
    assert audit(one) == (2, 2, 0) and not one.pools()[1]["verified"]


# V3


class Twin:
    """A V3 pool as the oracle has it, and the events that it would log."""

    def __init__(self, fee=3000, told_fee=None, price=2**96, pool=0):
        self.pool, self.oracle, self.log = pool, Pool(fee, 60), 0
        self.oracle.initialize(price, 1000)
        start = {"pool": pool, "sqrt_price_x96": price, "tick": self.oracle.tick}
        told = fee if told_fee is None else told_fee
        self.events = [registered(pool, m.KIND_UNISWAP_V3, told), (m.UniswapV3Initialize, start)]

    def mint(self, lower, upper, liquidity, told=True):
        self.oracle.change_range(lower, upper, liquidity, 1000)
        fields = {"pool": self.pool, "tick_lower": lower, "tick_upper": upper, "liquidity": liquidity}
        if told:
            self.events.append((m.UniswapV3Mint, fields))
        return self

    def swap(self, zero_for_one, amount, limit=None, **wrong):
        """Swap as the contract would; `wrong` is added to what is logged."""
        ends = MIN_RATIO + 1 if zero_for_one else MAX_RATIO - 1
        done = self.oracle.swap(zero_for_one, amount, limit or ends)
        self.oracle.apply(zero_for_one, done, 1000)
        fields = {"amount0": done.amount0, "amount1": done.amount1, "sqrt_price_x96": done.price}
        fields |= {"liquidity": done.liquidity, "tick": done.tick}
        fields = {name: value + wrong.get(name, 0) for name, value in fields.items()}
        self.log += 1
        self.events.append((m.UniswapV3Swap, {"pool": self.pool, "log_index": self.log, **fields}))
        return self

    def taken(self):
        """The events since the last time."""
        events, self.events = self.events, []
        return events


def islands(**more):
    """Liquidity with gaps between it, and none far out."""
    twin = Twin(**more)
    for lower, upper, liquidity in (
        (-600, 600, 10**20),
        (-60, 120, 10**21),
        (1200, 1800, 10**19),
        (-3000, -2400, 7),
    ):
        twin.mint(lower, upper, liquidity)
    return twin


def growths(one, pool=0):
    return [one.pools()[pool][name] for name in NOTHING_KNOWN]


def test_v3_swaps_asked_for_in_any_way_are_made_again(quiet, seed, lane):
    """Exact in, exact out, up to a price, of a few units, over gaps, to the ends: all fees follow."""
    draw, twin, one = random.Random(seed), islands(), quiet()
    one.feed([block(1), *twin.taken()])
    for _ in range(12 if lane == "nojit" else 150):
        zero_for_one = twin.oracle.price > sqrt_ratio_at_tick(draw.randrange(-2500, 1900))
        amount = draw.randrange(1, 10 ** draw.choice([1, 2, 6, 18, 19, 20])) * draw.choice([1, -1])
        limit = None
        if draw.random() < 0.5:
            tick = draw.randrange(60) * 60 - 1800
            limit = sqrt_ratio_at_tick(tick) + draw.choice([0, 0, 1, -1, 12345])
            if limit == twin.oracle.price:
                continue
            zero_for_one = limit < twin.oracle.price
        elif not -2000 < twin.oracle.tick < 1500:
            zero_for_one, limit = twin.oracle.tick > 0, 2**96
        twin.swap(zero_for_one, amount, limit)
        one.feed(twin.taken())
        assert audit(one)[1:] == (0, 0)
        expected = [*twin.oracle.growth, *twin.oracle.protocol_fees]
        assert growths(one) == [str(v) for v in expected]
    assert audit(one)[0] == twin.log > 5


def test_a_v3_swap_of_a_few_units_confirms_nothing(quiet):
    one, twin = quiet(), islands()
    one.feed(twin.swap(True, 1).swap(False, -3).swap(True, 2**17 - 1).taken())
    assert audit(one) == (3, 0, 0) and marks(one) == (False, False)
    one.feed(twin.swap(True, 2**17).taken())
    assert audit(one) == (4, 0, 0) and marks(one) == (True, False)


@pytest.mark.parametrize("told_fee", [500, 2999, 3001, 10000])
@pytest.mark.parametrize("amount", [10**15, -(10**15)])
def test_a_v3_fee_that_is_not_the_declared_one_is_found(quiet, told_fee, amount):
    one, twin = quiet(), islands(told_fee=told_fee)
    one.feed(twin.swap(True, amount).taken())
    assert audit(one) == (0, 1, 0) and marks(one) == (False, True)


def test_a_mint_that_was_missed_shows_when_a_swap_reaches_it(quiet):
    one, twin = quiet(), Twin().mint(-600, 600, 10**18).mint(-600, -300, 10**17, told=False)
    one.feed(twin.swap(True, 10**12).taken())
    assert audit(one) == (1, 0, 0)
    one.feed(twin.swap(True, 10**20, sqrt_ratio_at_tick(-400)).taken())
    assert audit(one) == (1, 1, 0) and marks(one) == (True, True)


@pytest.mark.parametrize(
    ("name", "by"),
    [("amount0", 1), ("amount1", 1), ("sqrt_price_x96", 2**40), ("liquidity", 1), ("tick", 1)],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_log_that_is_off_by_one_is_a_mismatch(quiet, name, by, sign):
    """A price by as much as shows in an amount: a swap that was limited to the price beside it moves the same."""
    one, twin = quiet(), islands()
    one.feed(twin.swap(True, 10**20, **{name: sign * by}).taken())
    assert audit(one) == (0, 1, 0)


def test_a_price_that_moves_where_nobody_provides_is_checked(quiet):
    one, twin = quiet(), islands()
    twin.swap(False, 10**30, sqrt_ratio_at_tick(900)).swap(False, 5, sqrt_ratio_at_tick(1000))
    assert twin.events[-1][1]["amount0"] == twin.events[-1][1]["amount1"] == twin.oracle.liquidity == 0
    one.feed(twin.taken())
    assert audit(one) == (2, 0, 0)
    one.feed(twin.swap(True, 5, sqrt_ratio_at_tick(960), amount1=-1).taken())
    assert audit(one) == (2, 1, 0)


def unknown(one, pool=0):
    line = one.pools()[pool]
    return all(
        line[name] is None for name in (*NOTHING_KNOWN, "fee_growth_outside_x128", "observation_index")
    )


def test_after_a_mismatch_fees_are_not_known_for_good(quiet):
    one, twin = quiet(), islands()
    one.feed([block(7), *twin.swap(True, 10**18).taken()])
    assert not unknown(one) and one.pools()[0]["verified"]
    one.feed([block(8), *twin.swap(True, 10**18, amount1=1).taken()])
    line = one.pools()[0]
    assert unknown(one) and line["complete"]
    assert not line["verified"] and line["unverified_at"] == {"block": 8, "log_index": 2}
    one.feed(twin.swap(False, 10**18).taken())
    assert audit(one) == (2, 1, 0) and unknown(one) and not one.pools()[0]["verified"]
    assert int(one.pools()[0]["sqrt_price_x96"]) == twin.oracle.price


def test_a_v3_swap_that_can_not_be_checked_leaves_fees_unknown(quiet):
    for fee, lost in ((NO_FEE, []), (3000, [(m.PoolIncomplete, {"pool": 0})])):
        one, twin = quiet(), islands(told_fee=fee)
        one.feed([*twin.taken(), *lost, *twin.swap(True, 10**18).taken()])
        assert audit(one) == (0, 0, 1) and marks(one) == (False, False) and unknown(one)


@pytest.mark.parametrize(
    ("flash", "known"),
    [
        ({"paid0": 10**6, "paid1": 7}, True),
        ({"paid0": 2**256 - 1}, False),  # more growth than the contract could add
        ({"paid0": 10**6, "flags": m.FLAG_AMOUNT_OVERFLOW}, False),
    ],
)
def test_a_flash_that_can_not_be_followed_leaves_fees_unknown(quiet, flash, known):
    one, twin = quiet(), islands()
    one.feed([*twin.taken(), (m.UniswapV3Flash, {"pool": 0, **flash})])
    assert unknown(one) != known
    if known:
        twin.oracle.flash((flash["paid0"], flash["paid1"]))
        assert growths(one)[:2] == [str(v) for v in twin.oracle.growth]
