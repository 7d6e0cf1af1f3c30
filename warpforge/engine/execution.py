"""An execution: one formula in its box, from when all is ready for it until its RunRecord.

``Ready`` is what was thought of and fetched before; the run is its line in the run log. Where a step has a turn its box
is made first, and the execution begins when the turn comes.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, NamedTuple

from warpforge.engine.boxes import GATHER
from warpforge.engine.ending import check_end, check_gathered
from warpforge.engine.events import Reporter, StepOutput, StepStarted
from warpforge.engine.slots import NotBegun
from warpforge.model.atoms import Literal, WareId
from warpforge.model.formula import Echo, Formula
from warpforge.model.run import RunRecord

if TYPE_CHECKING:
    from warpforge.engine.allowance import Allowance
    from warpforge.engine.boxes import Boxes
    from warpforge.engine.guard import Guard
    from warpforge.engine.job import Job
    from warpforge.engine.phases import Phases
    from warpforge.engine.slots import Turn
    from warpforge.engine.wreck import Resumption
    from warpforge.model.limits import Limits
    from warpforge.sandbox.protocol import Entries
    from warpforge.sandbox.spec import BoxSpec, Outcome
    from warpforge.store.runs import Run
    from warpforge.store.store import Store


class Ready(NamedTuple):
    """What is ready before a run begins: its box, its limits, where time goes, its secrets, and what it takes up."""

    spec: BoxSpec
    limits: Limits
    phases: Phases
    guard: Guard | None
    resumption: Resumption | None


class Execution:
    """Of one job, with its run. Use it once."""

    def __init__(self, job: Job, ready: Ready, run: Run, store: Store, boxes: Boxes, reporter: Reporter) -> None:
        self._job = job
        self._spec = ready.spec
        self._phases = ready.phases
        self._guard = ready.guard
        self._run = run
        self._store = store
        self._boxes = boxes
        self._reporter = reporter
        self._labels = [*job.formula.outputs]
        self._results: dict[str, WareId | Literal] = {}
        self._phase: tuple[str, float] | None = None  # that goes on, once the run has begun
        self._away = store.away()

    def go(self, allowance: Allowance, turn: Turn | None = None) -> RunRecord:
        """Run the action, and keep what it leaves. Errors: as ``Executor.execute``; NotBegun."""
        if turn is None:
            self._begin()
        else:
            turn.begun = self._begin_late
        outcome = self._run_box(turn)
        self._note(outcome)
        record = RunRecord(self._run.id, int(time()), self._job.formula_id, outcome.exit_code, {})
        check_end(self._job, record, outcome, self._run, over=allowance.over)
        for label, gathered in zip(self._labels, outcome.gathered, strict=True):
            check_gathered(label, gathered)
        ordered = {label: self._results[label] for label in self._labels}
        self._run.entry.outputs = {label: str(result) for label, result in ordered.items()}
        return RunRecord(record.guid, record.time, record.formula_id, 0, ordered)

    def _run_box(self, turn: Turn | None) -> Outcome:
        guard = self._guard
        on_output = guard.covered(self._hear) if guard else self._hear
        try:
            with self._away:
                return self._boxes.run(self._spec, on_output, self._gather, turn=turn)
        except NotBegun:
            raise
        except BaseException:
            if self._phase is None:
                self._begin()  # it failed before its turn: what is told of it has a beginning
            raise
        finally:
            if guard:
                guard.finish(self._hear)
            if self._phase is not None:
                self._phases.end(*self._phase)
            self._run.entry.phases = self._phases.since(self._run.entry.started)

    def _begin_late(self) -> None:
        self._run.restart()
        self._begin()

    def _begin(self) -> None:
        """The run log and whoever listens are told."""
        job = self._job
        self._run.announce()
        self._reporter.tell(StepStarted(job.step, job.formula_id, self._run.id, self._boxes.name))
        if isinstance(job.formula.action, Echo):
            from warpforge.model.serial import dump

            self._hear("out", dump(job.formula))
        self._phase = ("box", self._phases.begin("box"))

    def _hear(self, stream: str, data: bytes) -> None:
        self._run.write(data)
        self._reporter.tell(StepOutput(self._job.step, stream, data))

    def _gather(self, index: int, entries: Entries) -> None:
        self._away.end()
        if self._phase is not None and self._phase[0] == "box":
            self._phases.end(*self._phase)
            self._phase = ("gather", self._phases.begin("gather"))
        label = self._labels[index]
        if self._guard:
            entries = self._guard.searched(label, entries)
        with self._phases.of(f"pack {label}"):
            self._results[label] = keep_output(self._store, self._job.formula, label, entries)

    def _note(self, outcome: Outcome) -> None:
        """What the run log is to know of how it went."""
        entry, spec = self._run.entry, self._spec
        entry.exit_code = outcome.exit_code
        self._run.last_entry = outcome.entry
        entry.sandbox = outcome.facts.sandbox if spec.argv else ""
        entry.limits |= {
            name: kept
            for name, kept in outcome.facts.limits.items()
            if name != "gather" or spec.gather_limit != GATHER  # what nobody asked for
        }
        if outcome.truncated:
            self._run.cut()
        if spec.pretending:
            entry.why.append("changes of owner and user were not done, but remembered or said to have been")
        if not outcome.facts.overlay:
            entry.why.append("trees were copied: overlays cannot be mounted here")


def keep_output(store: Store, formula: Formula, label: str, entries: Entries) -> WareId | Literal:
    """What a box left for one output. Errors: ``output-invalid``, ``ware-mismatch``, ``store``."""
    from warpforge.engine import gather

    directive = formula.outputs[label]
    if directive.source.is_variable:
        return gather.read_value(label, directive, entries)
    return gather.keep_output(store, label, directive, entries)
