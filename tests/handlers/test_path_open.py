"""Verdicts on tokens: whether all that is open is looked through, or only counts as if, the same is said in the same
order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from disruptor.handlers import messages as m
from tests.support.markets import (
    DAI,
    ETHER,
    FEE,
    USDC,
    WETH,
    Event,
    Market,
    hex_of,
    sync,
    token_address,
    types,
)
from tests.support.uniswap_oracle import v2_amount_out

MakeEngine = Callable[..., Any]
GROSS = "arbitrage.gas=off"
NATIVE = f'arbitrage.native_token="{hex_of(token_address(WETH))}"'
IN, OUT = 1, 2
POOLS = [(WETH, USDC), (WETH, USDC), (USDC, DAI), (WETH, DAI), (WETH, DAI), (USDC, DAI), (WETH, USDC)]


def transfer(pool: int, token: int, direction: int, amount: int) -> Event:
    fields = {"pool": pool, "other_pool": m.NO_ID, "token": token, "direction": direction, "amount": amount}
    return m.Erc20Transfer, fields


class Traders:
    """Who trade with pairs, most of them honestly."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.reserves = [[rng.randint(90, 110) * ETHER, rng.randint(90, 110) * ETHER] for _ in POOLS]

    def swap(self, pool: int, taxed: bool) -> list[Event]:
        """An input, an output, and what the pair says; a tax is taken of what it sends."""
        side, reserves = self.rng.randint(0, 1), self.reserves[pool]
        paid = self.rng.randint(1, ETHER)
        got = v2_amount_out(paid, reserves[side], reserves[1 - side], FEE)
        reserves[side] += paid
        reserves[1 - side] -= got
        arrived = got - got // 50 if taxed else got
        moves = [
            transfer(pool, POOLS[pool][side], IN, paid),
            transfer(pool, POOLS[pool][1 - side], OUT, arrived),
        ]
        said = {"pool": pool, f"amount{side}_in": paid, f"amount{1 - side}_out": got}
        return [*moves, sync(pool, *reserves), (m.UniswapV2Swap, said)]

    def block(self) -> list[Event]:
        """What happens in a block."""
        logs: list[Event] = []
        for pool in self.rng.sample(range(len(POOLS)), self.rng.randint(0, 3)):
            if self.rng.random() < 0.3:
                self.reserves[pool][0] = self.rng.randint(90, 110) * ETHER
                logs.append(sync(pool, *self.reserves[pool]))
            else:
                logs += self.swap(pool, self.rng.random() < 0.01)
        return logs


@pytest.mark.parametrize("gas", [GROSS, NATIVE])
@pytest.mark.parametrize("turn", range(3))
def test_the_same_is_said_in_the_same_order(
    engine: MakeEngine, seed: int, lane: str, turn: int, gas: str
) -> None:
    """Where gas has a price, answers depend on more than pools, and all that is open is looked through."""
    traders = Traders(random.Random(f"{seed} {turn}"))
    counting, marking = (Market(engine(gas, f"enable_simd={on}"), *POOLS) for on in ("true", "false"))
    first = [sync(pool, *reserves) for pool, reserves in enumerate(traders.reserves)]
    said = counted = 0
    for logs in [first, *(traders.block() for _ in range(2 if lane == "nojit" else 60))]:
        header = {"base_fee": traders.rng.randint(1, 10**12), "gas_used": 1, "gas_limit": 2}
        rows = counting.block(*logs, **header)
        assert rows == marking.block(*logs, **header)
        said, counted = said + len(rows), counted + counting.cursor()["as_marked"]
        assert not marking.cursor()["as_marked"]
    if gas == NATIVE:
        assert counted == 0
    elif lane != "nojit":
        assert said > 50 and counted > 2
        assert counting.cursor()["screened"] < marking.cursor()["screened"]


def test_a_pool_may_be_registered_again_with_another_fee(engine: MakeEngine) -> None:
    """All that is open is looked through at the next verdict, as before."""
    market = Market(engine(GROSS), (WETH, USDC), (WETH, USDC))
    assert types(market.block(sync(0, 100 * ETHER, 100 * ETHER), sync(1, 100 * ETHER, 102 * ETHER))) != []
    turned = market.cursor()["turned"]
    market.engine.feed([(m.PoolRegistered, {"pool": 0, "kind": m.KIND_UNISWAP_V2, "fee": 500})])
    assert market.cursor()["turned"] != turned
