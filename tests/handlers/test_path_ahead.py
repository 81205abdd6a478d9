"""Asking for rows ahead changes nothing, whatever an event that has not been checked yet says."""

from __future__ import annotations

import random

import numpy as np

from disruptor.compile_cache import entry_uncounted
from disruptor.handlers.messages import NO_ID
from disruptor.handlers.path_ahead import change_rows, junction_row, leg_row
from disruptor.handlers.path_tables import last_changes
from disruptor.processor import plain_allocate
from disruptor.references import StateLayout, bind_state, describe_tables
from disruptor.state import State
from tests.support.leg_book import CAPACITIES, POOLS, TABLES, Book

ALL = [*TABLES, last_changes]
LAYOUT = StateLayout(ALL, {table.name: "plain" for table in ALL})
EVENT = np.dtype([("pool", "<u4")], align=True)


@entry_uncounted
def ask(tables, events):  # type: ignore[no-untyped-def]
    state = bind_state(LAYOUT, tables)
    for k in range(len(events)):
        change_rows(state, events[k])
        leg_row(state, events[k])
        junction_row(state, events[k])


def test_no_row_changes_and_no_pool_is_outside(seed: int) -> None:
    book = Book(random.Random(seed))
    book.enter(100)
    extra = State([last_changes], CAPACITIES, plain_allocate)
    fault = np.zeros(8, np.int64)
    arrays = {**book.state.arrays, **extra.arrays}
    before = book.state.memory.copy()
    events = np.zeros(POOLS + 3, EVENT)
    events["pool"] = [*range(POOLS + 1), 2**31, NO_ID]
    ask(describe_tables([arrays[t.name] for t in ALL], fault), events)
    assert (book.state.memory == before).all() and not fault.any()
