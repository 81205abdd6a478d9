"""Honest venues, and everything beside them that looks like one: the contracts of the adversarial stream.

Honest are two V2 factories and a V3 factory over four plain tokens. Each hazard is a contract that was deployed and
behaves as its entry says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.tools.contracts import Contract, Workshop
from tests.tools.node import Node

V2, V2_PERIPHERY, V3 = "@uniswap/v2-core", "@uniswap/v2-periphery", "@uniswap/v3-core"
PAIR_SOURCE, FACTORY_SOURCE = (f"{V2}/contracts/UniswapV2{name}.sol" for name in ("Pair", "Factory"))
FEE_LINES = tuple(f"balance{k}.mul(1000).sub(amount{k}In.mul(3))" for k in (0, 1))
SKIM = "function skim(address to)"
PLENTY = 2**110
#: Dollars a token is worth at first, decimals, and the contract it is made of.
TOKENS: dict[str, tuple[float, int, str]] = {
    "WETH": (2000.0, 18, "Token"),
    "USDC": (1.0, 6, "Token"),
    "DAI": (1.0, 18, "Token"),
    "UNI": (8.0, 18, "Token"),
    "DTT": (5.0, 18, "Taxed"),
    "GROSS": (5.0, 18, "Understated"),
    "LATE": (5.0, 18, "Taxed"),
    "REB": (5.0, 18, "Rebasing"),
    "STOP": (5.0, 18, "Gated"),
    "HONEY": (5.0, 18, "Gated"),
    "INSIDE": (5.0, 18, "Gated"),
}
HONEST = ("WETH", "USDC", "DAI", "UNI")


@dataclass
class Hazard:
    """What is wrong with a token or pool.

    since : first block in which it harms
    evidence : first block whose logs contradict the declared fee, or a token's being plain
    hint : first block whose logs only look odd
    """

    what: str
    since: int | None = None
    evidence: int | None = None
    hint: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"what": self.what, "since": self.since, "evidence": self.evidence, "hint": self.hint}


@dataclass
class Venue:
    """One pool, or what passes for one.

    fee : declared, millionths: the factory's, the pools file's, or the default of 3000
    taken : what the contract takes, where that differs
    real : whether the contract is a pool at all
    """

    name: str
    kind: str
    address: str
    token0: str
    token1: str
    fee: int
    factory: str | None
    created_block: int
    taken: int
    real: bool = True
    hazard: Hazard | None = None
    skew: float = 1.0
    spacing: int | None = None
    reserves: tuple[int, int] = field(default=(0, 0))


class AdversarialMarket:
    """Deploys everything; keeps addresses, hazards and prices.

    Attributes
    ----------
    trader : address of a contract that holds plenty of every token, is everybody's friend, and trades
    searcher : address of one that holds nothing: what it gains, a stranger would
    venues, tokens : by name
    """

    def __init__(self, node: Node, workshop: Workshop) -> None:
        self.node, self.workshop = node, workshop
        hazards = workshop.ours("Hazards.sol") | workshop.ours("Token.sol")
        self.token, self.kinds = hazards["Token"], hazards
        self.searching = workshop.ours("Searcher.sol")["Searcher"]
        fakes = workshop.ours("Fakes.sol")
        self.emitting, self.faking = fakes["Emitter"], fakes["FakePair"]
        self.driver = workshop.ours("Driver.sol")["Driver"]
        self.pair, self.factory = (workshop.waffle(V2, f"UniswapV2{n}") for n in ("Pair", "Factory"))
        self.router = workshop.waffle(V2_PERIPHERY, "UniswapV2Router02")
        self.pool, self.factory3 = (
            workshop.hardhat(V3, f"UniswapV3{n}.sol/UniswapV3{n}.json") for n in ("Pool", "Factory")
        )
        self.maths = workshop.ours("Maths.sol", "0.7.6")["Maths"]
        self.trader, self.searcher = node.create(self.searching), node.create(self.searching)
        self.actor, self.libraries = node.create(self.driver), node.create(self.maths)
        self.tokens = {n: self._token(n, d, kind) for n, (_, d, kind) in TOKENS.items()}
        self.symbols = {address: name for name, address in self.tokens.items()}
        self.hazards: dict[str, Hazard] = {}
        self.venues: dict[str, Venue] = {}
        self.factories: dict[str, str] = {}
        self.original_code: dict[str, str] = {}
        self._honest()
        self._bad_tokens()
        self._forks()
        self._fakes()

    def _token(self, name: str, decimals: int, kind: str) -> str:
        address = self.node.create(self.kinds[kind], name, decimals)
        for holder in (self.trader, self.actor):
            self.node.do(self.token, address, "mint", holder, PLENTY)
        return address

    def _honest(self) -> None:
        self._v2_factory("uni", self.factory)
        self._v2_factory("sushi", self.factory)
        self.factories["uni3"] = self.node.create(self.factory3)
        self.weth9 = self.node.create(self.workshop.waffle(V2_PERIPHERY, "WETH9"))
        self.routing = self.node.create(self.router, self.factories["uni"], self.weth9)
        for name, skew in (("uni", 1.0), ("sushi", 1.004)):
            for a, b, dollars in (("WETH", "USDC", 2e6), ("WETH", "DAI", 1.5e6), ("DAI", "USDC", 1e6)):
                self.add_pair(name, a, b, dollars, skew=skew)
        self.add_pair("uni", "UNI", "WETH", 4e5)
        self.add_pair("sushi", "UNI", "DAI", 3e5, skew=0.99)
        for a, b, fee, dollars in (
            ("WETH", "USDC", 500, 6e5),
            ("WETH", "USDC", 3000, 4e5),
            ("WETH", "DAI", 3000, 3e5),
        ):
            self.add_pool("uni3", a, b, fee, dollars)
        self.add_pool("uni3", "DAI", "USDC", 500, 5e5)
        self.add_pool("uni3", "UNI", "WETH", 3000, 2e5)
        self._v2_factory("dust", self.factory)
        self.add_pair("dust", "DAI", "USDC", None, amounts=(40_000, 1100))
        self.add_pair("dust", "WETH", "DAI", None, amounts=(1001, 2_150_000))
        self.add_pair("dust", "WETH", "USDC", None, amounts=(0, 0))
        self.add_pool("uni3", "WETH", "DAI", 10_000, None, skew=1.03)

    def _bad_tokens(self) -> None:
        notes = {
            "DTT": "1 % of every transfer is taken; Transfer logs say so",
            "GROSS": "1 % of every transfer is taken; Transfer logs say that all arrived",
            "LATE": "a plain token, until 1 % of every transfer is taken",
            "REB": "balances change without a Transfer",
            "STOP": "a plain token, until transfers revert",
            "HONEY": "strangers may buy and not sell; nobody ever sells to a pair",
            "INSIDE": "strangers may buy and not sell; friends trade both ways, so logs look clean",
        }
        for name, note in notes.items():
            self.hazards[name] = Hazard(note)
            for factory, skew in (("uni", 1.0), ("sushi", 1.05)):
                venue = self.add_pair(factory, name, "WETH", 2e5, skew=skew)
                if name in ("HONEY", "INSIDE"):
                    friend = self.trader if name == "INSIDE" else self.libraries
                    self.node.do(self.kinds["Gated"], self.tokens[name], "guard", venue.address, friend)
        for name in ("DTT", "GROSS", "HONEY", "INSIDE"):
            self.hazards[name].since = self.node.height
        self.node.do(self.kinds["Taxed"], self.tokens["DTT"], "setTax", 100)

    def _forks(self) -> None:
        node, ten_thousand = self.node, {"1000**2": "10000**2"}
        fork = {line: line.replace("1000", "10000").replace("mul(3)", "mul(25)") for line in FEE_LINES}
        self._v2_factory("fork25", self._patched(fork | ten_thousand))
        venue = self.add_pair("fork25", "WETH", "USDC", 8e5, skew=1.01)
        venue.taken, venue.hazard = 2500, Hazard("takes 25 bp, passes for 30 bp", node.height)
        self._v2_factory("as25", self.factory)
        venue = self.add_pair("as25", "DAI", "USDC", 8e5, skew=1.0065)
        venue.fee, venue.hazard = 2500, Hazard("takes 30 bp, a pools file says 25 bp", node.height)
        fork = {line: line.replace("1000", "10000").replace("mul(3)", "mul(points)") for line in FEE_LINES}
        setter = "uint public points = 30; function setPoints(uint p) external { points = p; } "
        self.changing = self._patched(fork | ten_thousand | {SKIM: setter + SKIM})
        self._v2_factory("changing", self.changing)
        venue = self.add_pair("changing", "WETH", "DAI", 8e5, skew=0.993)
        venue.hazard = Hazard("takes 30 bp, later 100, later 5")
        self._v2_factory("loose", self._patched({".mul(1000**2)": ".mul(1000**2 - 20000)"}))
        venue = self.add_pair("loose", "WETH", "USDC", 5e5, skew=0.992)
        venue.hazard = Hazard("lets K fall by 2 %", node.height)
        self.factories["fork3"] = node.create(self.factory3)
        venue = self.add_pool("fork3", "WETH", "USDC", 500, 5e5, skew=1.008)
        venue.hazard = Hazard("announced with fee 500; later its code takes 3000")

    def _fakes(self) -> None:
        node, weth, usdc, dai = self.node, *(self.tokens[n] for n in ("WETH", "USDC", "DAI"))
        self.factories["fake"] = node.create(self.emitting)
        first, second = sorted((weth, usdc))
        self._fake("fake", "v2", node.create(self.faking, first, second), first, second, 3000)
        self._fake("stray", "v2", node.create(self.emitting), first, second, 3000)
        first, second = sorted((weth, dai))
        self._fake("fake3", "v3", node.create(self.emitting), first, second, 3000)
        whats = {
            "fake": "announced by a factory of its own; keeps what it is paid, and logs a swap",
            "stray": "logs Sync and Swap; no factory ever announced it, and it has no functions",
            "fake3": "announced by a factory of its own; logs Initialize and Mint; has no functions",
        }
        for name, what in whats.items():
            self.venues[name].hazard = Hazard(what, node.height)

    def _fake(self, name: str, kind: str, address: str, token0: str, token1: str, fee: int) -> None:
        factory = None if name == "stray" else self.factories["fake"]
        height = self.node.height
        self.venues[name] = Venue(name, kind, address, token0, token1, fee, factory, height, fee, real=False)

    def _patched(self, replacements: dict[str, str]) -> dict[str, Contract]:
        return self.workshop.patched(PAIR_SOURCE, "0.5.16", replacements, FACTORY_SOURCE)

    def _v2_factory(self, name: str, made: Contract | dict[str, Contract]) -> None:
        contract = made if isinstance(made, Contract) else made["UniswapV2Factory"]
        self.factories[name] = self.node.create(contract, self.node.accounts[0])

    def units(self, name: str, dollars: float) -> int:
        """Units of a token that are worth that much at first."""
        price, decimals, _ = TOKENS[name]
        return int(dollars / price * 10**decimals)

    def add_pair(
        self,
        factory: str,
        a: str,
        b: str,
        dollars: float | None,
        *,
        skew: float = 1.0,
        amounts: tuple[int, int] = (0, 0),
    ) -> Venue:
        """A V2 pair with liquidity; `skew` is how much dearer than usual it has token `a`."""
        node, place = self.node, self.factories[factory]
        first, second = self.tokens[a], self.tokens[b]
        node.do(self.factory, place, "createPair", first, second)
        address = node.ask(self.factory, place, "getPair", first, second)
        token0, token1 = sorted((first, second))
        created = node.height
        if dollars is not None:
            amounts = self.units(a, dollars / 2), int(self.units(b, dollars / 2) * skew)
        if min(amounts):
            for token, amount in zip((first, second), amounts, strict=True):
                node.send(token, self.token.call("mint", address, amount))
            node.send(address, self.pair.call("mint", node.accounts[9]))
            node.mine()
            assert node.ask(self.pair, address, "totalSupply") > 0
        name = f"{factory}:{a}/{b}"
        skew = skew if token0 == first else 1 / skew
        venue = Venue(name, "v2", address, token0, token1, 3000, place, created, 3000, skew=skew)
        self.venues[name] = venue
        return venue

    def add_pool(
        self, factory: str, a: str, b: str, fee: int, dollars: float | None, *, skew: float = 1.0
    ) -> Venue:
        """A V3 pool with a wide position, a narrow one, and one beside the price; without dollars, with dust."""
        node, place = self.node, self.factories[factory]
        first, second = self.tokens[a], self.tokens[b]
        node.do(self.factory3, place, "createPool", first, second, fee)
        address = node.ask(self.factory3, place, "getPool", first, second, fee)
        created = node.height
        token0, token1 = sorted((first, second))
        skew = skew if token0 == first else 1 / skew
        price = self.usual_price(token0, token1) * skew
        node.do(self.pool, address, "initialize", int(price**0.5 * 2**96))
        spacing = node.ask(self.pool, address, "tickSpacing")
        tick = node.ask(self.pool, address, "slot0")[1] // spacing * spacing
        units0 = self.units(self.symbols[token0], (dollars or 0) / 2)
        depth = int(units0 * price**0.5) if dollars else 5000
        ranges = [
            (-30_000, 30_000, 1),
            (-600, 600, 6),
            (-4 * spacing, -spacing, 3),
            (2 * spacing, 9 * spacing, 3),
        ]
        calls = [
            self.pool.call(
                "mint",
                self.actor,
                (tick + low) // spacing * spacing,
                (tick + high) // spacing * spacing,
                depth * times,
                b"",
            )
            for low, high, times in ranges[: 4 if dollars else 1]
        ]
        octets = [bytes.fromhex(call[2:]) for call in calls]
        node.do(self.driver, self.actor, "run", [address] * len(calls), octets)
        name = f"{factory}:{a}/{b}:{fee}"
        venue = Venue(
            name, "v3", address, token0, token1, fee, place, created, fee, skew=skew, spacing=spacing
        )
        self.venues[name] = venue
        assert node.ask(self.pool, address, "liquidity") > 0
        return venue

    def usual_price(self, token0: str, token1: str) -> float:
        """Units of token1 that a unit of token0 is worth at first."""
        (worth0, decimals0, _), (worth1, decimals1, _) = (TOKENS[self.symbols[t]] for t in (token0, token1))
        return worth0 / worth1 * 10.0 ** (decimals1 - decimals0)

    def hazards_of(self, venue: Venue) -> list[str]:
        """Names of what is wrong with a venue or its tokens, now or at another time."""
        own = [venue.name] if venue.hazard else []
        return own + [
            self.symbols[t] for t in (venue.token0, venue.token1) if self.symbols[t] in self.hazards
        ]
