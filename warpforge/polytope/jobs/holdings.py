"""The containers of a job as the job has them: whose they are, who waits for them, and who asked for their end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from warpforge.errors import Missing
from warpforge.polytope.events import ContainerSpawned, Event
from warpforge.polytope.jobs.step import StepRunner
from warpforge.polytope.jobs.summary import ContainerSummary, JobSummary
from warpforge.polytope.jobs.work import Boxes, Parts
from warpforge.polytope.runner import Interrupted
from warpforge.polytope.spec import ContainerSpec


class Holdings:
    """Of one job; ``changed`` guards it, and its summary."""

    def __init__(
        self, parts: Parts, summary: JobSummary, hear: Callable[[Event], None], changed: threading.Condition
    ) -> None:
        self._parts = parts
        self._summary = summary
        self._hear = hear
        self._changed = changed
        self.awaited: set[str] = set()  # those whose end a step waits for
        self._spawned: list[str] = []  # in the order in which they began
        self._stopped_for: dict[str, str] = {}  # and the steps that asked for their end ("": somebody else)
        self._making = threading.Lock()
        self._boxes: Boxes | None = None
        self._has_closed = False

    @property
    def boxes(self) -> Boxes:
        """From the first container on. Errors: Interrupted, once the job is over."""
        with self._making:
            if self._boxes is None:
                if self._has_closed:
                    raise Interrupted
                self._boxes = self._parts.make_boxes(self._hear)
            return self._boxes

    @property
    def run(self) -> bool:
        """Whether one of them runs on."""
        return not all(self._summary.containers[one].has_ended for one in self._spawned)

    def spawn(self, runner: StepRunner, spec: ContainerSpec) -> str:
        """A step starts a container; gives its id. Nobody can stop it before everybody knows whose it is.

        Errors: Interrupted; as ``Containers.spawn``.
        """
        person = self._parts.person
        sitter = person.sitter(runner.id, spec) if person else None
        boxes = self.boxes  # making them takes a while, in which others may go on
        with self._changed:
            runner.go_on()
            container = boxes.spawn(spec, sitter)
            self._spawned.append(container)
            self._hear(ContainerSpawned(container, runner.id, spec.image))
        return container

    def stop_for(self, step: str, container: str) -> None:
        """Stop a container because a step asks for it: another one that waits for it is stopped, too, and has not
        failed. Errors: ``missing``."""
        with self._changed:
            if container not in self._summary.containers:
                there = ", ".join(self._summary.containers) or "none"
                raise Missing("missing", f"there is no container {container}: there is {there}", container=container)
            if not self._summary.containers[container].has_ended:
                self._stopped_for.setdefault(container, step)
        self.boxes.stop(container)

    def are_stopped(self, containers: Iterable[str]) -> None:
        """Somebody from outside of the job asks for their end."""
        for container in containers:
            self._stopped_for.setdefault(container, "")

    def is_stopped_for_another(self, step: str, container: str) -> bool:
        """Whether a container was stopped because another than this step asked for it."""
        return self._stopped_for.get(container, step) != step

    def bad_ends(self) -> Iterator[ContainerSummary]:
        """Those that ended badly, though nobody stopped them, and no step waited for them."""
        for id in self._spawned:
            if self._summary.containers[id].exit and id not in self.awaited and id not in self._stopped_for:
                yield self._summary.containers[id]

    def stop(self) -> None:
        """One after the other, the youngest first; returns when they have ended."""
        for container in reversed(self._spawned):
            if not self._summary.containers[container].has_ended:
                self.boxes.stop(container)

    def close(self) -> None:
        """There are no more; their network and the job's volumes go."""
        with self._making:
            self._has_closed = True
            boxes = self._boxes
        if boxes is not None:
            boxes.close()
