"""Parts of an identity: an edit changes the part that it is of, by name, and wording changes none."""

from __future__ import annotations

import pytest

from disruptor import identity_parts
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.identity import environment
from disruptor.message import message, u32, u64
from disruptor.table import Table
from tests.disruptor.test_identity import MEANING, WORDING, Package, package

__all__ = ["package"]

#: What of each edit in `MEANING` is named.
NAMED = {
    "handler": "function probed.entry.<lambda>",
    "second lambda of a line": "function probed.entry.<lambda>",
    "argument of a factory": "constant probed.middle.make.<locals>.added",
    "helper one import away": "function probed.middle.scaled",
    "default": "constant probed.middle.scaled:default 0",
    "array": "constant probed.entry.TABLE",
    "function in a tuple": "function probed.middle.shifted",
    "closure": "function probed.middle.make.<locals>.added",
    "constant two imports away": "constant probed.middle.FACTOR",
    "dict two imports away": "constant probed.middle.SHIFTS",
    "body of an overload": "function probed.registered._clamp",
    "constant that only an overload names": "constant probed.registered.LIMIT",
    "emitter handed to a decorator": "function probed.registered._emit_one",
    "module in a package by attribute": "function probed.names.deep.lift",
    "constant behind that": "constant probed.names.deep.OFFSET",
}
Ping = message("Ping", 1711, {"a": u32})
Wider = message("Ping", 1711, {"a": u64})
TALLY = Table("tally", {"pings": u64})
OTHER = Table("tally", {"pings": u64, "more": u64})


@handler(Ping, tables=[TALLY])
def on_ping(state, event, out):
    return None


@handler(Ping, tables=[TALLY])
def on_more(state, event, out):
    return None


def parts(package: Package) -> dict[str, str]:
    return identity_parts.name_parts(package.closure(), [])


@pytest.mark.parametrize("name", MEANING)
def test_an_edit_is_named(package: Package, name: str) -> None:
    before = parts(package)
    package.edit(*MEANING[name])
    lines = identity_parts.changes(before, parts(package))
    assert lines
    assert any(line.startswith(NAMED[name]) for line in lines), lines
    assert len(lines) <= 3, lines


@pytest.mark.parametrize("edit", WORDING.values(), ids=WORDING)
def test_wording_changes_no_part(package: Package, edit: tuple[str, str, str]) -> None:
    before = parts(package)
    package.edit(*edit)
    assert parts(package) == before


def test_parts_of_a_set_name_messages_tables_and_handlers() -> None:
    names = set(HandlerSet([on_ping]).identity_parts())
    assert {"message Ping", "table tally", "handler on_ping", identity_parts.ORDER} <= names


def test_another_order_of_handlers_is_another_part() -> None:
    one, two = HandlerSet([on_ping, on_more]), HandlerSet([on_more, on_ping])
    assert one.semantic_identity() != two.semantic_identity()
    lines = identity_parts.changes(one.identity_parts(), two.identity_parts())
    assert lines == [f"{identity_parts.ORDER} is another"]


def test_a_changed_layout_is_named() -> None:
    declared = [("table tally", TALLY.schema()), ("message Ping", f"{Ping.schema_hash:x}")]
    changed = [("table tally", OTHER.schema()), ("message Ping", f"{Wider.schema_hash:x}")]
    closure = identity_parts.Closure()
    lines = identity_parts.changes(
        identity_parts.name_parts(closure, declared), identity_parts.name_parts(closure, changed)
    )
    assert lines == ["message Ping is another", "table tally is another"]


def test_settings_are_shown_with_both_values() -> None:
    before = identity_parts.setting_parts({"a.b": 5, "c": None})
    now = identity_parts.setting_parts({"a.b": 6, "c": None})
    assert identity_parts.changes(before, now) == ["setting a.b: 5 when recorded, 6 now"]


def test_the_environment_names_versions_and_what_the_cpu_can_do() -> None:
    found = identity_parts.environment_parts()
    assert {"disruptor", "python", "numba", "numpy", "llvmlite", "cpu", "cpu_features"} <= set(found)
    assert len(found) == len(environment()) + 2
