"""Jobs whose steps are functions: an author for tests of the job itself, without files and without boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from warpforge.errors import Missing
from warpforge.polytope.calls.expand import Call
from warpforge.polytope.calls.resolve import NotStored
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.events import Event, Hear
from warpforge.polytope.jobs.job import Job
from warpforge.polytope.jobs.journal import Journal
from warpforge.polytope.jobs.summary import JobSummary
from warpforge.polytope.jobs.work import Parts, Work
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import Source

Play = Callable[[Runner], Value]


class Plays:
    """An author: references name functions, or lists of steps. A step may need a stored value (``needs``)."""

    def __init__(self, plays: Mapping[str, Play | list[JobStep]]) -> None:
        self._plays = plays

    def open(self, step: JobStep, runner: Runner) -> Work:
        name = step.args.get("needs")
        if name and runner.get_value("project", str(name)) is None:
            raise NotStored("missing", f"not stored yet: {name}")
        found = self.call(step.call, step.args, step, runner)
        assert isinstance(found, Work)
        return found

    def call(self, reference: str, args: Mapping[str, Value], caller: JobStep, runner: Runner) -> Work | list[JobStep]:
        if reference not in self._plays:
            raise Missing("missing", f"there is no module {reference}", module=reference)
        play = self._plays[reference]
        return play if isinstance(play, list) else Work(play)

    def plan(self, calls: Sequence[Sequence[Call]], runner: Runner) -> list[JobStep]:
        return [JobStep(id=call.reference, call=call.reference, args=call.args) for group in calls for call in group]

    def check(self, steps: Sequence[JobStep], runner: Runner) -> None:
        for step in steps:
            self.call(step.call, step.args, step, runner)


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

    def __call__(
        self, plays: Mapping[str, Play | list[JobStep]], name: str = "job", listener: Hear | None = None
    ) -> tuple[Job, list[Event]]:
        """A job, and what it tells; another ``listener`` hears it, too."""
        heard: list[Event] = []
        journal = Journal(f"{self.path}/jobs", name)
        self._journals.append(journal)
        boxes: Any = NoBoxes()
        listeners = [heard.append, *([listener] if listener else [])]
        parts = Parts(Plays(plays), Memory(str(self.path)), journal, lambda _: boxes, listeners=listeners)
        return Job(parts, JobSummary(id=journal.id, uid="0123456789abcdef", created=1.0)), heard

    def close(self) -> None:
        for journal in self._journals:
            journal.close()
