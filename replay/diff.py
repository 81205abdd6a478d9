"""Two runs side by side: the first sequence, table, row and field where they part, and the outputs that differ.

Both sides handle the same interval of sequences, then their folds are compared (`disruptor.chain`). Equal folds settle
the interval: each of its events wrote and emitted the same, and no state in between was another. Where they differ, the
sums after each event tell the first one after which the states differ, and the log what that event wrote. So one pass
over each is enough, nothing has to be run again, and runs that part and meet again within an interval are seen.

Tables and fields that only one side has are left out of the comparison and named; what follows from them shows in the
outputs. The two sides run on a thread each: their loops hold no GIL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from disruptor.errors import InputError
from disruptor.message import header_dtype
from disruptor.replay.diff_side import DiffSide, Fields, Octets, Step

#: Rows and outputs of a first difference that are shown.
SHOWN = 20

Listener = Callable[[str, dict[str, Any]], None]


class Field(NamedTuple):
    """A field that two runs have different values of, after the same event."""

    table: str
    key: str
    field: str
    before: Any
    a: Any
    b: Any


class Compared(NamedTuple):
    """What both sides have, by table, and what is left out because only one has it."""

    covered: dict[str, list[str]]
    only_a: list[str]
    only_b: list[str]


def diff(
    a: DiffSide,
    b: DiffSide,
    *,
    to_seq: int | None = None,
    listener: Listener | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Run two sides and compare them.

    Parameters
    ----------
    a, b : not opened yet; closed here
    to_seq : last sequence to compare
    listener : called with ("a" or "b", object) for each output that only one side emitted
    progress : called with the next sequence after each interval

    Returns
    -------
    The `--json` object of `disruptor diff`: docs/cli.md.

    Raises
    ------
    DisruptorError : what either side can't be run with.
    """
    compared = common_fields(a.fields(), b.fields())
    comparison = _Comparison(a, b, compared, listener)
    with ThreadPoolExecutor(2, "diff") as pool:
        try:
            starts = [side.open(compared.covered) for side in (a, b)]
            if starts[0] != starts[1]:
                raise InputError(
                    f"the journals begin with the sequences {starts[0]} and {starts[1]}: nothing to hold side by side"
                )
            comparison.at = starts[0]
            while comparison.goes_on and (to_seq is None or comparison.at <= to_seq):
                steps = list(pool.map(lambda side: side.advance(), (a, b)))
                comparison.take(steps[0], steps[1], to_seq)
                if progress is not None:
                    progress(comparison.at)
        finally:
            for side in (a, b):
                with suppress(AttributeError):
                    side.close()
    return comparison.report()


def common_fields(a: Fields, b: Fields) -> Compared:
    """The fields by table that two sides have in common, with the same kind.

    >>> common_fields({"t": {"x": "u32"}}, {"t": {"x": "u32", "y": "u8"}, "s": {}})
    Compared(covered={'t': ['x']}, only_a=[], only_b=['s', 't.y'])
    """

    def alone(one: Fields, other: Fields) -> list[str]:
        found = [name for name in one if name not in other]
        both = ((name, fields) for name, fields in one.items() if name in other)
        return found + [f"{n}.{f}" for n, fields in both for f in fields if other[n].get(f) != fields[f]]

    covered = {
        name: [f for f, kind in fields.items() if b[name].get(f) == kind]
        for name, fields in a.items()
        if name in b
    }
    return Compared(covered, alone(a, b), alone(b, a))


