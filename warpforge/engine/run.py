"""Run a plot: the loop ready -> execute -> finished, with as many boxes at once as there are jobs.

    take what is ready · answer from the memo what the memo answers, at once · hand the rest to workers ·
    wait for one of them · tell the plan, which makes more ready

Memo hits never leave this thread. The first failure stops what has not begun; what runs is let finish.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from warpforge.engine.events import PlotBegan, PlotFinished, Reporter, StepFailed, StepFinished
from warpforge.engine.execute import ActionFailed, Executor, Job, Where
from warpforge.errors import Failed, WarpforgeError
from warpforge.model.atoms import Literal, WareId
from warpforge.model.ident import formula_id
from warpforge.model.plot import PlotResults
from warpforge.model.run import RunRecord
from warpforge.plan.plan import FormulaTask, Plan, RepackTask, Result, Task
from warpforge.store.stay import Away

if TYPE_CHECKING:
    from queue import SimpleQueue

    from warpforge.store.stay import Stay

Repack = Callable[[RepackTask], WareId]
Done = tuple[Task, dict[str, Result] | BaseException]


class PlotRun:
    """One plot being run."""

    def __init__(
        self, executor: Executor, repack: Repack, reporter: Reporter, cancel: Callable[[], None], *, jobs: int
    ) -> None:
        self._executor = executor
        self._repack = repack
        self._reporter = reporter
        self._cancel = cancel
        self._jobs = jobs

    def run(self, plan: Plan, where: Where) -> PlotResults:
        """The plot's results. Errors: ``plot-invalid``; ``plot-execution-failed`` around the step that failed."""
        waiting: deque[Task] = deque()
        workers = _Workers(self._jobs, lambda task: self._work(plan, task, where), self._executor.stay)
        self._reporter.tell(PlotBegan(plan))
        try:
            self._loop(plan, waiting, workers, where)
        except BaseException:
            self._cancel()
            workers.join()
            raise
        return PlotResults(plan.results())

    def _loop(self, plan: Plan, waiting: deque[Task], workers: _Workers, where: Where) -> None:
        waiting.extend(self._recall(plan, where))
        while not plan.done:
            while waiting and workers.free:
                workers.start(waiting.popleft())
            task, result = workers.wait()
            if isinstance(result, BaseException):
                raise self._failure(task, result, workers)
            plan.finished(task, result)
            waiting.extend(self._recall(plan, where))

    def _recall(self, plan: Plan, where: Where) -> list[Task]:
        """Answer what the memo answers, as long as that makes more ready; gives the tasks that need work."""
        work: list[Task] = []
        while tasks := plan.ready():
            for task in tasks:
                record = self._recall_one(task, where)
                if record is None:
                    work.append(task)
                else:
                    plan.finished(task, record.results)
            self._tell_closed(plan)
        self._tell_closed(plan)
        return work

    def _recall_one(self, task: Task, where: Where) -> RunRecord | None:
        if not isinstance(task, FormulaTask):
            return None
        since = monotonic()
        job = Job(task.path, task.formula, formula_id(task.formula), where)
        record = self._executor.recall(job)
        if record is not None:
            self._reporter.tell(StepFinished(task.path, record, hit=True, seconds=monotonic() - since))
        return record

    def _work(self, plan: Plan, task: Task, where: Where) -> dict[str, WareId | Literal]:
        if isinstance(task, RepackTask):
            return {task.label: self._repack(task)}
        job = Job(task.path, task.formula, formula_id(task.formula), where, plan.origins(task.path))
        return self._executor.execute(job).results

    def _failure(self, task: Task, error: BaseException, workers: _Workers) -> BaseException:
        """What to raise for a failed task, once the tasks beside it have ended."""
        self._tell_failure(task, error)
        for other, result in workers.join():
            if isinstance(result, BaseException):
                self._tell_failure(other, result)
        if not isinstance(error, WarpforgeError):
            return error
        for depth in range(len(task.path), 0, -1):
            step = task.path[depth - 1]
            error = Failed("plot-step-failed", f"step {step} failed", cause=error, stepName=step)
        return Failed("plot-execution-failed", "the plot could not be run to its end", cause=error)

    def _tell_failure(self, task: Task, error: BaseException) -> None:
        if isinstance(error, WarpforgeError):
            record = error.record if isinstance(error, ActionFailed) else None
            self._reporter.tell(StepFailed(task.path, error, record))

    def _tell_closed(self, plan: Plan) -> None:
        for path, results in plan.closed():
            self._reporter.tell(PlotFinished(path, PlotResults(results)))


class _Workers:
    """At most ``count`` tasks at once, each in a thread of its own; results come back through one queue.

    Each thread is in the store on its own, and whoever waits for them is away.
    """

    def __init__(self, count: int, work: Callable[[Task], dict[str, Result]], stay: Stay | None) -> None:
        self._count = count
        self._work = work
        self._stay = stay
        self._running = 0
        self._queue: SimpleQueue[Done] | None = None

    @property
    def free(self) -> bool:
        return self._running < self._count

    def start(self, task: Task) -> None:
        from queue import SimpleQueue
        from threading import Thread

        if self._queue is None:
            self._queue = SimpleQueue()
        queue = self._queue

        def work() -> None:
            try:
                done: Done = (task, self._work(task))
            except BaseException as error:
                done = (task, error)
            if self._stay is not None:
                self._stay.go()
            queue.put(done)

        if self._stay is not None:
            self._stay.come()
        self._running += 1
        Thread(target=work, name="/".join(task.path), daemon=True).start()

    def wait(self) -> Done:
        """The next task that ended."""
        assert self._queue is not None and self._running
        with Away(self._stay):
            done = self._queue.get()
        self._running -= 1
        return done

    def join(self) -> list[Done]:
        """All that still run, once they have ended."""
        return [self.wait() for _ in range(self._running)]
