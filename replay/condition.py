"""Conditions on state and outputs, for `--until`: a small language that can only compare.

    condition   comparisons joined by `and` and `or`; `and` binds tighter
    comparison  what OP number        OP is one of < <= > >= == !=
    what        events                            events handled so far
                block, time                       of the block that is open, time in seconds
                output.TYPE.FIELD                 of any output of this type that the event emitted
                TABLE.FIELD                       of a table of one row
                TABLE[KEY].FIELD                  of the row with this key (address, id, or A,B), while it is there
    number      an integer, a decimal or 1e18, compared exactly; or 0x and hex for fields of bytes

Names are looked up before the run, so a mistake is told at once with the nearest name there is.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from disruptor.errors import InputError
from disruptor.handler_set import HandlerSet
from disruptor.message import FieldType
from disruptor.table import Table

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_COMPARISON = re.compile(
    r"\s*(?P<what>[A-Za-z_][\w.]*(?:\[[^\[\]]*\]\.\w+)?)\s*(?P<op><=|>=|==|!=|<|>)\s*(?P<value>[\w.+-]+)\s*"
)
_NUMBER = re.compile(r"-?\d[\d_]*(\.\d+)?([eE]\+?\d{1,4})?")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
#: What is known without asking a table.
PLAIN = ("events", "block", "time")


class Comparison(NamedTuple):
    """One comparison.

    kind : "plain", "output" or "row"
    name : of what is known plainly, of a message, or of a table; field : of it
    key : of a row, "" for a table of one row
    """

    kind: str
    name: str
    key: str
    field: str
    compare: Callable[[Any, Any], bool]
    value: Any

    def holds(self, found: Any) -> bool:
        """Whether the comparison holds of a field as `TableRows.shown` gives it; None is not comparable."""
        if not isinstance(self.value, str):
            found = _plain_number(found)
        alike = found is not None and isinstance(found, str) == isinstance(self.value, str)
        return alike and bool(self.compare(found, self.value))


class Condition(NamedTuple):
    """Alternatives, of each of which all comparisons have to hold; and the text that said so."""

    text: str
    alternatives: tuple[tuple[Comparison, ...], ...]

    @property
    def comparisons(self) -> list[Comparison]:
        """All of them."""
        return [one for alternative in self.alternatives for one in alternative]


def parse(text: str, handlers: HandlerSet) -> Condition:
    """Read a condition.

    Raises
    ------
    InputError : in one line, where it can't be read or which name there is not.
    """
    text = text.strip()
    alternatives = re.split(r"\s+or\s+", text)
    parts = [re.split(r"\s+and\s+", alternative) for alternative in alternatives]
    return Condition(text, tuple(tuple(_comparison(one, handlers) for one in all_of) for all_of in parts))


def _comparison(text: str, handlers: HandlerSet) -> Comparison:
    found = _COMPARISON.fullmatch(text)
    if found is None:
        raise InputError(
            f"--until {text.strip() or 'nothing'}: expected a comparison such as events >= 1000 or "
            "pools[0x...].reserve0 < 5"
        )
    what, compare = found["what"], _OPERATORS[found["op"]]
    head, _, rest = what.partition(".")
    if what in PLAIN:
        return Comparison("plain", what, "", "", compare, _value(found["value"], None, what))
    if head == "output":
        name, _, field = rest.partition(".")
        messages = {m.name: m for m in handlers.outputs}
        _known(what, name, messages, "output")
        kind = _known(what, field, messages[name].fields, f"field of {name}")
        return Comparison("output", name, "", field, compare, _value(found["value"], kind, what))
    return _row_comparison(what, compare, found["value"], handlers.tables)


def _row_comparison(
    what: str, compare: Callable[[Any, Any], bool], value: str, tables: Sequence[Table]
) -> Comparison:
    place, _, field = what.rpartition(".")
    name, bracket, key = place.partition("[")
    by_name = {table.name: table for table in tables}
    if not place:
        _known(what, what, {n: None for n in (*PLAIN, *by_name, "output")}, "name")
        raise InputError(f"--until {what}: of which field? Write {what}.FIELD")
    table = _known(what, name, {**by_name, "output": None}, "table")
    kind = _known(what, field, table.fields, f"field of {name}")
    if bool(bracket) == (table.key is None):
        how = f"{name}.FIELD" if table.key is None else f"{name}[KEY].FIELD"
        raise InputError(f"--until {what}: a row of {name} is written {how}")
    return Comparison("row", name, key.rstrip("]").strip().lower(), field, compare, _value(value, kind, what))


def _known(what: str, name: str, names: Any, kind: str) -> Any:
    if name in names:
        return names[name]
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
    raise InputError(f"--until {what}: no {kind} {name or 'named'}; {hint}")


def _value(text: str, kind: FieldType | None, what: str) -> Any:
    """What is compared with: an exact number, or hex in lower case for fields of bytes and references."""
    base = "" if kind is None else kind.name.removeprefix("derived:")
    octets = kind is not None and (base.startswith("ref:") or (bool(kind.count) and kind.base == "<u1"))
    if octets and _HEX.fullmatch(text):
        return text.lower()
    if _HEX.fullmatch(text) and not octets:
        return Fraction(int(text, 16))
    if not _NUMBER.fullmatch(text) or (octets and not base.startswith("ref:")):
        expected = "0x and hex" if octets else "a number such as 5, 0.5 or 1e18"
        raise InputError(f"--until {what}: expected {expected}, not {text}")
    return Fraction(text.replace("_", ""))


def _plain_number(found: Any) -> Any:
    """A shown integer of any width, as a number; None for what is none."""
    if isinstance(found, str):
        return int(found) if re.fullmatch(r"-?\d+", found) else None
    return found


def satisfied(condition: Condition, values: Callable[[Comparison], Iterable[Any]]) -> bool:
    """Whether a condition holds, given the values that there are now of what each comparison names."""
    return any(
        all(any(one.holds(value) for value in values(one)) for one in alternative)
        for alternative in condition.alternatives
    )
