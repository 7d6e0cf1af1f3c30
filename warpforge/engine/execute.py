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
from time import monotonic, time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec.structs import replace

from warpforge.engine.allowance import Allowance
from warpforge.engine.ending import ActionFailed, check_end, check_gathered, executor_failed
from warpforge.engine.events import Notice, Reporter, StepExplained, StepFinished, StepOutput, StepStarted
from warpforge.engine.job import Job, check_mounts, check_network, describe, is_memoisable
from warpforge.engine.phases import Phases
from warpforge.errors import Unable, WarpforgeError
from warpforge.model.atoms import Literal, SandboxPort, WareId
from warpforge.model.formula import Echo, Formula
from warpforge.model.run import RunRecord
from warpforge.store.layout import is_inside

if TYPE_CHECKING:
    from warpforge.engine.conduct import Conduct
    from warpforge.engine.guard import Guard
    from warpforge.engine.options import Options
    from warpforge.engine.supply import Supply
    from warpforge.engine.why import Explainer
    from warpforge.engine.wreck import Resumption, Wrecks
    from warpforge.model.limits import Limits
    from warpforge.sandbox.protocol import Cancel, Entries, Seat
    from warpforge.sandbox.spec import BoxSpec, Outcome
    from warpforge.store.runs import Run
    from warpforge.store.staging import Staging
    from warpforge.store.stay import Stay
    from warpforge.store.store import Store


GATHER = 64 << 30  # bytes that a run may give unless a limit says otherwise: a sparse file can claim any number


class Beside(Protocol):
    """What a box has that its formula does not say, and no memo depends on."""

    @property
    def guard(self) -> Guard | None:
        """None without secrets."""

    def amend(self, spec: BoxSpec) -> BoxSpec:
        """The box with it."""


