"""What a job is at a moment: its steps, containers and services, put together from events. No I/O.

Times are seconds since 1970, 0.0 for not yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from warpforge.errors import Missing
from warpforge.polytope.events import (
    ENDED,
    ContainerChanged,
    ContainerSpawned,
    ContainerState,
    Event,
    Exposed,
    JobChanged,
    ServiceChanged,
    ServiceState,
    StepChanged,
    StepState,
)

GONE: Final = frozenset({"exited", "failed"})


class StepSummary(msgspec.Struct, kw_only=True):
    """``parent``: the step whose template it is written in. ``is_template``: it has no work of its own."""

    id: str
    parent: str = ""
    state: StepState = "queued"
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    why: str = ""
    is_template: bool = False
    containers: list[str] = []

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED


class ContainerSummary(msgspec.Struct, kw_only=True):
    """``exit``: of the process that ended last; ``image``: as written, then its digest; ``boxes``, ``up``: how many it
    has, and how many of these run."""

    id: str
    step: str = ""
    state: ContainerState = "pulling"
    image: str = ""
    digest: str = ""
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    exit: int | None = None
    restarts: int = 0
    why: str = ""
    boxes: int = 0
    up: int = 0

    @property
    def has_ended(self) -> bool:
        return self.state in GONE


class ServiceSummary(msgspec.Struct, kw_only=True):
    """``containers``: what stands behind it."""

    id: str
    containers: list[str] = []
    state: ServiceState = "pending"
    ports: tuple[Exposed, ...] = ()


class JobSummary(msgspec.Struct, kw_only=True):
    """``run``: what was asked for, in words; ``file``: the polytope file; ``pid``: of the process that runs it."""

    id: str
    uid: str
    run: str = ""
    file: str = ""
    pid: int = 0
    state: StepState = "queued"
    created: float = 0.0
    finished: float = 0.0
    why: str = ""
    steps: dict[str, StepSummary] = {}
    containers: dict[str, ContainerSummary] = {}
    services: dict[str, ServiceSummary] = {}

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    def below(self, step: str) -> list[str]:
        """A step, and all that it began, directly or not."""
        found = [step]
        for other in self.steps.values():  # whoever began one stands before it
            if other.parent in found:
                found.append(other.id)
        return found

    def parts_of(self, id: str) -> tuple[list[str], list[str]]:
        """The steps and the containers that a service, a container or a step stands for.

        Errors: ``missing``, naming what there is.
        """
        if id in self.services or id in self.containers:
            containers = self.services[id].containers if id in self.services else [id]
            return [*dict.fromkeys(self.containers[one].step for one in containers)], containers
        if id in self.steps:
            steps = self.below(id)
            return steps, [one.id for one in self.containers.values() if one.step in steps and not one.has_ended]
        there = ", ".join(dict.fromkeys((*self.services, *self.containers, *self.steps)))
        what = f"job {self.id} has no service, container or step {id}: there is {there or 'nothing'}"
        raise Missing("missing", what, id=id)

    def hear(self, event: Event, now: float) -> bool:
        """Take what happened; gives whether anything here is different now."""
        match event:
            case JobChanged():
                self.state, self.why = event.state, event.why
                self.finished = now if self.has_ended else 0.0
            case StepChanged():
                self._step(event, now)
            case ContainerSpawned():
                self._spawned(event, now)
            case ContainerChanged():
                self._container(event, now)
            case ServiceChanged():
                self._service(event)
            case _:
                return False
        return True

    def _spawned(self, event: ContainerSpawned, now: float) -> None:
        one = self.containers.setdefault(event.container, ContainerSummary(id=event.container, created=now))
        one.step, one.image = event.step, event.image
        step = self.steps.get(event.step)
        if step is not None and event.container not in step.containers:
            step.containers = [*step.containers, event.container]

    def _step(self, event: StepChanged, now: float) -> None:
        step = self.steps.setdefault(event.step, StepSummary(id=event.step, parent=event.parent, created=now))
        step.state, step.why = event.state, event.why or step.why
        if event.parent in self.steps:
            self.steps[event.parent].is_template = True
        if event.state in ("starting", "running") and not step.started:
            step.started = now
        if step.has_ended:
            step.finished = now

    def _container(self, event: ContainerChanged, now: float) -> None:
        one = self.containers.setdefault(event.container, ContainerSummary(id=event.container, created=now))
        if event.state == "running" and one.state != "running":  # else it has only another number of boxes
            one.started = now
        one.state, one.restarts, one.boxes, one.up = event.state, event.restarts, event.boxes, event.up
        one.exit = event.exit if event.exit is not None else one.exit
        one.digest, one.why = event.image or one.digest, event.why
        one.finished = now if one.has_ended else 0.0

    def _service(self, event: ServiceChanged) -> None:
        one = self.services.setdefault(event.service, ServiceSummary(id=event.service))
        if event.container not in one.containers:
            one.containers = [*one.containers, event.container]
        one.state, one.ports = event.state, event.ports or one.ports


def differences(before: JobSummary, now: JobSummary) -> Iterator[Event]:
    """What was told between two moments of a job, as far as it still shows."""
    for step in now.steps.values():
        old = before.steps.get(step.id)
        if old is None or old.state != step.state:
            yield StepChanged(step.id, step.state, step.parent, step.why)
    for one in now.containers.values():
        known = before.containers.get(one.id)
        if known is None:
            yield ContainerSpawned(one.id, one.step, one.image)
        if known is None or (known.state, known.boxes, known.up) != (one.state, one.boxes, one.up):
            yield ContainerChanged(one.id, one.state, one.exit, one.restarts, one.digest, one.why, one.boxes, one.up)
    for service in now.services.values():
        seen = before.services.get(service.id)
        if seen is None or seen.state != service.state:
            yield ServiceChanged(service.id, service.containers[-1], service.state, service.ports)
    if before.state != now.state:
        yield JobChanged(now.id, now.state, now.why)
