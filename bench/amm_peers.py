"""Peers of the V3 swap in `bench/amm_latency.py`: degenbot's Python, and Uniswap's bytecode executed in pyrevm.

Both are optional: `pip install '.[bench-peers]'`. They are imported only here and only when asked for, and
who is missing is named with the way to get it. The EVM needs the contracts too: a folder of node modules with the
packages that `tests/tools/contracts.py` lists, and `node`. No bytecode is kept in this repository.

Each peer has the pool that the kernels have (price, tick, fee, positions) and answers with the same amounts, or nothing
is measured: a peer that does something else is no peer.

**What is called.** degenbot: `UniswapV3Pool._calculate_swap`, the loop that its public quotes wrap, on a pool whose
ticks are all known (its faster way). It keeps the last 1024 results of each of its functions, so every swap that is
measured has an amount of its own; the prices of ticks stay cached, as they would. It changes no state: its peer is a
quote. pyrevm: a message call to a contract that calls `swap` and pays in the callback, with both token transfers, so
the whole swap as a chain executes it, except that the transaction's own checks are light. It changes the pool.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from subprocess import SubprocessError
from typing import Any, NamedTuple, Protocol

INSTALL = "pip install '.[bench-peers]'"
LOWEST_LIMIT, HIGHEST_LIMIT = 4295128740, 1461446703485210103287273052203988822378723970341
PLENTY, SENDER = 2**200, "0x" + 20 * "11"
CORE = "@uniswap/v3-core"


class Swap(NamedTuple):
    """An exact input."""

    amount: int
    zero_for_one: bool

    @property
    def limit(self) -> int:
        """No limit but the end of all prices."""
        return LOWEST_LIMIT if self.zero_for_one else HIGHEST_LIMIT


class Market(NamedTuple):
    """A pool; a position is its lower tick, its upper tick and its liquidity, and all positions are in range."""

    sqrt_price: int
    tick: int
    fee: int
    spacing: int
    positions: list[tuple[int, int, int]]


class Peer(Protocol):
    """Someone else who can swap."""

    name: str
    called: str

    def amounts(self, swap: Swap) -> tuple[int, int]:
        """The signed amounts of a swap on the pool as it was made; what the pool gets is positive."""

    def spent_ns(self, swaps: list[Swap]) -> int:
        """Processor time of these swaps one after another; the pool is as it was made when they begin and after."""


class Missing(Exception):
    """A peer that isn't there; the message says why, and what to do."""


class Degenbot:
    """degenbot's pool, made without asking a node."""

    called = "UniswapV3Pool._calculate_swap, all ticks known, every amount new"

    def __init__(self, market: Market) -> None:
        pools, types = _need("degenbot.uniswap.v3_liquidity_pool"), _need("degenbot.uniswap.types")
        self.name = f"degenbot {metadata.version('degenbot')}"
        net: dict[int, int] = {}
        gross: dict[int, int] = {}
        for *ends, liquidity in market.positions:
            for tick, sign in zip(ends, (1, -1), strict=True):
                net[tick] = net.get(tick, 0) + sign * liquidity
                gross[tick] = gross.get(tick, 0) + liquidity
        pool = pools.UniswapV3Pool.__new__(pools.UniswapV3Pool)
        pool.address, pool.fee, pool.tick_spacing = SENDER, market.fee, market.spacing
        pool.sparse_liquidity_map = False
        pool._state = types.UniswapV3PoolState(
            pool=SENDER,
            liquidity=sum(liquidity for *_, liquidity in market.positions),
            sqrt_price_x96=market.sqrt_price,
            tick=market.tick,
            tick_bitmap={},
            tick_data={t: types.UniswapV3LiquidityAtTick(net[t], gross[t]) for t in net},
        )
        self.calculate = pool._calculate_swap

    def amounts(self, swap: Swap) -> tuple[int, int]:
        amount0, amount1, *_ = self.calculate(swap.zero_for_one, swap.amount, swap.limit)
        return amount0, amount1

    def spent_ns(self, swaps: list[Swap]) -> int:
        calculate, calls = self.calculate, [(s.zero_for_one, s.amount, s.limit) for s in swaps]
        began = time.thread_time_ns()
        for zero_for_one, amount, limit in calls:
            calculate(zero_for_one, amount, limit)
        return time.thread_time_ns() - began


