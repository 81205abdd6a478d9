"""The bytes of a snapshot. Diagrams, offsets summed from sizes, and pure functions; nothing here opens a file.

A snapshot is a header, the parts of each table, and a checksum. All integers are little-endian. The same tables are
docs/format-snapshot.md, and a test holds the two and the dtypes below against each other.

    header, `header_size` bytes (a multiple of 4096)
    offset  size    field            meaning
    0       8       magic            "DSRPSNP1"
    8       4       header_crc       CRC32C of bytes 12 to header_size
    12      4       version          1
    16      4       header_size
    20      4       facts_size       bytes of the facts JSON
    24      4       table_count
    28      4       reserved         zero
    32      8       file_size
    40      8       sequence         of the last event that the state includes
    48      8       event_time_ns    of that event, by the chain's clock; 0 unknown
    56      8       reserved         zero
    64      32      running_hash     of the journal up to that event; zero where unknown
    96      32      last_event       SHA-256 of that event's slot; zero where unknown
    128             facts JSON, zeros up to a multiple of 64, one entry a table, zeros

    entry, 48 bytes
    0       8       rows             stored
    8       8       live             hashed: live rows; dense: highest id in use + 1
    16      8       high             rows ever used
    24      8       free             first row of the list of removed ones, -1 none
    32      4       row_size         bytes
    36      4       rows_crc         CRC32C of the rows
    40      4       links_crc        CRC32C of the links
    44      4       reserved         zero

The parts follow: for each table its rows, and for a hashed one its links, 8 bytes a row. Each part starts on a multiple
of 64, with zeros before it. The last 32 bytes of the file are the SHA-256 of all bytes before them.

Nothing depends on the clock, the host or a path, so the same state under the same versions gives the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from disruptor.errors import CorruptSnapshotError, SnapshotError
from disruptor.journal.layout import MAX_HEADER_SIZE, Bytes, blocks, canonical_json, crc32c
from disruptor.state_image import FieldSchema, StateImage, TableNumbers, TableSchema

SNAPSHOT_MAGIC = int.from_bytes(b"DSRPSNP1", "little")
SNAPSHOT_VERSION = 1
PART_ALIGNMENT = 64
CHECKSUM_SIZE = 32
SUFFIX = ".dss"

SNAPSHOT_HEADER_DTYPE = np.dtype(
    [
        ("magic", "<u8"),
        ("header_crc", "<u4"),
        ("version", "<u4"),
        ("header_size", "<u4"),
        ("facts_size", "<u4"),
        ("table_count", "<u4"),
        ("reserved0", "<u4"),
        ("file_size", "<i8"),
        ("sequence", "<i8"),
        ("event_time_ns", "<i8"),
        ("reserved1", "<u8"),
        ("running_hash", "u1", (32,)),
        ("last_event", "u1", (32,)),
    ]
)
TABLE_ENTRY_DTYPE = np.dtype(
    [
        ("rows", "<i8"),
        ("live", "<i8"),
        ("high", "<i8"),
        ("free", "<i8"),
        ("row_size", "<u4"),
        ("rows_crc", "<u4"),
        ("links_crc", "<u4"),
        ("reserved", "<u4"),
    ]
)
#: Where the bytes begin that the header's checksum covers.
HEADER_CRC_START = 12
_MAX_FILE_SIZE = 1 << 46
#: Rows of a part may not make its size overflow.
_MAX_ROWS = 1 << 40


@dataclass(frozen=True, kw_only=True)
class SnapshotFacts:
    """What is said of a snapshot beside the rows.

    Attributes
    ----------
    sequence : of the last event that the state includes
    event_time_ns, block : of that event, by the chain's clock; 0 and None where unknown
    last_event : SHA-256 (hex) of that event's slot, which tells whether a journal is the one it was taken of
    running_hash : of the journal up to that event (hex), where known
    changed : where the run that made the state had itself begun with a snapshot of other code: what was another
    code_identity, identity : the semantic identity of what made the state, as one hash and by name
    environment : versions and processor by name
    """

    sequence: int
    code_identity: str
    identity: dict[str, str]
    environment: dict[str, str]
    event_time_ns: int = 0
    block: int | None = None
    last_event: str | None = None
    running_hash: str | None = None
    changed: tuple[str, ...] = ()


class StoredTable(NamedTuple):
    """One table as the header describes it."""

    schema: TableSchema
    numbers: TableNumbers
    rows_crc: int
    links_crc: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of the rows, and of the links."""
        return self.numbers.rows * self.schema.row_size, 8 * self.numbers.rows if self.schema.hashed else 0


