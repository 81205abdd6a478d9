"""`--step` and `--pause-at`: a replay that stops between two events and asks what to do.

Commands come one a line, from a terminal, a pipe or a test:

    n [COUNT]        handle the next event, or so many, and show each with what it emitted
    b                go on to where the next block begins
    c                go on to the end
    s TABLE [KEY]    show the rows of a table, or one
    q                end the run here; so does the end of the commands

A pause lies between two events: everything that the first one caused is in the state, nothing of the next one is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from disruptor.errors import InputError
from disruptor.handler_set import HandlerSet
from disruptor.message import header_dtype
from disruptor.replay.bounds import Part
from disruptor.replay.shown_slots import ShownSlots
from disruptor.replay.slots import Run, block_starts, cut
from disruptor.replay.table_rows import TableRows, find_table
from disruptor.replay.watch import Watched
from disruptor.state import State

#: Rows of a table that `s` shows at most.
ROWS_SHOWN = 50
_HELP = "n [COUNT] next, b next block, c go on, s TABLE [KEY] show rows, q end here"


class Console(NamedTuple):
    """Where commands come from, and who is told."""

    commands: Iterator[str]
    tell: Callable[[str], None]


class Stepper:
    """Runs as far as it is told to.

    Parameters
    ----------
    console : commands and answers
    handlers, state : what runs
    watched : where outputs come from, and what is told why the run ended
    pause_at : sequence after which to pause first; None: before the first event that counts
    """

    def __init__(
        self,
        console: Console,
        handlers: HandlerSet,
        state: State,
        watched: Watched,
        pause_at: int | None = None,
    ) -> None:
        self._console, self._watched, self._pause_at = console, watched, pause_at
        self._tables, self._rows = state.tables, TableRows(state)
        self._shows = ShownSlots(handlers, self._rows)
        self._steps = 0  # events still to be shown one by one
        self._running = pause_at is not None
        self._to_block = False
        self._passed = 0  # events that ran since the last pause

    def pieces(self, part: Part) -> Iterator[Part]:
        """See `Watcher`."""
        if not part.counted:
            yield part
            return
        run, at = part.run, part.run.first
        end = run.first + len(run.slots)
        while at < end:
            if self._paused and not self._ask(at):
                self._watched.stopped = {"step": "quit", "sequence": at - 1}
                return
            until = self._reach(run, at, end)
            if until > at:
                yield Part(cut(run, at, until), True)
                self._after(run, at, until)
                at = until

    @property
    def _paused(self) -> bool:
        return not (self._steps or self._running or self._to_block)

    def _reach(self, run: Run, at: int, end: int) -> int:
        """Up to where to run next; `at` where a block begins that was to be reached."""
        if self._steps:
            return at + 1
        if self._to_block:
            starts = run.first + block_starts(run)[0]
            # The block that begins right where the pause was is not the next one.
            coming = starts[starts >= at + (1 if self._passed == 0 else 0)]
            if not len(coming):
                return end
            self._to_block = int(coming[0]) != at
            return int(coming[0])
        if self._pause_at is not None and self._pause_at < end:
            return max(self._pause_at + 1, at + 1)
        return end

    def _after(self, run: Run, at: int, until: int) -> None:
        """Tell of what has run, as far as somebody wants to know."""
        if self._steps:
            self._steps -= 1
            self._tell_event(run, at)
            return
        self._passed += until - at
        counts = Counter(
            self._shows.name(int(kind))
            for slots in self._watched.emitted
            for kind in slots.reshape(-1).view(header_dtype(slots.shape[1]))["type_id"]
        )
        if self._to_block:
            starts = run.first + block_starts(run)[0]
            self._to_block = until not in starts
            told = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
            self._console.tell(f"{until - at:,} events, {at} to {until - 1}; outputs: {told or 'none'}")
        if self._pause_at is not None and until > self._pause_at:
            self._running, self._pause_at = False, None

    def _tell_event(self, run: Run, at: int) -> None:
        event = self._shows.event(run.slots[at - run.first])
        self._console.tell(f"{at} {_text(event)}")
        for slots in self._watched.emitted:
            for slot in slots:
                self._console.tell(f"  -> {_text(self._shows.output(slot))}")

    def _ask(self, at: int) -> bool:
        """Take commands until one of them goes on; whether to go on at all."""
        self._passed = 0
        self._console.tell(f"before sequence {at}")
        for line in self._console.commands:
            words = line.split()
            if not words:
                continue
            try:
                if words[0] == "q" and len(words) == 1:
                    return False
                if self._goes_on(words):
                    return True
            except InputError as error:
                self._console.tell(f"error: {error}")
        return False

    def _goes_on(self, words: list[str]) -> bool:
        """Do what a command says; whether events are to run."""
        command, *rest = words
        if command == "n" and len(rest) <= 1 and (not rest or (rest[0].isascii() and rest[0].isdigit())):
            self._steps = int(rest[0]) if rest else 1
            return self._steps > 0
        if command == "b" and not rest:
            self._to_block = True
            return True
        if command == "c" and not rest:
            self._running = True
            return True
        if command == "s" and 1 <= len(rest) <= 2:
            self._show(*rest)
            return False
        raise InputError(f"{' '.join(words)}: expected {_HELP}")

    def _show(self, name: str, key: str | None = None) -> None:
        find_table(self._tables, name, "s")
        rows = self._rows.rows(name) if key is None else iter(self._rows.find(name, key))
        shown = list(islice(rows, ROWS_SHOWN))
        for row in shown:
            fields = (f"{field}={value}" for field, value in row.items() if field != "key")
            self._console.tell(f"{name}[{row['key']}] {' '.join(fields)}")
        left = self._rows.count(name) - len(shown) if key is None else 0
        if left or not shown:
            self._console.tell(f"and {left:,} more rows" if left else "no such row")


def _text(row: dict[str, object]) -> str:
    rest = (f"{name}={value}" for name, value in row.items() if name not in ("sequence", "type"))
    return " ".join((str(row["type"]), *rest))


__all__ = ["ROWS_SHOWN", "Console", "Stepper"]
