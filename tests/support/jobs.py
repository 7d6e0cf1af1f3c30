"""Jobs whose steps are functions: an author for tests of the job itself, without files and without boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from warpforge.errors import Missing
from warpforge.polytope.events import Event
from warpforge.polytope.job import Job, Parts
from warpforge.polytope.journal import Journal
from warpforge.polytope.nouns import Step, Template, Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import Source
from warpforge.polytope.summary import JobSummary
from warpforge.polytope.work import Steps, Work

Play = Callable[[Runner], Value]


class Plays:
    """An author: references name functions or templates."""

    def __init__(self, plays: Mapping[str, Play | Template]) -> None:
        self._plays = plays

    def open(self, step: Step, scope: object, runner: Runner) -> Steps | Work:
        return self.call(step.call or step.template, step.args, scope, runner)

    def call(self, reference: str, args: Mapping[str, Value], scope: object, runner: Runner) -> Steps | Work:
        if reference not in self._plays:
            raise Missing("missing", f"there is no module {reference}", module=reference)
        play = self._plays[reference]
        if isinstance(play, Template):
            return Steps(play.run, scope, play.waits_for)
        return Work(play)

    def needs(self, step: Step) -> Sequence[str]:
        return [str(value).split()[1] for value in step.args.values() if str(value).startswith("pt.output ")]


class Memory:
    """A project that is remembered as long as the test."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.values: dict[str, Value] = {}
        self.secrets: dict[str, str] = {}

    def get_value(self, key: str) -> Value:
        return self.values.get(key)

    def set_value(self, key: str, value: Value) -> None:
        self.values[key] = value

    def get_secret(self, key: str) -> str | None:
        return self.secrets.get(key)

    def set_secret(self, key: str, value: str) -> None:
        self.secrets[key] = value

    def read_repo_file(self, repo: str, path: str) -> str:
        raise Missing("missing", path)

    def source_path(self, source: Source) -> str:
        raise Missing("missing", str(source))

    def build_image(self, args: Mapping[str, Value], runner: Runner) -> dict[str, Value]:
        raise Missing("missing", "no images")


class NoBoxes:
    """For jobs that have no containers."""

    def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a job without containers asks them to {name}")


class Maker:
    """Makes jobs in a directory, and ends what they hold."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journals: list[Journal] = []

    def __call__(self, plays: Mapping[str, Play | Template], name: str = "job") -> tuple[Job, list[Event]]:
        """A job, and what it tells."""
        heard: list[Event] = []
        journal = Journal(f"{self.path}/jobs", name)
        self._journals.append(journal)
        boxes: Any = NoBoxes()
        parts = Parts(Plays(plays), Memory(str(self.path)), journal, lambda _: boxes, listeners=[heard.append])
        return Job(parts, JobSummary(id=journal.id, uid="0123456789abcdef", created=1.0)), heard

    def close(self) -> None:
        for journal in self._journals:
            journal.close()
