"""The chain of one processor as Python sees it: its arrays, its intervals, and what one event of an interval wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.chain import (
    CELL_DTYPE,
    FIELD_DTYPE,
    INTERVAL,
    LOG_DTYPE,
    LOG_ROWS,
    TABLE_DTYPE,
    ChainArrays,
    absorb,
)
from disruptor.digest import row_tag, shown_fields
from disruptor.state import State
from disruptor.table import LIVE, Table

Covered = Mapping[str, Sequence[str]]
_NO_REFERENCE = (-1, 0, 0, 0)
#: Of a reference to a domain without identities, as in `disruptor.digest`.
_UNKNOWN_WIDTH = 20


class RowChange(NamedTuple):
    """One row that an event wrote: records of the table's dtype as they were before and after, None where absent."""

    table: Table
    row: int
    before: Any
    after: Any


class Fold(NamedTuple):
    """What two runs share over an interval only if they wrote and emitted the same: 128 bits each."""

    state: int
    outputs: int


class ChainKeeper:
    """The chain of one processor.

    Parameters
    ----------
    state : the processor's; rows in use already are part of the sum from the start
    outputs : (n, slot_size) uint8, the output ring's slots with the scratch slot behind them
    covered : fields by table that count; all canonical ones of all digested tables by default

    Attributes
    ----------
    tables : the noted tables, in order
    arrays : what the loop gets
    touched : the lists of written rows, one for each table of the state
    """

    def __init__(self, state: State, outputs: npt.NDArray[np.uint8], covered: Covered | None = None) -> None:
        self._state, self._begun = state, False
        self.tables = [table for table in state.tables if table.digest]
        fields = [covered_fields(table, covered) for table in self.tables]
        places = [self._places(t, shown) for t, shown in zip(self.tables, fields, strict=True)]
        described = self._describe(fields, [len(own) for own in places])
        widths = [sum(max(place[1], place[6]) for place in own) for own in places]
        scratch = np.zeros(max(widths, default=0) // 8 + outputs.shape[1] // 8 + 16, np.uint64)
        rows = [state.capacities[table.name] for table in self.tables]
        words = [n * table.row_size // 8 for n, table in zip(rows, self.tables, strict=True)]
        widest = max((table.row_size // 8 for table in self.tables), default=1)
        self.arrays = ChainArrays(
            cell=np.zeros(1, CELL_DTYPE),
            sums=np.zeros((INTERVAL, 2), np.uint64),
            memory=state.memory,
            words=state.memory.view(np.uint64),
            tables=described,
            fields=np.array([p for own in places for p in own] or [(0,) * 7], FIELD_DTYPE),
            shadow=np.zeros(sum(words) + 1, np.uint64),
            hashes=np.zeros((sum(rows) + 1, 2), np.uint64),
            touched=np.zeros(sum(rows) + 2 * len(rows) + 1, np.int64),
            log=np.zeros(LOG_ROWS, LOG_DTYPE),
            images=np.zeros(LOG_ROWS * widest, np.uint64),
            scratch=scratch,
            octets=scratch.view(np.uint8),
            outputs=outputs.reshape(-1).view(np.uint64).reshape(len(outputs), -1),
        )
        self.arrays.touched[described["touched"]] = -1
        lists = {
            t.name: self.arrays.touched[int(d["touched"]) :]
            for t, d in zip(self.tables, described, strict=True)
        }
        self.touched = [lists.get(table.name, np.zeros(1, np.int64)) for table in state.tables]

    def begin(self, first: int) -> None:
        """Begin an interval of at most `INTERVAL` events with this sequence."""
        cell = self.arrays.cell[0]
        if not self._begun and self._note_rows_in_use():
            with np.errstate(over="ignore"):
                absorb(self.arrays)
        self._begun = True
        cell["first"], cell["logged"], cell["lost"] = first, 0, 0
        for name in ("state_low", "state_high", "output_low", "output_high"):
            cell[name] = 0

    @property
    def fold(self) -> Fold:
        """Of the interval so far."""
        cell = self.arrays.cell[0]
        return Fold(_wide(cell, "state"), _wide(cell, "output"))

    @property
    def sum(self) -> int:
        """The sum of the hashes of all covered rows: of all canonical fields it is the state digest."""
        return _wide(self.arrays.cell[0], "sum")

    @property
    def lost(self) -> int:
        """Changed rows of the interval that the log had no room for."""
        return int(self.arrays.cell[0]["lost"])

    def sums(self, count: int) -> npt.NDArray[np.uint64]:
        """(count, 2) sums after each of the interval's first events, little end first; a view."""
        return self.arrays.sums[:count]

    def changes(self, sequence: int) -> list[RowChange]:
        """What an event of the interval wrote, in the order of tables and rows."""
        log = self.arrays.log[: int(self.arrays.cell[0]["logged"])]
        found = []
        for at in np.flatnonzero(log["sequence"] == sequence):
            note = log[at]
            later = np.flatnonzero((log["table"] == note["table"]) & (log["row"] == note["row"]))
            later = later[later > at]
            after = self._logged(log[later[0]]) if len(later) else self._now(note)
            table = self.tables[note["table"]]
            found.append(RowChange(table, int(note["row"]), self._logged(note), after))
        return sorted(found, key=lambda change: (self.tables.index(change.table), change.row))

    def _logged(self, note: Any) -> Any:
        """The row as a note has it; None where it was absent."""
        table = self.tables[note["table"]]
        image = self.arrays.images[note["image"] : note["image"] + table.row_size // 8]
        return image.copy().view(table.dtype)[0] if note["present"] else None

    def _now(self, note: Any) -> Any:
        """The row as it is; None where it is absent."""
        table = self.tables[note["table"]]
        arrays = self._state.arrays[table.name]
        row = arrays.rows[int(note["row"])]
        live = arrays.links[int(note["row"])] == LIVE if table.hashed else any(row.tobytes())
        return row.copy() if live else None

    def _note_rows_in_use(self) -> bool:
        """Put all rows that can hold something on the lists; whether there are any."""
        scan, any_row = self._state.scan(), False
        for table, described in zip(self.tables, self.arrays.tables, strict=True):
            count = scan[table.name]
            rows = self._state.arrays[table.name].rows.view(np.uint8)[: count * table.row_size]
            if rows.any():
                base, any_row = int(described["touched"]), True
                self.arrays.touched[base] = count
                self.arrays.touched[base + 1 : base + 1 + count] = np.arange(count)
                self.arrays.touched[base + 1] = -1
        return any_row

    def _describe(self, fields: Sequence[Sequence[str]], counts: Sequence[int]) -> npt.NDArray[Any]:
        described = np.zeros(len(self.tables), TABLE_DTYPE)
        shadow = hashes = touched = first = 0
        for at, (table, shown, count) in enumerate(zip(self.tables, fields, counts, strict=True)):
            arrays, capacity = self._state.arrays[table.name], self._state.capacities[table.name]
            links = self._offset(arrays.links) if table.hashed else -1
            place = (self._offset(arrays.rows), table.row_size, capacity, links, shadow, hashes, touched)
            tag = int.from_bytes(row_tag(table.name, shown), "little")
            described[at] = (*place, first, first + count, tag)
            shadow += capacity * table.row_size // 8
            hashes += capacity
            touched += capacity + 2
            first += count
        return described

    def _places(self, table: Table, shown: Sequence[str]) -> list[tuple[int, ...]]:
        """The canonical fields as `FIELD_DTYPE`; those that lie side by side as one, which is quicker to copy."""
        found: list[tuple[int, ...]] = []
        for name in shown:
            place = self._place(table, name)
            last = found[-1] if found else (0, 0, 0)
            if found and last[2] < 0 and place[2] < 0 and last[0] + last[1] == place[0]:
                found[-1] = (last[0], last[1] + place[1], *place[2:])
            else:
                found.append(place)
        return found

    def _place(self, table: Table, name: str) -> tuple[int, ...]:
        """A canonical field as `FIELD_DTYPE`."""
        kind = table.fields[name]
        head = (table.offsets[name], kind.dtype.itemsize)
        if not kind.name.startswith("ref:"):
            return (*head, *_NO_REFERENCE, 0)
        domain = kind.name.removeprefix("ref:")
        owner = next((t for t in self._state.tables if t.domain == domain and t.identity is not None), None)
        if owner is None or owner.identity is None:
            return (*head, 0, 0, 0, 0, _UNKNOWN_WIDTH)
        begin, width = self._offset(self._state.arrays[owner.name].rows), owner.fields[owner.identity].count
        capacity = self._state.capacities[owner.name]
        return (*head, begin, owner.row_size, owner.offsets[owner.identity], capacity, width)

    def _offset(self, part: npt.NDArray[Any]) -> int:
        return part.ctypes.data - self._state.memory.ctypes.data


def covered_fields(table: Table, covered: Covered | None) -> list[str]:
    """The fields of a table that count: its canonical ones, as far as they are covered."""
    shown = shown_fields(table)
    return list(shown) if covered is None else [name for name in shown if name in covered.get(table.name, ())]


def _wide(cell: Any, name: str) -> int:
    return (int(cell[f"{name}_high"]) << 64) | int(cell[f"{name}_low"])
