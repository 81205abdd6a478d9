"""Pool tracking against a ledger in plain Python, over random lives of pools."""

from __future__ import annotations

import random

import pytest

from disruptor.handlers import messages as m
from tests.model import Ledger, Pool

KINDS = {"uniswap_v2": m.KIND_UNISWAP_V2, "uniswap_v3": m.KIND_UNISWAP_V3}
MESSAGES = {
    "Sync": m.UniswapV2Sync,
    "Initialize": m.UniswapV3Initialize,
    "Mint": m.UniswapV3Mint,
    "Burn": m.UniswapV3Burn,
}
WIDE = 3 << 63  # liquidity changes carry over limbs


def name_of(pool: int) -> str:
    return "0x" + bytes([pool + 1] * 20).hex()


class Life:
    """Random events of a few pools, told to the engine and to the ledger alike."""

    def __init__(self, seed: int) -> None:
        self.random, self.ledger = random.Random(seed), Ledger()
        self.events: list[tuple] = []
        self.pools = []
        for pool in range(4):
            kind = self.random.choice(["uniswap_v2", "uniswap_v3", "uniswap_v3"])
            born = self.random.random() < 0.6
            self.pools.append(Pool(name_of(pool), kind, name_of(90), name_of(91), 500))
            self.ledger.register(self.pools[-1], born=born)
            fields = {"pool": pool, "kind": KINDS[kind], "fee": 500, "address": bytes([pool + 1] * 20)}
            fields |= {"tick_spacing": 60}
            addresses = {"token0_address": bytes([91] * 20), "token1_address": bytes([92] * 20), "token1": 1}
            self.events.append(
                (m.PoolRegistered, {**fields, **addresses, "flags": m.FLAG_BORN if born else 0})
            )
            if born and kind == "uniswap_v3":
                self.tell("Initialize", pool, {"sqrt_price_x96": 2**96, "tick": 0})

    def tell(self, name: str, pool: int, fields: dict) -> None:
        """One event for both."""
        message = MESSAGES.get(name)
        if message is None:
            message = m.UniswapV2Swap if self.pools[pool].kind == "uniswap_v2" else m.UniswapV3Swap
        named = {{"lower": "tick_lower", "upper": "tick_upper"}.get(k, k): v for k, v in fields.items()}
        self.events.append((message, {"pool": pool, **named}))
        self.ledger.apply(name, {"pool": name_of(pool), **fields})

    def lose(self, pool: int | None) -> None:
        self.events.append((m.PoolIncomplete, {"pool": m.NO_ID if pool is None else pool}))
        self.ledger.lose(None if pool is None else name_of(pool))

    def step(self) -> None:
        draw, pool = self.random.random, self.random.randrange(4)
        if draw() < 0.004:
            self.lose(None)
        elif draw() < 0.01:
            self.lose(pool)
        elif self.pools[pool].kind == "uniswap_v2":
            if draw() < 0.8:
                reserves = {f"reserve{k}": self.random.randrange(2**112) for k in (0, 1)}
                self.tell("Sync", pool, reserves)
            else:
                self.tell("Swap", pool, {"amount0_in": 5, "amount1_out": 6})
        elif draw() < 0.3:
            root, liquidity = self.random.randrange(2**160), self.random.randrange(2**128)
            tick = self.random.randrange(-10, 10) * 60
            self.tell("Swap", pool, {"sqrt_price_x96": root, "tick": tick, "liquidity": liquidity})
        else:
            self.change_range(pool)

    def change_range(self, pool: int) -> None:
        lower = self.random.randrange(-5, 5) * 60
        upper = lower + self.random.randrange(1, 6) * 60
        held = self.pools[pool].ticks
        least = min(held.get(lower, [0])[0], held.get(upper, [0])[0], self.pools[pool].liquidity)
        most = max(0, least)
        if self.random.random() < 0.55 or not most:
            amount, name = self.random.randrange(WIDE), "Mint"
        else:
            amount, name = self.random.choice([0, most, self.random.randrange(most + 1)]), "Burn"
            if self.random.random() < 0.02:
                amount = most + WIDE
        self.tell(name, pool, {"lower": lower, "upper": upper, "liquidity": amount})


def check(lines: list[dict], ledger: Ledger) -> tuple[int, int]:
    """Hold every line against the ledger; (complete V3 pools, ticks) compared."""
    mapped = ticks = 0
    for line, pool in zip(lines, ledger.pools.values(), strict=True):
        assert (line["pool"], line["kind"]) == (pool.address, pool.kind)
        assert line["complete"] == pool.complete
        if pool.kind == "uniswap_v2":
            assert (int(line["reserve0"]), int(line["reserve1"])) == pool.reserves
            continue
        assert (int(line["sqrt_price_x96"]), line["tick"]) == (pool.sqrt_price_x96, pool.tick)
        if pool.price_known:
            assert int(line["liquidity"]) == pool.liquidity
        if pool.complete:
            assert line["ticks"] == {str(t): [str(g), str(n)] for t, (g, n) in sorted(pool.ticks.items())}
            mapped, ticks = mapped + 1, ticks + len(pool.ticks)
    return mapped, ticks


