"""An image of a state put into a fresh state: of larger capacities maybe, or whose tables have grown since.

Fields are matched by name. One that the stored rows lack keeps its zero, and so does a table that they lack. Whatever
is stored must have its place: a field that is gone or has another type, a table that is gone or is found by another
key, more rows than there is room for, are errors, because what they held would be lost without a word.

Rows come in as bytes, from wherever: `rows` and `links` say where to put those of each table. Where the layout is the
same that is the state's own memory, so that nothing is copied twice; else it is memory beside it, from which `finish`
moves the fields. `finish` also checks the links and builds the index of hashed tables. A state into which something
went that `finish` has not seen is void: `undo` makes it fresh again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.access import PlainView, insert
from disruptor.compile_cache import entry
from disruptor.errors import CapacityError, SnapshotError
from disruptor.state import State
from disruptor.state_image import StateImage, TableNumbers, TableSchema, schema_of
from disruptor.status import CORRUPT, OK
from disruptor.table import LIVE, Table

Octets = npt.NDArray[np.uint8]
Stored = tuple[TableSchema, TableNumbers]


class Restore:
    """One image on its way into a state.

    Parameters
    ----------
    state : fresh; mutated
    stored : what the image holds, table by table

    Raises
    ------
    SnapshotError : a table or field has no place in the state, or numbers contradict each other; nothing has changed.
    CapacityError : a table is too small; nothing has changed.
    """

    def __init__(self, state: State, stored: Sequence[Stored]) -> None:
        self._state, self._stored = state, list(stored)
        tables = {table.name: table for table in state.tables}
        self._tables: list[Table] = []
        for schema, numbers in self._stored:
            table = tables.get(schema.name)
            if table is None:
                raise SnapshotError(
                    f"table {schema.name}: stored, but no handler of this run has it: run with the handlers that "
                    "declare it, or replay from the start"
                )
            check_fits(schema, numbers, table, state.capacities[schema.name])
            assert not state.arrays[schema.name].meta[0]["high"], "restore: the state must be fresh"
            self._tables.append(table)
        self._beside: dict[int, Octets] = {}

    def rows(self, number: int) -> Octets:
        """Where the rows of the stored table `number` go: (rows * row_size,) uint8 to be filled."""
        schema, numbers = self._stored[number]
        table, size = self._tables[number], numbers.rows * schema.row_size
        if schema == schema_of(table):
            rows: Octets = self._state.arrays[table.name].rows.view(np.uint8)[:size]
            return rows
        return self._beside.setdefault(number, np.empty(size, np.uint8))

    def links(self, number: int) -> npt.NDArray[np.int64]:
        """Where the links of the stored table `number` go: (rows,) int64 to be filled; empty unless it is hashed."""
        schema, numbers = self._stored[number]
        return self._state.arrays[schema.name].links[: numbers.rows if schema.hashed else 0]

    def finish(self) -> None:
        """Make a state of what was put in.

        Raises
        ------
        SnapshotError : links or keys contradict each other; `undo` is due.
        """
        for number, (schema, numbers) in enumerate(self._stored):
            table = self._tables[number]
            arrays = self._state.arrays[table.name]
            if number in self._beside:
                _move(self._beside[number], schema, arrays.rows[: numbers.rows])
            if table.hashed and _rebuild(arrays, table, numbers) != OK:
                raise SnapshotError(
                    f"table {table.name}: stored rows contradict each other: two have one key, or the list of removed "
                    "rows is broken"
                )
            meta = arrays.meta[0]
            meta["count"], meta["high"], meta["free"] = numbers.live, numbers.high, numbers.free

    def undo(self) -> None:
        """Make the state fresh again: all rows that were to come are zero."""
        for number, (schema, numbers) in enumerate(self._stored):
            table = self._tables[number]
            arrays = self._state.arrays[table.name]
            arrays.rows.view(np.uint8)[: numbers.rows * table.row_size] = 0
            arrays.links[: numbers.rows if schema.hashed else 0] = 0
            arrays.buckets["key"], arrays.buckets["row"] = 0, -1
            meta = arrays.meta[0]
            meta["count"], meta["high"], meta["free"], meta["inserts_left"] = 0, 0, -1, 0


def restore_image(state: State, image: StateImage) -> None:
    """Put an image in memory into a fresh state; see `Restore`."""
    restore = Restore(state, [(part.schema, part.numbers) for part in image.parts])
    for number, part in enumerate(image.parts):
        restore.rows(number)[:] = part.rows.reshape(-1)
        restore.links(number)[:] = part.links
    restore.finish()


def check_fits(schema: TableSchema, numbers: TableNumbers, table: Table, capacity: int) -> None:
    """Refuse a stored table that a declared one has no place for.

    Raises
    ------
    SnapshotError, CapacityError : name table, field and setting.
    """
    own = schema_of(table)
    where = f"table {table.name}"
    if (schema.hashed, schema.key) != (own.hashed, own.key):
        raise SnapshotError(f"{where}: stored with the key {schema.key}, and now its key is {own.key}")
    kinds = {field.name: (field.kind, field.size) for field in own.fields}
    for field in schema.fields:
        if field.name not in kinds:
            raise SnapshotError(f"{where}: the field {field.name} ({field.kind}) is stored, and gone by now")
        if kinds[field.name] != (field.kind, field.size):
            raise SnapshotError(
                f"{where}: the field {field.name} is stored as {field.kind} ({field.size} bytes), and is "
                f"{kinds[field.name][0]} now"
            )
    needed = max(numbers.rows, numbers.high)
    if needed > capacity:
        setting = table.domain or table.name
        raise CapacityError(
            f"table {table.name}: {needed} rows are stored, and it has room for {capacity}: raise capacity.{setting}",
            table=table.name,
            capacity=capacity,
        )
    sound = (numbers.high == numbers.rows if own.hashed else True) and 0 <= numbers.live <= numbers.high
    if not sound or numbers.rows < 0:
        raise SnapshotError(f"{where}: the stored numbers {tuple(numbers)} contradict each other")


def _move(octets: Octets, schema: TableSchema, rows: npt.NDArray[Any]) -> None:
    """Copy stored rows field by field into rows of another layout."""
    stored = octets.reshape(-1, schema.row_size)
    moved = rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
    places = rows.dtype.fields
    assert places is not None
    for field in schema.fields:
        at = places[field.name][1]
        moved[:, at : at + field.size] = stored[:, field.offset : field.offset + field.size]


def _rebuild(arrays: Any, table: Table, numbers: TableNumbers) -> int:
    """Check a hashed table's links and fill its buckets; a status."""
    assert isinstance(table.key, tuple)
    words = arrays.rows.view(np.uint32).reshape(len(arrays.rows), -1)
    columns = [table.offsets[name] // 4 for name in table.key]
    where = np.array([columns[0], columns[1] if len(columns) > 1 else -1], np.int64)
    view = PlainView(words, arrays.meta, arrays.buckets, arrays.links, np.zeros(1, np.int64))
    counts = np.array([numbers.rows, numbers.live, numbers.free], np.int64)
    with np.errstate(over="ignore"):
        return int(fill_buckets(view, where, counts))


@entry
def fill_buckets(view: Any, key: Any, numbers: Any) -> Any:
    """Index a table's live rows by their keys.

    Parameters
    ----------
    view : PlainView with rows as (n, words) uint32, meta, empty buckets, and links as stored. Buckets and meta mutated
    key : (2,) int64, columns of the key's fields; the second is -1 if there is one only
    numbers : (3,) int64: rows stored, live ones, first removed row

    Returns
    -------
    int64 status : OK, or CORRUPT: two live rows of one key, or a list of removed rows that is not all the others.
    """
    live = np.int64(0)
    meta = view.meta[0]
    for r in range(numbers[0]):
        if view.links[r] != LIVE:
            continue
        second = np.int64(view.rows[r, key[1]]) if key[1] >= 0 else np.int64(0)
        meta["free"], meta["high"], meta["inserts_left"] = -1, r, 1
        if insert(view, np.int64(view.rows[r, key[0]]), second) != r:
            return CORRUPT
        live += 1
    meta["inserts_left"] = 0
    removed, at = np.int64(0), numbers[2]
    while at >= 0 and removed <= numbers[0]:
        if at >= numbers[0] or view.links[at] == LIVE:
            return CORRUPT
        removed += 1
        at = view.links[at]
    return OK if at == -1 and live == numbers[1] and removed == numbers[0] - live else CORRUPT