class Pyrevm:
    """Uniswap's pool, made by its factory in an EVM inside this process."""

    called = "EVM.message_call: contract, pool.swap, callback, two token transfers"

    def __init__(self, market: Market, modules: Path | None) -> None:
        pyrevm, contracts = _need("pyrevm"), _need("tests.tools.contracts")
        if modules is None:
            raise Missing("needs Uniswap's contracts: --modules FOLDER, see tests/tools/contracts.py")
        self.name = f"pyrevm {metadata.version('pyrevm')}"
        workshop = contracts.Workshop(modules)
        source = {"Swapper.sol": Path(__file__).with_name("Swapper.sol").read_text()}
        try:
            self.contract = workshop.compile(source, "0.8.26")["Swapper"]
            token = workshop.ours("Token.sol")["Token"]
            factory, pool = (self._v3(workshop, name) for name in ("Factory", "Pool"))
        except (OSError, SubprocessError) as error:
            raise Missing(
                f"no contracts from {modules}: needs node and the packages in tests/tools/contracts.py"
            ) from error
        self.evm = pyrevm.EVM()
        self.swapper = self._create(self.contract)
        first, second = (self._create(token, name, 18) for name in ("A", "B"))
        for address in (first, second):
            self._do(token, address, "mint", self.swapper, PLENTY)
        registry = self._create(factory)
        self._do(factory, registry, "createPool", first, second, market.fee)
        (self.pool,) = self._do(factory, registry, "getPool", first, second, market.fee)
        self._do(pool, self.pool, "initialize", market.sqrt_price)
        for position in market.positions:
            call = pool.call("mint", self.swapper, *position, b"")
            ((outcome,),) = self._do(self.contract, self.swapper, "run", [self.pool], [_octets(call)])
            assert outcome[0], "a mint reverted"

    @staticmethod
    def _v3(workshop: Any, name: str) -> Any:
        return workshop.hardhat(CORE, f"UniswapV3{name}.sol/UniswapV3{name}.json")

    def _create(self, contract: Any, *arguments: Any) -> str:
        return str(self.evm.deploy(SENDER, _octets(contract.creation(*arguments))))

    def _do(self, contract: Any, to: str, name: str, *arguments: Any) -> tuple[Any, ...]:
        answer = self.evm.message_call(SENDER, to, calldata=_octets(contract.call(name, *arguments)))
        return tuple(contract.answer(name, bytes(answer)))

    def amounts(self, swap: Swap) -> tuple[int, int]:
        before = self.evm.snapshot()
        arguments = (self.pool, swap.zero_for_one, swap.amount, swap.limit)
        amount0, amount1 = self._do(self.contract, self.swapper, "swap", *arguments)
        self.evm.revert(before)
        return amount0, amount1

    def spent_ns(self, swaps: list[Swap]) -> int:
        call, swapper, pool = self.evm.message_call, self.swapper, self.pool
        calls = [_octets(self.contract.call("swap", pool, s.zero_for_one, s.amount, s.limit)) for s in swaps]
        before = self.evm.snapshot()
        began = time.thread_time_ns()
        for octets in calls:
            call(SENDER, swapper, calldata=octets)
        spent = time.thread_time_ns() - began
        self.evm.revert(before)
        return spent


def find_peers(market: Market, modules: Path | None) -> tuple[list[Peer], dict[str, str]]:
    """The peers that are there, on that pool, and of each that isn't, why."""
    found: list[Peer] = []
    missing: dict[str, str] = {}
    makers: dict[str, Callable[[], Peer]] = {
        "degenbot": lambda: Degenbot(market),
        "pyrevm": lambda: Pyrevm(market, modules),
    }
    for name, make in makers.items():
        try:
            found.append(make())
        except Missing as why:
            missing[name] = str(why)
    return found, missing


def _need(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise Missing(f"{error}: {INSTALL}") from error


def _octets(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
