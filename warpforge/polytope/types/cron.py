"""Schedules of five fields, as cron reads them: minute, hour, day of the month, month, day of the week.

    *  5  1-5  */10  10-40/5  1,15  jan  mon-fri

Sunday is 0 or 7. When both days are restricted, either suffices. Written here because the fields are fifty lines, and
the libraries that know them bring more questions than answers: what happens at a change of the clocks is said below.
Times are the wall clock's, without a zone: one that a change of the clocks skips does not come, one that it repeats
comes once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from warpforge.errors import Invalid

MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS: Final = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
HORIZON: Final = 366 * 8 + 2  # days: every February 29th is nearer, but across a century


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, tuple(MONTHS)),
    _Field("day of the week", 0, 7, tuple(DAYS)),
)


class Schedule(NamedTuple):
    """The values that each field may have. ``any_day`` and ``any_weekday``: that field says nothing."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def next(self, after: datetime) -> datetime | None:
        """The first time later than ``after``; None when there is none in eight years."""
        start = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for number in range(HORIZON):
            day = start.date() + timedelta(days=number)
            if not self._is_day(datetime(day.year, day.month, day.day)):
                continue
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    found = datetime(day.year, day.month, day.day, hour, minute)
                    if found >= start:
                        return found
        return None

    def _is_day(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_day and by_weekday
        return by_day or by_weekday


def parse_schedule(text: str) -> Schedule:
    """Errors: ``job-invalid``, reason ``schedule``, naming the field."""
    words = NAMED.get(text.strip().lower(), text).split()
    if len(words) != len(FIELDS):
        raise _wrong(text, "it needs five fields: minute, hour, day of the month, month, day of the week")
    values = [_parse(text, word.lower(), field) for word, field in zip(words, FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in values[4])
    return Schedule(values[0], values[1], values[2], values[3], weekdays, words[2][0] == "*", words[4][0] == "*")


def _parse(text: str, word: str, field: _Field) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isascii() and step.isdigit() and int(step)):
            raise _wrong(text, f"the {field.name} {part!r} needs a number above 0 behind its /")
        if span == "*":
            low, high = field.low, field.high
        else:
            first, dash, last = span.partition("-")
            low = _number(text, first, field)
            high = _number(text, last, field) if dash else field.high if slash else low
        if low > high:
            raise _wrong(text, f"the {field.name} {part!r} ends before it begins")
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, word: str, field: _Field) -> int:
    if word in field.names:
        return field.names.index(word) + field.low
    if word.isascii() and word.isdigit() and field.low <= int(word) <= field.high:
        return int(word)
    raise _wrong(text, f"the {field.name} must be from {field.low} to {field.high}, not {word!r}")


def _wrong(text: str, why: str) -> Invalid:
    return Invalid("job-invalid", f"schedule {text!r}: {why}", reason="schedule", schedule=text)
