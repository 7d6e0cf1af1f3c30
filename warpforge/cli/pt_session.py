"""What running jobs takes: the library, whoever understands it, the engine, and the job's directory, put together."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from warpforge.cli.app import Common
from warpforge.cli.pt_hermetic import default_choice
from warpforge.cli.pt_world import open_library, open_stores
from warpforge.errors import WarpforgeError
from warpforge.polytope.calls.expand import Call
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.events import Hear
from warpforge.polytope.jobs.job import Job
from warpforge.polytope.jobs.journal import Journal
from warpforge.polytope.jobs.summary import JobSummary
from warpforge.polytope.jobs.work import Boxes, Parts, Person
from warpforge.polytope.nouns import Template, Value
from warpforge.polytope.runner import Runner
from warpforge.polytope.spec import ContainerSpec
from warpforge.workspace.find import INTERNAL, find_stack

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.polytope.hermetic.formulas import Formulas

STATE: Final = f"{INTERNAL}/polytope"  # beside the project's file


class Session:
    """One command that runs jobs. Close it, or use it in ``with``."""

    def __init__(
        self,
        common: Common,
        file: str | None = None,
        *,
        highest: bool = False,
        routes: Mapping[str, str] | None = None,
        jobs: int | None = None,
    ) -> None:
        """Errors: those of the file and of what it includes."""
        self.common = common
        self.library = open_library(common, file, highest=highest, engine=self.engine)
        self.directory = self.library.directory
        self.state = os.path.join(self.directory, STATE)
        self._stores = open_stores(common, self.library)
        self._routes = dict(routes or {})
        self._jobs = jobs or 0  # formulas at once; 0: as many as there are cores
        self.choice = default_choice(self.library)  # of containers that are run as formulas
        self._opened = ExitStack()
        self.lock = threading.RLock()
        self._engine: Engine | None = None
        from warpforge.polytope.code.evaluator import Evaluator
        from warpforge.polytope.hermetic.relay import Relay

        self.relay = Relay()

        self.evaluator = self._opened.enter_context(Evaluator())

    def engine(self) -> Engine:
        """Made when it is first needed. Errors: ``workspace-missing``, ``store``."""
        from warpforge.engine.engine import Engine
        from warpforge.store.guid import new_guid

        with self.lock:
            if self._engine is None:
                stack = find_stack(Path(self.directory), self.common.settings.home)
                self._engine = self._opened.enter_context(
                    Engine(stack, self.relay, self.common.options(invocation=new_guid(), jobs=self._jobs))
                )
            return self._engine

    def make_job(
        self, name: str, run: str, listen: Callable[[JobSummary], Sequence[Hear]], person: Person | None
    ) -> Job:
        """A job with its directory; ``listen`` gives who hears of it."""
        from warpforge.polytope.jobs.author import Author
        from warpforge.polytope.jobs.surroundings import Surroundings

        journal = self._opened.enter_context(_Closing(Journal(f"{self.state}/jobs", name)))
        root = self.library.root
        summary = JobSummary(
            id=journal.id,
            uid=os.urandom(8).hex(),
            run=run,
            file=root.path if root else "",
            pid=os.getpid(),
            created=time.time(),
        )
        settings = self.common.settings
        author = Author(
            self.library,
            self.evaluator,
            cwd=str(settings.cwd),
            home=str(settings.home or ""),
            formulas=_Formulas(self),
        )
        project = Surroundings(self.directory, self._stores, self.engine, self.relay, self.library.checkout)
        parts = Parts(author, project, journal, self._boxes, person, listen(summary), self._routes)
        return Job(parts, summary)

    def plan(self, job: Job, calls: Sequence[Sequence[Call]]) -> list[JobStep]:
        """The steps of calls that come from outside of the job."""
        return job.parts.author.plan(calls, job.outside())

    def awaited(self, call: Call, steps: Sequence[JobStep]) -> list[str]:
        """The steps of one call that whoever calls it waits for: those that its template names, else all."""
        noun = self.library.find(call.reference, call.file).noun
        if not isinstance(noun, Template) or not noun.waits_for:
            return [step.id for step in steps]
        return [id for name in noun.waits_for for id in steps[0].names.get(name, ())]

    def _boxes(self, hear: Hear) -> Boxes:
        from warpforge.polytope.containers.boxes import JobBoxes

        return JobBoxes(self.engine(), Path(self.directory), hear, self.library.checkout)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()


class _Formulas:
    """Carries out containers that are pure functions, by the engine, which is made when there is one."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._made: Formulas | None = None
        self._chosen: set[str] = set()  # those that nobody said to be formulas

    def choose(self, spec: ContainerSpec, names: Collection[str]) -> ContainerSpec | None:
        spec = self._session.choice.said(spec, names)
        if spec.is_pure is None and self._session.choice.every and self._formulas.can_be(spec):
            self._chosen.add(spec.id)
            return replace(spec, is_pure=True)
        return spec if spec.is_pure else None

    def run(self, spec: ContainerSpec, runner: Runner) -> Value:
        try:
            return self._formulas.run(spec, runner)
        except WarpforgeError:
            if spec.id in self._chosen:
                runner.log("warn", "it ran as a formula, without network: hermetic: false keeps it from being one")
            raise

    @property
    def _formulas(self) -> Formulas:
        with self._session.lock:
            self._made = self._made or self._make()
            return self._made

    def _make(self) -> Formulas:
        from warpforge.polytope.containers.datasets import Datasets
        from warpforge.polytope.files.library import repository_of
        from warpforge.polytope.hermetic.formulas import Formulas
        from warpforge.polytope.hermetic.pinned import Pinned

        session = self._session
        engine, directory = session.engine(), session.directory
        root = repository_of(os.path.join(directory, "polytope.yml")) or directory
        pinned = Pinned(engine, Path(directory))
        return Formulas(engine, pinned, Datasets(Path(directory), engine.store), root)


class _Closing:
    """A journal in ``with``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> Journal:
        return self._journal

    def __exit__(self, *_: object) -> None:
        self._journal.close()
