"""`@handler`: what a declaration keeps, and what it refuses before anything is compiled."""

from __future__ import annotations

import types
from typing import Any

import pytest

from disruptor.errors import DefinitionError
from disruptor.handler import Handler, handler, handler_for
from disruptor.jit import jit
from disruptor.message import message, u32
from disruptor.status import AGAIN, OK
from disruptor.table import Table

Tick = message("Tick", 1201, {"value": u32})
HASHED = Table("hashed", {"id": u32}, key=("id",), capacity=4)
DENSE = Table("dense", {"id": u32}, key="pools", capacity=4)
SCALAR = Table("scalar", {"id": u32})


def nothing(state: Any, event: Any, out: Any) -> None:
    """Does nothing."""


def some_status(state: Any, event: Any, out: Any) -> Any:
    if event["value"] > 5:
        return 1001
    return OK


def half_a_status(state: Any, event: Any, out: Any) -> Any:
    if event["value"] > 5:
        return 1001


def bare_return(state: Any, event: Any, out: Any) -> Any:
    if event["value"] > 5:
        return
    event["value"]


def none_among_statuses(state: Any, event: Any, out: Any) -> Any:
    if event["value"] > 5:
        return None
    return OK


def test_declaration_is_kept() -> None:
    found = handler(Tick, tables=[HASHED, SCALAR], max_outputs=3, max_inserts={HASHED: 2})(some_status)
    assert isinstance(found, Handler)
    assert (found.name, found.module, found.message) == ("some_status", __name__, Tick)
    assert (found.tables, found.max_outputs, found.max_inserts) == ((HASHED, SCALAR), 3, {HASHED: 2})
    assert handler(Tick)(nothing).__doc__ == "Does nothing."


def test_one_number_of_inserts_holds_for_each_table_that_grows() -> None:
    assert handler(Tick, tables=[HASHED, DENSE, SCALAR], max_inserts=2)(nothing).max_inserts == {
        HASHED: 2,
        DENSE: 2,
    }
    assert handler(Tick, tables=[HASHED])(nothing).max_inserts == {}


def test_calling_a_handler_runs_the_python_function() -> None:
    found = handler(Tick)(some_status)
    assert [found(None, {"value": v}, None) for v in (5, 6)] == [OK, 1001]


@pytest.mark.parametrize(
    ("function", "returns"), [(nothing, False), (bare_return, False), (some_status, True)]
)
def test_whether_a_status_comes_back_is_known(function: Any, returns: bool) -> None:
    assert handler(Tick)(function).returns_status is returns


@pytest.mark.parametrize("function", [half_a_status, none_among_statuses])
def test_status_on_one_path_only_is_refused(function: Any) -> None:
    with pytest.raises(
        DefinitionError, match=f"{function.__name__}: returns a status on one path and nothing"
    ):
        handler(Tick)(function)


def test_sliced_handler_must_say_when_it_is_done() -> None:
    assert handler(Tick, slices=True)(lambda state, event, out: AGAIN).slices
    with pytest.raises(DefinitionError, match="AGAIN"):
        handler(Tick, slices=True)(nothing)


@pytest.mark.parametrize("function", [lambda: OK, lambda state, event: OK, lambda a, b, c, d: OK])
def test_handler_takes_three_arguments(function: Any) -> None:
    with pytest.raises(DefinitionError, match=r"\(state, event, out\)"):
        handler(Tick)(function)


@pytest.mark.parametrize("declared", ["Tick", None, 1201, nothing])
def test_first_argument_must_be_a_message(declared: Any) -> None:
    """`@handler` without parentheses is the last of these."""
    with pytest.raises(DefinitionError, match="must be a message type"):
        handler(declared)


@pytest.mark.compiled
def test_function_must_not_be_compiled_already() -> None:
    with pytest.raises(DefinitionError, match="plain function"):
        handler(Tick)(jit(nothing))


@pytest.mark.parametrize(
    "limits",
    [{"max_outputs": -1}, {"max_inserts": {HASHED: 0}}, {"max_inserts": {HASHED: -1}}, {"max_inserts": -2}],
)
def test_limits_below_their_least_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="max_outputs must be >= 0 and every max_inserts >= 1"):
        handler(Tick, tables=[HASHED], **limits)(nothing)


def test_inserts_only_into_ones_own_tables() -> None:
    with pytest.raises(DefinitionError, match="inserts into hashed, which is not among its tables"):
        handler(Tick, tables=[DENSE], max_inserts={HASHED: 1})(nothing)


def test_a_handler_made_for_a_message_belongs_to_the_module_that_it_is_put_into() -> None:
    owner = types.ModuleType("owner_of_handlers")
    made = handler_for(Tick, some_status, owner, tables=[SCALAR])
    assert vars(owner)["some_status_Tick"] is made and (made.module, made.name) == (
        "owner_of_handlers",
        "some_status_Tick",
    )
    assert made.message is Tick and made.tables == (SCALAR,) and made.returns_status
    assert made(None, {"value": 6}, None) == some_status(None, {"value": 6}, None) == 1001
    assert handler_for(Tick, some_status, owner) is made
    again = message("Tick", 1202, {"value": u32})
    assert handler_for(again, some_status, owner) is not made and some_status.__module__ == __name__
