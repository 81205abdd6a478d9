"""What users' modules bring: their handlers, and venues of their own."""

from __future__ import annotations

import importlib
import re
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from disruptor.codegen import load_user_module
from disruptor.errors import DefinitionError, InputError
from disruptor.feeds.topics import EVENTS, build_tables, events_of
from disruptor.handler import Handler
from disruptor.handler_set import Extension, HandlerSet
from disruptor.handlers.messages import KIND_NAMES
from disruptor.handlers.pools import pools
from disruptor.handlers.uniswap_venues import BUILT_IN
from disruptor.handlers.venues import Venue, pool_message
from disruptor.message import FIRST_USER_TYPE_ID, MAX_TYPE_ID

_NAME = re.compile("[a-z][a-z0-9_]{0,39}")
_MILLION = 1_000_000
#: What messages of logs begin with.
_HEAD = pool_message("Head", FIRST_USER_TYPE_ID, {}).offsets


class UserCode(NamedTuple):
    """handlers in the order in which modules define them, and what declares venues."""

    handlers: tuple[Handler, ...] = ()
    extensions: tuple[Extension, ...] = ()

    @property
    def venues(self) -> tuple[Venue, ...]:
        """The venues themselves."""
        return tuple(extension.value for extension in self.extensions)


def load_user_code(names: Sequence[str]) -> UserCode:
    """Handlers and venues of users' files or modules: every `Handler` and `Venue` that is a global of one.

    Raises
    ------
    InputError : a file or module that is not there or fails to import.
    DefinitionError : one with neither, or a venue that can't be.
    """
    handlers: list[Handler] = []
    extensions: dict[int, Extension] = {}
    for name in names:
        module = _load_module(name)
        own = [v for v in vars(module).values() if isinstance(v, Handler) and v.module == module.__name__]
        venues = {n: v for n, v in vars(module).items() if isinstance(v, Venue) and v not in BUILT_IN}
        if not own and not venues:
            raise DefinitionError(
                f"--handlers {name}: defines no handler; decorate a function with @handler(Message)"
            )
        handlers += own
        for where, venue in venues.items():
            extensions.setdefault(id(venue), Extension(module.__name__, where, venue))
    found = UserCode(tuple(handlers), tuple(extensions.values()))
    check_venues(found.venues, handlers)
    return found


def kind_names(names: Sequence[str]) -> dict[int, str]:
    """Names of the kinds of pools that there are with these files or modules."""
    return KIND_NAMES | {venue.kind: venue.name for venue in load_user_code(names).venues}


def venues_in(handlers: HandlerSet) -> tuple[Venue, ...]:
    """The users' venues of a handler set."""
    return tuple(extension.value for extension in handlers.extensions)


def _load_module(name: str) -> types.ModuleType:
    is_file = name.endswith(".py") or "/" in name
    if is_file and not Path(name).is_file():
        raise InputError(f"--handlers {name}: no such file")
    try:
        return load_user_module(name) if is_file else importlib.import_module(name)
    except DefinitionError:
        raise
    except Exception as error:
        raise InputError(f"--handlers {name}: {type(error).__name__}: {error}") from error


def check_venues(venues: Sequence[Venue], handlers: Iterable[Handler]) -> None:
    """Refuse venues that can't be told apart, or whose state nobody keeps.

    Raises
    ------
    DefinitionError : in one line.
    """
    kinds = {venue.kind: venue.name for venue in BUILT_IN}
    names = {venue.name for venue in BUILT_IN} | {"v2", "v3", "unknown"}
    ids: dict[int, str] = {}
    written = {table.name for h in handlers for table in h.tables}
    for venue in venues:
        where = f"venue {venue.name}"
        if venue.kind in kinds:
            raise DefinitionError(
                f"{where}: kind {venue.kind} is that of {kinds[venue.kind]}: choose another"
            )
        if not FIRST_USER_TYPE_ID <= venue.kind <= MAX_TYPE_ID:
            raise DefinitionError(
                f"{where}: kind {venue.kind} is outside of {FIRST_USER_TYPE_ID}..{MAX_TYPE_ID}, which are users'"
            )
        if venue.name in names or not _NAME.fullmatch(venue.name):
            raise DefinitionError(f"{where}: choose another name, of lower-case letters, digits and _")
        if venue.fee is not None and not 0 <= venue.fee < _MILLION:
            raise DefinitionError(f"{where}: fee {venue.fee} is not below a million millionths")
        kinds[venue.kind] = venue.name
        names.add(venue.name)
        _check_messages(venue, ids)
        _check_tables(venue, written)
    build_tables([*EVENTS, *(event for venue in venues for event in events_of(venue))])


def _check_messages(venue: Venue, ids: dict[int, str]) -> None:
    """Check the messages of a venue, and enter their ids into those taken so far."""
    for message in venue.messages:
        what = f"venue {venue.name}: message {message.name}"
        if message.type_id < FIRST_USER_TYPE_ID:
            raise DefinitionError(f"{what} is a built-in one: declare one of your own with pool_message")
        if message.type_id in ids:
            raise DefinitionError(
                f"{what} has the id {message.type_id} of {ids[message.type_id]}: choose another"
            )
        ids[message.type_id] = f"{message.name} of venue {venue.name}"
        head = {"pool": _HEAD["pool"]} if message is venue.given else _HEAD
        if any(message.offsets.get(name) != at for name, at in head.items()):
            raise DefinitionError(
                f"{what} does not begin with {', '.join(head)}: declare it with pool_message"
            )


def _check_tables(venue: Venue, written: set[str]) -> None:
    """Check that the tables of a venue belong to pools, and that a handler writes them."""
    for table in venue.tables:
        if table.domain != "pools":
            raise DefinitionError(
                f'venue {venue.name}: table {table.name} is not keyed by pools: say key="pools"'
            )
        if table.name not in written:
            raise DefinitionError(
                f"venue {venue.name}: table {table.name} is written by none of your handlers"
            )
    for table, fields in venue.moves.items():
        if table is not pools and table not in venue.tables:
            raise DefinitionError(f"venue {venue.name}: moves {table.name}, which is not among its tables")
        for name in fields:
            if name not in table.fields:
                raise DefinitionError(f"venue {venue.name}: table {table.name} has no field {name} to move")
