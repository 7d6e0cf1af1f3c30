"""Watching for what triggers wait for, and beginning what they start: look, begin what is due, remember, wait.

What is remembered is written before anything begins: whatever happens then, nothing is begun twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from warpforge.errors import Invalid, Missing, WarpforgeError, store_error
from warpforge.fsx.atomic import make_dirs
from warpforge.polytope.calls.expand import Call
from warpforge.polytope.calls.references import parse_code
from warpforge.polytope.code.evaluator import Evaluator, Scope
from warpforge.polytope.containers.repository import Refs, find_repository, read_refs
from warpforge.polytope.files.library import Library
from warpforge.polytope.files.read import load_strict
from warpforge.polytope.nouns import Parameter, Template, Trigger, Value
from warpforge.polytope.triggers.triggers import (
    Clock,
    Due,
    Missed,
    check_triggers,
    load_memory,
    look,
    next_time,
    save_memory,
)

PAUSE: Final = 2.0  # seconds between two looks at a repository
LONGEST: Final = 30.0  # seconds between two looks when only schedules are watched

Begin = Callable[[Trigger, Call], str]
Tell = Callable[[dict[str, object]], None]


class Watching:
    """The triggers of a library's files. ``begin`` starts a call as a job, and gives the job's id; ``tell`` hears what
    happens, as maps with the key ``what``: begun, skipped, missed, failed, trouble."""

    def __init__(
        self, library: Library, evaluator: Evaluator, state: str, clock: Clock, begin: Begin, tell: Tell
    ) -> None:
        """Errors: ``job-invalid`` (schedule, event); ``missing`` when there are no triggers, or no repository."""
        self.triggers = [trigger for file in library.files for trigger in file.triggers]
        if not self.triggers:
            raise Missing("missing", "there are no triggers here: a polytope file lists them under triggers")
        self.warnings = check_triggers(self.triggers)
        self._library = library
        self._evaluator = evaluator
        self._path = f"{state}/triggers.json"
        self._bare = Path(state, "refs.git")
        self._clock = clock
        self._begin = begin
        self._tell = tell
        has_events = any(on.events for trigger in self.triggers for on in trigger.on)
        try:
            make_dirs(state)
        except OSError as error:
            raise store_error(error, state) from error
        self._repository = find_repository(library.directory) if has_events else ""

    def run(self) -> None:
        """Until the clock says that it is time to end. Errors: ``store``."""
        since = self._clock.now()
        while True:
            self.look(since)
            if self._clock.wait(self._pause()):
                return

    def look(self, since: datetime | None = None) -> None:
        """One look, and all that is due. ``since``: when the watch began that it belongs to."""
        now = self._clock.now()
        found = look(self.triggers, load_memory(self._path), now, self._refs(), since=since)
        save_memory(self._path, found.memory)
        for missed in found.missed:
            self._tell(_spell_missed(missed))
        for due in found.due:
            try:
                self._start(due)
            except WarpforgeError as error:
                self._tell({"what": "failed", "trigger": due.trigger.id, "why": error.message})

    def _pause(self) -> float:
        now = self._clock.now()
        coming = next_time(self.triggers, now)
        longest = PAUSE if self._repository else LONGEST
        return min(longest, max(0.05, (coming - now).total_seconds())) if coming else longest

    def _refs(self) -> Refs | None:
        if not self._repository:
            return None
        try:
            return read_refs(self._repository, self._bare)
        except WarpforgeError as error:
            self._tell({"what": "trouble", "why": error.message})
            return None

    def _start(self, due: Due) -> None:
        event = _spell(due)
        trigger = due.trigger
        if due.on.when and not self._is_wanted(due.on.when, event):
            self._tell({"what": "skipped", "trigger": trigger.id, "event": event})
            return
        job = self._begin(trigger, self._call(trigger, event))
        self._tell({"what": "begun", "trigger": trigger.id, "event": event, "job": job})

    def _is_wanted(self, when: str, event: dict[str, Value]) -> bool:
        return self._evaluate(when, event) not in (None, False)

    def _evaluate(self, text: str, event: dict[str, Value]) -> Value:
        code = parse_code(text)
        if code is None:
            raise Invalid("job-invalid", f"{text!r} is no code: it begins with pt.js or pt.clj", reason="when")
        return self._evaluator.evaluate(code, Scope({"event": event}))

    def _call(self, trigger: Trigger, event: dict[str, Value]) -> Call:
        """What the trigger starts. A template with a parameter ``event`` is given it; one that is written in place has
        it."""
        template: str | Template = trigger.template
        if isinstance(template, str) and parse_code(template) is not None:
            template = self._made(trigger, self._evaluate(template, event))
        scope = next((file for file in self._library.files if trigger in file.triggers), None)
        if isinstance(template, Template):
            assert scope is not None
            if not any(one.id == "event" for one in template.params):
                template = msgspec.structs.replace(template, params=(*template.params, Parameter("event")))
            scope = msgspec.structs.replace(scope, templates=(template, *scope.templates))
            name, params = template.id, template.params
        else:
            name, params = template, self._library.find(template, scope).noun.params
        args: dict[str, Value] = {"event": event} if any(one.id == "event" for one in params) else {}
        return Call(reference=name, args=args, file=scope, place=trigger.place)

    def _made(self, trigger: Trigger, value: Value) -> str | Template:
        """What the code of a trigger gave: an id, or a template."""
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict):
            spec = {"id": trigger.id, **value}
            return load_strict(json.dumps({"templates": [spec]}).encode(), f"trigger {trigger.id}").templates[0]
        raise Invalid("job-invalid", f"trigger {trigger.id}: its code gives no template", reason="template")


def _spell(due: Due) -> dict[str, Value]:
    """``{type: schedule, time}``, or ``{type: git-..., name, before, after}``"""
    if due.happening is None:
        return {"type": "schedule", "schedule": due.on.schedule, "time": due.time.isoformat() if due.time else None}
    one = due.happening
    return {"type": one.type, "name": one.name, "before": one.before or None, "after": one.after or None}


def _spell_missed(missed: Missed) -> dict[str, object]:
    return {
        "what": "missed",
        "trigger": missed.trigger.id,
        "schedule": missed.schedule,
        "first": missed.first.isoformat(),
        "last": missed.last.isoformat(),
        "times": missed.times,
    }


def describe(triggers: Sequence[Trigger]) -> list[str]:
    """What is watched, a line for each trigger."""
    return [
        f"{trigger.id}: {', '.join(word for on in trigger.on for word in (on.schedule, *on.events) if word)}"
        for trigger in triggers
    ]