@dataclass(frozen=True)
class SnapshotHeader:
    """Everything that a header says."""

    facts: SnapshotFacts
    state_digest: str
    tables: tuple[StoredTable, ...]
    header_size: int
    file_size: int


def snapshot_name(sequence: int) -> str:
    """File name of the snapshot whose last event has this sequence.

    >>> snapshot_name(4095)
    '00000000000000004095.dss'
    """
    return f"{sequence:020d}{SUFFIX}"


def aligned(size: int) -> int:
    """`size` rounded up to where a part may start.

    >>> aligned(1), aligned(64)
    (64, 64)
    """
    return -(-size // PART_ALIGNMENT) * PART_ALIGNMENT


def seal_header(facts: SnapshotFacts, state_digest: str, image: StateImage) -> Bytes:
    """The header of a snapshot, whole blocks, checksums of all parts and its own included."""
    entries = np.zeros(len(image.parts), TABLE_ENTRY_DTYPE)
    for k, part in enumerate(image.parts):
        crcs = crc32c(part.rows.reshape(-1)), crc32c(part.links.view(np.uint8))
        entries[k] = (*part.numbers, part.schema.row_size, *crcs, 0)
    said = canonical_json(_facts_json(facts, state_digest, [part.schema for part in image.parts]))
    start = SNAPSHOT_HEADER_DTYPE.itemsize
    at = aligned(start + len(said))
    size = blocks(at + entries.nbytes)
    if size > MAX_HEADER_SIZE:
        raise SnapshotError(
            f"snapshot: tables and settings take {size} bytes of header; at most {MAX_HEADER_SIZE} fit"
        )
    content = np.zeros(size, np.uint8)
    content[start : start + len(said)] = np.frombuffer(said, np.uint8)
    content[at : at + entries.nbytes] = entries.view(np.uint8)
    header = content[:start].view(SNAPSHOT_HEADER_DTYPE)[0]
    header["magic"], header["version"], header["header_size"] = SNAPSHOT_MAGIC, SNAPSHOT_VERSION, size
    header["facts_size"], header["table_count"] = len(said), len(entries)
    header["file_size"] = (
        parts_end(size, [part.schema for part in image.parts], entries["rows"].tolist()) + 32
    )
    header["sequence"], header["event_time_ns"] = facts.sequence, facts.event_time_ns
    for name, value in (("running_hash", facts.running_hash), ("last_event", facts.last_event)):
        header[name] = np.frombuffer(bytes.fromhex(value or "00" * 32), np.uint8)
    header["header_crc"] = crc32c(content[HEADER_CRC_START:])
    return content


def parts_end(start: int, schemas: Sequence[TableSchema], rows: Sequence[int]) -> int:
    """Where the checksum stands behind parts that begin at `start`."""
    at = start
    for schema, count in zip(schemas, rows, strict=True):
        at = aligned(at) + count * schema.row_size
        at = aligned(at) + 8 * count if schema.hashed else at
    return aligned(at)


def part_offsets(header: SnapshotHeader) -> Iterator[tuple[int, int]]:
    """(offset of the rows, offset of the links) of each table."""
    at = header.header_size
    for table in header.tables:
        rows, links = table.sizes
        first = aligned(at)
        second = aligned(first + rows)
        yield first, second
        at = second + links if links else first + rows


def header_size_of(start: Bytes, where: str) -> int:
    """How long the header is that begins with these 128 bytes.

    Raises
    ------
    CorruptSnapshotError : no snapshot, or damaged; SnapshotError : another version.
    """
    if len(start) < SNAPSHOT_HEADER_DTYPE.itemsize:
        raise CorruptSnapshotError(f"{where}: cut within its header")
    header = start[: SNAPSHOT_HEADER_DTYPE.itemsize].view(SNAPSHOT_HEADER_DTYPE)[0]
    if int(header["magic"]) != SNAPSHOT_MAGIC:
        raise CorruptSnapshotError(f"{where}: no snapshot, by its first 8 bytes")
    size = int(header["header_size"])
    if size % 4096 or not 4096 <= size <= MAX_HEADER_SIZE:
        raise CorruptSnapshotError(f"{where}: a header of {size} bytes")
    return size


def open_header(content: Bytes, where: str) -> SnapshotHeader:
    """What a whole header says, once its checksum holds.

    Raises
    ------
    CorruptSnapshotError : damaged; SnapshotError : another version.
    """
    header = content[: SNAPSHOT_HEADER_DTYPE.itemsize].view(SNAPSHOT_HEADER_DTYPE)[0]
    found = crc32c(content[HEADER_CRC_START:])
    if found != int(header["header_crc"]):
        raise CorruptSnapshotError(
            f"{where}: header CRC32C: expected {int(header['header_crc']):08x}, found {found:08x}"
        )
    if int(header["version"]) != SNAPSHOT_VERSION:
        raise SnapshotError(
            f"{where}: version {int(header['version'])}; this program reads {SNAPSHOT_VERSION}"
        )
    try:
        opened = _opened(header, content)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise CorruptSnapshotError(f"{where}: the header contradicts itself ({error})") from error
    return opened


def _opened(header: Any, content: Bytes) -> SnapshotHeader:
    start, size, count = SNAPSHOT_HEADER_DTYPE.itemsize, int(header["facts_size"]), int(header["table_count"])
    said = json.loads(content[start : start + size].tobytes())
    at = aligned(start + size)
    end = at + count * TABLE_ENTRY_DTYPE.itemsize
    if end > len(content) or count != len(said["tables"]):
        raise ValueError(f"{count} tables, {len(said['tables'])} of them described")
    entries = content[at:end].view(TABLE_ENTRY_DTYPE)
    tables = tuple(_table(one, entry) for one, entry in zip(said["tables"], entries, strict=True))
    facts = SnapshotFacts(
        sequence=int(header["sequence"]),
        event_time_ns=int(header["event_time_ns"]),
        running_hash=_hash(header["running_hash"]),
        last_event=_hash(header["last_event"]),
        code_identity=str(said["code_identity"]),
        identity=_texts(said["identity"]),
        environment=_texts(said["environment"]),
        block=None if said["block"] is None else int(said["block"]),
        changed=tuple(map(str, said.get("changed", ()))),
    )
    if facts.sequence < 0 or len({table.schema.name for table in tables}) != count:
        raise ValueError(f"sequence {facts.sequence}, {count} tables of which two have one name or none")
    made = SnapshotHeader(facts, str(said["state_digest"]), tables, len(content), int(header["file_size"]))
    end = parts_end(len(content), [t.schema for t in tables], [t.numbers.rows for t in tables])
    if made.file_size != end + CHECKSUM_SIZE or made.file_size > _MAX_FILE_SIZE:
        raise ValueError(f"{end + CHECKSUM_SIZE} bytes by its tables, {made.file_size} in total")
    return made


def _table(said: dict[str, Any], entry: Any) -> StoredTable:
    fields = tuple(FieldSchema(str(n), str(k), int(o), int(s)) for n, k, o, s in said["fields"])
    row_size, rows = int(entry["row_size"]), int(entry["rows"])
    if not 0 <= rows <= _MAX_ROWS or any(
        f.offset < 0 or f.size < 1 or f.offset + f.size > row_size for f in fields
    ):
        raise ValueError(f"table {said['name']}: {rows} rows of {row_size} bytes do not hold its fields")
    schema = TableSchema(
        str(said["name"]), bool(said["hashed"]), tuple(map(str, said["key"])), row_size, fields
    )
    numbers = TableNumbers(rows, int(entry["live"]), int(entry["high"]), int(entry["free"]))
    return StoredTable(schema, numbers, int(entry["rows_crc"]), int(entry["links_crc"]))


def _texts(said: Any) -> dict[str, str]:
    return {str(name): str(text) for name, text in said.items()}


def _hash(octets: Any) -> str | None:
    return octets.tobytes().hex() if octets.any() else None


def _facts_json(facts: SnapshotFacts, state_digest: str, schemas: Sequence[TableSchema]) -> dict[str, Any]:
    return {
        "code_identity": facts.code_identity,
        "identity": facts.identity,
        "environment": facts.environment,
        "block": facts.block,
        "changed": list(facts.changed),
        "state_digest": state_digest,
        "tables": [
            {
                "name": schema.name,
                "hashed": schema.hashed,
                "key": list(schema.key),
                "fields": [list(field) for field in schema.fields],
            }
            for schema in schemas
        ],
    }
