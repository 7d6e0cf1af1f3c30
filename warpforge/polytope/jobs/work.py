"""What a job asks of whoever understands polytope files, of the project around it, and of the person before it.

The job knows steps, their order and their threads; what a step means is opened when its turn has come, so that an
unknown module fails only the step that names it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from warpforge.polytope.calls.expand import Call
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.containers.seats import Sitter
from warpforge.polytope.events import Hear
from warpforge.polytope.jobs.journal import Journal
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Containers, Runner
from warpforge.polytope.spec import ContainerSpec, Source

if TYPE_CHECKING:
    from warpforge.sandbox.visit import Visit


class Work(NamedTuple):
    """A step does this, and gives its output. ``is_container``: it runs as soon as its container does."""

    do: Callable[[Runner], Value]
    is_container: bool = False


class Author(Protocol):
    """Whoever understands what was written."""

    def open(self, step: JobStep, runner: Runner) -> Work:
        """What a step does, its arguments evaluated. Errors: ``missing``, and all that expansion raises."""

    def call(self, reference: str, args: Mapping[str, Value], caller: JobStep, runner: Runner) -> Work | list[JobStep]:
        """What a call does that the code of a step makes; the steps, when it is of a template. Errors: likewise."""

    def plan(self, calls: Sequence[Sequence[Call]], runner: Runner) -> list[JobStep]:
        """The steps of calls, group after group. Errors: ``missing``, ``invalid-argument``, ``module-invalid``."""

    def check(self, steps: Sequence[JobStep], runner: Runner) -> None:
        """Whether those of these steps that wait for nothing could begin. Errors: as ``open``."""


class Project(Protocol):
    """What is around a job, and outlives it. ``path``: the project's directory."""

    path: str

    def read_repo_file(self, repo: str, path: str) -> str:
        """As the runner has it."""

    def source_path(self, source: Source) -> str:
        """As the runner has it."""

    def build_image(self, args: Mapping[str, Value], runner: Runner) -> dict[str, Value]:
        """As the runner has it."""

    def get_value(self, key: str) -> Value:
        """None when there is none."""

    def set_value(self, key: str, value: Value) -> None:
        """Errors: ``store``."""

    def get_secret(self, key: str) -> str | None:
        """None when there is none."""

    def set_secret(self, key: str, value: str) -> None:
        """Errors: ``store``."""


class Person(Protocol):
    """Whoever runs the job, if somebody does."""

    def ask(self, step: str, kind: str, prompt: str) -> str | None:
        """What was entered; None when nobody will answer."""

    def say(self, step: str, text: str) -> None:
        """Text as it is, perhaps a part of a line."""

    def sitter(self, step: str, spec: ContainerSpec) -> Sitter | None:
        """Who sits at a container that a step begins, if anybody does. Errors: ``invalid-argument``."""


class Company(Protocol):
    """A person's command in a container."""

    def signal(self, number: int) -> None:
        """Give it a signal."""

    def kill(self) -> None:
        """At once."""

    def wait(self) -> int:
        """Its exit status."""


class Boxes(Containers, Protocol):
    """The containers of a job, and their end."""

    def spawn(self, spec: ContainerSpec, sitter: Sitter | None = None) -> str:
        """As ``Containers.spawn``; ``sitter``: who sits at its terminal."""

    def enter(self, container: str, visit: Visit) -> Company:
        """A person's command in a running container. Errors: ``missing``."""

    def close(self) -> None:
        """End what still runs, and take the network and the job's volumes down."""


class Parts(NamedTuple):
    """What a job works with. ``make_boxes`` is given whom to tell of containers; ``listeners`` hear everything;
    ``routes``: where requests of code really go, by the beginning of their addresses."""

    author: Author
    project: Project
    journal: Journal
    make_boxes: Callable[[Hear], Boxes]
    person: Person | None = None
    listeners: Sequence[Hear] = ()
    routes: Mapping[str, str] = MappingProxyType({})
    now: Callable[[], float] = time.time
