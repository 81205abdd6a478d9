"""What goes to a sink beside an opportunity: the path behind it, and its pools as the tables know them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from disruptor.handlers.messages import (
    KIND_UNISWAP_V2,
    KIND_UNISWAP_V3,
    NO_ID,
    ArbitrageOpportunity,
    ArbitragePath,
    BlockStart,
    DeFiSwapEvent,
    OpportunityClosed,
)
from disruptor.handlers.pools import pool_directory, pools, tokens
from disruptor.processor import plain_allocate
from disruptor.replay.outputs import Collector
from disruptor.replay.routes import pool_columns, route_columns
from disruptor.replay.slots import Run
from disruptor.state import State

TYPES = (DeFiSwapEvent, ArbitrageOpportunity, ArbitragePath, OpportunityClosed)
TOKENS = [bytes([10 + n]) * 20 for n in range(4)]
#: (kind, fee, token0, token1) by pool.
POOLS = [
    (KIND_UNISWAP_V2, 3000, 0, 1),
    (KIND_UNISWAP_V3, 500, 1, 2),
    (KIND_UNISWAP_V3, 100, 2, 3),
    (KIND_UNISWAP_V2, 2500, 0, 3),
]


def slots(*messages: tuple[Any, dict[str, int]]) -> np.ndarray:
    """Outputs in order; u128 fields are given as integers."""
    made = np.zeros((len(messages), 192), np.uint8)
    for at, (message, fields) in enumerate(messages):
        record = made[at].view(message.slot_dtype())
        record["type_id"], record["sequence"], record["source_sequence"] = message.type_id, 7, at
        for name, value in fields.items():
            wide = message.fields[name].count
            record[name] = [[value & 2**64 - 1, value >> 64]] if wide else value
    return made


def path(*hops: int, bits: int = 0, **more: int) -> tuple[Any, dict[str, int]]:
    ids = {f"pool{k}": hops[k] if k < len(hops) else NO_ID for k in range(4)}
    return ArbitragePath, {**ids, "hops": len(hops), "zero_for_one": bits, **more}


@pytest.fixture
def state() -> State:
    """Four pools around four tokens."""
    made = State([tokens, pools, pool_directory], {"tokens": 8, "pools": 8, "pairs": 8}, plain_allocate)
    for pool, (kind, fee, token0, token1) in enumerate(POOLS):
        names = made.arrays["pool_directory"].rows[pool : pool + 1]
        names["kind"], made.arrays["pools"].rows["fee"][pool] = kind, fee
        names["token0_address"] = np.frombuffer(TOKENS[token0], np.uint8)
        names["token1_address"] = np.frombuffer(TOKENS[token1], np.uint8)
    return made


def test_each_opportunity_gets_the_path_behind_it() -> None:
    outputs = slots(
        (ArbitrageOpportunity, {}),
        path(0, 1, path=5, amount_in=2**100, profit=3),
        (OpportunityClosed, {}),
        (ArbitrageOpportunity, {}),  # of somebody who emits no path
        (ArbitrageOpportunity, {}),
        path(2, 3, 1, bits=5, path=6, amount_out1=9),
        (ArbitrageOpportunity, {}),
    )
    found = route_columns(outputs, np.array([0, 3, 4, 6]))
    assert set(found) == set(ArbitragePath.fields)
    assert found["path"].tolist() == [5, 0, 6, 0]
    assert found["hops"].tolist() == [2, 0, 3, 0]
    assert found["zero_for_one"].tolist() == [0, 0, 5, 0]
    assert found["pool2"].tolist() == [NO_ID, 0, 1, 0]
    assert found["amount_in"].tolist() == [[0, 2**36], [0, 0], [0, 0], [0, 0]]
    assert found["amount_out1"].tolist() == [[0, 0], [0, 0], [9, 0], [0, 0]]


def test_pools_of_a_route_are_looked_up(state: State) -> None:
    # 0 > 1 > 2 > 3 > 0, and the first two pools alone, and nothing.
    outputs = slots(path(0, 1, 2, 3, bits=0b0111), path(0, 0, bits=0b01), path())
    route = {
        name: outputs.reshape(-1).view(ArbitragePath.slot_dtype())[name] for name in ArbitragePath.fields
    }
    found = pool_columns(state, route)
    assert [found[f"kind{hop}"].tolist() for hop in range(4)] == [[2, 2, 0], [3, 2, 0], [3, 0, 0], [2, 0, 0]]
    assert [found[f"fee{hop}"].tolist() for hop in range(4)] == [
        [3000, 3000, 0],
        [500, 3000, 0],
        [100, 0, 0],
        [2500, 0, 0],
    ]
    assert [row.tobytes() for row in found["token_in2"]] == [TOKENS[2], bytes(20), bytes(20)]
    assert [row.tobytes() for row in found["token_in3"]] == [TOKENS[3], bytes(20), bytes(20)]


def test_a_sink_gets_routes_however_the_outputs_were_cut(state: State) -> None:
    outputs = slots(
        (ArbitrageOpportunity, {}), path(0, 1, path=1), (ArbitrageOpportunity, {}), path(2, 3, path=2)
    )
    for looked_up in (None, state):
        for cut in range(5):
            sink = _Sink()
            collector = Collector(TYPES, sink, (ArbitrageOpportunity,), looked_up)
            for part in (outputs[:cut], outputs[cut:]):
                collector.consume(part)
            collector.end_run(_run(), 3)
            ((message, extra),) = sink.written
            assert message is ArbitrageOpportunity and extra["path"].tolist() == [1, 2]
            assert ("fee0" in extra) == (looked_up is not None)
    assert collector.counts == {"ArbitrageOpportunity": 2, "ArbitragePath": 2}


def _run() -> Run:
    """One event at the sequence that caused all outputs."""
    return Run(slots((BlockStart, {"number": 4})), 7)


class _Sink:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[tuple[Any, dict[str, Any]]] = []

    def write(self, records: Any, context: Any) -> None:
        self.written.append((context.message, context.extra))

    def end_batch(self) -> None:
        pass
