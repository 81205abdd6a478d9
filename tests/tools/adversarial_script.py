"""What happens on the adversarial chain, block by block: trades everywhere, and one mishap after another.

Trades come from a contract that holds everything. Prices of tokens drift, pools follow them late and unevenly, and so
their prices differ. The timeline says when hazards begin, and which block's logs tell of them first.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from eth_abi import encode
from eth_hash.auto import keccak

from tests.tools.adversarial_market import TOKENS, AdversarialMarket, Hazard, Venue

BLOCKS = 240
GAS_LIMIT = 1_500_000
BASE_FEE = 20 * 10**9
TRADE_GAS, ROUTED_GAS, CYCLE_GAS = 350_000, 400_000, 750_000
#: V3 code holds its immutables as 32-byte words behind PUSH32.
_PUSH32 = "7f"


def topic(signature: str) -> bytes:
    return keccak(signature.encode())


class Script:
    """Plays the chain.

    Attributes
    ----------
    worth : dollars of each token, now
    resting : tokens and venues that nobody trades at the moment
    lies : blocks in which a fake factory announced a genuine pool, and which
    """

    def __init__(self, market: AdversarialMarket, rng: random.Random) -> None:
        self.market, self.rng = market, rng
        self.sent: list[str] = []
        self.lies: list[dict[str, Any]] = []
        self.worth = {name: worth for name, (worth, _, _) in TOKENS.items()}
        self.resting: set[str] = {"dust:WETH/USDC", "fake", "stray", "fake3"}
        self.mishaps: dict[int, Callable[[], None]] = {
            60: self.tax_late,
            75: self.reveal_late,
            80: lambda: self.change_fee(100),
            90: lambda: self.rebase(95),
            100: self.sync_rebased,
            105: self.replace_code,
            110: self.stop,
            112: self.reveal_code,
            120: lambda: self.rebase(104),
            125: self.skim_rebased,
            130: self.loosen,
            140: lambda: self.change_fee(5),
            150: lambda: self.rebase(90),
            170: self.sync_rebased,
            205: self.announce_again,
            210: self.squat,
            215: self.settle,
        }

    def prepare(self) -> None:
        """Tokens and approvals for an account that uses the router; blocks as full as mainnet's."""
        market, node = self.market, self.market.node
        for name in ("WETH", "USDC", "DAI", "UNI", "DTT"):
            token = market.tokens[name]
            node.do(market.token, token, "mint", node.accounts[5], 2**100)
            node.do(market.token, token, "approve", market.routing, 2**256 - 1, sender=5)
        node.rpc("evm_setBlockGasLimit", hex(GAS_LIMIT))
        node.rpc("anvil_setNextBlockBaseFeePerGas", hex(BASE_FEE))
        node.mine()

    def play(self, step: int) -> None:
        """Mine the block of a step."""
        if step % 15 == 10:
            self.feign()
        if step in self.mishaps:
            self.mishaps[step]()
        for name in self.worth:
            self.worth[name] *= math.exp(self.rng.gauss(0, 0.003))
        header = self.market.node.rpc("eth_getBlockByNumber", "latest", False)
        cheap = int(header["baseFeePerGas"], 16) < BASE_FEE
        for _ in range(self.rng.randint(6, 8) if cheap else self.rng.randint(1, 4)):
            self.trade()
        if step % 15 == 5:
            self.donate()
        if step % 40 == 30:
            self.skim()
        self.mine()

    def mine(self) -> None:
        """Mine the block of all that was sent; nothing may have reverted."""
        node = self.market.node
        block = node.mine()
        for transaction in self.sent:
            receipt = node.rpc("eth_getTransactionReceipt", transaction)
            assert receipt["status"] == "0x1", f"block {block}: {transaction} reverted"
        self.sent.clear()

    def send(self, to: str, octets: str, *, sender: int, gas: int, may_revert: bool = False) -> None:
        """Queue a transaction for the block."""
        transaction = self.market.node.send(to, octets, sender=sender, gas=gas)
        if not may_revert:
            self.sent.append(transaction)

    def execute(self, cycle: list[tuple[str, bool, bool, int]], amount: int) -> None:
        """The trader takes a profit, before anybody else in the block."""
        octets = self.market.searching.call("run", cycle, amount, False, False)
        self.send(self.market.trader, octets, sender=1, gas=CYCLE_GAS)

    # Trades ------------------------------------------------------------------------------------------------

    def trade(self) -> None:
        """One trade of somebody."""
        if self.rng.random() < 0.12:
            self.routed()
            return
        open_ = [v for v in self.market.venues.values() if not self.is_resting(v)]
        weights = [3.0 if not self.market.hazards_of(v) else 1.0 for v in open_]
        self.trade_on(self.rng.choices(open_, weights)[0])

    def is_resting(self, venue: Venue) -> bool:
        symbols = {self.market.symbols[t] for t in (venue.token0, venue.token1)}
        return venue.name in self.resting or bool(symbols & self.resting)

    def trade_on(self, venue: Venue) -> None:
        """A trade that mostly brings a venue nearer to the price of the day."""
        market, node, rng = self.market, self.market.node, self.rng
        price = self.price_of(venue)
        worth0, worth1 = (self.worth[market.symbols[t]] for t in (venue.token0, venue.token1))
        decimals = [TOKENS[market.symbols[t]][1] for t in (venue.token0, venue.token1)]
        usual = worth0 / worth1 * 10.0 ** (decimals[1] - decimals[0]) * venue.skew
        down = (price > usual) == (rng.random() < 0.8)
        if "HONEY" in venue.name:
            down = market.symbols[venue.token0] == "WETH"  # strangers only buy
        token = venue.token0 if down else venue.token1
        held = node.ask(market.token, token, "balanceOf", venue.address)
        most = max(2, int(held * 10 ** rng.uniform(-4.5, -1.7)))
        amount = most + rng.randrange(most)
        fee = venue.taken + 1 if "REB" in venue.name else venue.taken  # its shares round against the pair
        steps = [(venue.address, venue.kind == "v3", down, fee)]
        octets = market.searching.call("run", steps, amount, True, False)
        dust = venue.name.startswith("dust")  # pays nothing for little, and reverts
        self.send(market.trader, octets, sender=rng.randrange(1, 5), gas=TRADE_GAS, may_revert=dust)

    def price_of(self, venue: Venue) -> float:
        market, node = self.market, self.market.node
        if venue.kind == "v3":
            return float((node.ask(market.pool, venue.address, "slot0")[0] / 2**96) ** 2)
        reserve0, reserve1, _ = node.ask(market.pair, venue.address, "getReserves")
        return float(reserve1 / reserve0)

    def routed(self) -> None:
        """A trade over Uniswap's router: pairs pay each other, or a token is taxed on its way."""
        market, node, rng = self.market, self.market.node, self.rng
        names = rng.choice(
            [["WETH", "USDC", "DAI"], ["UNI", "WETH", "USDC"], ["DAI", "WETH"], ["DTT", "WETH", "DAI"]]
        )
        names = names if rng.random() < 0.5 else names[::-1]
        path = [market.tokens[name] for name in names]
        amount = market.units(names[0], 10 ** rng.uniform(0, 3.7)) + rng.randrange(1000)
        rest = (path, node.accounts[6], 2**40)
        if "DTT" in names:
            name = "swapExactTokensForTokensSupportingFeeOnTransferTokens"
            octets = market.router.call(name, amount, 0, *rest)
        elif rng.random() < 0.6:
            octets = market.router.call("swapExactTokensForTokens", amount, 0, *rest)
        else:
            wanted = market.units(names[-1], 10 ** rng.uniform(0, 3.7))
            octets = market.router.call("swapTokensForExactTokens", wanted, 2**100, *rest)
        self.send(market.routing, octets, sender=5, gas=ROUTED_GAS)

    def perform(self, *calls: tuple[str, str]) -> None:
        """Calls of the trader's own: (target, octets)."""
        octets = [bytes.fromhex(call[2:]) for _, call in calls]
        request = self.market.searching.call("perform", [target for target, _ in calls], octets)
        self.send(self.market.trader, request, sender=7, gas=TRADE_GAS)

    def honest_pair(self) -> Venue:
        named = [v for v in self.market.venues.values() if v.name.startswith(("uni:", "sushi:"))]
        return self.rng.choice([v for v in named if not self.market.hazards_of(v)])

    def donate(self) -> None:
        """A gift to an honest pair, without a Sync: its next Swap counts it in."""
        venue = self.honest_pair()
        amount = self.market.units(self.market.symbols[venue.token0], 50) + self.rng.randrange(1000)
        self.perform((venue.token0, self.market.token.call("transfer", venue.address, amount)))

    def skim(self) -> None:
        """A gift to an honest pair that somebody takes."""
        venue = self.honest_pair()
        amount = self.market.units(self.market.symbols[venue.token1], 20)
        gift = (venue.token1, self.market.token.call("transfer", venue.address, amount))
        self.perform(gift, (venue.address, self.market.pair.call("skim", self.market.node.accounts[8])))

    # Mishaps -----------------------------------------------------------------------------------------------

    def call(self, kind: str, token: str, name: str, *arguments: Any) -> None:
        octets = self.market.kinds[kind].call(name, *arguments)
        self.send(self.market.tokens[token], octets, sender=8, gas=100_000)

    @property
    def next_block(self) -> int:
        return self.market.node.height + 1

    def tax_late(self) -> None:
        self.call("Taxed", "LATE", "setTax", 100)
        self.market.hazards["LATE"].since = self.next_block
        self.resting.add("LATE")

    def reveal_late(self) -> None:
        self.resting.remove("LATE")
        self.trade_on(self.market.venues["uni:LATE/WETH"])

    def change_fee(self, points: int) -> None:
        venue = self.market.venues["changing:WETH/DAI"]
        assert venue.hazard is not None
        octets = self.market.changing["UniswapV2Pair"].call("setPoints", points)
        self.send(venue.address, octets, sender=8, gas=100_000)
        venue.taken = points * 100
        venue.hazard.since = venue.hazard.since or self.next_block
        if points < 30:  # only a smaller fee shows in a log: K falls below what the declared one allows
            self.trade_on(venue)

    def rebase(self, percent: int) -> None:
        market = self.market
        per_share = market.node.ask(market.kinds["Rebasing"], market.tokens["REB"], "perShare")
        self.call("Rebasing", "REB", "rebase", per_share * percent // 100)
        market.hazards["REB"].since = market.hazards["REB"].since or self.next_block
        self.resting.add("REB")

    def sync_rebased(self) -> None:
        market = self.market
        for factory in ("uni", "sushi"):
            venue = market.venues[f"{factory}:REB/WETH"]
            self.send(venue.address, market.pair.call("sync"), sender=8, gas=100_000)
        market.hazards["REB"].evidence = market.hazards["REB"].evidence or self.next_block
        self.resting.remove("REB")

    def skim_rebased(self) -> None:
        market = self.market
        for factory in ("uni", "sushi"):
            venue = market.venues[f"{factory}:REB/WETH"]
            octets = market.pair.call("skim", market.node.accounts[8])
            self.send(venue.address, octets, sender=8, gas=150_000)
        self.resting.remove("REB")

    def stop(self) -> None:
        self.call("Gated", "STOP", "stop", True)
        self.market.hazards["STOP"].since = self.next_block
        self.resting.add("STOP")

    def replace_code(self) -> None:
        """The V3 fork takes 3000 from here on, though it was announced with 500."""
        market, venue = self.market, self.market.venues["fork3:WETH/USDC:500"]
        assert venue.hazard is not None
        code = market.node.rpc("eth_getCode", venue.address, "latest")
        old, new = (_PUSH32 + f"{fee:064x}" for fee in (500, 3000))
        assert old in code
        market.original_code[venue.address] = code
        market.node.rpc("anvil_setCode", venue.address, code.replace(old, new))
        venue.hazard.since = self.next_block
        self.resting.add(venue.name)

    def reveal_code(self) -> None:
        venue = self.market.venues["fork3:WETH/USDC:500"]
        assert venue.hazard is not None
        self.resting.remove(venue.name)
        self.trade_on(venue)
        venue.hazard.evidence = self.next_block

    def loosen(self) -> None:
        """Somebody takes more out of the loose pair than any fee allows."""
        market, venue = self.market, self.market.venues["loose:WETH/USDC"]
        reserve0, reserve1, _ = market.node.ask(market.pair, venue.address, "getReserves")
        paid = reserve0 // 500
        out = reserve1 * paid // (reserve0 + paid) * 105 // 100
        gift = (venue.token0, market.token.call("transfer", venue.address, paid))
        self.perform(gift, (venue.address, market.pair.call("swap", 0, out, market.trader, b"")))

    # Logs of contracts that are no pools -------------------------------------------------------------------

    def emit(self, emitter: str, topics: list[bytes], types: list[str], values: list[Any]) -> None:
        octets = self.market.emitting.call("emitLog", topics, encode(types, values))
        self.send(emitter, octets, sender=9, gas=150_000)

    def feign(self) -> None:
        """The fakes announce themselves and trade: no token moves."""
        market, node = self.market, self.market.node
        fake, stray, fake3 = (market.venues[name] for name in ("fake", "stray", "fake3"))
        factory = market.factories["fake"]
        if fake.reserves == (0, 0):
            for venue in (fake, fake3):
                self.announce(factory, venue)
            root = int((self.usual(fake3) * 1.08) ** 0.5 * 2**96)
            tick = math.floor(math.log((root / 2**96) ** 2, 1.0001))
            self.emit(fake3.address, [topic("Initialize(uint160,int24)")], ["uint160", "int24"], [root, tick])
            self.feign_mint(fake3, tick)
            fake3.reserves = 10**21, int(10**21 * self.usual(fake3) * 1.08)
        for venue, skew in ((fake, 1.1), (stray, 0.85)):
            price = self.usual(venue) * skew * self.rng.uniform(0.98, 1.02)
            venue.reserves = int(10**24 / price**0.5 / 10**9), int(10**24 * price**0.5 / 10**9)
        self.send(fake.address, market.faking.call("setReserves", *fake.reserves), sender=9, gas=150_000)
        paid = fake.reserves[0] // 1000
        out = paid * 997 * fake.reserves[1] // (fake.reserves[0] * 1000 + paid * 997)
        self.send(
            fake.address,
            market.faking.call("report", paid, 0, 0, out, node.accounts[6]),
            sender=9,
            gas=150_000,
        )
        self.emit(stray.address, [topic("Sync(uint112,uint112)")], ["uint112"] * 2, list(stray.reserves))
        who = [bytes(12) + bytes.fromhex(node.accounts[k][2:]) for k in (6, 7)]
        swap = topic("Swap(address,uint256,uint256,uint256,uint256,address)")
        self.emit(stray.address, [swap, *who], ["uint256"] * 4, [1000, 0, 0, 1])

    def feign_mint(self, venue: Venue, tick: int) -> None:
        owner = bytes(12) + bytes.fromhex(self.market.node.accounts[9][2:])
        ends = [(tick // 60 + k) * 60 for k in (-50, 50)]
        topics = [topic("Mint(address,address,int24,int24,uint128,uint256,uint256)"), owner]
        topics += [encode(["int24"], [end]) for end in ends]
        liquidity, worth = 10**22, 10**21
        values = [self.market.node.accounts[9], liquidity, worth, int(worth * self.usual(venue))]
        self.emit(venue.address, topics, ["address", "uint128", "uint256", "uint256"], values)

    def usual(self, venue: Venue) -> float:
        return self.market.usual_price(venue.token0, venue.token1)

    def announce(
        self, factory: str, venue: Venue, tokens: tuple[str, str] | None = None, fee: int = 3000
    ) -> None:
        """A creation log from a factory that created nothing."""
        if venue.real:
            self.lies.append({"block": self.next_block, "pool": venue.address})
        ends = [bytes(12) + bytes.fromhex(t[2:]) for t in tokens or (venue.token0, venue.token1)]
        if venue.kind == "v2":
            topics = [topic("PairCreated(address,address,address,uint256)"), *ends]
            self.emit(factory, topics, ["address", "uint256"], [venue.address, 1])
            return
        topics = [topic("PoolCreated(address,address,uint24,int24,address)"), *ends, fee.to_bytes(32, "big")]
        self.emit(factory, topics, ["int24", "address"], [60, venue.address])

    def announce_again(self) -> None:
        """A fake factory announces honest pools as its own: tokens exchanged, or another fee."""
        market = self.market
        pair, pool = market.venues["uni:WETH/USDC"], market.venues["uni3:WETH/USDC:500"]
        self.announce(market.factories["fake"], pair, (pair.token1, pair.token0))
        self.announce(market.factories["fake"], pool, fee=10_000)

    def squat(self) -> None:
        """A fake factory announces a pool before it is created, with another fee."""
        market = self.market
        token0, token1 = sorted((market.tokens["UNI"], market.tokens["DAI"]))
        salt = keccak(encode(["address", "address", "uint24"], [token0, token1, 3000]))
        code = keccak(bytes.fromhex(market.pool.code[2:]))
        factory = bytes.fromhex(market.factories["uni3"][2:])
        self.squatted = "0x" + keccak(b"\xff" + factory + salt + code)[12:].hex()
        soon = Venue("soon", "v3", self.squatted, token0, token1, 500, None, 0, 500)
        self.announce(market.factories["fake"], soon, fee=500)

    def settle(self) -> None:
        """The pool is created for good."""
        market, node = self.market, self.market.node
        node.rpc("evm_setBlockGasLimit", hex(30_000_000))
        venue = market.add_pool("uni3", "UNI", "DAI", 3000, 2e5)
        assert venue.address == self.squatted
        venue.hazard = Hazard("honest, but a fake factory announced it first, with fee 500", node.height)
        node.rpc("evm_setBlockGasLimit", hex(GAS_LIMIT))