class _Ready(NamedTuple):
    """What is ready before a run begins: its box, its limits, where time goes, its secrets, and what it takes up."""

    spec: BoxSpec
    limits: Limits
    phases: Phases
    guard: Guard | None
    resumption: Resumption | None


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
        self._reporter = reporter
        self._cancel = cancel
        self._options = options
        self._made: dict[str, RunRecord] = {}  # by this process: not even force runs these again
        self._explainer: Explainer | None = None
        self._explaining = Lock()
        self._allowance = Allowance(lambda: cancel().cancel())
        self.resumed = False  # whether a step was: what a plot gives then is no result to rely on
        self.beside: Beside | None = None  # for what is executed now

    def recall(self, job: Job) -> RunRecord | None:
        """The memo's answer, if it is still good: its outputs are the formula's, and each is still to be had."""
        if not is_memoisable(job.formula):
            return None
        if self._options.force:
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

    def execute(self, job: Job) -> RunRecord:
        """Run a formula, unless somebody else just did.

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
                record = self._execute(job, memoisable=memoisable)
            self._store.need(record.results.values())
            self._reporter.tell(StepFinished(job.step, record, hit, monotonic() - since))
            return record

    def _turn(self, job: Job) -> AbstractContextManager[None]:
        """Hold the formula's lock."""

        def waits(pid: str) -> None:
            if pid != str(os.getpid()):
                step = "/".join(job.step) or job.formula_id
                self._reporter.tell(Notice("info", f"{step} waits for process {pid}, which runs the same"))

        return self._store.turn(job.formula_id, waits)

    def _execute(self, job: Job, *, memoisable: bool) -> RunRecord:
        from warpforge.engine.rebuild import check_same

        ready = self._prepare(job)
        memoisable = memoisable and ready.resumption is None
        run, spec = self._begin(job, ready)
        # whoever rebuilds compares, and the memo stays with what was first
        before = self._store.memo.load(job.formula_id) if self._options.rebuild and memoisable else None
        remembered = memoisable and before is None and not self._options.forget
        with self._settled(run, job, ready):
            record = self._run(job, spec, run, ready.phases, ready.guard)
            if before is not None:
                check_same(self._store, self._supply, before, record)
            run.entry.memoised = remembered
        if ready.resumption is not None:
            self._store.failed.drop(ready.resumption.box)
        if remembered:
            self._memoise(record)
        if memoisable and self._options.force:
            self._made[record.formula_id] = record
        return record

    def _prepare(self, job: Job) -> _Ready:
        """All that is thought of and fetched before a run has a name."""
        from warpforge.engine.furnish import furnish
        from warpforge.engine.gather import check_gathers

        conduct = self._conduct()
        try:
            conduct.box.warm()
        except Unable as error:
            raise executor_failed("auto", error) from error
        check_gathers(job.formula)
        check_mounts(job)
        if self._options.offline:
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
        if self._options.keep_run_dir and not guard:
            spec = replace(spec, keep=True)
        if self.beside is not None:
            spec = self.beside.amend(spec)
        return _Ready(spec, limits, phases, guard, resumption)

    def _begin(self, job: Job, ready: _Ready) -> tuple[Run, BoxSpec]:
        """A run in the log, and its box."""
        spec = ready.spec
        total = ready.limits.get("total", 0)
        self._allowance.hold(total)
        run = self._store.runs.begin(job.formula_id, job.step)
        describe(run, job)
        if total:
            run.entry.limits = {"total": f"{total:g} by clock"}
        if ready.guard is None:  # a secret is not to lie about in a box that failed
            spec = replace(spec, keep_failed=self._wrecks.room(run))
        if ready.resumption is not None:
            spec = ready.resumption.apply(spec)
            self._resume(run, job, ready.resumption)
        run.entry.invocation = self._options.invocation
        run.announce()
        self._reporter.tell(StepStarted(job.step, job.formula_id, run.id, self._conduct().box.name))
        return run, spec

    @contextmanager
    def _settled(self, run: Run, job: Job, ready: _Ready) -> Iterator[None]:
        """However the body ends, the run log has its line, and what failed is kept or not as it should be."""
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
            reason = self._explainer.job(job, force=self._options.force)
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

        return Wrecks(self._store, self._options, self._reporter)

    def _memoise(self, record: RunRecord) -> None:
        before = self._store.memo.load(record.formula_id) if self._options.force else None
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

    def _run(self, job: Job, spec: BoxSpec, run: Run, phases: Phases, guard: Guard | None) -> RunRecord:
        results: dict[str, WareId | Literal] = {}
        labels = [*job.formula.outputs]
        at = ("box", phases.begin("box"))

        def on_output(stream: str, data: bytes) -> None:
            run.write(data)
            self._reporter.tell(StepOutput(job.step, stream, data))

        away = self._store.away()

        def on_gather(index: int, entries: Entries) -> None:
            nonlocal at
            away.end()
            if at[0] == "box":
                phases.end(*at)
                at = ("gather", phases.begin("gather"))
            if guard:
                entries = guard.searched(labels[index], entries)
            with phases.of(f"pack {labels[index]}"):
                results[labels[index]] = self.keep_output(job.formula, labels[index], entries)

        if isinstance(job.formula.action, Echo):
            from warpforge.model.serial import dump

            on_output("out", dump(job.formula))
        entry = run.entry
        try:
            with away:
                outcome = self.in_box(spec, guard.covered(on_output) if guard else on_output, on_gather)
        finally:
            if guard:
                guard.finish(on_output)
            phases.end(*at)
            entry.phases = phases.since(entry.started)
        entry.exit_code = outcome.exit_code
        run.last_entry = outcome.entry
        entry.sandbox = outcome.facts.sandbox if spec.argv else ""
        entry.limits |= {
            name: kept
            for name, kept in outcome.facts.limits.items()
            if name != "gather" or spec.gather_limit != GATHER  # what nobody asked for
        }
        if outcome.truncated:
            run.cut()
        if spec.pretending:
            entry.why.append("changes of owner and user are said to have been done, and were not")
        if not outcome.facts.overlay:
            entry.why.append("trees were copied: overlays cannot be mounted here")
        record = RunRecord(run.id, int(time()), job.formula_id, outcome.exit_code, {})
        check_end(job, record, outcome, run, over=self._allowance.over)
        for label, gathered in zip(labels, outcome.gathered, strict=True):
            check_gathered(label, gathered)
        ordered = {label: results[label] for label in labels}
        entry.outputs = {label: str(result) for label, result in ordered.items()}
        return RunRecord(record.guid, record.time, record.formula_id, 0, ordered)

    def in_box(
        self,
        spec: BoxSpec,
        on_output: Callable[[str, bytes], None],
        on_gather: Callable[[int, Entries], None],
        seat: Seat | None = None,
    ) -> Outcome:
        """Run a box. Errors: ``executor-failed`` around what the sandbox cannot do; as ``Sandbox.run``."""
        box = self._conduct().box
        try:
            return box.run(
                spec,
                self._working_directory(spec),
                on_output=on_output,
                on_gather=on_gather,
                cancel=self._cancel(),
                seat=seat,
            )
        except Unable as error:
            if "sandbox" not in error.code:
                raise
            raise executor_failed(box.name, error) from error

    def _working_directory(self, spec: BoxSpec) -> str:
        """Where the box keeps its layers: in the store, but never below a directory that it mounts as an overlay."""
        usual = str(self._options.run_path) if self._options.run_path else self._store.staging.directory()
        if spec.keep:
            usual = str(self._options.run_path or self._store.internal / "kept")
            os.makedirs(usual, 0o700, exist_ok=True)
            self._reporter.tell(Notice("info", f"the run directory is kept below {usual}"))
        real = os.path.realpath(usual)
        for mount in spec.mounts:
            if mount.kind == "host-overlay" and is_inside(real, os.path.realpath(os.fsdecode(mount.source))):
                return self._elsewhere.directory()
        return usual

    @cached_property
    def _elsewhere(self) -> Staging:
        from warpforge.fsx.atomic import make_private
        from warpforge.store.finding import storing
        from warpforge.store.staging import Staging

        path = f"/var/tmp/warpforge-{os.geteuid()}"
        with storing(f"cannot work in {path}"):
            return Staging(make_private(path))

    def close(self) -> None:
        """Remove the working directory outside of the store, if there was one."""
        self._allowance.close()
        if "_elsewhere" in self.__dict__:
            self._elsewhere.close()

    def keep_output(self, formula: Formula, label: str, entries: Entries) -> WareId | Literal:
        """What a box left for one output. Errors: ``output-invalid``, ``ware-mismatch``, ``store``."""
        from warpforge.engine.gather import keep_output, read_value

        gather = formula.outputs[label]
        if gather.source.is_variable:
            return read_value(label, gather, entries)
        return keep_output(self._store, label, gather, entries)


def limited(spec: BoxSpec, limits: Limits) -> BoxSpec:
    """The same box with limits."""
    return replace(
        spec,
        deadline=float(limits.get("time", 0)),
        memory_limit=int(limits.get("memory", 0)),
        pids_limit=int(limits.get("pids", 0)),
        disk_limit=int(limits.get("disk", 0)),
        output_limit=int(limits.get("output", 0)),
        gather_limit=int(limits.get("gather", GATHER)),
    )
