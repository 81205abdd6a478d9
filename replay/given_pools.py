"""Pools given for the replay of a journal: registered before its first event, as a replay of logs does it.

The encoder itself writes the slots, so a pools file, a factory's logs and the rules among them mean
the same here as there; the slots are also read back, for what the journal's events have to be compared with.

A state given for a pool whose state the journal brings too is left out and counted: the journal holds the
events after its own state only and does not say as of which log that was, so the given one might leave a gap.
"""

from __future__ import annotations

import dataclasses
import mmap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from disruptor.feeds.encoder import Encoder
from disruptor.feeds.pools_file import PoolEntry, load_pools
from disruptor.feeds.source import LogSource
from disruptor.handlers.messages import (
    FLAG_BORN,
    FLAG_TIME_UNKNOWN,
    FLAG_WITH_STATE,
    KIND_UNISWAP_V2,
    NO_ID,
    REASON_CONFLICT,
    BlockStart,
    PoolIncomplete,
    PoolRegistered,
    TokenRegistered,
)
from disruptor.handlers.pools import NO_FEE
from disruptor.handlers.venues import Venue
from disruptor.journal.reader import JournalReader
from disruptor.message import DEFAULT_SLOT_SIZE, HEADER_SIZE, header_dtype
from disruptor.replay.events import is_pools_file
from disruptor.replay.settings import RunSettings
from disruptor.replay.slots import Run

_CAPACITY = 4096
_NEVER = np.iinfo(np.int64).max
_REGISTERED, _TOKEN, _INCOMPLETE = (
    m.slot_dtype(DEFAULT_SLOT_SIZE) for m in (PoolRegistered, TokenRegistered, PoolIncomplete)
)

#: What is known of a given pool, by its id.
KNOWN_DTYPE = np.dtype(
    [
        ("kind", "<i8"),
        ("token0", "<i8"),
        ("token1", "<i8"),
        ("fee", "<i8"),
        ("tick_spacing", "<i8"),  # 0: nobody said
        ("state_block", "<i8"),  # state was given as of this log; -1: not given
        ("state_log_index", "<i8"),
        ("registered_from", "<i8"),  # sequence in the journal from which the import knew the pool
        ("active", "?"),  # an event or a birth of the journal was kept
        ("refused", "?"),  # the state that the journal brings is left out
    ]
)

#: (block, log index) of the states in one file, by pool.
_Places = Mapping[bytes, tuple[int, int]]


def slot_memory(count: int) -> npt.NDArray[np.uint8]:
    """Zeroed private memory for slots, (count, 192) uint8, page-aligned."""
    nbytes = max(count, 1) * DEFAULT_SLOT_SIZE
    return np.frombuffer(mmap.mmap(-1, nbytes), np.uint8).reshape(-1, DEFAULT_SLOT_SIZE)


