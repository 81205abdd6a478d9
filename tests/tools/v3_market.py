"""Four Uniswap V3 pools on a node, a driver that trades on them, and their whole state as the contracts tell it.

The pools differ in what makes swaps hard. `fine` (fee 500) is deep and dense; `gaps` (3000) has islands of
liquidity with nothing between them; `wide` (10000) is thin and crosses few ticks; `wrapped` (100, spacing 1) had so
much donated to one unit of liquidity that its fee growth ran over 2**256. All start at the edge of a bitmap word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from eth_hash.auto import keccak

from tests.tools.contracts import Workshop, signature
from tests.tools.node import Node

MIN_PRICE, MAX_PRICE = 4295128739, 1461446703485210103287273052203988822378723970342
MAX_TICK = 887272
PLENTY = 2**200
V3, PERIPHERY = "@uniswap/v3-core", "@uniswap/v3-periphery"
ZERO = "0x" + 40 * "0"
#: Names of a state's numbers, in the order of truth_blocks.jsonl.
STATE = (
    "sqrtPriceX96",
    "tick",
    "liquidity",
    "feeGrowthGlobal0X128",
    "feeGrowthGlobal1X128",
    "protocolFees0",
    "protocolFees1",
    "observationIndex",
    "observationCardinality",
    "observationCardinalityNext",
    "feeProtocol",
)
_SMALL = {"tick", "observationIndex", "observationCardinality", "observationCardinalityNext", "feeProtocol"}


@dataclass
class Pool:
    """One pool, and what its planner needs to know."""

    name: str
    address: str
    token0: str
    token1: str
    fee: int
    spacing: int
    center: int
    scale: float  # liquidity of a usual position
    created_block: int
    state: tuple[int, ...] = ()
    positions: dict[tuple[int, int], int] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)

    @property
    def price(self) -> int:
        return self.state[0]

    @property
    def tick(self) -> int:
        return self.state[1]

    @property
    def liquidity(self) -> int:
        return self.state[2]


def as_json(state: tuple[int, ...]) -> list[int | str]:
    """A state as truth files write it: what fits a float as a number, the rest as decimal text."""
    return [v if n in _SMALL else str(v % 2**256) for n, v in zip(STATE, state, strict=True)]


class Market:
    """The contracts of the stream on a node.

    Attributes
    ----------
    pools : in order of creation
    actor : address of the driver, which owns the factory, all positions and plenty of each token
    """

    def __init__(self, node: Node, workshop: Workshop) -> None:
        self.node = node
        self._prices: dict[int, int] = {}
        self.token = workshop.ours("Token.sol")["Token"]
        self.driver = workshop.ours("Driver.sol")["Driver"]
        self.maths = workshop.ours("Maths.sol", "0.7.6")["Maths"]
        self.factory = workshop.hardhat(V3, "UniswapV3Factory.sol/UniswapV3Factory.json")
        self.pool = workshop.hardhat(V3, "UniswapV3Pool.sol/UniswapV3Pool.json")
        self.quoter = workshop.hardhat(PERIPHERY, "lens/QuoterV2.sol/QuoterV2.json")
        self.actor, self.libraries = node.create(self.driver), node.create(self.maths)
        self.registry = node.create(self.factory)
        self.lens = node.create(self.quoter, self.registry, ZERO)
        decimals = {"WETH": 18, "USDC": 6, "DAI": 18}
        self.tokens = {
            n: {"address": node.create(self.token, n, d), "decimals": d} for n, d in decimals.items()
        }
        for token in self.tokens.values():
            node.do(self.token, token["address"], "mint", self.actor, PLENTY)
        node.do(self.factory, self.registry, "enableFeeAmount", 100, 1)
        self.pools = [
            self._create("fine", "WETH", "USDC", 500, 199_680, 1e17),
            self._create("gaps", "WETH", "USDC", 3000, 199_680, 3e16),
            self._create("wide", "WETH", "DAI", 10_000, 51_200, 1e21),
            self._create("wrapped", "USDC", "DAI", 100, 1_024, 1e18),
        ]
        node.do(self.factory, self.registry, "setOwner", self.actor)

    def _create(self, name: str, a: str, b: str, fee: int, center: int, scale: float) -> Pool:
        node, first, second = self.node, self.tokens[a]["address"], self.tokens[b]["address"]
        node.do(self.factory, self.registry, "createPool", first, second, fee)
        address = node.ask(self.factory, self.registry, "getPool", first, second, fee)
        token0, token1 = sorted((first, second))
        center = center if token0 != first else -center
        node.do(self.pool, address, "initialize", self.price_at(center))
        spacing = node.ask(self.pool, address, "tickSpacing")
        made = Pool(name, address, token0, token1, fee, spacing, center, scale, node.height - 1)
        made.state = self.state_of(made)
        return made

    def price_at(self, tick: int) -> int:
        """TickMath's square root of the price at a tick."""
        if tick not in self._prices:
            self._prices[tick] = int(self.node.ask(self.maths, self.libraries, "sqrtRatioAtTick", tick))
        return self._prices[tick]

    def topic(self, event: str) -> str:
        """The first topic of a pool's event."""
        entry = next(e for e in self.pool.abi if e["type"] == "event" and e["name"] == event)
        return "0x" + keccak(signature(entry).encode()).hex()

    def state_of(self, pool: Pool, block: int | None = None) -> tuple[int, ...]:
        """The eleven numbers that truth_blocks.jsonl holds."""
        return tuple(self.node.ask(self.driver, self.actor, "stateOf", pool.address, block=block))

    def calls(self, actions: list[tuple[Pool, str]]) -> str:
        """One call of the driver that makes all these calls of pools."""
        octets = [bytes.fromhex(call[2:]) for _, call in actions]
        return self.driver.call("run", [pool.address for pool, _ in actions], octets)

    def outcomes(self, octets: bytes) -> list[tuple[bool, bytes, tuple[int, ...]]]:
        """(ok, answer, state after) of each call that the driver made."""
        return list(self.driver.answer("run", octets)[0])

    def snapshot(self) -> dict[str, Any]:
        """The whole state of all pools now, in the form of truth.json."""
        header = self.node.rpc("eth_getBlockByNumber", "latest", False)
        return {
            "block": self.node.height,
            "timestamp": int(header["timestamp"], 16),
            "blockHash": header["hash"],
            "pools": {pool.address: self._whole(pool) for pool in self.pools},
        }

    def _whole(self, pool: Pool) -> dict[str, Any]:
        state = as_json(self.state_of(pool))
        whole: dict[str, Any] = dict(zip(STATE, state, strict=True))
        whole["protocolFees"] = [whole.pop("protocolFees0"), whole.pop("protocolFees1")]
        held = [self.node.ask(self.token, t, "balanceOf", pool.address) for t in (pool.token0, pool.token1)]
        whole |= {"balance0": str(held[0]), "balance1": str(held[1])}
        ticks = {t: self._ask(pool, "ticks", t) for t in sorted(pool.touched)}
        whole["ticks"] = {str(t): _tick(v) for t, v in ticks.items() if v[7]}
        words = sorted({(t // pool.spacing) >> 8 for t in pool.touched})
        maps = {str(w): str(self._ask(pool, "tickBitmap", w)) for w in words}
        whole["tickBitmap"] = {w: bits for w, bits in maps.items() if bits != "0"}
        whole["positions"] = {f"{self.actor}:{a}:{b}": self._position(pool, a, b) for a, b in pool.positions}
        cardinality = whole["observationCardinalityNext"]
        seen = [self._ask(pool, "observations", k) for k in range(cardinality)]
        whole["observations"] = [[o[0], o[1], str(o[2]), o[3]] for o in seen]
        return whole

    def _position(self, pool: Pool, lower: int, upper: int) -> dict[str, str]:
        packed = bytes.fromhex(self.actor[2:]) + b"".join(
            t.to_bytes(3, "big", signed=True) for t in (lower, upper)
        )
        names = (
            "liquidity",
            "feeGrowthInside0LastX128",
            "feeGrowthInside1LastX128",
            "tokensOwed0",
            "tokensOwed1",
        )
        values = self._ask(pool, "positions", keccak(packed))
        return {name: str(value) for name, value in zip(names, values, strict=True)}

    def _ask(self, pool: Pool, name: str, argument: int | bytes) -> Any:
        return self.node.ask(self.pool, pool.address, name, argument)


def _tick(values: tuple[Any, ...]) -> dict[str, Any]:
    names = ("liquidityGross", "liquidityNet", "feeGrowthOutside0X128", "feeGrowthOutside1X128")
    tick: dict[str, Any] = {name: str(value) for name, value in zip(names, values, strict=False)}
    tick["tickCumulativeOutside"] = values[4]
    return tick | {"secondsPerLiquidityOutsideX128": str(values[5]), "secondsOutside": values[6]}
