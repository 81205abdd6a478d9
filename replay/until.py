"""`--until`: a run that ends with the first event after which a condition holds.

The condition is looked at after each event that could make it true, no more and no less: conditions need not be
monotone, so neither halving intervals nor looking at their ends would find the first. Which events those are is known
from the handlers: those whose messages reach a handler that may write the table, or emit the output. All others run in
between, in one go. What it costs is an entry into the loop and a look for each of those events, some 10 to 20 µs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.access import PlainView, find
from disruptor.handler_set import HandlerSet
from disruptor.handlers.messages import BlockStart
from disruptor.message import MessageType, header_dtype
from disruptor.replay.bounds import Part
from disruptor.replay.condition import Comparison, Condition, satisfied
from disruptor.replay.slots import cut
from disruptor.replay.table_rows import TableRows
from disruptor.replay.watch import Watched
from disruptor.state import State
from disruptor.table import Table


class Until:
    """Ends a run where a condition holds.

    Parameters
    ----------
    condition : what to look for
    handlers, state : what runs
    watched : where outputs come from, and what is told why the run ended
    """

    def __init__(self, condition: Condition, handlers: HandlerSet, state: State, watched: Watched) -> None:
        self._condition, self._watched, self._state = condition, watched, state
        self._rows, self._tables = TableRows(state), {t.name: t for t in state.tables}
        self._outputs = {m.name: m for m in handlers.outputs}
        self._counted = [m.type_id for m in handlers.inputs if m.counted]
        self._looked_at = sorted({kind for one in condition.comparisons for kind in causes(one, handlers)})
        self._places = {
            one: _Place(state, self._tables[one.name], one.key)
            for one in condition.comparisons
            if one.kind == "row"
        }
        self._events = self._seen = 0

    def pieces(self, part: Part) -> Iterator[Part]:
        """See `Watcher`."""
        run = part.run
        types = run.slots.reshape(-1).view(header_dtype(run.slots.shape[1]))["type_id"]
        if not part.counted:
            yield part
            return
        counted = np.cumsum(np.isin(types, self._counted)) + self._events
        self._events = int(counted[-1]) if len(counted) else self._events
        at = run.first
        for position in np.flatnonzero(np.isin(types, self._looked_at)).tolist():
            end = run.first + position + 1
            yield Part(cut(run, at, end), True)
            at = end
            self._seen = int(counted[position])
            if satisfied(self._condition, self._values):
                self._watched.stopped = {"until": self._condition.text, "sequence": end - 1}
                return
        if at < run.first + len(run.slots):
            yield Part(cut(run, at, run.first + len(run.slots)), True)

    def _values(self, one: Comparison) -> Iterable[Any]:
        """What a comparison is about, as it is now."""
        if one.kind == "plain":
            chain = self._state.arrays["chain"].rows[0] if one.name != "events" else None
            names = {"block": "block_number", "time": "timestamp"}
            return [self._seen if chain is None else int(chain[names[one.name]])]
        if one.kind == "output":
            return self._emitted(self._outputs[one.name], one.field)
        record = self._places[one].record()
        return (
            []
            if record is None
            else [self._rows.shown(self._tables[one.name].fields[one.field], record[one.field])]
        )

    def _emitted(self, message: MessageType, field: str) -> Iterator[Any]:
        for slots in self._watched.emitted:
            flat = slots.reshape(-1)
            kinds = flat.view(header_dtype(slots.shape[1]))["type_id"]
            for record in flat.view(message.slot_dtype(slots.shape[1]))[kinds == message.type_id]:
                yield self._rows.shown(message.fields[field], record[field])


def causes(one: Comparison, handlers: HandlerSet) -> set[int]:
    """Type ids of the events after which a comparison may have come true."""
    if one.kind == "plain":
        return (
            {m.type_id for m in handlers.inputs if m.counted}
            if one.name == "events"
            else {BlockStart.type_id}
        )
    found = set()
    for message in handlers.inputs:
        for stage in handlers.stages(message):
            handler = handlers.handlers[stage.number]
            emits = {m.name for m in handlers.emits[stage.number]}
            writes = {table.name for table in handler.tables}
            if one.name in (emits if one.kind == "output" else writes):
                found.add(message.type_id)
    return found


class _Place:
    """Where a row lies, looked up again only while it may have moved or come into being."""

    def __init__(self, state: State, table: Table, key: str) -> None:
        self._arrays, self._table, self._parts = state.arrays[table.name], table, key.split(",")
        self._identities = {
            t.domain: (state.arrays[t.name], t.identity) for t in state.tables if t.identity is not None
        }
        self._fault, self._ids = np.zeros(8, np.int64), dict[str, int]()
        self._seen = dict[str, int]()

    def record(self) -> Any:
        """The row; None while it is absent."""
        if self._table.key is None:
            return self._arrays.rows[0]
        if self._table.domain is not None:
            index = self._id(self._table.domain, self._parts[0])
            row = self._arrays.rows[index] if 0 <= index < len(self._arrays.rows) - 1 else None
            return row if row is not None and any(row.tobytes()) else None
        assert isinstance(self._table.key, tuple)
        kinds = [self._table.fields[name].name.removeprefix("ref:") for name in self._table.key]
        found = [self._id(kind, part) for kind, part in zip(kinds, self._parts, strict=False)]
        if len(found) != len(kinds) or (None in found):
            return None
        with np.errstate(over="ignore"):
            index = int(
                find(PlainView(*self._arrays, self._fault), found[0], found[1] if len(found) > 1 else 0)
            )
        return self._arrays.rows[index] if index >= 0 else None

    def _id(self, domain: str, text: str) -> int:
        """The number that a part of a key means: as given, or of the row with this identity; -1 while there is none."""
        if not text.startswith("0x"):
            return int(text)
        if domain not in self._identities:
            return -1
        arrays, identity = self._identities[domain]
        high = int(arrays.meta[0]["high"])
        if text not in self._ids and self._seen.get(text) != high:
            self._seen[text] = high
            wanted = np.frombuffer(bytes.fromhex(text[2:]), np.uint8)
            same = _same(arrays.rows[identity][:high], wanted)
            if len(same):
                self._ids[text] = int(same[0])
        return self._ids.get(text, -1)


def _same(column: npt.NDArray[np.uint8], wanted: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    if column.shape[1:] != wanted.shape:
        return np.zeros(0, np.intp)
    return np.flatnonzero((column == wanted).all(axis=1))
