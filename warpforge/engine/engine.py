"""The Engine: the walk through its rooms, from a target to results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from warpforge.engine.chronicle import Chronicle
from warpforge.engine.documents import read_formula, read_plot
from warpforge.engine.ending import ActionFailed
from warpforge.engine.events import Notice, Reporter, Several, StepFailed, StepFinished
from warpforge.engine.job import Job, Where
from warpforge.engine.options import Options
from warpforge.engine.rooms import Rooms
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.ident import formula_id
from warpforge.model.plot import Plot, PlotResults
from warpforge.model.run import RunRecord
from warpforge.plan.refs import wares
from warpforge.workspace.find import Stack
from warpforge.workspace.targets import Target

if TYPE_CHECKING:
    from warpforge.engine.beside import Beside
    from warpforge.engine.run import PlotRun
    from warpforge.model.formula import FormulaFile
    from warpforge.plan.plan import RepackTask, Result, StepPath
    from warpforge.plan.refs import Ref
    from warpforge.sandbox.protocol import Cancel


class Engine(Rooms):
    """Everything over one stack of workspaces. Close it: what waits for the index is written then."""

    def __init__(self, stack: Stack, reporter: Reporter, options: Options | None = None) -> None:
        options = options or Options()
        self._chronicle = Chronicle(options.invocation, options.jobs)
        super().__init__(stack, Several(reporter, self._chronicle) if options.invocation else reporter, options)
        self._stuck = False

    def run(self, target: Target) -> RunRecord | PlotResults:
        """Run one target: a formula gives its RunRecord, a plot or module its PlotResults."""
        with self.store.use():
            try:
                if self._options.sourcing.offline:
                    from warpforge.engine.offline import check_offline

                    check_offline(self, target, self._options.jobs, remake=self._options.sourcing.remake)
                if target.kind == "formula":
                    return self._run_formula(target)
                return self._run_plot(target)
            finally:
                self._tell_findings()

    def close(self) -> None:
        """Let go of everything; may be called again.

        While somebody still works who could not be stopped nothing is closed: the process is about to end, and what
        is left of it is swept at the next start.
        """
        if self._stuck:
            return
        self.executor.close()
        self._chronicle.save(self.store)
        self.store.close()

    def _run_formula(self, target: Target) -> RunRecord:
        file, where = self.load_formula(target)
        job = Job((), file.formula, formula_id(file.formula), where)
        with self._chronicle.plot(where) as results:
            record = self.executor.recall(job)
            if record is not None:
                self._reporter.tell(StepFinished((), record, hit=True, seconds=0.0))
            else:
                record = self._execute(job)
            results.append(record)
        return record

    def _execute(self, job: Job) -> RunRecord:
        try:
            return self.executor.execute(job)
        except WarpforgeError as error:
            self._reporter.tell(StepFailed((), error, error.record if isinstance(error, ActionFailed) else None))
            raise

    def _run_plot(self, target: Target) -> PlotResults:
        plot, where = self.load(target)
        with self._chronicle.plot(where) as told:
            results = self._run(plot, where)
            told.append(results)
        if where.plot and not self.executor.resumed:
            self.built[where.plot] = results
            self.store.built.put(where.plot, results)
        return results

    def load_formula(self, target: Target) -> tuple[FormulaFile, Where]:
        """A formula's file, and where it is; its context is taken over. Errors: as ``documents.read_formula``."""
        file, where = read_formula(target)
        if file.context:
            self._context.update(file.context.warehouses)
        return file, where

    def load(self, target: Target) -> tuple[Plot, Where]:
        """A target's plot, read and checked, and where it is. Errors: as ``documents.read_plot``."""
        return read_plot(target)

    def pinned(self, ref: Ref) -> Result:
        """What a name of a plot that was run here stood for then."""
        return self.pinner.pinned[ref]

    def replay(self, plot: Plot, where: Where, then: Mapping[CatalogRef, WareId]) -> PlotResults:
        """Run a plot of a catalog. ``then``: what references stood for, where that is not what they stand for now."""
        with self.store.use(), self._chronicle.plot(where) as told:
            if self._options.sourcing.offline and not then:
                from warpforge.engine.offline import check_plot_offline

                check_plot_offline(self, plot, where, self._options.jobs, remake=self._options.sourcing.remake)
            results = self._run(plot, where, then)
            told.append(results)
        return results

    def _run(self, plot: Plot, where: Where, then: Mapping[CatalogRef, WareId] | None = None) -> PlotResults:
        from warpforge.plan.plan import Plan

        pins = self.pinner.pins(plot, where.base, then)
        self.pinner.belong(where.plot, wares(plot))
        self.store.need(pins.values())
        plan = Plan(plot, pins)
        with self._running() as running:
            return running.run(plan, where)

    def steps(self, target: Target, records: Mapping[StepPath, RunRecord]) -> Iterator[tuple[Job, RunRecord]]:
        """Every step of a target that was run, with the record it then had. The caller uses the store."""
        from warpforge.plan.plan import FormulaTask, Plan

        if target.kind == "formula":
            file, where = self.load_formula(target)
            yield Job((), file.formula, formula_id(file.formula), where), records[()]
            return
        plot, where = self.load(target)
        plan = Plan(plot, self.pinner.pins(plot, where.base))
        while tasks := plan.ready():
            for task in tasks:
                if isinstance(task, FormulaTask):
                    yield Job(task.path, task.formula, formula_id(task.formula), where), records[task.path]
                    plan.finished(task, records[task.path].results)
                else:
                    plan.finished(task, {task.label: self.repack(task)})

    def approach(self, target: Target, step: StepPath) -> Job:
        """A step, or the formula itself, after all that it needs was run. The caller uses the store."""
        from warpforge.plan.plan import Plan

        if target.kind == "formula":
            file, where = self.load_formula(target)
            return Job((), file.formula, formula_id(file.formula), where)
        plot, where = self.load(target)
        pins = self.pinner.pins(plot, where.base)
        self.store.need(pins.values())
        with self._running() as running:
            return running.approach(Plan(plot, pins), where, step)

    @contextmanager
    def _running(self) -> Iterator[PlotRun]:
        from warpforge.engine.run import PlotRun

        running = PlotRun(
            self.executor,
            self.repack,
            self._reporter,
            self._stop,
            jobs=self._options.jobs,
            keep_going=self._options.keep_going,
        )
        try:
            yield running
        finally:
            self._stuck = self._stuck or running.stuck

    def repack(self, task: RepackTask) -> WareId:
        """Pack a ware again through a plot output's filters; what was packed so before is remembered in the index."""
        from warpforge.engine.gather import read_filters
        from warpforge.engine.keep import keep
        from warpforge.pack.filters import SCAN
        from warpforge.pack.packer import repack

        filters = read_filters(SCAN, task.filters)
        name, version = f"repack {task.ware} {filters.key()}", b"1"
        known = self.store.index.ingest_get(name, version)
        if known is not None:
            self.store.need((known,))
            if self.store.has(known):
                return known
        limits = self.supply.limits_of(task.ware)
        with self.supply.packed(task.ware) as packed:
            at_rest, _ = self.supply.at_rest(task.ware)
            made = keep(self.store, lambda sink: repack(packed, at_rest, filters, sink, limits=limits))
        self.store.need((made,))
        self.store.index.ingest_put(name, version, made)
        return made

    @cached_property
    def beside(self) -> Beside:
        """Runs plots side by side."""
        from warpforge.engine.beside import Beside

        return Beside(self, self._options, self._chronicle)

    def stop(self) -> None:
        """Kill the actions that run now, from any thread; those that begin later run."""
        stopped: Cancel | None = self.__dict__.pop("_cancel", None)
        if stopped is not None:
            stopped.cancel()

    def _stop(self) -> None:
        self._cancel.cancel()

    def _tell_findings(self) -> None:
        for finding in self.store.findings():
            self._reporter.tell(Notice("warning", finding.message))

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
