"""Quotes of V3 pools, answered by the pool itself and by Uniswap's QuoterV2, at the state after the latest block."""

from __future__ import annotations

from typing import Any

from tests.tools.contracts import reason
from tests.tools.node import Reverted
from tests.tools.v3_actions import HUGE, Action, Planner
from tests.tools.v3_market import MAX_PRICE, MIN_PRICE, Market, Pool


def quotes_now(market: Market, planner: Planner, count: int) -> list[dict[str, Any]]:
    """Draw and answer `count` quotes."""
    return [quote(market, _request(planner)) for _ in range(count)]


def birth_quotes(market: Market, planner: Planner) -> list[dict[str, Any]]:
    """Quotes of pools that were not there yet, not initialized yet, or without liquidity."""
    somebody, far = planner.recipients[0], {True: MIN_PRICE + 1, False: MAX_PRICE - 1}
    return [
        quote(
            market, Action(pool, "swap", (somebody, down, amount, far[down], b"")), pool.created_block + age
        )
        for pool in market.pools
        for age, down, amount in ((-1, True, 1000), (0, False, 1000), (1, True, 1000), (1, False, -1000))
    ]


def _request(planner: Planner) -> Action:
    rng = planner.rng
    pool = rng.choice(planner.market.pools)
    if rng.random() < 0.04:
        return Action(pool, "swap", (planner.recipients[0], rng.random() < 0.5, 0, 0, b""))
    if rng.random() < 0.04:
        return planner.swap(pool, rng.choice([HUGE, -HUGE]))
    draws = [
        planner.swap_amount,
        planner.swap_amount,
        planner.swap_to_limit,
        planner.swap_dust,
        planner.swap_exactly,
    ]
    wish = rng.choice(draws)(pool)
    if rng.random() < 0.04:
        return wrong_way(wish)
    return wish


def wrong_way(wish: Action) -> Action:
    """The same swap with a limit on the side that the price does not go to."""
    somebody, down, amount, _, octets = wish.arguments
    return Action(wish.pool, "swap", (somebody, down, amount, wish.pool.price + (1 if down else -1), octets))


def quote(market: Market, wish: Action, block: int | None = None) -> dict[str, Any]:
    """One record of quotes.json (tests/streams/README.md), at the state after a block: the latest, if none is named."""
    pool, (_, down, amount, limit, _) = wish.pool, wish.arguments
    unlimited = limit in (0, MIN_PRICE + 1, MAX_PRICE - 1)
    token_in, token_out = (pool.token0, pool.token1) if down else (pool.token1, pool.token0)
    record: dict[str, Any] = {
        "block": market.node.height if block is None else block,
        "pool": pool.address,
        "venue": "univ3",
        "fee": pool.fee,
        "tokenIn": token_in,
        "tokenOut": token_out,
        "zeroForOne": down,
        "exact": "in" if amount >= 0 else "out",
        "amount": str(abs(amount)),
        "sqrtPriceLimitX96": "0" if unlimited else str(limit),
    }
    record |= _quoter(market, record)
    bound = limit or (MIN_PRICE + 1 if down else MAX_PRICE - 1)
    octets = Action(pool, "swap", (market.node.accounts[0], down, amount, bound, b"")).octets(market)
    return record | {"pool_answer": _swapped(market, pool, octets, amount, record["block"])}


def _quoter(market: Market, record: dict[str, Any]) -> dict[str, Any]:
    exact_in = record["exact"] == "in"
    request = (record["tokenIn"], record["tokenOut"], int(record["amount"]), record["fee"])
    name = "quoteExactInputSingle" if exact_in else "quoteExactOutputSingle"
    try:
        asked = (*request, int(record["sqrtPriceLimitX96"]))
        answer = market.node.ask(market.quoter, market.lens, name, asked, block=record["block"])
    except Reverted as reverted:
        return {"result": None, "reverted": True, "error": reverted.reason}
    return {"result": str(answer[0]), "reverted": False, "sqrtPriceX96After": str(answer[1])}


def _swapped(market: Market, pool: Pool, octets: str, amount: int, block: int) -> dict[str, Any]:
    answer = market.node.view(market.actor, market.calls([(pool, octets)]), block)
    ok, returned, state = market.outcomes(answer)[0]
    if not ok or not returned:
        return {"error": reason(returned) if returned else "no contract"}
    amount0, amount1 = market.pool.answer("swap", returned)
    return {
        "amount0": str(amount0),
        "amount1": str(amount1),
        "sqrtPriceX96": str(state[0]),
        "tick": state[1],
        "liquidity": str(state[2]),
        "partial": amount not in (amount0, amount1),
    }
