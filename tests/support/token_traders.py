"""Traders who do at random all that traders do to the pools of `tests.support.token_world`."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.token_world import Log, Mute, Pair, Pay, Pool, Rebasing, Revert, Token

#: Tokens that deliver what they are asked to.
FULL = (Token, Rebasing, Mute)
#: What can happen to a pool; the last ones leave, or take, tokens without a `Swap`, `Mint` or `Burn`.
ORDINARY = (
    "trade",
    "trade",
    "trade",
    "hop",
    "add",
    "remove",
    "poison",
    "flash",
    "mint_and_trade",
    "protocol",
)
ODD = ("prepay", "donate", "donate_and_trade", "donate_and_sync", "donate_and_skim", "skim_and_trade", "sync")


class World:
    """Tokens and pools, and what has happened to them.

    Parameters
    ----------
    tokens : classes, numbered in order
    pools : (Pair or Pool3, number of token0, number of token1), numbered in order
    """

    def __init__(
        self, seed: int, tokens: Sequence[type[Token]], pools: Sequence[tuple[type[Pool], int, int]]
    ) -> None:
        self.random = random.Random(seed)
        self.logs: list[Log] = []
        self.transactions: list[list[Log]] = []
        self.tokens = [kind(self.logs, k) for k, kind in enumerate(tokens)]
        self.pools = [
            kind(self.logs, k, (self.tokens[a], self.tokens[b])) for k, (kind, a, b) in enumerate(pools)
        ]
        for token in self.tokens:
            token.held["trader"] = 10**30
        for pool in self.pools:
            assert self.do(lambda pool=pool: add(self, pool, 10**24))

    def do(self, *calls: Callable[..., None]) -> bool:
        """One transaction; whether it went through."""
        held = [dict(token.held) for token in self.tokens]
        reserves = [(pool, pool.reserves) for pool in self.pools if isinstance(pool, Pair)]
        try:
            for call in calls:
                call()
        except Revert:
            for token, before in zip(self.tokens, held, strict=True):
                token.held = defaultdict(int, before)
            for pair, reserve in reserves:
                pair.reserves = reserve
            self.logs.clear()
            return False
        self.transactions.append(list(self.logs))
        self.logs.clear()
        return True

    def take(self) -> list[list[Log]]:
        """The transactions since the last call."""
        taken, self.transactions = self.transactions, []
        return taken

    def amount(self) -> int:
        return self.random.randrange(1, 10 ** self.random.choice([2, 20]))

    def step(self, kinds: Sequence[str]) -> None:
        """One random thing of these kinds, at a random pool to which it can happen."""
        pool, side = self.random.choice(self.pools), self.random.randrange(2)
        known = ON_PAIRS if isinstance(pool, Pair) else ON_POOLS
        known[self.random.choice([kind for kind in kinds if kind in known])](self, pool, side)


def paying(world: World, pool: Pool, side: int, amount: int) -> Pay:
    """A payment that gets there, whatever the token keeps."""
    token = pool.tokens[side]
    asked = amount if type(token) in FULL else amount + amount // 20 + 10
    return lambda: token.transfer("trader", pool, asked)


def add(world: World, pool: Any, amount: int) -> None:
    """Provide liquidity."""

    def both() -> None:
        for side in range(2):
            paying(world, pool, side, amount)()

    if isinstance(pool, Pair):
        both()
        pool.mint()
    else:
        pool.mint((amount, amount), both)


def trade(world: World, pool: Any, side: int, to: Any = "trader") -> int:
    """Sell some of token `side`; how much of the other was asked for."""
    size, out = world.amount(), world.amount()
    if isinstance(pool, Pair):
        paying(world, pool, side, size)()
        pool.swap((0, out) if side == 0 else (out, 0), to)
    else:
        pool.swap((size, -out) if side == 0 else (-out, size), to, paying(world, pool, side, size))
    return out


def hop(world: World, pool: Any, side: int) -> None:
    """Sell token `side` to one pool, which pays straight into the next."""
    token = pool.tokens[1 - side]
    others = [p for p in world.pools if token in p.tokens and p is not pool]
    if not others:
        return
    other: Any = world.random.choice(others)
    into, out = other.tokens.index(token), world.amount()
    if isinstance(other, Pair):
        world.do(
            lambda: trade(world, pool, side, other) and None,
            lambda: other.swap((0, out) if into == 0 else (out, 0), "trader"),
        )
    else:
        size = world.amount()
        owed = size if type(token) in FULL else size - size // 20 - 10
        amounts = (owed, -out) if into == 0 else (-out, owed)
        world.do(lambda: other.swap(amounts, "trader", lambda: _pay_on(world, pool, side, other, size)))


def _pay_on(world: World, pool: Any, side: int, other: Any, size: int) -> None:
    owed = world.amount()
    if isinstance(pool, Pair):
        paying(world, pool, side, owed)()
        pool.swap((0, size) if side == 0 else (size, 0), other)
    else:
        amounts = (owed, -size) if side == 0 else (-size, owed)
        pool.swap(amounts, other, paying(world, pool, side, owed))


def flash(world: World, pool: Any, side: int) -> None:
    """Take first, pay back with a fee in the same token."""
    out = world.amount()
    amounts = (out, 0) if side == 0 else (0, out)
    if isinstance(pool, Pair):
        world.do(lambda: pool.swap(amounts, "trader", paying(world, pool, side, out + out // 99 + 1)))
    else:
        world.do(lambda: pool.flash(amounts, "trader", paying(world, pool, side, out + out // 99 + 1)))


def donate(
    world: World, pool: Any, side: int, then: Callable[..., Any] | None = None, wait: bool = False
) -> None:
    """Send a pool tokens for nothing, and then, at once or later, do something else."""
    gift = paying(world, pool, side, world.amount())
    calls: list[Callable[..., Any]] = [gift, *([then] if then else [])]
    if wait:
        for call in calls:
            world.do(call)
    else:
        world.do(*calls)


def _poison(world: World, pool: Any, side: int) -> None:
    world.do(lambda: pool.tokens[side].log(pool, "victim", 0), lambda: trade(world, pool, 1 - side))


def _skim_and_trade(world: World, pool: Any, side: int) -> None:
    gift = paying(world, pool, 1 - side, world.amount())
    world.do(gift, lambda: pool.skim("trader"), lambda: trade(world, pool, side))


_Action = Callable[[World, Any, int], Any]
#: By kind, what happens to a V2 pair.
ON_PAIRS: dict[str, _Action] = {
    "trade": lambda w, p, side: w.do(lambda: trade(w, p, side)),
    "hop": hop,
    "add": lambda w, p, side: w.do(lambda: add(w, p, w.amount())),
    "remove": lambda w, p, side: w.do(lambda: p.burn("trader", w.random.randrange(2, 99))),
    "poison": _poison,
    "flash": flash,
    "prepay": lambda w, p, side: donate(
        w, p, side, lambda: p.swap((0, 9) if side == 0 else (9, 0), "trader"), True
    ),
    "donate": donate,
    "donate_and_trade": lambda w, p, side: donate(w, p, side, lambda: trade(w, p, w.random.randrange(2))),
    "donate_and_sync": lambda w, p, side: donate(w, p, side, p.sync, w.random.random() < 0.5),
    "donate_and_skim": lambda w, p, side: donate(
        w, p, side, lambda: p.skim("trader"), w.random.random() < 0.5
    ),
    "skim_and_trade": _skim_and_trade,
    "sync": lambda w, p, side: w.do(p.sync),
}
#: And to a V3 pool.
ON_POOLS: dict[str, _Action] = {
    "trade": lambda w, p, side: w.do(lambda: trade(w, p, side)),
    "hop": hop,
    "add": lambda w, p, side: w.do(lambda: add(w, p, w.amount())),
    "remove": lambda w, p, side: w.do(lambda: p.collect((w.amount(), w.amount()), "trader")),
    "protocol": lambda w, p, side: w.do(lambda: p.collect((w.amount(), 0), "treasury", protocol=True)),
    "poison": _poison,
    "flash": flash,
    "mint_and_trade": lambda w, p, side: w.do(lambda: add(w, p, w.amount()), lambda: trade(w, p, side)),
    "donate": donate,
    "donate_and_trade": lambda w, p, side: donate(w, p, side, lambda: trade(w, p, w.random.randrange(2))),
}
