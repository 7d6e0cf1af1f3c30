"""Run a plot: the loop ready -> execute -> finished, with as many actions at once as there are jobs.

    take what is ready · answer from the memo what the memo answers, at once · hand the rest to workers ·
    wait for one of them · tell the plan, which makes more ready

There are a few workers more than actions may run at once: the boxes of the next steps are made and the outputs of the
last ones packed while others act. For actions there are **slots** (``slots``), one for each job. With a single job all
is one after another.

Memo hits never leave this thread. Steps with the same formula wait for the one of them that runs. The first failure
stops what has not begun, and what runs is let finish; with ``keep_going`` only what needs the failed step is left out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.engine.ending import ActionFailed
from warpforge.engine.events import PlotBegan, PlotFinished, Reporter, StepFailed, StepFinished, StepSkipped
from warpforge.engine.execute import Executor
from warpforge.engine.job import Job, Where, is_memoisable
from warpforge.engine.slots import NotBegun, Slots, Turn
from warpforge.engine.workers import Workers
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.model.ident import formula_id
from warpforge.model.plot import PlotResults
from warpforge.plan.plan import FormulaTask, Plan, RepackTask, Result, StepPath, Task

if TYPE_CHECKING:
    from warpforge.engine.failure import Failure

Repack = Callable[[RepackTask], WareId]
AHEAD: Final = 2  # for so many jobs one more step is worked on than actions run
PATIENCE: Final = 5.0  # seconds that those who still work have, once all is to stop; a second signal ends at once


class _Work(NamedTuple):
    """A task for a worker; ``job`` is that of a formula."""

    task: Task
    job: Job | None

    @property
    def key(self) -> str:
        """What must not run twice at once: the formula's id, if the id says all about it."""
        return self.job.formula_id if self.job and is_memoisable(self.job.formula) else ""


