"""Status codes: unique, named, and told apart from handlers' own."""

from __future__ import annotations

import pytest

from disruptor import status


def codes() -> dict[str, int]:
    return {
        n: v for n, v in vars(status).items() if n.isupper() and isinstance(v, int) and n != "USER_STATUS"
    }


def test_codes_are_distinct_and_below_the_users() -> None:
    found = codes()
    assert len(found) >= 13 and found["OK"] == 0
    assert len(set(found.values())) == len(found)
    assert all(0 <= value < status.USER_STATUS for value in found.values())


def test_every_code_is_described_by_its_name() -> None:
    assert {status.describe(value) for value in codes().values()} == set(codes())


@pytest.mark.parametrize(("value", "text"), [(1000, "handler status 1000"), (4711, "handler status 4711")])
def test_users_codes_start_at_the_first(value: int, text: str) -> None:
    assert status.describe(value) == text


def test_a_code_of_nobody_is_still_described() -> None:
    assert status.describe(999) == "status 999"
    assert status.describe(-3) == "status -3"