def test_random_lives_of_pools_are_what_a_ledger_says(engine, seed, lane):
    mapped = ticks = 0
    for life_seed in range(3 if lane == "nojit" else 12):
        life, one = Life(1000 * seed + life_seed), engine()
        for _ in range(8):
            for _ in range(60):
                life.step()
            one.feed(life.events)
            life.events = []
            found = check(one.pools(), life.ledger)
            mapped, ticks = mapped + found[0], ticks + found[1]
    assert mapped > 2 and ticks > 10


def test_a_burn_of_zero_changes_nothing(engine):
    life, one = Life(3), engine()
    pool = next(k for k, p in enumerate(life.pools) if p.kind == "uniswap_v3" and p.complete)
    life.tell("Mint", pool, {"lower": -60, "upper": 60, "liquidity": 2**70})
    one.feed(life.events)
    before, digest = one.pools(), one.processor.state.digest()
    one.feed([(m.UniswapV3Burn, {"pool": pool, "tick_lower": -60, "tick_upper": 60, "liquidity": 0})])
    assert one.pools() == before and one.processor.state.digest() == digest
    one.feed([(m.UniswapV3Burn, {"pool": pool, "tick_lower": -60, "tick_upper": 60, "liquidity": 2**70})])
    assert one.pools()[pool]["ticks"] == {} and one.pools()[pool]["liquidity"] == "0"


@pytest.mark.parametrize(("tick", "inside"), [(-61, False), (-60, True), (59, True), (60, False)])
def test_a_range_holds_its_lower_end_and_not_its_upper(engine, tick, inside):
    life, one = Life(3), engine()
    pool = next(k for k, p in enumerate(life.pools) if p.kind == "uniswap_v3" and p.complete)
    life.tell("Swap", pool, {"sqrt_price_x96": 2**96, "tick": tick, "liquidity": 7})
    life.tell("Mint", pool, {"lower": -60, "upper": 60, "liquidity": 5})
    one.feed(life.events)
    assert one.pools()[pool]["liquidity"] == ("12" if inside else "7")


def test_a_burn_of_more_than_there_is_makes_the_pool_incomplete(engine):
    life, one = Life(3), engine()
    pool = next(k for k, p in enumerate(life.pools) if p.kind == "uniswap_v3" and p.complete)
    life.tell("Mint", pool, {"lower": 120, "upper": 180, "liquidity": 5})
    life.tell("Burn", pool, {"lower": 120, "upper": 180, "liquidity": 6})
    one.feed(life.events)
    line = one.pools()[pool]
    assert not line["complete"] and "ticks" not in line


def test_fee_protocol_is_packed_as_slot0_packs_it(engine):
    life, one = Life(3), engine()
    pool = next(k for k, p in enumerate(life.pools) if p.kind == "uniswap_v3")
    change = {"pool": pool, "fee_protocol0_new": 4, "fee_protocol1_new": 10}
    one.feed([*life.events, (m.UniswapV3SetFeeProtocol, change)])
    assert one.pools()[pool]["fee_protocol"] == 4 + (10 << 4)


def test_the_hot_row_follows_the_price_net_of_the_fee(engine):
    life, one = Life(3), engine()
    pool = next(k for k, p in enumerate(life.pools) if p.kind == "uniswap_v3")
    life.tell("Swap", pool, {"sqrt_price_x96": 3 << 95, "tick": 1, "liquidity": 7})
    one.feed(life.events)
    line = one.processor.state.rows("market")[pool]
    assert line["last_price"] == 2.25
    assert (line["bid"], line["ask"]) == pytest.approx((2.25 * 0.9995, 2.25 / 0.9995), rel=1e-15)
    assert int(line["sequence"]) == len(life.events) - 1


def test_a_birth_corrects_what_an_earlier_announcement_said(engine) -> None:
    one = engine()
    fields = {
        "pool": 0,
        "kind": m.KIND_UNISWAP_V3,
        "address": bytes([1] * 20),
        "token1": 1,
        "flags": m.FLAG_BORN,
    }
    addresses = {"token0_address": bytes([91] * 20), "token1_address": bytes([92] * 20)}
    for fee, spacing, factory in ((500, 10, 3), (3000, 60, 4)):
        said = {"fee": fee, "tick_spacing": spacing, "factory": bytes([factory] * 20)}
        one.feed([(m.PoolRegistered, {**fields, **addresses, **said})])
    (pool,) = one.pools()
    assert (pool["fee"], pool["tick_spacing"], pool["factory"]) == (3000, 60, "0x" + "04" * 20)
    assert one.processor.state.rows("pairs")[0]["pool_count"] == 1
