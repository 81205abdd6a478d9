"""State is declared tables: a name, typed fields, a key, a capacity and two scopes.

Three shapes, by `key`:

* `key=None`: one row (index 0), for scalars;
* `key="pools"`: dense, the row index *is* the interned id of the domain `pools`; several tables may be parallel;
* `key=("pool", "tick")`: hashed on one or two 32-bit fields; rows come and go through `insert` and `remove`.

A dense row whose bytes are all zero counts as absent, so touching a row without writing changes nothing.

The *canonical* form of a row, which digests and snapshots use, has each field's bytes in declared order without
padding, and for a reference the referred row's identity (an address) instead of its interned id. Interned ids,
capacities and the layout of hash tables never show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from disruptor.errors import DefinitionError
from disruptor.message import FieldType, check_fields, is_name, layout_c

META_DTYPE = np.dtype(
    [
        ("count", "<i8"),  # live rows (hashed) or rows in use (dense: highest id + 1)
        ("high", "<i8"),  # rows ever used: scans stop here
        ("free", "<i8"),  # head of the free list of removed rows, -1 none
        ("capacity", "<i8"),
        ("bucket_mask", "<i8"),
        ("inserts_left", "<i8"),  # what the running handler may still insert (checked variant)
    ],
    align=True,
)
BUCKET_DTYPE = np.dtype([("key", "<u8"), ("row", "<i8")], align=True)  # row = -1: empty
#: What a reference's canonical form has room for.
MAX_IDENTITY_BYTES = 32
#: `links[row]` of a live hashed row; other values link the free list.
LIVE = -2


def ref(domain: str) -> FieldType:
    """A field that holds an interned id of the dense domain `domain` (u32; `0xFFFFFFFF` means none)."""
    return FieldType(f"ref:{domain}", "<u4", 0, 4)


def derived(kind: FieldType) -> FieldType:
    """A field computed from others, or whose value depends on the layout of tables: left out of the canonical row."""
    return FieldType(f"derived:{kind.name}", kind.base, kind.count, kind.alignment)


class Table:
    """A declared table; see the module's text for shapes.

    Parameters
    ----------
    name : identifier, unique in a handler set
    fields : name -> FieldType or `ref(domain)`, laid out as C does
    key : None, the name of a dense domain, or a tuple of one or two 32-bit field names
    capacity : rows, or None: taken from the setting `capacity.<domain or name>`
    identity : for the table that defines a domain: the byte-string field that identifies a row
    digest : False for rows that are derived from others and may hold rounded floats
    scope : "owned" (by its key's shard) or "replicated" (every shard has it)
    rollback : "chain" (follows a reorg) or "engine" (never rolled back)
    """

    def __init__(
        self,
        name: str,
        fields: Mapping[str, FieldType],
        *,
        key: str | tuple[str, ...] | None = None,
        capacity: int | None = None,
        identity: str | None = None,
        digest: bool = True,
        scope: str = "owned",
        rollback: str = "chain",
    ) -> None:
        if not is_name(name):
            raise DefinitionError(
                f"table {name!r}: the name must be an identifier, not a keyword, without leading _"
            )
        check_fields(f"table {name}", fields)
        if scope not in ("owned", "replicated") or rollback not in ("chain", "engine"):
            raise DefinitionError(f"table {name}: scope is owned|replicated, rollback is chain|engine")
        if isinstance(key, tuple):
            bad = [
                k for k in key if k not in fields or fields[k].base not in ("<u4", "<i4") or fields[k].count
            ]
            if not 1 <= len(key) <= 2 or bad:
                raise DefinitionError(
                    f"table {name}: the key must be one or two 32-bit fields of the table, not {key}"
                )
        if identity is not None:
            self._check_identity(name, fields, key, identity)
        self.name, self.fields, self.key, self.capacity = (
            name,
            dict(fields),
            key,
            1 if key is None else capacity,
        )
        self.identity, self.digest, self.scope, self.rollback = identity, digest, scope, rollback
        self.offsets, size, alignment = layout_c(self.fields)
        self.row_size = -(-size // max(alignment, 8)) * max(alignment, 8)
        self.dtype: np.dtype[Any] = np.dtype(
            {
                "names": list(fields),
                "formats": [k.dtype for k in fields.values()],
                "offsets": list(self.offsets.values()),
                "itemsize": self.row_size,
            },
            align=True,
        )

    @staticmethod
    def _check_identity(name: str, fields: Mapping[str, FieldType], key: object, identity: str) -> None:
        if not isinstance(key, str):
            raise DefinitionError(f"table {name}: only a dense table (key='domain') has an identity")
        kind = fields.get(identity)
        if kind is None or kind.base != "<u1" or not 1 <= kind.count <= MAX_IDENTITY_BYTES:
            raise DefinitionError(
                f"table {name}: the identity {identity!r} must be a field of at most {MAX_IDENTITY_BYTES} raw bytes"
            )

    @property
    def hashed(self) -> bool:
        """Whether rows are found by key instead of by id."""
        return isinstance(self.key, tuple)

    @property
    def domain(self) -> str | None:
        """The dense domain whose ids index this table, if it is dense."""
        return self.key if isinstance(self.key, str) else None

    def schema(self) -> str:
        """Text that identifies the row layout and meaning; part of the semantic identity."""
        fields = ",".join(f"{n}:{k.name}@{self.offsets[n]}" for n, k in self.fields.items())
        scopes = f"digest={self.digest} scope={self.scope} rollback={self.rollback}"
        return f"table {self.name} key={self.key} {scopes} {fields}"

    def __repr__(self) -> str:
        return f"<table {self.name} key={self.key} {self.row_size} bytes a row>"


class TableArrays(NamedTuple):
    """Storage of one table: what kernels get.

    rows : (capacity + 1,) table dtype; the last row is scratch for rejected accesses
    meta : (1,) META_DTYPE
    buckets : (power of two,) BUCKET_DTYPE; one element for tables without a hash
    links : (capacity,) int64 for hashed tables; one element otherwise
    """

    rows: npt.NDArray[Any]
    meta: npt.NDArray[Any]
    buckets: npt.NDArray[Any]
    links: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """Where one table's arrays lie in the state's memory: (offset, bytes) each."""

    table: Table
    capacity: int
    rows: tuple[int, int]
    meta: tuple[int, int]
    buckets: tuple[int, int]
    links: tuple[int, int]


_LINE_PAIR = 128


def plan_tables(tables: list[Table], capacities: dict[str, int]) -> tuple[list[Plan], int]:
    """Lay tables out in one block of memory, each array on its own pair of cache lines.

    Returns the plans and the total size in bytes. Raises DefinitionError where a capacity is not known.
    """
    plans, end = [], 0

    def take(nbytes: int) -> tuple[int, int]:
        nonlocal end
        start, end = end, -(-(end + nbytes) // _LINE_PAIR) * _LINE_PAIR
        return start, nbytes

    for table in tables:
        setting = table.domain or table.name
        capacity = table.capacity if table.capacity is not None else capacities.get(setting)
        if capacity is None or capacity < 1:
            raise DefinitionError(f"table {table.name}: no capacity; give it one or set capacity.{setting}")
        buckets = 1 << max(1, (2 * capacity - 1).bit_length()) if table.hashed else 1
        plans.append(
            Plan(
                table,
                capacity,
                take((capacity + 1) * table.row_size),
                take(META_DTYPE.itemsize),
                take(buckets * BUCKET_DTYPE.itemsize),
                take(8 * (capacity if table.hashed else 1)),
            )
        )
    # An empty view has no address to align, so a set without tables gets a line as well.
    return plans, max(end, _LINE_PAIR)


def carve(memory: npt.NDArray[np.uint8], plan: Plan) -> TableArrays:
    """Views of one table in zeroed memory, with its index and free list initialised."""

    def part(where: tuple[int, int], dtype: Any) -> npt.NDArray[Any]:
        return memory[where[0] : where[0] + where[1]].view(dtype)

    arrays = TableArrays(
        part(plan.rows, plan.table.dtype),
        part(plan.meta, META_DTYPE),
        part(plan.buckets, BUCKET_DTYPE),
        part(plan.links, np.int64),
    )
    arrays.buckets["row"] = -1
    arrays.meta[0] = (0, 0, -1, plan.capacity, len(arrays.buckets) - 1, 0)
    return arrays
