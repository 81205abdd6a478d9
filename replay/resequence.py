"""A journal replayed with more pools than it was imported with: what its events mean once those are known.

The given pools are registered first, with ids from 0 on. The journal's slots follow: sequences move up, and
ids are translated by address, so an address that was given has the given id and its own registration in the
journal says nothing new. The rules about what follows are the encoder's (`feeds/encode_registry.py`,
`feeds/encode_events.py`), applied to slots instead of logs: a log of another kind of pool leaves, so does one
that a given state already holds, a creation log is a birth or a conflict, a transaction that is left without
slots has no end.

So slots are, byte for byte, those of a replay of the same logs with the same pools, as far as the journal
holds them. It can't hold what the import had no reason to keep: docs/adr/0007 has the list.

A frame takes one pass of array operations; only registrations go through Python one by one. What a slot
becomes depends on the slots before it, never on where a frame ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.errors import JournalError
from disruptor.handlers.messages import (
    BUILT_IN,
    NO_ID,
    REASON_REMOVED,
    BlockStart,
    Erc20Transfer,
    PoolIncomplete,
    PoolRegistered,
    PoolSeen,
    TokenRegistered,
    TransactionEnd,
    UniswapV2State,
    UniswapV2Sync,
    UniswapV3State,
    UniswapV3TickState,
)
from disruptor.handlers.uniswap_venues import BUILT_IN as BUILT_IN_VENUES
from disruptor.handlers.venues import Venue
from disruptor.message import DEFAULT_SLOT_SIZE, HEADER_SIZE, MessageType, header_dtype
from disruptor.replay.events import JournalEvents
from disruptor.replay.given_pools import GivenPools, Registrar, slot_memory
from disruptor.replay.settings import RunSettings
from disruptor.replay.slots import Run

_Array = npt.NDArray[Any]

_FIRST_CAPACITY = 1 << 12
_HEADER = header_dtype(DEFAULT_SLOT_SIZE)
_BLOCK, _LOG, _REGISTERED, _TRANSFER, _INCOMPLETE = (
    m.slot_dtype(DEFAULT_SLOT_SIZE)
    for m in (BlockStart, UniswapV2Sync, PoolRegistered, Erc20Transfer, PoolIncomplete)
)
_ADDRESS_AT = {
    m.type_id: HEADER_SIZE + m.offsets["address"] for m in (TokenRegistered, PoolSeen, PoolRegistered)
}


class _Types:
    """What is to be known of each message, as arrays by type id; `take` with mode="clip" looks it up.

    Attributes
    ----------
    kind_of : kind of pool whose log a message is; 0 for what is none
    names_pool, counted, registers, is_state : (types,) bool or 0 and 1
    """

    def __init__(self, venues: Sequence[Venue]) -> None:
        kinds = {
            m: venue.kind
            for venue in (*BUILT_IN_VENUES, *venues)
            for m in (log.message for log in venue.logs)
        }
        messages = dict.fromkeys([*BUILT_IN, *(m for venue in venues for m in venue.messages)])
        given = [UniswapV2State, UniswapV3State, UniswapV3TickState, *(venue.given for venue in venues)]

        def by_type(chosen: Callable[[MessageType], int | bool]) -> _Array:
            table = np.zeros(
                2 + max(m.type_id for m in messages), np.int64
            )  # the last row: all unknown types
            for m in messages:
                table[m.type_id] = chosen(m)
            return table

        self.kind_of = by_type(lambda m: kinds.get(m, 0))
        self.names_pool = by_type(lambda m: m.offsets.get("pool") == 0) > 0
        self.counted = by_type(lambda m: m.counted)
        self.registers = by_type(lambda m: m.type_id in _ADDRESS_AT) > 0
        self.is_state = by_type(lambda m: m in given) > 0


class IdMap:
    """Ids of the journal to ids of this run.

    Parameters
    ----------
    given : address -> id of what was registered before the journal's first slot

    Attributes
    ----------
    count : ids given out so far, the given ones included
    """

    def __init__(self, given: Mapping[bytes, int]) -> None:
        self._given, self.count = given, len(given)
        self._new = np.full(_FIRST_CAPACITY, NO_ID, np.uint32)

    def enter(self, old: int, address: bytes) -> bool:
        """Give an id of the journal its id here; whether the address was given."""
        if old + 1 >= len(self._new):
            grown = np.full(2 * (old + 1), NO_ID, np.uint32)
            grown[: len(self._new)] = self._new
            self._new = grown
        known = self._given.get(address)
        if known is not None:
            self._new[old] = known
        elif self._new[old] == NO_ID:
            self._new[old] = self.count
            self.count += 1
        return known is not None

    def new(self, old: _Array) -> _Array:
        """Ids of this run, uint32; NO_ID for NO_ID, and for what nothing registered."""
        found: _Array = self._new[np.minimum(old, len(self._new) - 1)]
        return found


class _Frame:
    """A frame's slots in private memory, as columns that are views on them.

    Attributes
    ----------
    slots : (n, 192) uint8; types, headers : (n,) views
    keep : (n,) bool, what stays
    first : sequence in the journal of slot 0
    blocks : (n,) int64, block that a slot belongs to; -1 before the first
    """

    def __init__(self, slots: _Array, first: int, block: int) -> None:
        self.slots, self.first = slots, first
        self.headers = self.view(_HEADER)
        self.types = np.ascontiguousarray(self.headers["type_id"])
        self.keep = np.ones(len(slots), bool)
        starts = self.types == BlockStart.type_id
        numbers = np.concatenate([[block], self.view(_BLOCK)["number"][starts].astype(np.int64)])
        self.blocks = numbers[np.cumsum(starts)]

    def view(self, layout: np.dtype[Any]) -> _Array:
        """The slots as records of one layout."""
        return self.slots.reshape(-1).view(layout)


class ResequencedEvents:
    """The events of a journal after the registrations of more pools; satisfies `replay.events.EventSource`.

    Parameters
    ----------
    journal : read from its start, once
    pools : pools files, or logs with creations, in the order of registration
    settings : fees of V2 factories, for the given pools
    strict : an undecodable creation log among `pools` is an error
    venues : users' own; all that the journal has events of
    """

    def __init__(
        self,
        journal: JournalEvents,
        pools: Sequence[str],
        settings: RunSettings,
        strict: bool,
        venues: Sequence[Venue] = (),
    ) -> None:
        reader = journal.reader
        if reader.slot_size != DEFAULT_SLOT_SIZE:
            raise JournalError(
                f"{reader.directory}: slots of {reader.slot_size} bytes, not {DEFAULT_SLOT_SIZE}: "
                "--pools can't be applied; import the logs again"
            )
        self.chain_id = journal.chain_id
        self._journal = journal
        self._check_read(venues)
        self._types = _Types(venues)
        self._given = GivenPools(pools, settings, strict, reader, venues)
        self._registrar = Registrar(reader.settings, venues)
        self._memory = slot_memory(reader.frame_slots)
        self._pools, self._tokens = IdMap({}), IdMap({})
        self._known, self._has_states = self._given.known(), False
        self._next, self._events, self._block, self._open_slots = 0, 0, -1, 0
        self._warned: Counter[str] = Counter()
        self._known_now = 0

    def _check_read(self, venues: Sequence[Venue]) -> None:
        """Refuse events whose ids nobody here could translate."""
        unread = self.venue_names - {venue.name for venue in venues}
        if unread:
            raise JournalError(
                f"{self._journal.reader.directory}: has events of the venue {min(unread)}: "
                "with --pools it needs the --handlers that declare it"
            )

    @property
    def venue_names(self) -> frozenset[str]:
        """What the import was given."""
        return self._journal.venue_names

    def runs(self) -> Generator[Run]:
        """The given pools, then a run for each frame that keeps a slot."""
        for run in self._given.runs():
            self._next = run.first + len(run.slots)
            yield run
        self._pools, self._tokens = IdMap(self._given.pools), IdMap(self._given.tokens)
        self._known = self._given.known()
        self._has_states = bool((self._known["state_block"] >= 0).any())
        for run in self._journal.runs():
            count = self._translate(run)
            if count:
                yield Run(self._memory[:count], self._next - count)

    def progress(self) -> tuple[int, int | None, str]:
        """The journal's slots processed, of all."""
        return self._journal.progress()

    @property
    def warnings(self) -> dict[str, int]:
        """What the import, the registrations and this replay left out or doubted."""
        found = Counter(self._journal.warnings)
        found.update(self._given.warnings)
        found.update(self._warned)
        found.update(self._registrar.warned)
        found["unknown_pool_logs"] -= self._known_now
        return {kind: count for kind, count in found.items() if count > 0}

    @property
    def counts(self) -> dict[str, int]:
        """The import's totals; slots, events, pools and tokens as of this replay."""
        return self._journal.counts | {
            "slots": self._next,
            "events": self._given.event_count + self._events,
            "pools": self._pools.count,
            "tokens": self._tokens.count,
        }

    def _translate(self, run: Run) -> int:
        """Make this run's slots out of a frame's, in the buffer; returns how many there are."""
        slots = self._memory[: len(run.slots)]
        slots[:] = run.slots
        frame = _Frame(slots, run.first, self._block)
        self._enter_ids(frame)
        self._translate_ids(frame)
        self._apply_given(frame)
        self._close_transactions(frame)
        self._block = int(frame.blocks[-1])
        self._events += int(self._types.counted.take(frame.headers["type_id"][frame.keep], mode="clip").sum())
        count = int(np.count_nonzero(frame.keep))
        if count < len(slots):
            slots[:count] = slots[frame.keep]
        frame.headers["sequence"][:count] = np.arange(self._next, self._next + count)
        self._next += count
        return count

    def _enter_ids(self, frame: _Frame) -> None:
        """Take up what the frame registers; tokens and sightings of given addresses say nothing new."""
        ids = frame.view(_LOG)["pool"]
        for i in np.flatnonzero(self._types.registers.take(frame.types, mode="clip")):
            kind, at = int(frame.types[i]), _ADDRESS_AT[int(frame.types[i])]
            address = frame.slots[i, at : at + 20].tobytes()
            if kind == TokenRegistered.type_id:
                frame.keep[i] = not self._tokens.enter(int(ids[i]), address)
                continue
            given = self._pools.enter(int(ids[i]), address)
            if kind == PoolSeen.type_id:
                frame.keep[i] = not given
            elif given:
                known = self._known[self._given.pools[address]]
                known["registered_from"] = min(known["registered_from"], frame.first + i)

    def _translate_ids(self, frame: _Frame) -> None:
        """Old ids to new ones, wherever a message has one. Mutates the slots."""
        ids, types = frame.view(_LOG)["pool"], frame.types
        tokens = types == TokenRegistered.type_id
        ids[tokens] = self._tokens.new(ids[tokens])
        named = self._types.names_pool.take(types, mode="clip")
        ids[named] = self._pools.new(ids[named])
        lost = named & (ids == NO_ID) & (types != PoolIncomplete.type_id)
        if lost.any():
            sequence = frame.first + int(np.argmax(lost))
            raise JournalError(
                f"{self._journal.reader.directory}: sequence {sequence} names a pool that nothing before it "
                "registers: no import writes that; import the logs again"
            )
        for message, name, new_ids in (
            (PoolRegistered, "token0", self._tokens),
            (PoolRegistered, "token1", self._tokens),
            (Erc20Transfer, "token", self._tokens),
            (Erc20Transfer, "other_pool", self._pools),
        ):
            rows = np.flatnonzero(types == message.type_id)
            column = frame.view(_REGISTERED if message is PoolRegistered else _TRANSFER)[name]
            column[rows] = new_ids.new(column[rows])

    def _apply_given(self, frame: _Frame) -> None:
        """Drop, count and rewrite what concerns given pools."""
        ids = frame.view(_LOG)["pool"].astype(np.int64)
        named = self._types.names_pool.take(frame.types, mode="clip") & frame.keep
        rows = np.flatnonzero(named & (ids < len(self._known) - 1))
        if not len(rows):
            return
        ids, types = ids[rows], frame.types[rows]
        kinds = self._types.kind_of.take(types, mode="clip")
        self._drop_logs(frame, rows, ids, kinds)
        logs = kinds > 0
        for k in np.flatnonzero(types == PoolRegistered.type_id):
            before = logs[:k] & (ids[:k] == ids[k]) & frame.keep[rows[:k]]
            self._known["active"][ids[k]] |= before.any()
            slot = frame.slots[rows[k]]
            frame.keep[rows[k]] = self._registrar.keeps(slot, self._known[ids[k]], int(frame.blocks[rows[k]]))
        self._known["active"][ids[logs & frame.keep[rows]]] = True
        stated = self._types.is_state.take(types, mode="clip")
        frame.keep[rows[stated & self._known["refused"][ids]]] = False

    def _drop_logs(self, frame: _Frame, rows: _Array, ids: _Array, kinds: _Array) -> None:
        """Logs of another kind than the pool's leave, and those that its given state holds; both are counted."""
        known, logs = self._known, kinds > 0
        self._known_now += int(np.count_nonzero(logs & (frame.first + rows < known["registered_from"][ids])))
        foreign = logs & (kinds != known["kind"][ids])
        frame.keep[rows[foreign]] = False
        self._warned["foreign_topics"] += int(np.count_nonzero(foreign))
        if self._has_states:
            self._drop_held(frame, rows, ids, logs & ~foreign)

    def _drop_held(self, frame: _Frame, rows: _Array, ids: _Array, logs: _Array) -> None:
        """Logs, and marks of incompleteness that a log caused, leave where a given state holds them already."""
        marks = (frame.types[rows] == PoolIncomplete.type_id) & (frame.headers["source_sequence"][rows] >= 0)
        blocks, indexes = frame.blocks[rows], frame.view(_LOG)["log_index"][rows].astype(np.int64)
        incomplete = frame.view(_INCOMPLETE)[rows[marks]]
        blocks[marks], indexes[marks] = incomplete["block_number"], incomplete["log_index"]
        block, index = self._known["state_block"][ids], self._known["state_log_index"][ids]
        held = (logs | marks) & ((blocks < block) | ((blocks == block) & (indexes <= index)))
        frame.keep[rows[held]] = False
        self._warned["skipped_before_state"] += int(np.count_nonzero(held))

    def _close_transactions(self, frame: _Frame) -> None:
        """Drop the ends of transactions of whose logs no slot is left: the encoder writes none for them."""
        removals = frame.types == PoolIncomplete.type_id
        removals &= frame.view(_INCOMPLETE)["reason"] == REASON_REMOVED
        counted = frame.keep & (frame.headers["source_sequence"] >= 0) & ~removals
        total = self._open_slots + np.cumsum(counted)
        ends = np.flatnonzero(frame.types == TransactionEnd.type_id)
        frame.keep[ends[np.diff(total[ends], prepend=0) == 0]] = False
        self._open_slots = int(total[-1] - total[ends[-1]]) if len(ends) else int(total[-1])


__all__ = ["IdMap", "ResequencedEvents"]
