"""Block times written as text, as warehouses export them: `2023-08-26 16:21:35 UTC`, `2023-08-26T16:21:35Z`.

The kernel takes the fixed-width forms that exports use, in UTC; `seconds_of` decides all other ISO 8601 forms
exactly (offsets, fractions of zero) and is the slow path of the readers. A time without a zone is UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from disruptor.jit import jit

#: `parse_utc`: not one of the fixed-width forms, or no such time.
NOT_A_TIME = -1

_DIGIT_COLUMNS = np.array([0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18], dtype=np.int64)
_DAYS_BEFORE_MONTH = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365], dtype=np.int64)
_SECONDS_IN_DAY = 86_400
_DAYS_BEFORE_1970 = 719_162  # from 0001-01-01 in the Gregorian calendar


@jit
def _has_layout(source: Any, start: int, stop: int) -> bool:
    """Whether the run is `dddd-dd-dd dd:dd:dd` (or `T` for the blank), with nothing, `Z` or ` UTC` behind."""
    length = stop - start
    if length != 19 and length != 20 and length != 23:
        return False
    for i in range(len(_DIGIT_COLUMNS)):
        byte = source[start + _DIGIT_COLUMNS[i]]
        if byte < 48 or byte > 57:
            return False
    if (
        source[start + 4] != 45
        or source[start + 7] != 45
        or source[start + 13] != 58
        or source[start + 16] != 58
    ):
        return False
    if source[start + 10] != 32 and source[start + 10] != 84:
        return False
    if length == 20:
        return bool(source[start + 19] == 90)
    if length == 23:
        utc = source[start + 20] == 85 and source[start + 21] == 84 and source[start + 22] == 67
        return bool(source[start + 19] == 32 and utc)
    return True


@jit
def _two_digits(source: Any, at: int) -> Any:
    return np.int64(source[at] - 48) * 10 + np.int64(source[at + 1] - 48)


@jit
def parse_utc(source: Any, start: int, stop: int) -> int:
    """Seconds since the epoch of a fixed-width UTC time.

    Parameters
    ----------
    source : (n,) uint8
    start, stop : int64, 0 <= start <= stop <= n

    Returns
    -------
    int64 : seconds >= 0, or `NOT_A_TIME`.
    """
    if not _has_layout(source, start, stop):
        return NOT_A_TIME
    year = _two_digits(source, start) * 100 + _two_digits(source, start + 2)
    month, day = _two_digits(source, start + 5), _two_digits(source, start + 8)
    hour, minute, second = (
        _two_digits(source, start + 11),
        _two_digits(source, start + 14),
        _two_digits(source, start + 17),
    )
    if year < 1970 or month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 59:
        return NOT_A_TIME
    leap = 1 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 0
    days_in_month = _DAYS_BEFORE_MONTH[month] - _DAYS_BEFORE_MONTH[month - 1] + (leap if month == 2 else 0)
    if day > days_in_month:
        return NOT_A_TIME
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 - _DAYS_BEFORE_1970
    days += _DAYS_BEFORE_MONTH[month - 1] + day - 1 + (leap if month > 2 else 0)
    seconds: int = days * _SECONDS_IN_DAY + hour * 3600 + minute * 60 + second
    return seconds


def seconds_of(text: str) -> int:
    """Seconds since the epoch of an ISO 8601 time; without a zone it is UTC.

    Raises
    ------
    ValueError : no such time, a fraction of a second, or before 1970.

    >>> seconds_of("2023-08-26 16:21:35.000000 UTC")
    1693066895
    >>> seconds_of("2023-08-26T18:21:35+02:00")
    1693066895
    """
    moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment.microsecond or moment.timestamp() < 0:
        raise ValueError(f"not a whole second since 1970: {text}")
    return int(moment.timestamp())