class GivenPools:
    """The registrations of `--pools`, as slots and as facts.

    Parameters
    ----------
    paths : pools files, or creation logs in any format of recorded logs
    settings : fees of V2 factories
    strict : an undecodable creation log is an error
    reader : the journal that follows
    venues : users' own

    Attributes
    ----------
    pools, tokens : dict of address (20 bytes) -> id; complete once `runs` has ended
    """

    def __init__(
        self,
        paths: Sequence[str],
        settings: RunSettings,
        strict: bool,
        reader: JournalReader,
        venues: Sequence[Venue] = (),
    ) -> None:
        self._paths, self._reader, self._venues = paths, reader, venues
        self._encoder = Encoder(
            chain_id=0,
            factories=settings.factory_fees(),
            default_v2_fee=settings.default_v2_fee,
            strict=strict,
            venues=venues,
        )
        self._slots = slot_memory(_CAPACITY)
        self._skipped: dict[str, int] = {}
        self._known: dict[int, tuple[int | bool, ...]] = {}
        self.pools: dict[bytes, int] = {}
        self.tokens: dict[bytes, int] = {}

    @property
    def slot_count(self) -> int:
        """Slots written."""
        return self._encoder.next_sequence

    @property
    def event_count(self) -> int:
        """Slots written that reports count as events."""
        return self._encoder.counts["events"]

    @property
    def warnings(self) -> dict[str, int]:
        """What was left out or doubted, by kind."""
        return {**self._encoder.warnings, **self._skipped}

    def known(self) -> npt.NDArray[np.void]:
        """(pools + 1,) KNOWN_DTYPE by id; the last row stands for every pool that was not given."""
        nobody = (0, 0, 0, 0, 0, -1, -1, _NEVER, False, False)
        return np.array([*(self._known[k] for k in range(len(self._known))), nobody], KNOWN_DTYPE)

    def runs(self) -> Iterator[Run]:
        """The registrations, path by path."""
        for path in self._paths:
            yield from self._from_file(path) if is_pools_file(path) else self._from_logs(path)

    def _from_logs(self, path: str) -> Iterator[Run]:
        source = LogSource([path])
        for batch in source:
            start = 0
            while start < len(batch.rows):
                first = self.slot_count
                limit = first + _CAPACITY
                start = self._encoder.register_logs(
                    batch, start, self._slots, _CAPACITY - 1, limit, source.files
                )
                yield from self._written(first, {})

    def _from_file(self, path: str) -> Iterator[Run]:
        loaded = load_pools([path], self._venues)
        for reason, count in loaded.skipped.items():
            self._skip(f"pools_file_{reason}", count)
        entries = self._without_known_states(loaded)
        places = {e.address: (e.state.block, e.state.log_index) for e in entries if e.state is not None}
        self._encoder.register(entries)
        done = False
        while not done:
            first = self.slot_count
            done = self._encoder.write_registrations(self._slots, _CAPACITY - 1, first + _CAPACITY)
            yield from self._written(first, places)

    def _without_known_states(self, entries: Sequence[PoolEntry]) -> list[PoolEntry]:
        """The entries; without their state where the journal brings one of its own."""
        if all(entry.state is None for entry in entries):
            return list(entries)
        stated = pools_with_state(self._reader)
        ours = [e.state is not None and e.address in stated for e in entries]
        if any(ours):
            self._skip("states_in_journal", sum(ours))
        return [
            dataclasses.replace(entry, state=None) if twice else entry
            for entry, twice in zip(entries, ours, strict=True)
        ]

    def _skip(self, kind: str, count: int) -> None:
        self._skipped[kind] = self._skipped.get(kind, 0) + count

    def _written(self, first: int, places: _Places) -> Iterator[Run]:
        """What was written from `first` on, in at most two pieces where the ring wraps."""
        end = self.slot_count
        while first < end:
            at = first & (_CAPACITY - 1)
            count = min(end - first, _CAPACITY - at)
            run = Run(self._slots[at : at + count], first)
            self._learn(run, places)
            yield run
            first += count

    def _learn(self, run: Run, places: _Places) -> None:
        """Read registrations back. The last one of a pool says what the encoder knows of it."""
        flat = run.slots.reshape(-1)
        types = flat.view(header_dtype(DEFAULT_SLOT_SIZE))["type_id"]
        for slot in flat.view(_TOKEN)[types == TokenRegistered.type_id]:
            self.tokens[slot["address"].tobytes()] = int(slot["token"])
        for slot in flat.view(_REGISTERED)[types == PoolRegistered.type_id]:
            address = slot["address"].tobytes()
            place = places[address] if slot["flags"] & FLAG_WITH_STATE else (-1, -1)
            facts = (int(slot[name]) for name in ("kind", "token0", "token1", "fee", "tick_spacing"))
            self.pools[address] = int(slot["pool"])
            self._known[int(slot["pool"])] = (*facts, *place, _NEVER, False, False)