class PlotRun:
    """One plot being run. ``stuck``: it was stopped, and somebody still works who could not be."""

    def __init__(
        self,
        executor: Executor,
        repack: Repack,
        reporter: Reporter,
        cancel: Callable[[], None],
        *,
        jobs: int,
        keep_going: bool = False,
    ) -> None:
        self._executor = executor
        self._repack = repack
        self._reporter = reporter
        self._cancel = cancel
        self._keep_going = keep_going
        self._ahead = -(-jobs // AHEAD) if jobs > 1 else 0
        self._slots = Slots(jobs)
        self._workers: Workers[_Work, dict[str, Result]] = Workers(jobs + self._ahead, self._work, executor.stay)
        self._waiting: deque[_Work] = deque()
        self._twins: dict[str, list[_Work]] = {}
        self._failures: list[Failure] = []
        self._wanted: set[StepPath] | None = None
        self._goal: FormulaTask | None = None

    @property
    def stuck(self) -> bool:
        """Whether somebody still works."""
        return bool(self._workers.running)

    def run(self, plan: Plan, where: Where) -> PlotResults:
        """The plot's results.

        Errors: ``plot-invalid``; ``plot-execution-failed`` around the step that failed, or a Failures of all.
        """
        self._go(plan, where)
        return PlotResults(plan.results())

    def approach(self, plan: Plan, where: Where, step: StepPath) -> Job:
        """Run what a step needs and no more; gives the step itself, which is not run. Errors: as ``run``."""
        self._wanted = {*plan.before(step), step}
        self._goal = FormulaTask(step, None)  # type: ignore[arg-type]
        self._go(plan, where)
        return _job(self._goal, where)

    def _go(self, plan: Plan, where: Where) -> None:
        self._reporter.tell(PlotBegan(plan, where))
        try:
            self._loop(plan, where)
        except BaseException:
            self._slots.close()
            if self._workers.running:  # else nothing is to be stopped: what others run goes on, and what comes after
                self._cancel()
                self._workers.drain(PATIENCE)
            raise
        if self._failures:
            from warpforge.engine.failure import all_errors

            order = {path: number for number, path in enumerate(plan.steps)}
            raise all_errors(sorted(self._failures, key=lambda failure: order.get(failure.step, -1)))

    def _loop(self, plan: Plan, where: Where) -> None:
        self._waiting.extend(self._recall(plan, where))
        while True:
            while self._waiting and self._workers.free and not self._slots.closed:
                self._start(plan, self._waiting.popleft())
            if not self._workers.running:
                return
            work, result = self._workers.wait()
            for task, value in self._with_twins(work, result):
                if isinstance(value, NotBegun):
                    continue  # somebody failed, and says so soon
                if isinstance(value, BaseException):
                    self._fail(plan, task, value)
                else:
                    plan.finished(task, value)
            self._waiting.extend(self._recall(plan, where))

    def _start(self, plan: Plan, work: _Work) -> None:
        """Begin it, or let it wait for its twin: the formula is run once for both."""
        if work.key in self._twins:
            self._twins[work.key].append(work)
            return
        if work.key:
            self._twins[work.key] = []
        if work.job is not None:
            work = work._replace(job=work.job._replace(origins=plan.origins(work.task.path)))
        self._workers.start(work)

    def _with_twins(
        self, work: _Work, result: dict[str, Result] | BaseException
    ) -> Iterator[tuple[Task, dict[str, Result] | BaseException]]:
        yield work.task, result
        for twin in self._twins.pop(work.key, ()):
            assert twin.job is not None
            if not isinstance(result, BaseException) and (record := self._executor.recall(twin.job)) is not None:
                self._reporter.tell(StepFinished(twin.task.path, record, hit=True, seconds=0.0))
            yield twin.task, result

    def _recall(self, plan: Plan, where: Where) -> list[_Work]:
        """Answer what the memo answers, as long as that makes more ready; gives the work that is left."""
        left: list[_Work] = []
        while tasks := plan.ready():
            for task in tasks:
                if self._wanted is not None and task.path not in self._wanted:
                    continue
                if self._goal is not None and task.path == self._goal.path and isinstance(task, FormulaTask):
                    self._goal = task
                    continue
                work = _Work(task, _job(task, where) if isinstance(task, FormulaTask) else None)
                results = self._recall_one(work)
                if results is None:
                    left.append(work)
                else:
                    plan.finished(task, results)
            self._tell_closed(plan)
        self._tell_closed(plan)
        return left

    def _recall_one(self, work: _Work) -> dict[str, Result] | None:
        if work.job is None:
            return None
        since = monotonic()
        record = self._executor.recall(work.job)
        if record is None:
            return None
        self._reporter.tell(StepFinished(work.task.path, record, hit=True, seconds=monotonic() - since))
        return record.results

    def _work(self, work: _Work) -> dict[str, Result]:
        if isinstance(work.task, RepackTask):
            return {work.task.label: self._repack(work.task)}
        assert work.job is not None
        if not self._ahead:
            return self._executor.execute(work.job).results
        turn = Turn(self._slots)
        try:
            return self._executor.execute(work.job, turn).results
        except BaseException:
            if not self._keep_going:
                self._slots.close()  # before the slot is free again: nothing takes it
            raise
        finally:
            turn.end()

    def _fail(self, plan: Plan, task: Task, error: BaseException) -> None:
        """Go on without what needs this task, or raise, once the tasks beside it have ended."""
        from warpforge.engine.failure import Failure, plot_error

        self._tell_failure(task, error)
        if isinstance(error, WarpforgeError) and self._keep_going and error.code != "warpforge-error-interrupted":
            skipped = plan.failed(task)
            for path in skipped:
                self._reporter.tell(StepSkipped(path, task.path))
            self._failures.append(Failure(task.path, error, skipped))
            return
        self._slots.close()
        while self._workers.running:
            other, result = self._workers.wait()
            if isinstance(result, BaseException):
                self._tell_failure(other.task, result)
        raise plot_error(Failure(task.path, error)) if isinstance(error, WarpforgeError) else error

    def _tell_failure(self, task: Task, error: BaseException) -> None:
        if isinstance(error, WarpforgeError):
            record = error.record if isinstance(error, ActionFailed) else None
            self._reporter.tell(StepFailed(task.path, error, record))

    def _tell_closed(self, plan: Plan) -> None:
        for path, results in plan.closed():
            self._reporter.tell(PlotFinished(path, PlotResults(results)))


def _job(task: FormulaTask, where: Where) -> Job:
    return Job(task.path, task.formula, formula_id(task.formula), where)
