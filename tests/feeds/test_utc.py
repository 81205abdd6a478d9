"""Times as text against datetime."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disruptor.feeds.utc import NOT_A_TIME, parse_utc, seconds_of


def parse(text: str) -> int:
    return int(parse_utc(np.frombuffer(text.encode(), dtype=np.uint8), 0, len(text)))


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)),
    st.sampled_from(" T"),
    st.sampled_from(["", "Z", " UTC"]),
)
def test_parse_utc_agrees_with_datetime(moment: datetime, separator: str, zone: str) -> None:
    text = moment.replace(microsecond=0).isoformat(separator) + zone
    assert parse(text) == seconds_of(text) == int(moment.replace(microsecond=0, tzinfo=UTC).timestamp())


def test_leap_days_and_month_ends() -> None:
    for year in (1970, 1972, 2000, 2023, 2024, 2100):
        for month in range(1, 13):
            for day in (1, 28, 29, 30, 31):
                text = f"{year}-{month:02}-{day:02}T23:59:59Z"
                try:
                    expected = int(datetime.fromisoformat(text).timestamp())
                except ValueError:
                    expected = NOT_A_TIME
                assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2023-08-26",
        "2023-08-26 16:21:35 CET",
        "2023-08-26 16:21:35X",
        "2023-08-26x16:21:35",
        "2023/08/26 16:21:35",
        "2023-08-26 16.21.35",
        "2023-08-26 24:00:00",
        "2023-08-26 16:60:00",
        "2023-08-26 16:21:60",
        "2023-00-26 16:21:35",
        "2023-13-26 16:21:35",
        "2023-08-00 16:21:35",
        "1969-12-31 23:59:59",
        "2023-08-2a 16:21:35",
    ],
)
def test_other_text_is_no_time(text: str) -> None:
    assert parse(text) == NOT_A_TIME


def test_seconds_of_refuses_what_is_no_whole_second_since_1970() -> None:
    for text in ("1969-12-31 23:59:59", "2023-08-26 16:21:35.5", "noon"):
        with pytest.raises(ValueError, match=r".+"):
            seconds_of(text)
