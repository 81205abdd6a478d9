"""An image of the state: the rows of every table that can hold something, apart from the memory they lie in.

What makes up a state is in its tables, and of a table it is this:

    rows     dense tables: of all ids that were claimed; hashed ones: all rows ever used
    links    of a hashed table's rows: which are live, and the list of those that were removed
    numbers  live rows, rows ever used, the first removed one (`META_DTYPE`)

The buckets of a hashed table are left out: `disruptor.restore` makes them again from the rows' keys. Rows keep their
numbers, removed ones included, because rows of one table may name rows of another. Capacities are left out too.

Of what lies outside of tables nothing is state between two events: output positions and ordinals only count within a
run or an event, and where the slices of an event stand matters only in the middle of it. So an image is taken between
events (`Processor.between_events`), and with the sequence of the last one it is all that is needed to go on.

Two ways to take one: `view_rows` looks at the state's own memory, so the image is good until the next event;
`copy_rows` copies what is in use into other memory, at the speed of memory, and the loop may go on at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.digest import state_digest
from disruptor.errors import SnapshotError
from disruptor.state import State
from disruptor.table import META_DTYPE, Table, TableArrays

Octets = npt.NDArray[np.uint8]

#: Each part of a copy starts on a cache line of its own.
_LINE = 64
#: Words looked at together when rows in use are searched from the end.
_BLOCK = 1 << 16


class FieldSchema(NamedTuple):
    """One field of a row as stored: `kind` is the name of its `FieldType`, `size` its bytes."""

    name: str
    kind: str
    offset: int
    size: int


class TableSchema(NamedTuple):
    """A table's row as stored.

    key : (), ("<domain>",) of a dense table, or the fields that a hashed table is found by
    """

    name: str
    hashed: bool
    key: tuple[str, ...]
    row_size: int
    fields: tuple[FieldSchema, ...]


class TableNumbers(NamedTuple):
    """How much of a table is in use.

    rows : rows stored; live : `count` of `META_DTYPE`; high, free : as there
    """

    rows: int
    live: int
    high: int
    free: int


@dataclass(frozen=True)
class TableImage:
    """One table.

    rows : (numbers.rows, row_size) uint8; links : (numbers.rows,) int64 of a hashed table, else empty
    """

    schema: TableSchema
    numbers: TableNumbers
    rows: Octets
    links: npt.NDArray[np.int64]


@dataclass(frozen=True)
class StateImage:
    """All tables of a state, in the order in which they were declared."""

    tables: tuple[Table, ...]
    parts: tuple[TableImage, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all rows and links."""
        return sum(part.rows.nbytes + part.links.nbytes for part in self.parts)

    def digest(self) -> str:
        """The digest of the state that this is an image of."""
        arrays = {
            table.name: TableArrays(
                part.rows.reshape(-1).view(table.dtype), np.zeros(1, META_DTYPE), np.empty(0), part.links
            )
            for table, part in zip(self.tables, self.parts, strict=True)
        }
        return state_digest(self.tables, arrays, {p.schema.name: p.numbers.rows for p in self.parts})[0]


def schema_of(table: Table) -> TableSchema:
    """A declared table's schema.

    >>> from disruptor.message import u32, u64
    >>> schema_of(Table("totals", {"count": u32, "sum": u64})).fields[1]
    FieldSchema(name='sum', kind='u64', offset=8, size=8)
    """
    key = (table.key,) if isinstance(table.key, str) else (table.key or ())
    fields = (
        FieldSchema(name, kind.name, table.offsets[name], kind.dtype.itemsize)
        for name, kind in table.fields.items()
    )
    return TableSchema(table.name, table.hashed, key, table.row_size, tuple(fields))


def view_rows(state: State) -> StateImage:
    """An image in the state's own memory: valid until the state changes."""
    parts = []
    for table, count in zip(state.tables, _rows_in_use(state), strict=True):
        arrays = state.arrays[table.name]
        meta = arrays.meta[0]
        numbers = TableNumbers(count, int(meta["count"]), int(meta["high"]), int(meta["free"]))
        links = arrays.links[: count if table.hashed else 0]
        parts.append(TableImage(schema_of(table), numbers, _octets(arrays, table)[:count], links))
    return StateImage(tuple(state.tables), tuple(parts))


def copy_rows(state: State, buffer: Octets | None = None) -> StateImage:
    """An image in other memory, which the state's next events leave alone.

    Parameters
    ----------
    state : between two events
    buffer : at least `state.nbytes` bytes, for the copy; made here by default. Memory that is given again for the
        next copy is not faulted in anew, which takes several times as long as to copy
    """
    seen = view_rows(state)
    if buffer is None:
        buffer = np.empty(state.nbytes, np.uint8)
    assert buffer.nbytes >= state.nbytes, "copy_rows: the buffer must have room for the whole state"
    at = 0
    parts = []
    for part in seen.parts:
        rows, at = _copied(part.rows, buffer, at)
        links, at = _copied(part.links, buffer, at)
        parts.append(TableImage(part.schema, part.numbers, rows, links))
    return StateImage(seen.tables, tuple(parts))


def check_claimed(state: State) -> None:
    """Refuse a state with rows that no image would hold, because nobody has claimed their ids.

    Looks at all memory of the state, so it is for where time is no matter.

    Raises
    ------
    SnapshotError : names table and row.
    """
    for table, count in zip(state.tables, _rows_in_use(state), strict=True):
        octets = _octets(state.arrays[table.name], table)
        beyond = _last_in_use(octets[count : state.capacities[table.name]], table.row_size)
        if beyond and table.domain is not None:
            raise SnapshotError(
                f"table {table.name}: row {count + beyond - 1} is written, and nobody has claimed an id of "
                f"{table.domain} that high (disruptor.access.claim_id): a snapshot would leave it out"
            )


def _rows_in_use(state: State) -> list[int]:
    """How many rows of each table an image holds.

    An id is in use when somebody has claimed it, in any table of its domain. Only of domains of which nobody ever
    claims an id the last row that is not zero is looked for.
    """
    claimed: dict[str, int] = {}
    for table in state.tables:
        if table.domain is not None:
            high = int(state.arrays[table.name].meta[0]["high"])
            claimed[table.domain] = max(claimed.get(table.domain, 0), high)
    found, scan = [], state.scan()
    for table in state.tables:
        count = scan[table.name]
        if table.domain is not None:
            octets = _octets(state.arrays[table.name], table)[: state.capacities[table.name]]
            in_use = claimed[table.domain] or _last_in_use(octets, table.row_size)
            count = min(in_use, state.capacities[table.name])
        found.append(count)
    return found


def _octets(arrays: TableArrays, table: Table) -> Octets:
    """A table's rows as bytes, (capacity + 1, row_size)."""
    return arrays.rows.view(np.uint8).reshape(len(arrays.rows), table.row_size)


def _copied(part: npt.NDArray[Any], buffer: Octets, at: int) -> tuple[npt.NDArray[Any], int]:
    """A copy of an array at an offset, and the offset behind it."""
    copy = buffer[at : at + part.nbytes].view(part.dtype).reshape(part.shape)
    copy[...] = part
    return copy, at + -(-part.nbytes // _LINE) * _LINE


def _last_in_use(rows: Octets, row_size: int) -> int:
    """How many rows there are up to the last one that is not all zero."""
    words = rows.reshape(-1).view(np.uint64)
    end = len(words)
    while end > 0:
        start = max(0, end - _BLOCK)
        if np.count_nonzero(words[start:end]):
            found = np.flatnonzero(words[start:end])
            return (start + int(found[-1])) * 8 // row_size + 1
        end = start
    return 0
