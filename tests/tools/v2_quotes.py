"""Quotes of V2 pairs, answered by UniswapV2Library's own code, and proved by the pairs."""

from __future__ import annotations

import random
from typing import Any

from tests.tools.adversarial_market import V2_PERIPHERY, AdversarialMarket, Venue
from tests.tools.contracts import Contract, Workshop
from tests.tools.node import Reverted

LIBRARY = f"{V2_PERIPHERY}/contracts/libraries/UniswapV2Library.sol"


class V2Quoter:
    """The library at 30 bp, and a copy of it in which only the fee was changed to 25 bp."""

    def __init__(self, market: AdversarialMarket, workshop: Workshop, rng: random.Random) -> None:
        self.market, self.rng = market, rng
        self.contract = workshop.ours("V2Quoter.sol", "0.6.6")["V2Quoter"]
        quarter = self._with_fee_25(workshop)
        node = market.node
        self.places = {3000: node.create(self.contract), 2500: node.create(quarter)}

    def _with_fee_25(self, workshop: Workshop) -> Contract:
        text = (workshop.modules / LIBRARY).read_text()
        for old, new in (("mul(997)", "mul(9975)"), ("mul(1000)", "mul(10000)")):
            assert text.count(old) == 2
            text = text.replace(old, new)
        ours = workshop.source("V2Quoter.sol")
        return workshop.compile({"V2Quoter.sol": ours, LIBRARY: text}, "0.6.6")["V2Quoter"]

    def quotes_now(self, count: int) -> list[dict[str, Any]]:
        """Draw and answer quotes at the state after the latest block."""
        named = [v for v in self.market.venues.values() if v.kind == "v2" and v.real and self._is_plain(v)]
        return [self.quote(self.rng.choice(named), self.rng.random() < 0.5) for _ in range(count)]

    def _is_plain(self, venue: Venue) -> bool:
        return venue.name == "fork25:WETH/USDC" or not self.market.hazards_of(venue)

    def quote(self, venue: Venue, zero_for_one: bool) -> dict[str, Any]:
        """One record of quotes.json (tests/streams/README.md)."""
        market, node = self.market, self.market.node
        reserves = node.ask(market.pair, venue.address, "getReserves")[:2]
        reserve_in, reserve_out = reserves if zero_for_one else reserves[::-1]
        tokens = (venue.token0, venue.token1) if zero_for_one else (venue.token1, venue.token0)
        exact_in = self.rng.random() < 0.6
        amount = self._amount(reserve_in if exact_in else reserve_out)
        record: dict[str, Any] = {
            "block": node.height,
            "pool": venue.address,
            "venue": venue.name.split(":")[0],
            "fee": venue.taken,
            "tokenIn": tokens[0],
            "tokenOut": tokens[1],
            "zeroForOne": zero_for_one,
            "exact": "in" if exact_in else "out",
            "amount": str(amount),
        }
        name = "getAmountOut" if exact_in else "getAmountIn"
        try:
            place = self.places[venue.taken]
            answer = node.ask(self.contract, place, name, amount, reserve_in, reserve_out)
        except Reverted as reverted:
            return record | {"result": None, "reverted": True, "error": reverted.reason}
        paid, out = (amount, answer) if exact_in else (answer, amount)
        record |= {
            "result": str(answer),
            "reverted": False,
            "pair_error": self._swap(venue, zero_for_one, paid, out),
        }
        more = self._swap(venue, zero_for_one, paid, out + 1)
        assert record["pair_error"] or not exact_in or more is not None, "the pair would pay more"
        return record

    def _amount(self, reserve: int) -> int:
        """Dust, a part of the reserve, all of it, more, or what overflows."""
        part = int(reserve * 10 ** self.rng.uniform(-7, -0.2))
        edge = self.rng.choice([0, 1, 2, 1000, reserve, reserve + 1, reserve - 1, 2**112, 2**140, 2**256 - 1])
        return max(0, edge) if self.rng.random() < 0.25 else part + self.rng.randrange(2)

    def _swap(self, venue: Venue, zero_for_one: bool, paid: int, out: int) -> str | None:
        """Why the pair does not pay `out` for `paid`, tried in a call that is thrown away; None if it does."""
        market = self.market
        token = venue.token0 if zero_for_one else venue.token1
        asked = (0, out) if zero_for_one else (out, 0)
        calls = [
            (venue.address, market.pair.call("skim", market.trader)),  # a gift not yet counted would pay too
            (token, market.token.call("mint", venue.address, paid)),
            (venue.address, market.pair.call("swap", *asked, market.searcher, b"")),
        ]
        octets = [bytes.fromhex(call[2:]) for _, call in calls]
        try:
            market.node.view(
                market.searcher, market.searching.call("perform", [to for to, _ in calls], octets)
            )
        except Reverted as reverted:
            return reverted.reason
        return None
