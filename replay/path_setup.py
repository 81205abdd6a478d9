"""What the settings say of the search for arbitrage, put into the tables that its handlers read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.errors import SettingError
from disruptor.handlers.opportunities import BOUNDARIES
from disruptor.replay.settings import ArbitrageSettings, RunSettings
from disruptor.state import State

#: UNITS: of spreads in one basis point, of times in one second, of a loan's cost in one basis point.
SPREAD_UNIT, _SECOND_NS, _LOAN_UNIT = 1 << 32, 1_000_000_000, 100
_SCALED_MAX = 2**63 - 1
_LOAN_MAX = 1_000_000
#: Wrapped native tokens by chain id, as their chains' explorers name them.
WRAPPED_NATIVE = {
    1: "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",  # Ethereum, WETH
    10: "0x4200000000000000000000000000000000000006",  # OP Mainnet, WETH
    56: "0xbb4cdb9cbd36b01bd1cbaebf2de08d9173bc095c",  # BNB Smart Chain, WBNB
    137: "0x0d500b1d8e8ef31e21c99d1db9a6444d3adf1270",  # Polygon, WMATIC
    8453: "0x4200000000000000000000000000000000000006",  # Base, WETH
    42161: "0x82af49447d8a07e3bd95bd0d56f35241523fbab1",  # Arbitrum One, WETH
}
#: Tables whose rows are what settings make of them.
SETTING_TABLES = ("path_settings", "base_tokens", "native_pools")


def set_up_paths(state: State, settings: RunSettings, chain_id: int | None) -> None:
    """Fill `path_settings`, `base_tokens` and `native_pools` of a state that has processed nothing yet.

    Raises
    ------
    SettingError : values that contradict each other or exceed what the tables hold.
    """
    arbitrage = settings.arbitrage
    native = arbitrage.native_token or WRAPPED_NATIVE.get(chain_id or 0)
    if arbitrage.native_pools and native is None:
        raise SettingError(
            "arbitrage.native_pools: the wrapped native token of this chain is not known: set arbitrage.native_token"
        )
    if arbitrage.funding == "own" and arbitrage.max_amount_in == 0:
        raise SettingError(
            "arbitrage.max_amount_in: expected what you own (above 0) with arbitrage.funding=own"
        )
    row = state.arrays["path_settings"].rows[0]
    row["min_spread"] = _scaled("min_bps", arbitrage.min_bps, SPREAD_UNIT)
    row["block_time_ns"] = _scaled("block_time", arbitrage.block_time, _SECOND_NS)
    row["boundary"] = BOUNDARIES[arbitrage.evaluate]
    row["max_hops"] = arbitrage.max_hops
    row["max_amount_in"] = [arbitrage.max_amount_in & 2**64 - 1, arbitrage.max_amount_in >> 64]
    row["loan_millionths"] = _loan(arbitrage)
    row["count_gas"] = int(arbitrage.gas)
    row["priority_fee"] = arbitrage.priority_fee
    row["simd"] = int(settings.enable_simd)
    base = arbitrage.base_tokens or ((native,) if native else ())
    row["base_tokens"] = _fill(state, "base_tokens", base)
    row["native_pools"] = _fill(state, "native_pools", [native, *arbitrage.native_pools] if native else [])


def keep_screen(settings: npt.NDArray[Any], state: State) -> None:
    """Let rows of `path_settings` have paths screened as a state has had them screened so far, which no output shows.

    Legs are only valued where paths are screened by them, so a state can't go on in the other way.
    """
    settings[0]["simd"] = state.arrays["path_settings"].rows[0]["simd"]


def _fill(state: State, table: str, addresses: Sequence[str]) -> int:
    rows = state.arrays[table].rows
    for k, text in enumerate(addresses):
        rows[k]["address"] = np.frombuffer(bytes.fromhex(text[2:]), np.uint8)
    return len(addresses)


def _loan(arbitrage: ArbitrageSettings) -> int:
    if arbitrage.funding != "loan_bps":
        return 0
    millionths = math.ceil(Fraction(arbitrage.loan_bps) * _LOAN_UNIT)
    if millionths > _LOAN_MAX:
        raise SettingError(f"arbitrage.loan_bps: expected at most 10000, found {arbitrage.loan_bps:g}")
    return millionths


def _scaled(name: str, value: float, unit: int) -> int:
    """A setting in integer units, rounded up: what is below the setting is below the result too.

    Raises
    ------
    SettingError : more than 63 bits hold.
    """
    scaled = math.ceil(Fraction(value) * unit)
    if scaled > _SCALED_MAX:
        raise SettingError(f"arbitrage.{name}: expected at most {_SCALED_MAX // unit}, found {value:g}")
    return scaled
