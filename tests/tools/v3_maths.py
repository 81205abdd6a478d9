"""Record what Uniswap V3's own libraries answer: TickMath, SqrtPriceMath, SwapMath, LiquidityMath, FullMath.

    python -m tests.tools.v3_maths --modules node_modules --out DIR [--cases 1000] [--seed 1] [--pack v3_maths]

Writes DIR/vectors.json (tests/streams/README.md). Arguments are drawn around every power of two and every bound,
where wide arithmetic goes wrong.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.tools.contracts import Workshop
from tests.tools.node import Node, Reverted
from tests.tools.stream_folder import STREAMS, pack
from tests.tools.v3_market import MAX_PRICE, MAX_TICK, MIN_PRICE

FEES = (0, 1, 100, 500, 2500, 3000, 10_000, 999_999)


class Draw:
    """Draws arguments of one kind each."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def word(self, bits: int = 256) -> int:
        """An unsigned integer: small, near a power of two, or anything."""
        near = (1 << self.rng.randrange(bits + 1)) + self.rng.randrange(-2, 3)
        value = self.rng.choice(
            [self.rng.randrange(4), near, near, self.rng.getrandbits(self.rng.randrange(1, bits + 1))]
        )
        return max(0, min((1 << bits) - 1, value))

    def price(self) -> int:
        """A square root of a price within TickMath's bounds, even over ticks."""
        middle = int(2**96 * 1.0001 ** (self.rng.uniform(-MAX_TICK, MAX_TICK) / 2))
        wide = min(max(middle + self.rng.randrange(-3, 4), MIN_PRICE), MAX_PRICE - 1)
        return self.rng.choice([wide, wide, wide, wide, wide, MIN_PRICE, MAX_PRICE - 1, 2**96])

    def near(self, price: int) -> int:
        """A price that one step may reach from another."""
        ratio = 1.0001 ** (self.rng.choice([1, -1]) * 10 ** self.rng.uniform(-3, 3.5) / 2)
        far = self.price()
        moved = min(max(int(price * ratio) + self.rng.randrange(-1, 2), MIN_PRICE), MAX_PRICE - 1)
        return self.rng.choice([moved, moved, moved, far, price])

    def liquidity(self) -> int:
        return self.rng.choice(
            [self.word(128), self.rng.randrange(10**15, 10**21), self.rng.randrange(10**15, 10**21)]
        )

    def tick(self) -> int:
        edge = (self.rng.choice([1, -1]) << self.rng.randrange(21)) + self.rng.randrange(-1, 2)
        anywhere = self.rng.randrange(-MAX_TICK - 1, MAX_TICK + 2)
        return self.rng.choice([anywhere, anywhere, max(-MAX_TICK - 1, min(MAX_TICK + 1, edge))])

    def signed(self, bits: int) -> int:
        value = self.word(bits - 1)
        return self.rng.choice(
            [value, -value, -(1 << bits - 1)] if self.rng.random() < 0.05 else [value, -value]
        )

    def flag(self) -> bool:
        return self.rng.random() < 0.5


def arguments(draw: Draw) -> dict[str, Callable[[], tuple[Any, ...]]]:
    """How the arguments of each function are drawn."""

    def prices() -> tuple[int, int]:
        price = draw.price()
        return price, draw.near(price)

    def step() -> tuple[Any, ...]:
        price, target = prices()
        liquidity = draw.liquidity()
        # About as much as the step takes, so that it ends before, at and behind the target.
        enough = liquidity * abs(target - price) >> 96
        if draw.flag():
            enough = (liquidity << 96) * abs(target - price) // (target * price)
        about = enough * draw.rng.randrange(1, 200) // 100 + draw.rng.randrange(-1, 2)
        amount = min(2**255 - 1, max(1, draw.rng.choice([about, about, enough, draw.word(200)])))
        return price, target, liquidity, amount if draw.flag() else -amount, draw.rng.choice(FEES)

    return {
        "mulDiv": lambda: (draw.word(), draw.word(), draw.word()),
        "mulDivRoundingUp": lambda: (draw.word(), draw.word(), draw.word()),
        "addDelta": lambda: (draw.word(128), draw.signed(128)),
        "sqrtRatioAtTick": lambda: (draw.tick(),),
        "tickAtSqrtRatio": lambda: (draw.rng.choice([draw.price(), draw.price(), draw.word(160)]),),
        "amount0Delta": lambda: (*prices(), draw.liquidity(), draw.flag()),
        "amount1Delta": lambda: (*prices(), draw.liquidity(), draw.flag()),
        "nextPriceFromInput": lambda: (draw.price(), draw.liquidity(), draw.word(), draw.flag()),
        "nextPriceFromOutput": lambda: (draw.price(), draw.liquidity(), draw.word(180), draw.flag()),
        "swapStep": step,
    }


def record(modules: Path, cases: int, seed: int) -> dict[str, list[Any]]:
    """Function → records [arguments, answers] or [arguments, reason of the revert]."""
    maths = Workshop(modules).ours("Maths.sol", "0.7.6")["Maths"]
    found: dict[str, list[Any]] = {}
    with Node(modules) as node:
        place = node.create(maths)
        for name, drawn in arguments(Draw(random.Random(seed))).items():
            found[name] = []
            for values in (drawn() for _ in range(cases)):
                try:
                    octets = node.view(place, maths.call(name, *values))
                    answer: Any = [str(v) for v in maths.answer(name, octets)]
                except Reverted as reverted:
                    answer = reverted.reason
                found[name].append([[v if isinstance(v, bool) else str(v) for v in values], answer])
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", type=Path, required=True, help="folder of node modules")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--cases", type=int, default=1000, help="of each function")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pack", metavar="NAME", help="also pack the file into tests/streams")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    found = record(options.modules, options.cases, options.seed)
    (options.out / "vectors.json").write_text(json.dumps(found, separators=(",", ":")))
    for name, records in found.items():
        print(f"{name}: {sum(isinstance(answer, list) for _, answer in records)} of {len(records)} answered")
    if options.pack:
        print(pack(options.out, STREAMS, options.pack))


if __name__ == "__main__":
    main()
