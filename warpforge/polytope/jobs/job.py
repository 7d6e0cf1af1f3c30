"""A job while it runs: begin what is ready, each step in a thread of its own; take what has ended; until all has.

    ready -> open: what the step does -> that is done, against the runner -> finished -> ready ...

Everything that happens goes through ``hear``: masked, into the summary and the logs, and on to whoever listens.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from warpforge.errors import Failed, Internal, Missing, WarpforgeError
from warpforge.polytope.calls.steps import JobStep
from warpforge.polytope.events import ENDED, INTERRUPTED, Event, JobChanged, StepChanged, StepState
from warpforge.polytope.jobs.hearing import Hearing
from warpforge.polytope.jobs.holdings import Holdings
from warpforge.polytope.jobs.hopes import Hopes
from warpforge.polytope.jobs.schedule import Asked, Schedule
from warpforge.polytope.jobs.step import StepRunner
from warpforge.polytope.jobs.summary import JobSummary
from warpforge.polytope.jobs.work import Boxes, Parts
from warpforge.polytope.nouns import Value
from warpforge.polytope.runner import Interrupted, Runner

GRACE: Final = 0.2  # seconds between two looks whether the job is to stop
PATIENCE: Final = 5.0  # seconds for threads that are told to stop

# why a job stops before all of its steps have ended
ASKED: Final = "it was asked to"
DONE: Final = "what it was to do is done"
CLASH: Final = "its services clash"
LEFT: Final = "it did not end in time"

_CLASHES: Final = ("service-clash", "port-clash")  # reasons


class Job:
    """One job, run once."""

    def __init__(self, parts: Parts, summary: JobSummary) -> None:
        self.summary = summary
        self.values: dict[str, Value] = {}
        self.parts = parts
        self._changed = threading.Condition(threading.RLock())
        self._hearing = Hearing(parts, summary, self._changed)
        self.mask = self._hearing.mask
        self.holdings = Holdings(parts, summary, self.hear, self._changed)
        self._schedule = Schedule()
        self.hopes = Hopes(self._schedule, self._changed)
        self._given: dict[str, JobStep] = {}
        self._outputs: dict[str, Value] = {}
        self._errors: dict[str, WarpforgeError] = {}
        self._runners: dict[str, StepRunner] = {}
        self._serving: set[str] = set()
        self._stopping = threading.Event()
        self._asked_to_stop = threading.Event()
        self._own: list[str] = []  # the steps that it began with
        self._has_clash = False  # of services of its own: it was written so, and is of no use
        self._is_over = False  # no step is begun any more

    @property
    def boxes(self) -> Boxes:
        """The containers, from the first one on. Errors: Interrupted, once the job is over."""
        return self.holdings.boxes

    # what is asked from outside; any thread

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def hear(self, event: Event) -> None:
        """Take what happened, and tell everybody."""
        self._hearing.hear(event)

    def run(self, steps: Sequence[JobStep], until: Sequence[str] = (), *, stay: bool = False) -> StepState:
        """Run these steps to their end, or until those of ``until`` have ended: then the others are stopped.
        With ``stay`` the job goes on without steps until it is stopped: more may be added.

        Gives what became of the job; ``error`` tells why. Errors: ``job-invalid``.
        """
        self.hear(JobChanged(self.summary.id, "running"))
        state: StepState = "failed"
        why = ""
        try:
            with self._changed:
                self._own = self._add(steps)
            self._loop(until, stay=stay)
            if self._hearing.deafness is not None:
                raise self._hearing.deafness
            state, why = self._outcome(until)
        except BaseException as error:
            state = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
            why = INTERRUPTED if state == "stopped" else str(error)
            self.stop(why)
            self._drain()
            raise
        finally:
            try:
                self.holdings.close()
            finally:
                self.hear(JobChanged(self.summary.id, state, why))
        return state

    def request_stop(self) -> None:
        """Stop everything soon: whoever runs the job does it."""
        self._asked_to_stop.set()
        with self._changed:
            self._changed.notify_all()

    def stop(self, why: str = "") -> None:
        """Stop everything: containers one after the other, the youngest first; returns when they have ended."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self.hear(JobChanged(self.summary.id, "stopping", why))
        with self._changed:
            self._schedule.stop()
            self._tell()
        self.holdings.stop()

    def stop_one(self, id: str) -> list[str]:
        """Stop a service, a container or a step with all that it began; gives the containers that were stopped.

        Errors: ``missing``, naming what there is.
        """
        with self._changed:  # so that nothing begins between the two
            steps, containers = self.summary.parts_of(id)
            for step in steps:
                if step in self._runners:
                    self._runners[step].interrupt()
                else:
                    self._schedule.cancel(step, ASKED)
            self.holdings.are_stopped(containers)
            self._tell()
            self._changed.notify_all()
        for container in containers:
            self.boxes.stop(container)
        return containers

    # what steps ask for

    def add(self, steps: Sequence[JobStep], parent: str = "") -> list[str]:
        """More steps, begun as soon as they may; their ids. Errors: ``job-invalid``; ``missing``, when it is over."""
        with self._changed:
            if parent:
                self._runners[parent].go_on()
            return self._add(steps, parent)

    def run_inside(self, parent: StepRunner, steps: Sequence[JobStep]) -> dict[str, Value]:
        """Steps that the code of another one waits for; their outputs. Errors: ``job-step-failed``, Interrupted."""
        names = self.add(steps, parent.id)
        while not all(map(self.has_ended, names)):
            parent.go_on()
            self.wait()
        for name in names:
            if self.summary.steps[name].state != "success":
                raise Failed("job-step-failed", f"step {name} failed", cause=self._errors.get(name), step=name)
        return {step.id: self.find_output(name) for step, name in zip(steps, names, strict=True)}

    def wait_for(self, steps: Sequence[str], *, or_serves: bool = False) -> None:
        """Until these have ended; with ``or_serves``, or have opened all their services. Errors: Interrupted."""
        while not all(self.has_ended(step) or (or_serves and step in self._serving) for step in steps):
            self.wait()

    def serves(self, step: str, container: str) -> None:
        """All that this step still does is to wait for a container; it serves, if that has services."""
        with self._changed:
            self.holdings.awaited.add(container)
            if any(container in service.containers for service in self.summary.services.values()):
                self._serving.add(step)
                self._changed.notify_all()

    def wait(self) -> None:
        """Until something has happened, or a moment has gone by. Errors: Interrupted."""
        with self._changed:
            if not self._stopping.is_set():
                self._changed.wait(GRACE)
        if self._stopping.is_set():
            raise Interrupted

    def given(self, step: str) -> JobStep:
        """A step as it was planned."""
        return self._given[step]

    def outside(self) -> Runner:
        """The job as it is asked from outside of its steps, to plan more of them."""
        return StepRunner(self, "", JobStep(id=""))

    def has_ended(self, step: str) -> bool:
        return self.summary.steps[step].has_ended

    def output(self, step: str) -> Value:
        """What a step gave. KeyError: it has not ended, or there is none."""
        with self._changed:
            return self._outputs[step]

    def find_output(self, step: str) -> Value:
        """What a step gave; None when it has not ended, or gave nothing."""
        with self._changed:
            return self._outputs.get(step)

    def find_error(self, step: str) -> WarpforgeError | None:
        """Why a step failed."""
        with self._changed:
            return self._errors.get(step)

    def last_words(self, step: str) -> str:
        """The last lines of a step's containers that ended badly; of the step itself where there is none."""
        with self._changed:
            bad = [one.id for one in self.summary.containers.values() if one.step == step and one.exit]
        said = [self.parts.journal.tail("containers", id) for id in bad] or [self.parts.journal.tail("steps", step)]
        return "\n".join(filter(None, said))

    def running(self, step: str) -> None:
        """What a step does is under way."""
        with self._changed:
            self._schedule.running(step)
            self._tell()

    # the loop

    def _add(self, steps: Sequence[JobStep], parent: str = "") -> list[str]:
        if self._is_over:
            raise Missing("missing", f"job {self.summary.id} has just ended", job=self.summary.id)
        before = len(self._schedule.states)
        given = self._schedule.add([Asked(step.id, step.after) for step in steps], parent)
        names = [*self._schedule.states][before:]
        for name, step in zip(names, steps, strict=True):
            beside = {said: tuple(given.get(own, own) for own in owns) for said, owns in step.names.items()}
            self._given[name] = msgspec.structs.replace(step, names=beside)
        self._tell()
        return names

    def _loop(self, until: Sequence[str], *, stay: bool) -> None:
        while True:
            with self._changed:
                for id in self._schedule.ready():
                    runner = self._runners[id] = StepRunner(self, id, self._given[id])
                    threading.Thread(target=self._step, args=(runner,), name=f"step {id}", daemon=True).start()
                self._tell()
                if self._schedule.done and not (stay or (self.holdings.run and not self._errors)):
                    self._is_over = True
                    self._mind_bad_ends()
                    return
                why = self._find_end(until, stay=stay)
                if not why:
                    self._changed.wait(GRACE)  # with a bound: a signal is seen only between two waits
            if why:
                self.stop(why)
                self._drain()
                return

    def _find_end(self, until: Sequence[str], *, stay: bool) -> str:
        """Why it is to stop before all of its steps have ended; "" when it is not."""
        if self._asked_to_stop.is_set() or self._hearing.deafness is not None:
            return ASKED
        if self._has_clash and not stay:
            return CLASH
        is_done = until and all(id in self.summary.steps and self.has_ended(id) for id in until)
        return DONE if is_done else ""

    def _mind_bad_ends(self) -> None:
        """Of containers that no step waited for, and nobody stopped: their steps have ended well, the job has not."""
        for one in self.holdings.bad_ends():
            what = f"container {one.id}, whose end no step waits for, exited with a nonzero exit code ({one.exit})"
            self._errors[one.step] = Failed("job-step-failed", what, output=self.last_words(one.step) or None)

    def _drain(self) -> None:
        """Wait, for a while, until the threads of what was stopped have ended; who still has not is left behind."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while not self._schedule.done and time.monotonic() < deadline:
                self._changed.wait(GRACE)
            for id, state in self._schedule.states.items():
                if state not in ENDED:
                    self._schedule.finished(id, "stopped", LEFT)
            self._tell()

    def _step(self, runner: StepRunner) -> None:
        """One step, in its thread."""
        id = runner.id
        state: StepState = "success"
        why = ""
        try:
            runner.go_on()
            opened = self.hopes.open(runner, self.parts.author, self.wait)
            if opened.is_container:
                self.hopes.barren(id)
            else:
                self.running(id)
            output = opened.do(runner)
            with self._changed:
                self._outputs[id] = output
        except Interrupted:
            state = "stopped"
        except WarpforgeError as error:
            state, why = self._failed(id, error)
        except Exception as error:
            wrong = Internal("internal", f"our bug, please report it: {type(error).__name__}: {error}")
            state, why = self._failed(id, wrong)
        with self._changed:
            self._schedule.finished(id, state, why)
            self._tell()
        self.hopes.stored()

    def _failed(self, id: str, error: WarpforgeError) -> tuple[StepState, str]:
        if self.is_stopping or self._runners[id].is_interrupted:
            return "stopped", ""
        self._errors.setdefault(id, self.mask.error(error))
        with self._changed:
            self._has_clash = self._has_clash or (error.reason in _CLASHES and self._schedule.origin(id) in self._own)
        return "failed", error.message

    def _tell(self) -> None:
        """Tell what the schedule says has changed."""
        for change in self._schedule.changes():
            self.hear(StepChanged(change.step, change.state, self._schedule.parent(change.step), change.why))

    def _outcome(self, until: Sequence[str]) -> tuple[StepState, str]:
        outcome = self._schedule.outcome()
        if outcome == "stopped" and until and not self._errors and not self._asked_to_stop.is_set():
            return "success", ""
        for step, error in self._errors.items():
            return "failed" if outcome == "success" else outcome, f"step {step}: {error.message}"
        return outcome, ""

    def error(self) -> WarpforgeError | None:
        """Why the job failed: the step that failed first, as the cause."""
        for id, error in self._errors.items():
            return Failed("job-step-failed", f"job {self.summary.id}: step {id} failed", cause=error, step=id)
        return None
