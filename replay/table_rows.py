"""Rows of a state's tables as plain objects: what people ask for and what two runs are compared by.

A row has a *key* that does not depend on where it lies: the identity (an address) of the row of a dense table, or its
id where the domain has none; the key fields of a hashed one, joined by commas; nothing for a table of one row.
References are shown as what they refer to. Integers of up to 64 bits are numbers, wider ones decimal strings, bytes are
hex.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.errors import InputError
from disruptor.message import FieldType
from disruptor.state import State
from disruptor.table import LIVE, Table

_NONE = 0xFFFFFFFF
_REF = "ref:"

Row = dict[str, Any]


def find_table(tables: Sequence[Table], name: str, option: str = "--table") -> Table:
    """A table by its name.

    Raises
    ------
    InputError : there is none; the nearest is named.
    """
    known = {table.name: table for table in tables}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise InputError(f"{option} {name}: no such table; {hint}")
    return known[name]


class TableRows:
    """The tables of one state, decoded when asked for.

    Parameters
    ----------
    state : looked at whenever a method is called; never changed
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._tables = {table.name: table for table in state.tables}
        self._identities = {
            table.domain: (table.name, table.identity) for table in state.tables if table.identity is not None
        }

    @property
    def names(self) -> list[str]:
        """The tables in their order."""
        return list(self._tables)

    def count(self, name: str) -> int:
        """How many rows a table holds."""
        return len(self._present(self._tables[name]))

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a table, in the order in which they lie: `key`, then `id` for dense tables, then the fields."""
        table = self._tables[name]
        for index in self._present(table).tolist():
            yield self.row(table, index)

    def row(self, table: Table, index: int) -> Row:
        """One row by where it lies."""
        record = self._state.arrays[table.name].rows[index]
        found: Row = {"key": self.key(table, index, record)}
        if table.domain is not None:
            found["id"] = index
        for name, kind in table.fields.items():
            found[name if name not in ("key", "id") else f"field_{name}"] = self.shown(kind, record[name])
        return found

    def key(self, table: Table, index: int, record: Any) -> str:
        """The key of a row, as text."""
        if table.domain is not None:
            return str(self._referred(table.domain, index))
        if isinstance(table.key, tuple):
            return ",".join(str(self.shown(table.fields[name], record[name])) for name in table.key)
        return ""

    def find(self, name: str, key: str) -> list[Row]:
        """The rows of a table with this key, or for dense tables with this id: one or none.

        Raises
        ------
        InputError : text that can't be a key of this table.
        """
        table = self._tables[name]
        if table.key is None:
            raise InputError(f"--key {key}: table {name} has one row; leave the key out")
        wanted = key.strip().lower()
        if table.domain is not None and wanted.isascii() and wanted.isdigit():
            present = self._present(table)
            return [self.row(table, int(wanted))] if int(wanted) in present else []
        self._check_key(table, wanted)
        return [row for row in self.rows(name) if row["key"] == wanted]

    def shown(self, kind: FieldType, value: Any) -> Any:
        """A field's value in plain Python."""
        name = kind.name.removeprefix("derived:")
        if name.startswith(_REF):
            return self._referred(name[len(_REF) :], int(value))
        if kind.base == "<u8" and kind.count:
            return str(int.from_bytes(value.tobytes(), "little", signed=name.startswith("i")))
        if kind.count:
            return "0x" + value.tobytes().hex()
        plain = value.item()
        return plain if not isinstance(plain, float) or math.isfinite(plain) else repr(plain)

    def _referred(self, domain: str, number: int) -> Any:
        """The identity behind an id; the id where there is none; null for the id that means none."""
        if number == _NONE:
            return None
        if domain not in self._identities:
            return number
        name, identity = self._identities[domain]
        rows = self._state.rows(name)
        octets = rows[identity][number] if number < len(rows) else np.zeros(1, np.uint8)
        return "0x" + octets.tobytes().hex() if octets.any() else number

    def _present(self, table: Table) -> npt.NDArray[np.int64]:
        """Indices of the rows that count: live ones of hashed tables, those that are not all zero of dense ones."""
        rows = self._state.rows(table.name)
        if table.hashed:
            return np.flatnonzero(self._state.arrays[table.name].links[: len(rows)] == LIVE)
        octets = np.ascontiguousarray(rows).view(np.uint64).reshape(len(rows), -1)
        return np.flatnonzero(octets.any(axis=1)) if table.key is not None else np.arange(1)

    def _check_key(self, table: Table, wanted: str) -> None:
        fields = table.key if isinstance(table.key, tuple) else (f"id or {self._identity_name(table)}",)
        parts = wanted.split(",")
        plain = all(part.removeprefix("-").isdigit() or part.startswith("0x") for part in parts)
        if len(parts) != len(fields) or not plain:
            raise InputError(f"--key {wanted}: table {table.name} is found by {','.join(fields)}")

    def _identity_name(self, table: Table) -> str:
        return self._identities.get(table.domain, ("", "id"))[1] or "id"
