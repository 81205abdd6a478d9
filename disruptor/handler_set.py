"""A handler set: handlers in their declared order, checked together, with everything the loop needs to know of them.

What an event can cost is known before it runs: `outputs_needed` and `inserts_needed` bound it per input type, emitted
messages that later handlers receive within the same event included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from disruptor import identity
from disruptor.errors import DefinitionError
from disruptor.handler import Handler
from disruptor.identity_parts import name_parts
from disruptor.message import MessageType, check_distinct
from disruptor.references import StateLayout
from disruptor.table import Table


@dataclass(frozen=True)
class Stage:
    """One handler's part in an input type's dispatch: called for the input itself, for earlier outputs, or both."""

    number: int
    on_input: bool
    on_outputs: bool


@dataclass(frozen=True)
class Extension:
    """A declaration that functions find by the state's type (`StateLayout.extensions`), and its name in its module."""

    module: str
    name: str
    value: Any


class HandlerSet:
    """Handlers, the tables they use, and the messages they receive and emit.

    Parameters
    ----------
    handlers : in the order in which they run, built-in ones first
    extra_tables : tables that no handler lists but that are wanted in the state
    inputs : further input types that the loop counts although no handler takes them
    extensions : declarations that the handlers' code finds by the state's type

    Raises
    ------
    DefinitionError : two messages under one id, two tables of one name, a table written by two modules, a handler that
        emits without declaring it or that would never run.
    """

    def __init__(
        self,
        handlers: Sequence[Handler],
        *,
        extra_tables: Iterable[Table] = (),
        inputs: Iterable[MessageType] = (),
        extensions: Iterable[Extension] = (),
    ) -> None:
        self.handlers, self.extensions = tuple(handlers), tuple(extensions)
        self.tables = _distinct_tables([*(t for h in self.handlers for t in h.tables), *extra_tables])
        known: identity.Named = {}
        self.closures = [identity.close([h], known) for h in self.handlers]
        self.emits = [
            _emitted(h, c.messages.values()) for h, c in zip(self.handlers, self.closures, strict=True)
        ]
        emitted = [m for e in self.emits for m in e]
        received = [*(h.message for h in self.handlers), *inputs]
        check_distinct([*emitted, *received])
        outputs = {m.type_id: m for m in emitted}
        self.outputs = [outputs[k] for k in sorted(outputs)]
        wanted = {m.type_id: m for m in received if m.type_id not in outputs}
        self.inputs = [wanted[k] for k in sorted(wanted)]
        _check_owners(self.handlers)
        _check_receivers(self.handlers, self.emits)

    @property
    def roots(self) -> list[Any]:
        """What all code of the set is reached from."""
        return [*self.handlers, *(extension.value for extension in self.extensions)]

    def stages(self, message: MessageType) -> list[Stage]:
        """The handlers that an input of this type can reach, in order."""
        found: list[Stage] = []
        reachable: set[int] = set()
        for number, h in enumerate(self.handlers):
            on_input = h.message.type_id == message.type_id
            on_outputs = h.message.type_id in reachable
            if on_input or on_outputs:
                found.append(Stage(number, on_input, on_outputs))
                reachable |= {m.type_id for m in self.emits[number]}
        return found

    def outputs_needed(self, stages: Sequence[Stage]) -> int:
        """The most outputs that these stages emit for one event (one slice of each sliced handler)."""
        total = 0
        for stage in stages:
            calls = (1 if stage.on_input else 0) + (total if stage.on_outputs else 0)
            total += calls * self.handlers[stage.number].max_outputs
        return total

    def inserts_needed(self, stages: Sequence[Stage]) -> dict[Table, int]:
        """The most rows that these stages insert, by table."""
        needed: dict[Table, int] = {}
        emitted = 0
        for stage in stages:
            h = self.handlers[stage.number]
            calls = (1 if stage.on_input else 0) + (emitted if stage.on_outputs else 0)
            emitted += calls * h.max_outputs
            for table, count in h.max_inserts.items():
                needed[table] = needed.get(table, 0) + calls * count
        return needed

    def semantic_identity(self, extra: Iterable[str] = ()) -> str:
        """Hash of what these handlers compute: syntax of all code reached, messages, tables, declarations, `extra`."""
        declared = [text for _, text in self._declared()]
        return identity.semantic_identity(identity.close(self.roots), [*declared, *extra])

    def identity_parts(self) -> dict[str, str]:
        """The same by name, so that what is another can be named: see `disruptor.identity_parts`."""
        return name_parts(identity.close(self.roots), self._declared())

    def _declared(self) -> list[tuple[str, str]]:
        """Messages, tables and handlers in order: (name, what is declared)."""
        messages = [*self.inputs, *self.outputs]
        found = [(f"message {m.name}", m.schema_hash.to_bytes(8, "little").hex()) for m in messages]
        found += [(f"table {t.name}", t.schema()) for t in self.tables]
        declared = ((h, f"{h.name}:{h.message.name}:{h.max_outputs}:{h.slices}") for h in self.handlers)
        return found + [(f"handler {h.name}", text) for h, text in declared]


def _emitted(h: Handler, reached: Iterable[MessageType]) -> list[MessageType]:
    found = list(reached)
    if found and not h.max_outputs:
        raise DefinitionError(
            f"handler {h.name}: emits {found[0].name} but declares no max_outputs: say how many for one event"
        )
    return found


def _check_receivers(handlers: Sequence[Handler], emits: Sequence[Sequence[MessageType]]) -> None:
    """Refuse a handler that would never run: its message is an output, and only of later handlers or its own."""
    emitted = {m.type_id for e in emits for m in e}
    earlier: set[int] = set()
    for h, e in zip(handlers, emits, strict=True):
        if h.message.type_id in emitted - earlier:
            raise DefinitionError(
                f"handler {h.name}: takes {h.message.name}, which is emitted by itself or by handlers after it only: "
                "move it behind the one that emits it"
            )
        earlier |= {m.type_id for m in e}


def state_layout(
    handlers: Sequence[Handler],
    module: str,
    *,
    checked: bool,
    extensions: Sequence[Any] = (),
    noted: bool = False,
) -> StateLayout:
    """The state as the handlers of one module see it: their own tables writable, all others foreign.

    With `noted`, what is written to digested tables is noted (`disruptor.chain`).
    """
    own = {t.name for h in handlers if h.module == module for t in h.tables}
    tables = _distinct_tables([t for h in handlers for t in h.tables])
    writable = "checked" if checked else "plain"
    variants = {
        t.name: "foreign" if t.name not in own else "noted" if noted and t.digest else writable
        for t in tables
    }
    return StateLayout(tables, variants, extensions)


def _distinct_tables(tables: list[Table]) -> list[Table]:
    by_name: dict[str, Table] = {}
    for table in tables:
        if by_name.setdefault(table.name, table) is not table:
            raise DefinitionError(f"two different tables are named {table.name}: rename one")
    return list(by_name.values())


def _check_owners(handlers: Sequence[Handler]) -> None:
    owners: dict[str, str] = {}
    for h in handlers:
        for table in h.tables:
            owner = owners.setdefault(table.name, h.module)
            if owner != h.module:
                raise DefinitionError(
                    f"handler {h.name} ({h.module}) lists table {table.name}, which {owner} writes: "
                    "read it without listing it, and keep what you add in a table of your own"
                )
