"""The generated module: what its key depends on, and which tables each module's handlers may write."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numba.core.errors import TypingError

from disruptor import compile_cache
from disruptor.access import row
from disruptor.codegen import generate, load_user_module
from disruptor.errors import DefinitionError
from disruptor.handler import handler
from disruptor.handler_set import HandlerSet
from disruptor.message import message, u32
from disruptor.processor import Processor
from disruptor.table import Table

Tick = message("Tick", 1701, {"value": u32})
Tock = message("Tock", 1702, {"value": u32})
TOTALS = Table("totals", {"sum": u32})


@handler(Tick, tables=[TOTALS])
def add(state, event, out):
    row(state.totals, 0)["sum"] += event["value"]


@handler(Tick)
def ignore(state, event, out):
    pass


def source_of(handlers: HandlerSet, *, checked: bool = False) -> str:
    key = generate(handlers, checked=checked).key
    return (compile_cache.cache_folder() / f"disruptor_loop_{key}.py").read_text()


def test_text_is_python_with_one_branch_for_each_input() -> None:
    tree = ast.parse(source_of(HandlerSet([add, ignore], inputs=[Tock])))
    [loop] = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    constants = {
        node.comparators[0].value
        for node in ast.walk(loop)
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Name) and node.left.id == "type_id"
        if isinstance(node.comparators[0], ast.Constant)
    }
    assert constants == {1701, 1702}


def test_text_calls_handlers_in_declared_order() -> None:
    for order in ([add, ignore], [ignore, add]):
        tree = ast.parse(source_of(HandlerSet(order)))
        imported = [
            alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module == __name__
            for alias in node.names
        ]
        assert imported == [h.name for h in order]


def test_key_depends_on_handlers_order_variant_and_inputs() -> None:
    keys = [
        generate(HandlerSet([add, ignore]), checked=False).key,
        generate(HandlerSet([ignore, add]), checked=False).key,
        generate(HandlerSet([add]), checked=False).key,
        generate(HandlerSet([add]), checked=True).key,
        generate(HandlerSet([add], inputs=[Tock]), checked=False).key,
        generate(HandlerSet([add]), checked=False, slot_size=256).key,
    ]
    assert len(set(keys)) == len(keys)
    assert generate(HandlerSet([add, ignore]), checked=False).key == keys[0]


@pytest.mark.parametrize("count", [0, 1])
def test_set_without_handlers_or_tables_counts_its_inputs(count: int) -> None:
    processor = Processor(HandlerSet([ignore][:count], inputs=[Tick, Tock]), capacities={})
    slots = np.zeros((3, 192), np.uint8)
    slots.reshape(-1).view(Tick.slot_dtype())["type_id"] = [1701, 1702, 1701]
    processor.process(slots, 0, 3, lambda outputs: None)
    assert processor.counts() == {"Tick": 2, "Tock": 1, "unknown": 0}


LEDGER = """
from disruptor.access import row
from disruptor.handler import handler
from disruptor.message import message, u32
from disruptor.table import Table

Tick = message("Tick", 1711, {"value": u32})
BOOK = Table("book", {"last": u32})


@handler(Tick, tables=[BOOK])
def note(state, event, out):
    row(state.book, 0)["last"] = event["value"]
"""
GUEST = """
import numpy as np
from disruptor.access import read, row
from disruptor.handler import handler
from disruptor.message import u32
from disruptor.table import Table
from ledger_of_test_codegen import Tick, note

COPIES = Table("copies", {"sum": u32})


@handler(Tick, tables=[COPIES])
def copy(state, event, out):
    row(state.copies, 0)["sum"] += read(state.book, 0)["last"]


@handler(Tick)
def scribble(state, event, out):
    row(state.book, 0)["last"] = np.uint32(0)
"""


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A user's file beside a module of theirs that owns the table `book`."""
    (tmp_path / "ledger_of_test_codegen.py").write_text(LEDGER)
    (tmp_path / "guest.py").write_text(GUEST)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield load_user_module(str(tmp_path / "guest.py"))
    sys.modules.pop("ledger_of_test_codegen")


def run(handlers: HandlerSet, declared: object, values: list[int]) -> Processor:
    slots = np.zeros((len(values), 192), np.uint8)
    view = slots.reshape(-1).view(declared.slot_dtype())  # type: ignore[attr-defined]
    view["type_id"], view["value"] = declared.type_id, values  # type: ignore[attr-defined]
    processor = Processor(handlers, capacities={})
    processor.process(slots, 0, len(values), lambda outputs: None)
    return processor


def test_handler_reads_the_table_of_another_module(guest: ModuleType) -> None:
    done = run(HandlerSet([guest.note, guest.copy]), guest.Tick, [3, 4, 5])
    assert done.state.rows("book").tolist() == [(5,)] and done.state.rows("copies").tolist() == [(12,)]


def test_handler_that_writes_the_table_of_another_module_does_not_run(guest: ModuleType, lane: str) -> None:
    handlers = HandlerSet([guest.note, guest.scribble])
    with pytest.raises(TypeError if lane == "nojit" else TypingError, match="belongs to another module"):
        run(handlers, guest.Tick, [3])


def test_users_file_is_loaded_once_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for folder in ("a", "b"):
        (tmp_path / folder / "mine.py").write_text(f"VALUE = {folder!r}\n")
    loaded = [load_user_module(str(tmp_path / folder / "mine.py")) for folder in ("a", "b", "a")]
    assert [m.VALUE for m in loaded] == ["a", "b", "a"] and loaded[0] is loaded[2]


def test_users_file_that_fails_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_user_module(str(tmp_path / "broken.py"))
    assert not [name for name in set(sys.modules) - before if name.startswith("disruptor_user_")]


def test_handler_whose_name_means_another_is_refused() -> None:
    def shadowed() -> Callable[..., None]:
        def add(state, event, out):
            pass

        return add

    other = handler(Tick)(shadowed())
    assert other.name == add.name
    with pytest.raises(DefinitionError, match="add"):
        generate(HandlerSet([other]), checked=False)
