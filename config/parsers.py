"""From the words of a profile or of `--set` to the value of one setting.

The YAML loader leaves every scalar as the text that the user wrote, so nothing is lost before the field's
own type speaks: `0x10` stays an address or becomes 16, `1e18` is the exact integer, `off` is the word,
`12:30:00` is no number. A parser takes that text (or a list of texts), returns the value, and raises
`ValueError` with the words that complete "expected …"; the loader adds path, place and the nearest valid
word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

#: A scalar's text or a list of texts.
Raw = str | list[str]
Parser = Callable[[Raw], Any]

_NONE = {"", "null", "none", "~"}
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}
_UNITS = {"": 1, "b": 1} | {
    f"{prefix}{suffix}": base**power
    for power, prefix in enumerate("kmgt", 1)
    for suffix, base in (("ib", 1024), ("b", 1000))
}
_INTEGER = re.compile(r"[+-]?[0-9](_?[0-9])*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,9})?")
_SIZE = re.compile(r"([0-9][0-9_.e+]*?)\s*([a-z]*)", re.IGNORECASE)
_NODES = Path("/sys/devices/system/node")
#: Larger exponents are typing errors, and 10**exponent would eat memory.
_EXPONENT_MAX = 80


class Choice:
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, raw: Raw) -> str:
        word = _text(raw, self.expected).lower()
        if word not in self.words:
            raise ValueError(self.expected)
        return word

    @property
    def expected(self) -> str:
        """The choices as a phrase."""
        return f"{', '.join(self.words[:-1])} or {self.words[-1]}"


def exact_int(text: str) -> int | None:
    """The integer that `text` writes exactly (decimal, `0x…`, `1_000`, `1e18`), or None.

    >>> exact_int("1e18"), exact_int("0x10"), exact_int("1.5"), exact_int("12:30:00")
    (1000000000000000000, 16, None, None)
    """
    if re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if _INTEGER.fullmatch(text):
        return int(text)
    number = _decimal(text)
    return int(number) if number is not None and number == number.to_integral_value() else None


def integer(low: int, high: int, *, power_of_two: bool = False) -> Parser:
    """A parser for integers from `low` to `high`, both included."""
    what = "a power of two" if power_of_two else "an integer"
    expected = f"{what} from {low} to {high}"

    def parse(raw: Raw) -> int:
        value = exact_int(_text(raw, expected))
        if value is None or not low <= value <= high or (power_of_two and value & (value - 1)):
            raise ValueError(expected)
        return value

    return parse


def boolean(raw: Raw) -> bool:
    """`true` or `false`, also yes/no, on/off and 1/0."""
    word = _text(raw, "true or false").lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("true or false")
    return word in _TRUE


def number_from_zero(raw: Raw) -> float:
    """A finite number >= 0."""
    expected = "a number of at least 0"
    value = _decimal(_text(raw, expected))
    if value is None or value < 0:
        raise ValueError(expected)
    return float(value)


def byte_size(low: int, high: int) -> Parser:
    """A parser for a number of bytes with an optional unit (kB, MB, … or KiB, MiB, …)."""
    expected = f"a size from {show_bytes(low)} to {show_bytes(high)}, such as 2GiB"

    def parse(raw: Raw) -> int:
        match = _SIZE.fullmatch(_text(raw, expected))
        unit = _UNITS.get(match[2].lower()) if match else None
        count = _decimal(match[1].replace("_", "")) if match else None
        if count is None or unit is None:
            raise ValueError(expected)
        value = count * unit
        if not low <= value <= high or value != value.to_integral_value():
            raise ValueError(expected)
        return int(value)

    return parse


def page_size(raw: Raw) -> int:
    """The bytes of a huge page: `2MiB` or `1GiB`."""
    sizes = {"2mib": 2 << 20, "1gib": 1 << 30}
    word = _text(raw, "2MiB or 1GiB").lower()
    if word not in sizes:
        raise ValueError("2MiB or 1GiB")
    return sizes[word]


def show_bytes(count: int) -> str:
    """A number of bytes in the largest unit that divides it.

    >>> show_bytes(4 << 30), show_bytes(1000)
    ('4GiB', '1000')
    """
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count and count % (1 << power) == 0:
            return f"{count >> power}{unit}"
    return str(count)


def optional(parse: Parser) -> Parser:
    """`parse`, or None for `null`."""

    def parse_optional(raw: Raw) -> Any:
        if isinstance(raw, str) and raw.lower() in _NONE:
            return None
        try:
            return parse(raw)
        except ValueError as error:
            raise ValueError(f"{error}, or null") from None

    return parse_optional


def cpu_cores(raw: Raw) -> tuple[int, ...]:
    """Distinct CPU numbers that this process may run on: `[0, 1]`, `0,1` or `[]`."""
    allowed = sorted(os.sched_getaffinity(0))
    expected = f"a list of distinct CPU numbers out of {_ranges(allowed)}, such as [{allowed[0]}]"
    words = [w.strip() for w in raw.split(",") if w.strip()] if isinstance(raw, str) else raw
    if words and isinstance(raw, str) and raw.lower() in _NONE:
        words = []
    cores = [exact_int(word) for word in words]
    if any(core is None or core not in allowed for core in cores) or len(set(cores)) != len(cores):
        raise ValueError(expected)
    return tuple(core for core in cores if core is not None)


def numa_node(raw: Raw) -> int:
    """A NUMA node of this machine."""
    nodes = sorted(int(path.name[4:]) for path in _NODES.glob("node[0-9]*")) or [0]
    expected = f"a NUMA node out of {_ranges(nodes)}"
    value = exact_int(_text(raw, expected))
    if value is None or value not in nodes:
        raise ValueError(expected)
    return value


def address(raw: Raw) -> str:
    """A 20-byte address, lower-case."""
    expected = "an address: 0x and 40 hex digits"
    text = _text(raw, expected)
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{40}", text):
        raise ValueError(expected)
    return text.lower()


def addresses(most: int) -> Parser:
    """A parser for a list of at most `most` distinct addresses: `[0x…, 0x…]`, or words with commas."""
    expected = f"a list of at most {most} distinct addresses"

    def parse(raw: Raw) -> tuple[str, ...]:
        words = [w.strip() for w in raw.split(",") if w.strip()] if isinstance(raw, str) else raw
        if len(words) == 1 and words[0].lower() in _NONE:
            return ()
        try:
            found = tuple(address(word) for word in words)
        except ValueError:
            raise ValueError(expected) from None
        if len(found) > most or len(set(found)) != len(found):
            raise ValueError(expected)
        return found

    return parse


def _text(raw: Raw, expected: str) -> str:
    """The scalar, or the complaint that a list is none."""
    if not isinstance(raw, str):
        raise ValueError(expected)
    return raw.strip()


def _decimal(text: str) -> Decimal | None:
    """A finite number of sane magnitude in plain or exponent notation."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if abs(number.adjusted()) <= _EXPONENT_MAX else None


def _ranges(numbers: list[int]) -> str:
    """Sorted numbers with runs joined: `0-3, 8`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
