"""What users' modules may bring, and how what they may not is refused: in one line that names it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from disruptor.codegen import generate
from disruptor.config.loader import load_settings
from disruptor.errors import DefinitionError
from disruptor.feeds.topics import EVENTS, build_tables, events_of
from disruptor.handlers.messages import UniswapV2Sync
from disruptor.handlers.pools import pools
from disruptor.handlers.uniswap_venues import UNISWAP_V2, UNISWAP_V3
from disruptor.handlers.venues import CreationLog, PoolLog, Venue, pool_message
from disruptor.message import i128, message, u32, u64, u128, u256
from disruptor.replay.program import build_handler_set
from disruptor.replay.user_code import check_venues, load_user_code
from disruptor.table import Table
from tests.harness import ROOT, SMALL
from tests.support.fork_venue import FORK, ForkSync

OWN = pool_message(
    "OwnState", 1030, {"amount": u128, "small": u32, "wide": u256, "signed": i128, "number": u64}
)
TOPIC = "ab" * 32
LOG = PoolLog(OWN, TOPIC, words=("uint256 amount",), settles=True)
VENUE = Venue(kind=1030, name="own", logs=(LOG,))
TABLE = Table("user_code_table", {"x": u32}, key="pools")
HASHED = Table("user_code_hashed", {"x": u32}, key=("x",), capacity=8)


def logged(*words: str, topic: str = TOPIC, indexed: tuple[str, ...] = ()) -> tuple[PoolLog, ...]:
    return (PoolLog(OWN, topic, indexed, words),)


def created(*words: str) -> tuple[CreationLog, ...]:
    return (CreationLog(TOPIC.replace("ab", "cd"), (), words),)


REFUSED: list[tuple[list[Venue], str]] = [
    ([replace(VENUE, kind=2)], "kind 2 is that of uniswap_v2"),
    ([replace(VENUE, fee=10**6)], "fee 1000000 is not below"),
    ([replace(VENUE, kind=7)], "outside of 1000..4095"),
    ([replace(VENUE, name="v2")], "choose another name"),
    ([replace(VENUE, name="Own")], "choose another name"),
    ([VENUE, replace(VENUE, name="other")], "kind 1030 is that of own"),
    ([VENUE, replace(VENUE, kind=1031)], "choose another name"),
    ([VENUE, replace(VENUE, kind=1031, name="other")], "has the id 1030 of OwnState of venue own"),
    ([replace(VENUE, logs=UNISWAP_V2.logs)], "is a built-in one"),
    (
        [replace(VENUE, logs=(PoolLog(message("Headless", 1032, {"pool": u32}), TOPIC),))],
        "does not begin with",
    ),
    ([replace(VENUE, given=message("Stateless", 1033, {"amount": u128}))], "does not begin with pool"),
    ([replace(VENUE, logs=logged("uint7 amount"))], "no type of one word"),
    ([replace(VENUE, logs=logged("string amount"))], "no type of one word"),
    ([replace(VENUE, logs=logged("uint256 nothing"))], "names no field"),
    ([replace(VENUE, logs=logged("uint64 small"))], "does not fit its field"),
    ([replace(VENUE, logs=logged("uint128 number"))], "does not fit its field"),
    ([replace(VENUE, logs=logged("int256 signed"))], "does not fit its field"),
    ([replace(VENUE, logs=logged("address wide"))], "can't hold"),
    ([replace(VENUE, logs=logged(topic="0x12"))], "not 64 hex digits"),
    ([replace(VENUE, logs=tuple(PoolLog(OWN, f"{k:064x}") for k in range(600)))], "there is room for 512"),
    ([replace(VENUE, logs=(LOG, LOG))], "declared twice with as many words"),
    ([replace(VENUE, logs=logged(topic=EVENTS[-1].topic))], "at the same time"),
    (
        [replace(VENUE, creations=created("address token0", "address token1"))],
        "name its words token0, token1 and pool",
    ),
    ([replace(VENUE, creations=UNISWAP_V2.creations)], "name the factories of one"),
    ([replace(FORK, factories=("0x12",))], "expected 0x and 40 hex digits"),
    ([replace(VENUE, tables=(TABLE,))], "is written by none of your handlers"),
    ([replace(VENUE, tables=(HASHED,))], "is not keyed by pools"),
    ([replace(VENUE, moves={TABLE: ("x",)})], "which is not among its tables"),
    ([replace(VENUE, moves={pools: ("nothing",)})], "has no field nothing"),
]


@pytest.mark.parametrize(("venues", "reason"), REFUSED, ids=[reason for _, reason in REFUSED])
def test_what_can_not_be_is_refused_in_one_line(venues: list[Venue], reason: str) -> None:
    with pytest.raises(DefinitionError) as found:
        check_venues(venues, [])
    assert reason in str(found.value) and "\n" not in str(found.value)


def test_two_venues_that_share_nothing_are_fine() -> None:
    check_venues([VENUE, FORK], [])


def test_events_of_a_topic_are_a_list_in_the_order_of_their_venues() -> None:
    events = [*EVENTS, *events_of(FORK)]
    tables = build_tables(events)
    at = {(event.message.name, event.kind): k for k, event in enumerate(events)}
    for name, own in (("UniswapV2Sync", ForkSync.name), ("PoolRegistered", "PoolRegistered")):
        first, second = at[name, UNISWAP_V2.kind], at[own, FORK.kind]
        assert tables.specs[first]["next"] == second and tables.specs[second]["next"] == -1
    assert tables.specs[at["PoolRegistered", FORK.kind]]["any_factory"] == 0
    assert tables.specs[at["PoolRegistered", UNISWAP_V3.kind]]["next"] == -1


def test_topics_find_their_places_however_many_there_are() -> None:
    logs = tuple(PoolLog(OWN, f"{k:064x}") for k in range(1, 200))
    tables = build_tables([*EVENTS, *events_of(replace(VENUE, logs=logs))])
    places = tables.places
    assert sorted(places[places >= 0]) == list(range(len(EVENTS) + 199))


def module_with(tmp_path: Path, name: str, bonus: str) -> str:
    """A module whose venue has its gas from a function that asks a helper."""
    text = (ROOT / "tests" / "support" / "fork_venue.py").read_text()
    gas = "def gas(state, pool, crossed):\n    return bonus(70000)\n"
    helper = f"@jit\ndef bonus(amount):\n    return {bonus}\n\n\n{gas}"
    text = text.replace("    fee=2500,", "    fee=2500,\n    gas=gas,")
    text = text.replace("FORK =", f"{helper}\n\nFORK =")
    path = tmp_path / f"{name}.py"
    path.write_text(f"from disruptor.jit import jit\n{text}")
    return str(path)


def identities(path: str) -> tuple[str, str]:
    settings, _ = load_settings(None, [*SMALL, "normalised_swaps=false", "arbitrage.enabled=false"])
    handlers = build_handler_set(settings, load_user_code([path]))
    return handlers.semantic_identity(), generate(handlers, checked=False).key


def test_an_edit_in_what_a_venue_reaches_is_another_identity(tmp_path: Path) -> None:
    one, same, other = (
        identities(module_with(tmp_path, name, bonus))
        for name, bonus in (("one", "amount + 1"), ("same", "amount  +  1"), ("other", "amount + 2"))
    )
    assert one[0] == same[0] != other[0]
    assert len({one[1], same[1], other[1]}) == 3


def test_a_module_without_handlers_may_bring_a_venue_and_one_with_neither_is_refused(tmp_path: Path) -> None:
    found = load_user_code([str(ROOT / "tests" / "support" / "fork_venue.py")])
    assert [venue.name for venue in found.venues] == ["fork"] and not found.handlers
    empty = tmp_path / "empty.py"
    empty.write_text("")
    with pytest.raises(DefinitionError, match="no handler"):
        load_user_code([str(empty)])


def test_built_in_venues_that_a_module_imports_are_not_its_own(tmp_path: Path) -> None:
    path = tmp_path / "imports.py"
    text = (ROOT / "tests" / "support" / "fork_venue.py").read_text()
    path.write_text(text + "from disruptor.handlers.uniswap_venues import UNISWAP_V3\n")
    assert [venue.name for venue in load_user_code([str(path)]).venues] == ["fork"]
    assert UniswapV2Sync not in FORK.messages


def test_rates_follow_the_price_of_a_venue_made_out_of_another() -> None:
    def price(state: object, pool: object, zero_for_one: object) -> object:
        return 1, 1, 0, 0

    made = replace(VENUE, price=price)
    assert made.code("rates") is not VENUE.code("rates") and made.code("rates") is made.code("rates")
    assert replace(UNISWAP_V2, price=price).code("rates") is UNISWAP_V2.rates


def test_a_plain_number_of_gas_is_an_int64() -> None:
    assert isinstance(VENUE.gas, np.int64) and VENUE.gas == 70_000