class _Comparison:
    """What has been found so far."""

    def __init__(self, a: DiffSide, b: DiffSide, compared: Compared, listener: Listener | None) -> None:
        self._sides, self._compared, self._listener = (a, b), compared, listener
        self.at, self.goes_on = 0, True
        self._first: int | None = None
        self._ends = [-1, -1]
        self._state: dict[str, Any] | None = None
        self._outputs: dict[str, Any] | None = None
        self._inputs: dict[str, Any] | None = None
        self._failures: list[str] | None = None
        self._only: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._apart, self._are_apart = 0, False

    def take(self, a: Step, b: Step, to_seq: int | None) -> None:
        """Compare one interval of both."""
        ends = [a.end, b.end] if to_seq is None else [min(step.end, to_seq + 1) for step in (a, b)]
        end = min(ends)
        if self._first is None and end > a.first:
            self._first = a.first
        if a.inputs != b.inputs and self._inputs is None:
            self._inputs = self._first_input(a.first, end)
        whole = a.end == b.end == end
        if not whole or a.state != b.state or self._are_apart:
            self._take_state(a.first, end)
        if not whole or a.outputs != b.outputs:
            self._take_outputs(end)
        self._ends = [max(last, step_end - 1) for last, step_end in zip(self._ends, ends, strict=True)]
        if a.failure or b.failure:
            self._failures = [a.failure, b.failure]
        self.goes_on = whole and a.end > a.first and not (a.failure or b.failure)
        self.at = end

    def _take_state(self, first: int, end: int) -> None:
        a, b = (side.sums()[: end - first] for side in self._sides)
        unequal = (a != b).any(axis=1)
        self._apart += int(np.count_nonzero(unequal))
        self._are_apart = bool(unequal[-1]) if len(unequal) else self._are_apart
        start = 0
        if self._state is None and unequal.any():
            start = int(np.flatnonzero(unequal)[0])
            self._state = self._parted(first + start)
        if self._state is not None and self._state["equal_again"] is None and not unequal[start:].all():
            self._state["equal_again"] = first + start + int(np.flatnonzero(~unequal[start:])[0])

    def _parted(self, sequence: int) -> dict[str, Any]:
        fields = first_fields(
            self._sides[0].changes(sequence), self._sides[1].changes(sequence), self._compared.covered
        )
        head = fields[0]._asdict() if fields else dict.fromkeys(Field._fields)
        return {
            "sequence": sequence,
            **head,
            "event": self._sides[0].show_input(sequence),
            "fields": [field._asdict() for field in fields[:SHOWN]],
            "fields_differing": len(fields),
            "equal_again": None,
        }

    def _take_outputs(self, end: int) -> None:
        found = [_Emitted(side, end) for side in self._sides]
        only = [found[0].without(found[1]), found[1].without(found[0])]
        for side, own, which, counter in zip(self._sides, found, only, self._only, strict=True):
            counter.update(own.names[k] for k in which)
            if self._listener is not None and len(which):
                for row in side.show_outputs(which):
                    self._listener("a" if side is self._sides[0] else "b", row)
        if self._outputs is None:
            self._outputs = self._first_outputs(found, only)

    def _first_outputs(self, found: Sequence[_Emitted], only: Sequence[list[int]]) -> dict[str, Any] | None:
        sequences = [own.sequences[k] for own, which in zip(found, only, strict=True) for k in which]
        if not sequences:
            order = found[0].first_unlike(found[1])
            return None if order is None else {"sequence": order, "kind": "order", "a": [], "b": []}
        sequence = int(min(sequences))
        shown = [
            side.show_outputs([k for k in which if own.sequences[k] == sequence][:SHOWN])
            for side, own, which in zip(self._sides, found, only, strict=True)
        ]
        return {"sequence": sequence, "kind": "content", "a": shown[0], "b": shown[1]}

    def _first_input(self, first: int, end: int) -> dict[str, Any] | None:
        for sequence in range(first, end):
            shown = [side.show_input(sequence) for side in self._sides]
            if shown[0] != shown[1]:
                return {"sequence": sequence, "a": shown[0], "b": shown[1]}
        return None

    def report(self) -> dict[str, Any]:
        """What was found, as one object."""
        failures = self._failures if self._failures and self._failures[0] != self._failures[1] else None
        found = (self._state, self._outputs, self._inputs, failures)
        same = not any(found) and self._ends[0] == self._ends[1]
        return {
            "same": same,
            "first_sequence": self._first,
            "last_sequence": min(self._ends),
            "ends": {"a": self._ends[0], "b": self._ends[1]},
            "state": self._state,
            "sequences_apart": self._apart,
            "outputs": self._outputs,
            "only_in_a": dict(sorted(self._only[0].items())),
            "only_in_b": dict(sorted(self._only[1].items())),
            "inputs": self._inputs,
            "failures": None if self._failures is None else {"a": self._failures[0], "b": self._failures[1]},
            "not_compared": {"a": self._compared.only_a, "b": self._compared.only_b},
        }


class _Emitted:
    """What one side emitted in an interval, up to a sequence."""

    def __init__(self, side: DiffSide, end: int) -> None:
        slots, names = side.outputs()
        sequences = slots.reshape(-1).view(header_dtype(slots.shape[1]))["sequence"]
        count = int(np.searchsorted(sequences, end))
        self._slots: Octets = slots[:count]
        self.names, self.sequences = names[:count], sequences[:count]
        self._content = [slot.tobytes() for slot in self._slots]

    def without(self, other: _Emitted) -> list[int]:
        """Which outputs the other side did not emit, as often."""
        left, found = Counter(other._content), []
        for k, content in enumerate(self._content):
            if left[content]:
                left[content] -= 1
            else:
                found.append(k)
        return found

    def first_unlike(self, other: _Emitted) -> int | None:
        """Sequence of the first output that is another than the other side's at its place."""
        pairs = zip(self._content, other._content, self.sequences, strict=False)
        return next((int(sequence) for mine, theirs, sequence in pairs if mine != theirs), None)


def first_fields(
    a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]], covered: Mapping[str, Sequence[str]]
) -> list[Field]:
    """The fields that an event left different, given what it wrote on each side from the same state.

    A row that one side did not write is there as it was before. A row that is absent has None for every field.
    """
    before = {(c["table"], c["key"]): c["before"] for c in (*b, *a)}
    after = [{**before, **{(c["table"], c["key"]): c["after"] for c in side}} for side in (a, b)]
    found = []
    for place in dict.fromkeys((c["table"], c["key"]) for c in (*a, *b)):
        values = [row or {} for row in (before[place], after[0][place], after[1][place])]
        for name in covered.get(place[0], ()):
            was, in_a, in_b = (row.get(name) for row in values)
            if in_a != in_b:
                found.append(Field(*place, name, was, in_a, in_b))
    return found


__all__ = ["SHOWN", "Compared", "Field", "common_fields", "diff", "first_fields"]
