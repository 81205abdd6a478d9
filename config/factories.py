"""Swap fees of well-known Uniswap V2 forks on Ethereum mainnet, by factory address.

A V2 pair's contract does not tell its fee: it is a constant in the code, the same for all pairs of one
factory. A pair whose factory is not listed here or in the settings has `default_v2_fee`. Fees are in
millionths of the amount paid in and include what goes to the protocol, because that is what a trader pays.
"""

from __future__ import annotations

MAINNET_V2_FEES: dict[str, int] = {
    "0x5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f": 3000,  # Uniswap V2
    "0xc0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac": 3000,  # SushiSwap
    "0x1097053fd2ea711dad45caccc45eff7548fcb362": 2500,  # PancakeSwap V2: 0.17 % + 0.08 % protocol
    "0x115934131916c8b277dd010ee02de363c09d037c": 3000,  # ShibaSwap
    "0x9deb29c9a4c7a88a3c0257393b7f3335338d9a9d": 3000,  # Crypto.com DeFi Swap
}
