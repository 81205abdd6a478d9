"""Requests refuse bounds that leave nothing; settings are what a run asks for; types are chosen by name."""

from __future__ import annotations

import numpy as np
import pytest

from disruptor.config.schema import Settings
from disruptor.errors import InputError
from disruptor.handlers.messages import ArbitrageOpportunity, DeFiSwapEvent, HotMarketData
from disruptor.replay import settings as needed
from disruptor.replay.request import OutputContext, ReplayRequest, choose_types, header


@pytest.mark.parametrize("kind", ["block", "seq"])
def test_bounds_must_leave_something(kind):
    both = {f"from_{kind}": 5, f"to_{kind}": 5}
    assert ReplayRequest(sources=("a",), settings=Settings(), **both).types is None
    with pytest.raises(InputError, match=f"--from-{kind} 6 is above --to-{kind} 5"):
        ReplayRequest(sources=("a",), settings=Settings(), **(both | {f"from_{kind}": 6}))


@pytest.mark.parametrize(
    ("real", "protocol"),
    [
        (Settings(), needed.RunSettings),
        (Settings().capacity, needed.CapacitySettings),
        (Settings().arbitrage, needed.ArbitrageSettings),
    ],
)
def test_the_real_settings_have_all_that_a_run_reads_and_nothing_is_left_unread(real, protocol):
    names = {name for name in vars(protocol) if not name.startswith("_")}
    own = set(real.__struct_fields__) | {name for name in ("semantic", "factory_fees") if hasattr(real, name)}
    assert names == own - {"factories"}


def test_types_are_chosen_by_name_once_each():
    messages = [DeFiSwapEvent, ArbitrageOpportunity, HotMarketData]
    assert choose_types(None, messages) == messages
    assert choose_types(["HotMarketData", "DeFiSwapEvent", "HotMarketData"], messages) == [
        HotMarketData,
        DeFiSwapEvent,
    ]
    with pytest.raises(InputError, match=r"--types hotmarkt: .*did you mean HotMarketData\?"):
        choose_types(["hotmarkt"], messages)
    with pytest.raises(InputError, match=r"--types zzz: this run emits DeFiSwapEvent$"):
        choose_types(["zzz"], [DeFiSwapEvent])


def test_header_columns_are_found_where_the_payload_takes_their_name():
    slots = np.zeros(1, dtype=HotMarketData.slot_dtype())
    slots["header_sequence"], slots["sequence"], slots["flags"] = 4, 9, 3
    assert header(slots, HotMarketData, "sequence").tolist() == [4]
    assert header(slots, HotMarketData, "flags").tolist() == [3]


def test_a_part_of_a_context_keeps_all_columns_in_step():
    whole = OutputContext(
        message=DeFiSwapEvent,
        block=np.arange(4, dtype=np.uint64),
        tx_hash=np.zeros((4, 32), dtype=np.uint8),
        has_tx=np.ones(4, dtype=np.bool_),
        log_index=np.arange(4),
        extra={"depth0": np.arange(4)},
    )
    part = whole.rows(slice(1, 3))
    assert part.block.tolist() == part.log_index.tolist() == part.extra["depth0"].tolist() == [1, 2]
    assert len(part.tx_hash) == len(part.has_tx) == 2
