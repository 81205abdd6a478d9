"""Peers that are not there are named with the way to get them; one that is there answers like the pool's own maths."""

from __future__ import annotations

import sys

import pytest

from bench.amm_peers import INSTALL, Degenbot, Market, Swap, find_peers

#: At a price of one the square root is 2**96, and tick 0.
ONE, LIQUIDITY = 1 << 96, 1 << 64
MARKET = Market(ONE, 0, 500, 10, [(-600, 600, LIQUIDITY // 2), (-100, 100, LIQUIDITY // 2)])


def test_peers_that_are_not_installed_are_named_with_the_command_that_installs_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("degenbot", "pyrevm"):
        monkeypatch.setitem(sys.modules, name, None)
    found, missing = find_peers(MARKET, None)
    assert found == []
    assert sorted(missing) == ["degenbot", "pyrevm"]
    assert all(INSTALL in why for why in missing.values())


def test_pyrevm_without_contracts_is_named_with_the_option_that_gives_them() -> None:
    pytest.importorskip("pyrevm")
    pytest.importorskip("eth_abi")
    _, missing = find_peers(MARKET, None)
    assert "--modules" in missing["pyrevm"]


def test_degenbot_swaps_on_the_pool_that_it_was_given() -> None:
    pytest.importorskip("degenbot")
    paid = 10**12 * 9995 // 10_000
    # Both positions are in range: L' = L - L * paid / (L + paid) of the input after the fee, rounded for the pool.
    price = -(-LIQUIDITY * ONE * ONE // (LIQUIDITY * ONE + paid * ONE))
    got = LIQUIDITY * (ONE - price) // ONE
    assert Degenbot(MARKET).amounts(Swap(10**12, True)) == (10**12, -got)
