"""When triggers start their templates: pure thought, and what is remembered of it between two starts of ``pt serve``.

A look compares now with the last look. A time of a schedule that has come since then is due, unless it lies longer
back than ``PATIENCE``: then nobody looked when it came, it was missed, and that is said and not made up for. Git
events are those between two looks at the names of the repository; the first look ever only remembers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

import msgspec

from warpforge.errors import Invalid, store_error
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.polytope.containers.repository import Happening, Refs, compare
from warpforge.polytope.nouns import On, Trigger
from warpforge.polytope.types.cron import parse_schedule

PATIENCE: Final = timedelta(seconds=90)
MISSED: Final = 100  # times of one schedule that are counted one by one
GIT: Final = tuple(f"git-{kind}-{what}" for kind in ("branch", "tag") for what in ("added", "updated", "deleted"))
ELSEWHERE: Final = tuple(f"{kind}-{what}" for kind in ("issue", "pr") for what in ("created", "modified", "deleted"))


class Clock(Protocol):
    """What time it is, and waiting."""

    def now(self) -> datetime:
        """The wall clock's time, without a zone."""

    def wait(self, seconds: float) -> bool:
        """Wait; true when it is time to end."""


class Due(NamedTuple):
    """A trigger begins: by a schedule, at ``time``, or by what happened."""

    trigger: Trigger
    on: On
    time: datetime | None = None
    happening: Happening | None = None


class Missed(NamedTuple):
    """Times of a schedule at which nobody looked: the first, the last, and how many (up to ``MISSED``)."""

    trigger: Trigger
    schedule: str
    first: datetime
    last: datetime
    times: int


class Memory(msgspec.Struct, frozen=True):
    """What is remembered. ``looked``: ISO 8601; "" before the first look. ``refs``: None before the first one."""

    looked: str = ""
    refs: Refs | None = None


class Look(NamedTuple):
    """What one look found, and what is to be remembered from now on."""

    due: list[Due]
    missed: list[Missed]
    memory: Memory


def check_triggers(triggers: Sequence[Trigger]) -> list[str]:
    """Warnings: events that cannot happen here. Errors: ``job-invalid``, reason ``schedule`` or ``event``."""
    warnings = []
    for trigger in triggers:
        for on in trigger.on:
            if on.schedule:
                parse_schedule(on.schedule)
            for event in on.events:
                if event in ELSEWHERE:
                    warnings.append(f"trigger {trigger.id}: {event} happens on a platform, never in a repository here")
                elif event not in GIT:
                    known = ", ".join((*GIT, *ELSEWHERE))
                    what = f"trigger {trigger.id}: there is no event {event}; there are {known}"
                    raise Invalid("job-invalid", what, reason="event", trigger=trigger.id, event=event)
    return warnings


def look(
    triggers: Sequence[Trigger], memory: Memory, now: datetime, refs: Refs | None, *, since: datetime | None = None
) -> Look:
    """What is due. ``refs``: the repository's names; None when it could not be read. ``since``: when whoever looks
    began to watch: what came before that was missed; None: a look is all there is of a watch."""
    due: list[Due] = []
    missed: list[Missed] = []
    looked = datetime.fromisoformat(memory.looked) if memory.looked else now
    for trigger in triggers:
        for on in trigger.on:
            if on.schedule:
                times, late = _times(on.schedule, looked, now, max(now - PATIENCE, since or datetime.min))
                due += [Due(trigger, on, time=time) for time in times]
                missed += [Missed(trigger, on.schedule, late[0], late[-1], len(late))] if late else []
    happened = compare(memory.refs, refs) if memory.refs is not None and refs is not None else []
    due += [
        Due(trigger, on, happening=happening)
        for happening in happened
        for trigger in triggers
        for on in trigger.on
        if happening.type in on.events
    ]
    # a clock that was put back: nothing is done twice
    remembered = max(looked, now) if looked - now < timedelta(hours=3) else now
    return Look(due, missed, Memory(remembered.isoformat(), refs if refs is not None else memory.refs))


def _times(schedule: str, looked: datetime, now: datetime, since: datetime) -> tuple[list[datetime], list[datetime]]:
    """The times that came since the last look: those that are due, and those that were missed, before ``since``."""
    due: list[datetime] = []
    late: list[datetime] = []
    time = parse_schedule(schedule).next(looked)
    while time is not None and time <= now:
        if time >= since:
            due.append(time)
        elif len(late) < MISSED:
            late.append(time)
        else:
            late[-1] = time
        time = parse_schedule(schedule).next(time)
    return due, late


def next_time(triggers: Sequence[Trigger], now: datetime) -> datetime | None:
    """When the next schedule comes."""
    times = (parse_schedule(on.schedule).next(now) for trigger in triggers for on in trigger.on if on.schedule)
    return min((time for time in times if time is not None), default=None)


def load_memory(path: str) -> Memory:
    """What was remembered; a file that cannot be read remembers nothing."""
    with suppress(OSError, msgspec.MsgspecError, ValueError), open(path, "rb") as file:
        memory = msgspec.json.decode(file.read(), type=Memory)
        if memory.looked:
            datetime.fromisoformat(memory.looked)
        return memory
    return Memory()


def save_memory(path: str, memory: Memory) -> None:
    """Errors: ``store``."""
    try:
        make_dirs(os.path.dirname(path))
        write_atomic(path, msgspec.json.encode(memory) + b"\n")
    except OSError as error:
        raise store_error(error, "what triggers remember") from error
