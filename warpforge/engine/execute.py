"""Execute: one formula to its RunRecord, from the memo or in a box.

recall the memo · take the formula's lock, recall once more · furnish · run · gather · record · memoise
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from warpforge.engine.ending import ActionFailed
from warpforge.engine.events import Notice, Reporter, StepExplained, StepFinished
from warpforge.engine.job import Job, check_mounts, check_network, describe, is_memoisable
from warpforge.engine.phases import Phases
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import Literal, SandboxPort, WareId
from warpforge.model.formula import Formula
from warpforge.model.run import RunRecord

if TYPE_CHECKING:
    from warpforge.engine.allowance import Allowance
    from warpforge.engine.boxes import Boxes
    from warpforge.engine.conduct import Conduct
    from warpforge.engine.execution import Ready
    from warpforge.engine.guard import Guard
    from warpforge.engine.options import Options
    from warpforge.engine.slots import Turn
    from warpforge.engine.supply import Supply
    from warpforge.engine.why import Explainer
    from warpforge.engine.wreck import Resumption, Wrecks
    from warpforge.sandbox.protocol import Cancel
    from warpforge.sandbox.spec import BoxSpec
    from warpforge.store.runs import Run
    from warpforge.store.stay import Stay
    from warpforge.store.store import Store


class Beside(Protocol):
    """What a box has that its formula does not say, and no memo depends on."""

    @property
    def guard(self) -> Guard | None:
        """None without secrets."""

    def amend(self, spec: BoxSpec) -> BoxSpec:
        """The box with it."""


class Executor:
    """Takes formulas to RunRecords. ``conduct`` says how, asked only when something really runs."""

    def __init__(
        self,
        store: Store,
        supply: Supply,
        conduct: Callable[[], Conduct],
        reporter: Reporter,
        cancel: Callable[[], Cancel],
        options: Options,
    ) -> None:
        self._store = store
        self._supply = supply
        self._conduct = conduct
        self._cancel = cancel
        self._reporter = reporter
        self._options = options
        self._made: dict[str, RunRecord] = {}  # by this process: not even force runs these again
        self._explainer: Explainer | None = None
        self._explaining = Lock()
        self._making = Lock()
        self._boxes: Boxes | None = None
        self._allowed: Allowance | None = None
        self._began = monotonic()
        self.resumed = False  # whether a step was: what a plot gives then is no result to rely on
        self.beside: Beside | None = None  # for what is executed now

    # what the memo answers needs neither; several threads may ask for them first

    @property
    def boxes(self) -> Boxes:
        """Runs boxes as this engine does."""
        from warpforge.engine.boxes import Boxes

        with self._making:
            if self._boxes is None:
                self._boxes = Boxes(self._store, self._conduct, self._reporter, self._cancel, self._options.acting)
            return self._boxes

    @property
    def _allowance(self) -> Allowance:
        from warpforge.engine.allowance import Allowance

        stop = self.boxes.stop
        with self._making:
            if self._allowed is None:
                self._allowed = Allowance(self._began, stop)
            return self._allowed

    def recall(self, job: Job) -> RunRecord | None:
        """The memo's answer, if it is still good: its outputs are the formula's, and each is still to be had."""
        if not is_memoisable(job.formula):
            return None
        if self._options.recall.is_passed:
            return self._made.get(job.formula_id)
        record = self._store.memo.load(job.formula_id)
        if record is None:
            return None
        if record.results.keys() != job.formula.outputs.keys():
            self._store.memo.reject(job.formula_id, "its outputs are not those of the formula")
            return None
        self._store.need(record.results.values())
        if all(isinstance(result, Literal) or self._supply.has(result) for result in record.results.values()):
            return record
        return None

    @property
    def stay(self) -> Stay | None:
        """Our stay in the store, while there is one."""
        return self._store.stay

    def execute(self, job: Job, turn: Turn | None = None) -> RunRecord:
        """Run a formula, unless somebody else just did; with a ``turn`` its action waits for that. Raises NotBegun.

        Errors: ``formula-execution-failed`` (an ActionFailed), ``output-invalid``, ``formula-invalid``,
        ``executor-failed`` around what the box could not do, and those of supply and store.
        """
        memoisable = is_memoisable(job.formula)
        self._store.need(entry.basis for entry in job.formula.inputs.values())
        with self._turn(job) if memoisable else nullcontext():
            since = monotonic()
            record = self.recall(job)
            hit = record is not None
            if record is None:
                record = self._execute(job, turn, memoisable=memoisable)
            self._store.need(record.results.values())
            waited = turn.waited if turn else 0.0
            self._reporter.tell(StepFinished(job.step, record, hit, monotonic() - since - waited))
            return record

    def _turn(self, job: Job) -> AbstractContextManager[None]:
        """Hold the formula's lock."""

        def waits(pid: str) -> None:
            if pid != str(os.getpid()):
                step = "/".join(job.step) or job.formula_id
                self._reporter.tell(Notice("info", f"{step} waits for process {pid}, which runs the same"))

        return self._store.turn(job.formula_id, waits)

    def _execute(self, job: Job, turn: Turn | None, *, memoisable: bool) -> RunRecord:
        self.boxes.warm()  # first of all: what is imported now comes while the zygote does
        from warpforge.engine.execution import Execution
        from warpforge.engine.rebuild import check_same

        ready = self._prepare(job)
        memoisable = memoisable and ready.resumption is None
        run, ready = self._begin(job, ready)
        # whoever rebuilds compares, and the memo stays with what was first
        before = self._store.memo.load(job.formula_id) if self._options.recall.rebuild and memoisable else None
        remembered = memoisable and before is None and not self._options.recall.forget
        with self._settled(run, job, ready):
            execution = Execution(job, ready, run, self._store, self.boxes, self._reporter)
            record = execution.go(self._allowance, turn)
            if before is not None:
                check_same(self._store, self._supply, before, record)
            run.entry.memoised = remembered
        if ready.resumption is not None:
            self._store.failed.drop(ready.resumption.box)
        if remembered:
            self._memoise(record)
        if memoisable and self._options.recall.is_passed:
            self._made[record.formula_id] = record
        return record

    def _prepare(self, job: Job) -> Ready:
        """All that is thought of and fetched before a run has a name."""
        from warpforge.engine.boxes import limited
        from warpforge.engine.execution import Ready
        from warpforge.engine.furnish import furnish
        from warpforge.engine.gather import check_gathers

        self.boxes.choose()
        conduct = self.boxes.conduct
        check_gathers(job.formula)
        check_mounts(job)
        if self._options.sourcing.offline:
            check_network(job)
        resumption = self._wrecks.find(job)
        if self._options.explain:
            self._explain(job)
        phases = Phases(job.step, self._reporter)
        with phases.of("supply"):
            trees = self.trees(job.formula)
        guard = (self.beside and self.beside.guard) or conduct.guard(job.formula)
        limits = conduct.limits(job.where.plot, job.step)
        with phases.of("furnish"):
            spec = limited(furnish(job.formula, trees, job.where.base, guard.values if guard else {}), limits)
        if self._options.acting.keep_run_dir and not guard:
            spec = replace(spec, keep=True)
        if self.beside is not None:
            spec = self.beside.amend(spec)
        return Ready(spec, limits, phases, guard, resumption)

    def _begin(self, job: Job, ready: Ready) -> tuple[Run, Ready]:
        """A run for the log, and its box as it is for this run."""
        spec = ready.spec
        total = ready.limits.get("total", 0)
        self._allowance.hold(total)
        run = self._store.runs.begin(job.formula_id, job.step)
        describe(run, job)
        if total:
            run.entry.limits = {"total": f"{total:g} by clock"}
        if ready.guard is None:  # a secret is not to lie about in a box that failed
            room = self._wrecks.room(run)
            spec = replace(spec, keep_failed=room) if room else spec
        if ready.resumption is not None:
            spec = ready.resumption.apply(spec)
            self._resume(run, job, ready.resumption)
        run.entry.invocation = self._options.invocation
        return run, ready._replace(spec=spec)

    @contextmanager
    def _settled(self, run: Run, job: Job, ready: Ready) -> Iterator[None]:
        """However the body ends, the run log has its line, and what failed is kept or not as it should be."""
        from warpforge.engine.slots import NotBegun

        failed: WarpforgeError | None = None
        held = self._store.failed.hold(ready.resumption.box) if ready.resumption is not None else nullcontext()
        try:
            with held:
                yield
        except WarpforgeError as error:
            failed = error
            if ready.guard:
                ready.guard.mask(error)
            if not isinstance(error, ActionFailed):
                run.entry.error = error.chain()[-1].code
            self._ended(run)
            raise
        except NotBegun:
            run.drop()
            raise
        except BaseException:
            run.entry.error = "warpforge-error-interrupted"
            self._ended(run)
            raise
        finally:
            self._wrecks.settle(run, job, failed)
        self._ended(run)

    def _explain(self, job: Job) -> None:
        from warpforge.engine.why import Explainer

        with self._explaining:
            if self._explainer is None:
                self._explainer = Explainer(self._store, self._supply)
            reason = self._explainer.job(job, force=self._options.recall.is_passed)
        self._reporter.tell(StepExplained(job.step, reason))

    def _ended(self, run: Run) -> None:
        """The run log has its line."""
        run.finish()
        if self._explainer is not None:
            with self._explaining:
                self._explainer.history.add(run.entry)

    def _resume(self, run: Run, job: Job, resumption: Resumption) -> None:
        self.resumed = True
        where = f"at entry {resumption.entry} in the box of run {resumption.box.run[:8]}"
        run.entry.why.append(f"resumed {where}")
        step = "/".join(job.step) or "the formula"
        self._reporter.tell(Notice("warning", f"{step} is resumed {where}: its result is not remembered"))

    @cached_property
    def _wrecks(self) -> Wrecks:
        from warpforge.engine.wreck import Wrecks

        return Wrecks(self._store, self._options.wreckage, self._reporter)

    def _memoise(self, record: RunRecord) -> None:
        before = self._store.memo.load(record.formula_id) if self._options.recall.is_passed else None
        if before is not None and before.results != record.results:
            self._reporter.tell(Notice("warning", f"{record.formula_id} gave other results than the last time"))
        self._store.memo.save(record)

    def trees(self, formula: Formula) -> dict[SandboxPort, Path]:
        """The inputs of a formula on the shelf. Errors: as ``Supply.tree``."""
        from warpforge.engine.gather import read_filters
        from warpforge.pack.filters import INPUT

        return {
            port: self._supply.tree(entry.basis, read_filters(INPUT, entry.filters))
            for port, entry in formula.inputs.items()
            if isinstance(entry.basis, WareId)
        }

    def close(self) -> None:
        """Let go of what boxes needed."""
        for made in (self._allowed, self._boxes):
            if made is not None:
                made.close()
