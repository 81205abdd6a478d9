"""A small chain in plain Python: tokens of good and bad conduct, pairs and V3 pools that move them as the contracts do.

Nothing here computes a price: what matters is who transfers what, when, and what the pool's logs say of it. Calls write
logs as `(name, fields)` in the order in which a node would tell them; what a contract refuses raises `Revert`.

Source: Uniswap v2-core 1.0.1, UniswapV2Pair; v3-core 1.0.0, UniswapV3Pool.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

Log = tuple[str, dict[str, Any]]
Pay = Callable[[], None]


class Revert(Exception):
    """A contract refuses."""


class Token:
    """An ERC-20 token; addresses are plain names, pools are themselves."""

    def __init__(self, logs: list[Log], number: int) -> None:
        self.logs, self.number = logs, number
        self.held: defaultdict[Any, int] = defaultdict(int)

    def balance(self, who: Any) -> int:
        return self.held[who]

    def transfer(self, sender: Any, receiver: Any, amount: int) -> None:
        self.move(sender, receiver, amount)

    def move(self, sender: Any, receiver: Any, amount: int) -> None:
        """Full amount, one log."""
        self.shift(sender, receiver, amount)
        self.log(sender, receiver, amount)

    def shift(self, sender: Any, receiver: Any, amount: int) -> None:
        if sender is not None and self.balance(sender) < amount:
            raise Revert("balance")
        self.held[sender] -= amount
        self.held[receiver] += amount

    def log(self, sender: Any, receiver: Any, amount: int) -> None:
        self.logs.append(
            ("Transfer", {"token": self.number, "from": sender, "to": receiver, "amount": amount})
        )


class BurnTaxed(Token):
    """Burns 1 % of each transfer, and logs both parts."""

    first = "rest"

    def transfer(self, sender: Any, receiver: Any, amount: int) -> None:
        fee = amount // 100 + 1
        parts = [(receiver, amount - fee), ("nobody", fee)]
        for who, part in parts if self.first == "rest" else parts[::-1]:
            self.move(sender, who, part)


class FeeFirst(BurnTaxed):
    """The same, the fee logged first."""

    first = "fee"


class SilentlyTaxed(Token):
    """Logs what arrives, not what is kept."""

    def transfer(self, sender: Any, receiver: Any, amount: int) -> None:
        fee = amount // 100 + 1
        self.move(sender, receiver, amount - fee)
        self.shift(sender, "nobody", fee)


class Overstated(Token):
    """Logs the full amount and delivers less."""

    def transfer(self, sender: Any, receiver: Any, amount: int) -> None:
        fee = amount // 100 + 1
        self.shift(sender, receiver, amount - fee)
        self.shift(sender, "nobody", fee)
        self.log(sender, receiver, amount)


class PayerTaxed(Token):
    """Takes 1 % from who sends, on top."""

    def transfer(self, sender: Any, receiver: Any, amount: int) -> None:
        self.move(sender, receiver, amount)
        self.move(sender, "nobody", amount // 100 + 1)


class Rebasing(Token):
    """Balances are shares of a pot that grows and shrinks without a log."""

    scale = 10**9

    def balance(self, who: Any) -> int:
        return self.held[who] * self.scale // 10**9

    def shift(self, sender: Any, receiver: Any, amount: int) -> None:
        share = amount * 10**9 // self.scale
        if self.held[sender] < share:
            raise Revert("balance")
        self.held[sender] -= share
        self.held[receiver] += share


class Mute(Token):
    """Logs nothing."""

    def log(self, sender: Any, receiver: Any, amount: int) -> None:
        pass


class Pool:
    """What V2 pairs and V3 pools have in common."""

    kind = "uniswap_v3"

    def __init__(self, logs: list[Log], number: int, tokens: tuple[Token, Token]) -> None:
        self.logs, self.number, self.tokens = logs, number, tokens

    def tell(self, name: str, **fields: Any) -> None:
        self.logs.append((name, {"pool": self, **fields}))

    def balances(self) -> tuple[int, int]:
        return self.tokens[0].balance(self), self.tokens[1].balance(self)

    def send(self, to: Any, amounts: tuple[int, int]) -> None:
        for token, amount in zip(self.tokens, amounts, strict=True):
            if amount:
                token.transfer(self, to, amount)


class Pair(Pool):
    """A V2 pair."""

    kind = "uniswap_v2"

    def __init__(self, logs: list[Log], number: int, tokens: tuple[Token, Token]) -> None:
        super().__init__(logs, number, tokens)
        self.reserves = (0, 0)

    def sync(self) -> None:
        self.reserves = self.balances()
        self.tell("Sync", reserve0=self.reserves[0], reserve1=self.reserves[1])

    def skim(self, to: Any) -> None:
        excess = tuple(b - r for b, r in zip(self.balances(), self.reserves, strict=True))
        if min(excess) < 0:
            raise Revert("ds-math-sub-underflow")
        for token, amount in zip(self.tokens, excess, strict=True):
            token.transfer(self, to, amount)

    def mint(self) -> None:
        added = tuple(b - r for b, r in zip(self.balances(), self.reserves, strict=True))
        if min(added) <= 0:
            raise Revert("UniswapV2: INSUFFICIENT_LIQUIDITY_MINTED")
        self.sync()
        self.tell("Mint", amount0=added[0], amount1=added[1])

    def burn(self, to: Any, share: int) -> None:
        """Take 1/share of everything out."""
        amounts = tuple(b // share for b in self.balances())
        self.send(to, amounts)  # type: ignore[arg-type]
        self.sync()
        self.tell("Burn", amount0=amounts[0], amount1=amounts[1])

    def swap(self, out: tuple[int, int], to: Any, pay: Pay | None = None) -> None:
        if not any(out) or any(o >= r for o, r in zip(out, self.reserves, strict=True)):
            raise Revert("UniswapV2: INSUFFICIENT_LIQUIDITY")
        self.send(to, out)
        if pay:
            pay()
        kept = [r - o for r, o in zip(self.reserves, out, strict=True)]
        came = [max(0, b - k) for b, k in zip(self.balances(), kept, strict=True)]
        if not any(came):
            raise Revert("UniswapV2: INSUFFICIENT_INPUT_AMOUNT")
        self.sync()
        self.tell("Swap", amount0_in=came[0], amount1_in=came[1], amount0_out=out[0], amount1_out=out[1])


class Pool3(Pool):
    """A V3 pool: the amounts of each call are the caller's choice, the order of transfers is the contract's."""

    def _take(self, least: tuple[int, int], pay: Pay) -> None:
        before = self.balances()
        pay()
        if any(a < b + m for a, b, m in zip(self.balances(), before, least, strict=True)):
            raise Revert("IIA")

    def swap(self, amounts: tuple[int, int], to: Any, pay: Pay) -> None:
        self.send(to, (max(0, -amounts[0]), max(0, -amounts[1])))
        self._take((max(0, amounts[0]), max(0, amounts[1])), pay)
        self.tell("Swap", amount0=amounts[0], amount1=amounts[1])

    def mint(self, amounts: tuple[int, int], pay: Pay) -> None:
        self._take(amounts, pay)
        self.tell("Mint", amount0=amounts[0], amount1=amounts[1])

    def collect(self, amounts: tuple[int, int], to: Any, *, protocol: bool = False) -> None:
        self.send(to, amounts)
        self.tell("CollectProtocol" if protocol else "Collect", amount0=amounts[0], amount1=amounts[1])

    def flash(self, amounts: tuple[int, int], to: Any, pay: Pay) -> None:
        before = self.balances()
        self.send(to, amounts)
        pay()
        paid = tuple(a - b for a, b in zip(self.balances(), before, strict=True))
        if min(paid) < 0:
            raise Revert("F0")
        self.tell("Flash", amount0=amounts[0], amount1=amounts[1], paid0=paid[0], paid1=paid[1])
