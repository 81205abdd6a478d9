"""A hash chain of what a run writes: which rows each event changed, and what it emitted.

State digests at checkpoints can't tell two runs apart that part and meet again in between: a `Sync` overwrites what
went wrong before it. So this looks at the state after *every* event, in a variant of the loop that is compiled for it;
the usual loop has none of it and pays nothing.

    handler writes ──► `row` of a noted table puts the row on the table's list      (disruptor.table_code)
    event ends     ──► each row on a list: as it was before? else
                         log    (sequence, table, row, how it was before)
                         sum    - hash of the row before + hash of the row now       128 bits
                         fold   hash(fold, sum, sequence)                            of this interval
                       each output: fold of outputs = hash(fold, its bytes)

The *sum* is the state digest: after each event, at the price of the rows that it changed. It is over canonical rows, so
neither capacities nor the layout of hash tables show, nor how often a row was written or in which order. Two runs that
wrote the same have the same fold; the sums of each event, kept for the interval, name the first event by which they
parted, and the log what it wrote. Output folds leave out `source_id` and ordinal: handlers are numbered by their place
in the set, and what one emits is numbered by what it emitted before, which the fold knows anyhow.

A row is compared with a copy of the table as it was after the last event, not noted with its content when it is
first written: then writing costs three loads and two stores, and writing the same again is no change.

    list of a table   touched[0] = first, touched[1 + row] = next, each as row + 1; -1 ends it, 0 is not on it
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from disruptor.compile_cache import entry
from disruptor.digest import xxh64
from disruptor.jit import jit
from disruptor.table import LIVE

#: Events of an interval at most.
INTERVAL = 1024
#: Changed rows that the log of an interval has room for; more are counted as lost.
LOG_ROWS = 1 << 15
_TAG_BYTES = 8
_SOURCE_MASK = np.uint64(0xFFFFFFFF)
_ORDINAL_WORD = 1  # of a slot's header
_SOURCE_WORD = 3  # type id, flags and source id
_ZERO = np.uint64(0)
_ONE = np.uint64(1)

CELL_DTYPE = np.dtype(
    [
        ("sum_low", "<u8"),
        ("sum_high", "<u8"),
        ("state_low", "<u8"),  # fold of this interval's sums
        ("state_high", "<u8"),
        ("output_low", "<u8"),  # fold of this interval's outputs
        ("output_high", "<u8"),
        ("first", "<i8"),  # sequence that the interval begins with
        ("outputs", "<i8"),  # position up to which outputs are folded
        ("logged", "<i8"),
        ("lost", "<i8"),  # changed rows that the log had no room for
    ],
    align=True,
)
#: A noted table: where its parts begin, in the units of the array that they lie in.
TABLE_DTYPE = np.dtype(
    [
        ("rows", "<i8"),  # bytes into the state's memory
        ("row_size", "<i8"),
        ("capacity", "<i8"),
        ("links", "<i8"),  # bytes into the state's memory; -1 for dense tables
        ("shadow", "<i8"),  # words
        ("hashes", "<i8"),  # rows
        ("touched", "<i8"),  # words
        ("fields", "<i8"),  # first of its fields
        ("fields_end", "<i8"),
        ("tag", "<u8"),
    ],
    align=True,
)
#: A canonical field; for a reference also where its domain's identities are, `rows` -1 for any other.
FIELD_DTYPE = np.dtype(
    [
        ("offset", "<i8"),
        ("size", "<i8"),
        ("rows", "<i8"),  # bytes into the state's memory
        ("row_size", "<i8"),
        ("identity", "<i8"),  # bytes into such a row
        ("capacity", "<i8"),
        ("width", "<i8"),
    ],
    align=True,
)
LOG_DTYPE = np.dtype(
    [
        ("sequence", "<i8"),
        ("table", "<i8"),  # index among the noted tables
        ("row", "<i8"),
        ("present", "<i8"),  # whether it was there before
        ("image", "<i8"),  # words into the images: the row before
    ],
    align=True,
)


class ChainArrays(NamedTuple):
    """What the compiled loop gets of a chain.

    cell : (1,) CELL_DTYPE; sums : (INTERVAL, 2) uint64, state sum after each event
    memory, words : the state's memory, as bytes and as words
    tables : TABLE_DTYPE; fields : FIELD_DTYPE
    shadow : noted rows as of the last event, words; hashes : (rows, 2) uint64 of them, zero for absent ones
    touched : int64, the lists; log : (LOG_ROWS,) LOG_DTYPE; images : words
    scratch, octets : one buffer as words and as bytes
    outputs : (n, slot words) uint64, the output ring's slots
    """

    cell: Any
    sums: Any
    memory: Any
    words: Any
    tables: Any
    fields: Any
    shadow: Any
    hashes: Any
    touched: Any
    log: Any
    images: Any
    scratch: Any
    octets: Any
    outputs: Any


@jit
def fold_outputs(chain: Any, end: Any) -> None:
    """Fold the outputs up to the position `end` that are not folded yet; before they may leave the ring."""
    cell = chain.cell[0]
    mask = np.int64(len(chain.outputs) - 2)  # the last slot is scratch
    for position in range(cell["outputs"], end):
        slot = chain.outputs[position & mask]
        scratch = chain.scratch
        scratch[0], scratch[1] = cell["output_low"], cell["output_high"]
        for k in range(len(slot)):
            scratch[2 + k] = slot[k]
        scratch[2 + _ORDINAL_WORD] = _ZERO
        scratch[2 + _SOURCE_WORD] &= _SOURCE_MASK
        length = np.int64(8 * (2 + len(slot)))
        cell["output_low"] = xxh64(scratch, chain.octets, length, _ZERO)
        cell["output_high"] = xxh64(scratch, chain.octets, length, _ONE)
    cell["outputs"] = end


@jit
def end_event(chain: Any, sequence: Any) -> None:
    """Take what an event changed into log, sum and fold, and empty the lists."""
    cell = chain.cell[0]
    changed = False
    for t in range(len(chain.tables)):
        base = chain.tables[t]["touched"]
        at = chain.touched[base]
        while at > 0:  # each row is on the list once at most
            following = chain.touched[base + at]
            chain.touched[base + at] = 0
            changed |= _take_row(chain, t, at - 1, sequence)
            at = following
        chain.touched[base] = -1
    if changed:
        scratch = chain.scratch
        scratch[0], scratch[1] = cell["state_low"], cell["state_high"]
        scratch[2], scratch[3] = cell["sum_low"], cell["sum_high"]
        scratch[4] = np.uint64(sequence)
        cell["state_low"] = xxh64(scratch, chain.octets, np.int64(40), _ZERO)
        cell["state_high"] = xxh64(scratch, chain.octets, np.int64(40), _ONE)
    chain.sums[sequence - cell["first"], 0] = cell["sum_low"]
    chain.sums[sequence - cell["first"], 1] = cell["sum_high"]


@jit
def _take_row(chain: Any, t: Any, r: Any, sequence: Any) -> bool:
    """Take one written row; returns whether it changed."""
    cell, table = chain.cell[0], chain.tables[t]
    if r >= table["capacity"] or table["fields"] == table["fields_end"]:
        return False
    size = np.uint64(table["row_size"] >> 3)
    now = np.uint64(table["rows"] >> 3) + np.uint64(r) * size
    before = np.uint64(table["shadow"]) + np.uint64(r) * size
    known = table["hashes"] + r
    hashed = table["links"] >= 0
    live = not hashed or np.int64(chain.words[(table["links"] >> 3) + r]) == LIVE
    was_there = chain.hashes[known, 0] != _ZERO or chain.hashes[known, 1] != _ZERO
    same = not hashed or live == was_there
    for k in range(size):
        same &= chain.words[now + k] == chain.shadow[before + k]
    if same:
        return False
    _log_row(chain, t, r, sequence, was_there)
    for k in range(size):
        chain.shadow[before + k] = chain.words[now + k]
    length, any_set = _canonical(chain, t, table["rows"] + r * table["row_size"])
    low, high = _ZERO, _ZERO
    if live and (hashed or any_set):
        low = xxh64(chain.scratch, chain.octets, length, _ZERO)
        high = xxh64(chain.scratch, chain.octets, length, _ONE)
    changed = low != chain.hashes[known, 0] or high != chain.hashes[known, 1]
    _add(cell, low, high)
    _subtract(cell, chain.hashes[known, 0], chain.hashes[known, 1])
    chain.hashes[known, 0], chain.hashes[known, 1] = low, high
    return changed


@jit
def _add(cell: Any, low: Any, high: Any) -> None:
    before = cell["sum_low"]
    cell["sum_low"] = before + low
    cell["sum_high"] += high + (_ONE if cell["sum_low"] < before else _ZERO)


@jit
def _subtract(cell: Any, low: Any, high: Any) -> None:
    borrow = _ONE if cell["sum_low"] < low else _ZERO
    cell["sum_low"] -= low
    cell["sum_high"] -= high + borrow


@jit
def _log_row(chain: Any, t: Any, r: Any, sequence: Any, was_there: Any) -> None:
    cell, table = chain.cell[0], chain.tables[t]
    at = cell["logged"]
    size = table["row_size"] >> 3
    image = np.int64(0)
    if at > 0:
        last = chain.log[at - 1]
        image = last["image"] + (chain.tables[last["table"]]["row_size"] >> 3)
    if at >= len(chain.log) or image + size > len(chain.images):
        cell["lost"] += 1
        return
    note = chain.log[at]
    note["sequence"], note["table"], note["row"] = sequence, t, r
    note["present"], note["image"] = np.int64(was_there), image
    before = np.uint64(table["shadow"] + r * size)
    for k in range(np.uint64(size)):
        chain.images[np.uint64(image) + k] = chain.shadow[before + k]
    cell["logged"] = at + 1


@jit
def _canonical(chain: Any, t: Any, row: Any) -> Any:
    """Write the canonical bytes of the row at byte `row` behind its table's tag; as in `disruptor.digest`."""
    table = chain.tables[t]
    chain.scratch[0] = table["tag"]
    at = np.int64(_TAG_BYTES)
    any_set = False
    for f in range(table["fields"], table["fields_end"]):
        field = chain.fields[f]
        begin = np.uint64(row + field["offset"])
        to = np.uint64(at)
        if field["rows"] < 0:
            for k in range(np.uint64(field["size"])):
                value = chain.memory[begin + k]
                chain.octets[to + k] = value
                any_set |= value != 0
            at += field["size"]
            continue
        number = np.int64(0)
        for k in range(np.uint64(4)):
            number |= np.int64(chain.memory[begin + k]) << np.int64(np.uint64(8) * k)
        any_set |= number != 0
        known = number < field["capacity"]
        there = np.uint64(field["rows"] + number * field["row_size"] + field["identity"])
        for k in range(np.uint64(field["width"])):
            chain.octets[to + k] = chain.memory[there + k] if known else np.uint8(0)
        at += field["width"]
    return at, any_set


@entry
def absorb(chain: Any) -> Any:
    """Take rows that were written before the first event; nothing of them is logged or folded."""
    end_event(chain, chain.cell[0]["first"])
    return 0
