"""What a job asks of whoever understands polytope files, of the project around it, and of the person before it.

The job knows steps, their order and their threads; what a step means is opened when its turn has come, so that an
unknown module fails only the step that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from warpforge.polytope.nouns import Step, Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import Source

Scope = Any  # the file that something was written in, and the values of its parameters: only the author looks inside


class Steps(NamedTuple):
    """A step is a template: these steps, in the scope of its parameters; ``waits_for`` as a template has it."""

    run: Sequence[Step]
    scope: Scope
    waits_for: Sequence[str] = ()


class Work(NamedTuple):
    """A step does this, and gives its output. ``is_container``: it runs as soon as its container does."""

    do: Callable[[Runner], Value]
    is_container: bool = False


class Author(Protocol):
    """Whoever understands what was written."""

    def open(self, step: Step, scope: Scope, runner: Runner) -> Steps | Work:
        """What a step is, its arguments evaluated. Errors: ``missing`` module, and all that expansion raises."""

    def call(self, reference: str, args: Mapping[str, Value], scope: Scope, runner: Runner) -> Steps | Work:
        """The same for a call that code makes, whose arguments are values."""

    def needs(self, step: Step) -> Sequence[str]:
        """The steps whose outputs its arguments speak of."""


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
