"""What happens in a job, heard: masked, taken into the summary, written down, and passed on to whoever listens."""

from __future__ import annotations

import threading
from contextlib import suppress

import msgspec

from warpforge.errors import WarpforgeError
from warpforge.polytope.containers.masking import Mask
from warpforge.polytope.events import (
    ContainerChanged,
    ContainerSaid,
    ContainerSpawned,
    Event,
    JobChanged,
    StepChanged,
    StepSaid,
)
from warpforge.polytope.jobs.summary import JobSummary
from warpforge.polytope.jobs.work import Parts


class Hearing:
    """Of one job. Any thread may tell; ``changed`` guards the summary, and is notified of what is different in it."""

    def __init__(self, parts: Parts, summary: JobSummary, changed: threading.Condition) -> None:
        self.mask = Mask()
        self.deafness: Exception | None = None  # a listener could not listen any more: whoever read it has gone
        self._parts = parts
        self._summary = summary
        self._changed = changed

    def hear(self, event: Event) -> None:
        """Take what happened, and tell everybody."""
        now = self._parts.now()
        event = _masked(event, self.mask)
        if isinstance(event, StepSaid | ContainerSaid):
            kind, id = ("steps", event.step) if isinstance(event, StepSaid) else ("containers", event.container)
            self._parts.journal.say(kind, id, event.line, now)
        else:
            with self._changed:
                if self._summary.hear(event, now):
                    with suppress(WarpforgeError):  # a full disk: the job goes on, seen by nobody else
                        self._parts.journal.save(self._summary)
                self._changed.notify_all()
        for listener in self._parts.listeners:
            try:
                listener(event)
            except Exception as error:  # the thread that tells has its own work to do
                self.deafness = self.deafness or error


def _masked(event: Event, mask: Mask) -> Event:
    match event:
        case StepSaid() | ContainerSaid():
            return msgspec.structs.replace(event, line=mask.text(event.line))
        case StepChanged() | ContainerChanged() | JobChanged():
            return msgspec.structs.replace(event, why=mask.text(event.why)) if event.why else event
        case ContainerSpawned():
            return msgspec.structs.replace(event, image=mask.text(event.image))
    return event
