"""When schedules come."""

from __future__ import annotations

from datetime import datetime

import pytest

from warpforge.errors import Invalid
from warpforge.polytope.types.cron import parse_schedule

AFTER = datetime(2024, 2, 27, 10, 30, 59)  # a Tuesday


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("* * * * *", ["02-27 10:31", "02-27 10:32"]),
        ("15 3 * * *", ["02-28 03:15", "02-29 03:15", "03-01 03:15"]),
        ("0 0,12 */2 * *", ["02-27 12:00", "02-29 00:00", "02-29 12:00", "03-01 00:00"]),
        ("*/20 10-11 * * *", ["02-27 10:40", "02-27 11:00", "02-27 11:20", "02-27 11:40", "02-28 10:00"]),
        ("50/5 * * * *", ["02-27 10:50", "02-27 10:55", "02-27 11:50"]),
        ("0 9 * * mon-fri", ["02-28 09:00", "02-29 09:00", "03-01 09:00", "03-04 09:00"]),
        ("0 9 * * 7", ["03-03 09:00", "03-10 09:00"]),
        ("0 0 13 * FRI", ["03-01 00:00", "03-08 00:00", "03-13 00:00"]),  # either day suffices
        ("0 0 29 feb *", ["02-29 00:00"]),
        ("@monthly", ["03-01 00:00", "04-01 00:00"]),
    ],
)
def test_the_times_of_a_schedule(text: str, times: list[str]) -> None:
    schedule, now = parse_schedule(text), AFTER
    for time in times:
        found = schedule.next(now)
        assert found is not None and found.strftime("%m-%d %H:%M") == time
        now = found


def test_the_next_leap_day_is_found_and_a_day_that_never_comes_is_not() -> None:
    assert parse_schedule("0 0 29 2 *").next(datetime(2024, 3, 1)) == datetime(2028, 2, 29)
    assert parse_schedule("0 0 31 2 *").next(AFTER) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * *", "five fields"),
        ("60 * * * *", "minute must be from 0 to 59"),
        ("* * 0 * *", "day of the month"),
        ("5-1 * * * *", "ends before"),
        ("*/0 * * * *", "above 0"),
        ("* * * foo *", "month"),
        ("", "five fields"),
    ],
)
def test_what_is_no_schedule_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        parse_schedule(text)
    assert caught.value.reason == "schedule"
