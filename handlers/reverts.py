"""What contracts refuse, and what a pool's own state forbids, as statuses.

A kernel answers with a status where the contract would revert; `REASONS` has the contract's own words where there are
any. The last group has no counterpart on the chain: no contract can be in such a state, a file or a fake pool can.
"""

from __future__ import annotations

# Uniswap V2: the library's and the pair's.
INSUFFICIENT_INPUT_AMOUNT = 120
INSUFFICIENT_OUTPUT_AMOUNT = 121
INSUFFICIENT_LIQUIDITY = 122
K_DECREASED = 123
RESERVE_OVERFLOW = 124

# Uniswap V3.
ZERO_AMOUNT = 130
NOT_INITIALIZED = 131
PRICE_LIMIT = 132
TICK_OUT_OF_RANGE = 133
PRICE_OUT_OF_RANGE = 134
LIQUIDITY_UNDERFLOW = 135
LIQUIDITY_OVERFLOW = 136
AMOUNT_TOO_LARGE = 137
PRICE_OVERFLOW = 138
NO_LIQUIDITY = 139

# States that no contract has.
FEE_OUT_OF_RANGE = 150
BAD_TICK_SPACING = 151
BROKEN_TICK_MAP = 152
TOO_MANY_STEPS = 153

#: The contract's revert reason, or our words where Solidity itself refuses and gives none.
REASONS: dict[int, str] = {
    INSUFFICIENT_INPUT_AMOUNT: "INSUFFICIENT_INPUT_AMOUNT",
    INSUFFICIENT_OUTPUT_AMOUNT: "INSUFFICIENT_OUTPUT_AMOUNT",
    INSUFFICIENT_LIQUIDITY: "INSUFFICIENT_LIQUIDITY",
    K_DECREASED: "K",
    RESERVE_OVERFLOW: "OVERFLOW",
    ZERO_AMOUNT: "AS",
    NOT_INITIALIZED: "LOK",
    PRICE_LIMIT: "SPL",
    TICK_OUT_OF_RANGE: "T",
    PRICE_OUT_OF_RANGE: "R",
    LIQUIDITY_UNDERFLOW: "LS",
    LIQUIDITY_OVERFLOW: "LA",
    AMOUNT_TOO_LARGE: "amount too large",
    PRICE_OVERFLOW: "no such price",
    NO_LIQUIDITY: "no liquidity",
    FEE_OUT_OF_RANGE: "fee out of range",
    BAD_TICK_SPACING: "bad tick spacing",
    BROKEN_TICK_MAP: "broken tick map",
    TOO_MANY_STEPS: "too many steps",
}
