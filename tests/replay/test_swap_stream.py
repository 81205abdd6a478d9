"""The recorded stream's swaps in their normal form against the logs themselves."""

from __future__ import annotations

from typing import Any

import pytest

from disruptor.handlers.messages import FLAG_GAS_PRICE_UNKNOWN, FLAG_NET
from tests.harness import EXAMPLE, replay
from tests.model import created, decode, place, read_lines


@pytest.mark.slow
def test_every_swap_is_told_once_in_its_normal_form(lane: str) -> None:
    block = 70 if lane == "nojit" else 744
    rows = replay(EXAMPLE, to_block=block).sink.of("DeFiSwapEvent")
    pools: dict[str, Any] = {}
    expected = []
    for log in read_lines(EXAMPLE):
        if place(log)[0] > block:
            break
        pool = created(log)
        if pool is not None:
            pools[pool.address] = pool
        known = pools.get(log["address"])
        event = decode(log, known.kind if known else None)
        if known is None or event is None or event[0] != "Swap":
            continue
        fields = event[1]
        if known.kind == "uniswap_v2":
            gains = fields["in0"] - fields["out0"], fields["in1"] - fields["out1"]
            amounts = [fields[n] > 0 for n in ("in0", "in1", "out0", "out1")]
            net = sum(amounts) > 2 or (amounts[0] and amounts[2]) or (amounts[1] and amounts[3])
        else:
            gains, net = (fields["amount0"], fields["amount1"]), False
        forward = gains[0] > 0 or (gains[0] == 0 and gains[1] <= 0)
        tokens = (known.token0, known.token1) if forward else (known.token1, known.token0)
        paid, got = gains if forward else gains[::-1]
        flags = FLAG_GAS_PRICE_UNKNOWN | (FLAG_NET if net else 0)
        expected.append(
            (*place(log), log["transactionHash"], known.address, *tokens, paid, max(0, -got), flags)
        )
    names = ("block", "log", "tx", "pool_address", "token0", "token1", "amount0_in", "amount1_out", "flags")
    assert [tuple(row[n] for n in names) for row in rows] == expected
    assert lane == "nojit" or len(expected) == 2002