class Registrar:
    """What a registration in the journal means for a pool that was given: the rules of `register_again`.

    Parameters
    ----------
    settings : the import's; they tell a V2 fee that was assumed from one that somebody named
    venues : users' own; their usual fees are assumed too

    Attributes
    ----------
    warned : conflicts, repetitions and what a given state holds already, by kind
    """

    def __init__(self, settings: Mapping[str, Any], venues: Sequence[Venue] = ()) -> None:
        self._settings = settings
        self._usual_fees = {venue.kind: venue.fee for venue in venues}
        self.warned: Counter[str] = Counter()

    def keeps(self, octets: npt.NDArray[np.uint8], known: Any, block: int) -> bool:
        """Decide about a PoolRegistered, its ids translated already; whether it stays, as what it is then.

        Parameters
        ----------
        octets : (192,) uint8, the slot. Mutated.
        known : KNOWN_DTYPE record of the pool. Mutated.
        block : that the slot belongs to
        """
        slot = octets.view(_REGISTERED)[0]
        from_log = slot["source_sequence"] >= 0
        with_state = bool(slot["flags"] & FLAG_WITH_STATE)
        place = (block, int(slot["log_index"]))
        if from_log and place <= (known["state_block"], known["state_log_index"]):
            self.warned["skipped_before_state"] += 1
            return False
        if self._is_conflicting(slot, known):
            self.warned["pool_conflicts"] += 1
            known["refused"] |= with_state
            _write_conflict(octets, place if from_log else (0, NO_ID))
            return True
        if not known["active"] and (from_log or (with_state and known["state_block"] < 0)):
            known["active"] |= from_log
            self._rewrite(slot, known, born=from_log)
            return True
        self.warned["duplicate_pools"] += 1
        known["refused"] |= with_state
        return False

    def _named_fee(self, slot: Any) -> int:
        """The fee that somebody named, or NO_FEE: V2's creation log has none, and the import assumed one."""
        if slot["kind"] != KIND_UNISWAP_V2:
            is_assumed = slot["fee"] == self._usual_fees.get(int(slot["kind"]))
            return NO_FEE if is_assumed else int(slot["fee"])
        default = self._settings.get("default_v2_fee")
        assumed = self._settings.get(f"factories.0x{slot['factory'].tobytes().hex()}.fee", default)
        return NO_FEE if slot["source_sequence"] >= 0 or slot["fee"] == assumed else int(slot["fee"])

    def _is_conflicting(self, slot: Any, known: Any) -> bool:
        if any(slot[name] != known[name] for name in ("kind", "token0", "token1")):
            return True
        fees = {self._named_fee(slot), int(known["fee"])} - {NO_FEE}
        spacings = {int(slot["tick_spacing"]), int(known["tick_spacing"])} - {0}
        return len(fees) > 1 or len(spacings) > 1

    def _rewrite(self, slot: Any, known: Any, *, born: bool) -> None:
        """Fill in a fee or spacing that nobody had said, and state what is known now. Mutates both."""
        if known["fee"] == NO_FEE:
            known["fee"] = self._named_fee(slot)
        if known["tick_spacing"] == 0:
            known["tick_spacing"] = slot["tick_spacing"]
        slot["fee"], slot["tick_spacing"] = known["fee"], known["tick_spacing"]
        if born:
            slot["flags"] |= FLAG_BORN


def _write_conflict(octets: npt.NDArray[np.uint8], place: tuple[int, int]) -> None:
    """Make a PoolRegistered the PoolIncomplete that says why it is none. Mutates the slot."""
    pool = int(octets.view(_REGISTERED)[0]["pool"])
    octets[HEADER_SIZE:] = 0
    slot = octets.view(_INCOMPLETE)[0]
    slot["type_id"] = PoolIncomplete.type_id
    slot["flags"] &= FLAG_TIME_UNKNOWN
    slot["pool"], slot["reason"] = pool, REASON_CONFLICT
    slot["block_number"], slot["log_index"] = place


def pools_with_state(reader: JournalReader) -> frozenset[bytes]:
    """Addresses of the pools whose state a journal brings: it does so before its first block."""
    found: set[bytes] = set()
    for frame in reader.frames():
        slots = frame.slots.reshape(-1).view(_REGISTERED)
        starts = np.flatnonzero(slots["type_id"] == BlockStart.type_id)
        head = slots[: starts[0]] if len(starts) else slots
        stated = (head["type_id"] == PoolRegistered.type_id) & (head["flags"] & FLAG_WITH_STATE != 0)
        found.update(slot["address"].tobytes() for slot in head[stated])
        if len(starts):
            break
    return frozenset(found)


__all__ = ["KNOWN_DTYPE", "GivenPools", "Registrar", "pools_with_state", "slot_memory"]
