"""The state of one processor: all tables of a handler set in one block of memory, and their digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.digest import state_digest
from disruptor.table import Table, TableArrays, carve, plan_tables


class State:
    """Tables in memory.

    Parameters
    ----------
    tables : in the order in which the loop unpacks them
    capacities : rows by domain or table name, for tables that don't declare their own
    allocate : nbytes -> zeroed (nbytes,) uint8, aligned to 128 bytes or better

    Raises
    ------
    DefinitionError : a table without a capacity.
    """

    def __init__(self, tables: Sequence[Table], capacities: Mapping[str, int], allocate: Any) -> None:
        self.tables = list(tables)
        plans, self.nbytes = plan_tables(self.tables, dict(capacities))
        memory: npt.NDArray[np.uint8] = allocate(self.nbytes)
        assert memory.ctypes.data % 128 == 0, "state memory must be aligned to a pair of cache lines"
        self.memory = memory
        self.arrays: dict[str, TableArrays] = {p.table.name: carve(memory, p) for p in plans}
        self.capacities = {p.table.name: p.capacity for p in plans}

    def rows(self, name: str) -> npt.NDArray[Any]:
        """A table's rows in use, as a view: up to the highest id, or in hashed tables the highest row ever used."""
        return self.arrays[name].rows[: self.scan()[name]]

    def live(self, name: str) -> npt.NDArray[Any]:
        """A copy of a hashed table's live rows."""
        from disruptor.table import LIVE

        arrays = self.arrays[name]
        high = int(arrays.meta[0]["high"])
        return arrays.rows[:high][arrays.links[:high] == LIVE]

    def scan(self) -> dict[str, int]:
        """How many rows of each table can hold something."""
        domains = {
            t.domain: int(self.arrays[t.name].meta[0]["high"]) for t in self.tables if t.identity is not None
        }
        found = {}
        for t in self.tables:
            if t.key is None:
                found[t.name] = 1
            elif t.domain is not None:
                found[t.name] = min(domains.get(t.domain, self.capacities[t.name]), self.capacities[t.name])
            else:
                found[t.name] = int(self.arrays[t.name].meta[0]["high"])
        return found

    def digest(self) -> str:
        """32 hex digits over the canonical rows of all digested tables."""
        return state_digest(self.tables, self.arrays, self.scan())[0]
