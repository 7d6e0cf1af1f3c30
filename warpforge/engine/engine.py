"""The Engine: the composition root, where rooms that do not know each other are handed to one another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from warpforge.engine.chronicle import Chronicle
from warpforge.engine.ending import ActionFailed
from warpforge.engine.events import Notice, Reporter, Several, StepFailed, StepFinished
from warpforge.engine.execute import Executor
from warpforge.engine.job import Job, Where
from warpforge.engine.options import Options
from warpforge.engine.supply import Supply
from warpforge.errors import Missing, Unable, WarpforgeError
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.ident import formula_id
from warpforge.model.plot import Plot, PlotResults
from warpforge.model.run import RunRecord
from warpforge.plan.refs import wares
from warpforge.sandbox.owner import find_owner
from warpforge.store.store import Store
from warpforge.workspace.find import Stack
from warpforge.workspace.targets import Target

if TYPE_CHECKING:
    from warpforge.catalog.lookup import Lookup
    from warpforge.engine.beside import Beside
    from warpforge.engine.conduct import Conduct
    from warpforge.engine.images import Images, Moved
    from warpforge.engine.ingest import Ingester
    from warpforge.engine.pin import Pinner
    from warpforge.engine.reach import Reach
    from warpforge.engine.remake import Remaker
    from warpforge.engine.run import PlotRun
    from warpforge.engine.witness import Witness
    from warpforge.mirror.policy import Access
    from warpforge.model.formula import FormulaFile
    from warpforge.pack.limits import Limits
    from warpforge.plan.plan import RepackTask, Result, StepPath
    from warpforge.plan.refs import Ref
    from warpforge.sandbox.backend import Backend
    from warpforge.sandbox.protocol import Cancel


class Engine:
    """Everything over one stack of workspaces. Close it: what waits for the index is written then."""

    def __init__(self, stack: Stack, reporter: Reporter, options: Options | None = None) -> None:
        self.stack: Final = stack
        self._options = options or Options()
        self._chronicle = Chronicle(self._options.invocation, self._options.jobs)
        reporter = Several(reporter, self._chronicle) if self._options.invocation else reporter
        self._reporter = reporter
        self._context: dict[WareId, WarehouseAddr] = {}
        self.built: Final[dict[str, PlotResults]] = {}  # results of modules, earlier in this command
        self._stuck = False
        owner = find_owner()
        self.store: Final = Store(
            stack.root.internal, warehouse=self._options.warehouse, owner=owner, look=self._options.look
        )
        self.supply: Final = Supply(
            self.store,
            self.mirrors,
            reporter,
            owner,
            lambda: self.reach.access,
            lambda: self.limits,
            self._remake if self._options.remake else None,
        )
        self.executor: Final = Executor(
            self.store,
            self.supply,
            lambda: self.conduct,
            reporter,
            lambda: self._cancel,
            self._options,
        )

    # a formula that the memo answers needs none of these: each is made when it is first asked for

    @cached_property
    def conduct(self) -> Conduct:
        """How actions are run here."""
        from warpforge.engine.conduct import Conduct

        return Conduct(self.stack, self._options)

    @cached_property
    def lookup(self) -> Lookup:
        """The catalogs of the stack."""
        from warpforge.engine.catalogs import open_lookup

        return open_lookup(self.stack, lambda message: self.tell("warning", message), at=self._options.catalog_at)

    @cached_property
    def ingester(self) -> Ingester:
        """Makes wares of what is on the host."""
        from warpforge.engine.ingest import Ingester

        return Ingester(
            self.store,
            self._reporter,
            limits=lambda: self.limits,
            access=lambda: self.reach.access,
            images=lambda: self.images,
        )

    @cached_property
    def images(self) -> Images:
        """Makes wares of images."""
        from warpforge.engine.events import WareMoving
        from warpforge.engine.images import Images

        def moved(ware: WareId, address: str) -> Moved:
            return lambda done, total: self._reporter.tell(WareMoving(ware, address, done, total))

        return Images(self.store, lambda: self.reach.access, lambda: self.limits, moved)

    @cached_property
    def reach(self) -> Reach:
        """The mirrors that workspaces name."""
        from warpforge.engine.reach import Reach

        return Reach(self.stack, self._access)

    @cached_property
    def limits(self) -> Limits:
        """Of archives whose id is not verified. Errors: as ``bounds.read_limits``."""
        from warpforge.engine.bounds import read_limits

        return read_limits(self.stack, self._options.max_unpacked)

    @cached_property
    def pinner(self) -> Pinner:
        """What names stand for; where nothing may be written, it only looks at what would be ingested."""
        from warpforge.engine.pin import Pinner

        def claim(ware: WareId, dual: str) -> None:
            self.store.duals.claim(ware, dual)

        if self._options.look:
            from warpforge.engine.look import Looker

            return Pinner(self.lookup, Looker(), self._last_built, claim, meet=self.witness.meet)
        hazards = lambda: self.allowed_hazards  # noqa: E731
        return Pinner(self.lookup, self.ingester, self._last_built, claim, hazards, self.witness.meet)

    @cached_property
    def witness(self) -> Witness:
        """Notices when references mean something else than before."""
        from warpforge.engine.witness import Witness

        return Witness(self.stack, lambda message: self.tell("warning", message), looks=self._options.look)

    @cached_property
    def allowed_hazards(self) -> frozenset[str]:
        """Hazardous releases that may be used, as MODULE:RELEASE. Errors: as ``hazards.allowed_hazards``."""
        from warpforge.engine.hazards import allowed_hazards

        return allowed_hazards(self.stack, self._options.hazards)

    @cached_property
    def remaker(self) -> Remaker:
        """Makes wares again from replays."""
        from warpforge.engine.remake import Remaker

        pinner = self.pinner
        return Remaker(
            self.lookup, pinner.modules, pinner.pins, self._run, self._reporter, lambda: self.allowed_hazards
        )

    def run(self, target: Target) -> RunRecord | PlotResults:
        """Run one target: a formula gives its RunRecord, a plot or module its PlotResults."""
        with self.store.use():
            try:
                if self._options.offline:
                    from warpforge.engine.offline import check_offline

                    check_offline(self, target, self._options.jobs, remake=self._options.remake)
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
        """A formula's file, and where it is; its context is taken over. Errors: ``formula-invalid``..."""
        from warpforge.model.serial import load_formula

        file = load_formula(_read(target.path), str(target.path)).noun
        if file.context:
            self._context.update(file.context.warehouses)
        return file, _where(target.path)

    def load(self, target: Target) -> tuple[Plot, Where]:
        """A target's plot, read and checked, and where it is. Errors: ``plot-invalid``, ``module-invalid``..."""
        from warpforge.model.findings import invalid_document
        from warpforge.model.serial import load_module, load_plot
        from warpforge.plan.order import rings

        name = ""
        if target.kind == "module":
            name = load_module(_read(target.path), str(target.path)).noun.name
        plot = load_plot(_read(target.plot), str(target.plot)).noun
        if found := rings(plot):
            raise invalid_document("plot-invalid", str(target.plot), found)
        return plot, _where(target.plot, name)

    def pinned(self, ref: Ref) -> Result:
        """What a name of a plot that was run here stood for then."""
        return self.pinner.pinned[ref]

    def replay(self, plot: Plot, where: Where, then: Mapping[CatalogRef, WareId]) -> PlotResults:
        """Run a plot of a catalog. ``then``: what references stood for, where that is not what they stand for now."""
        with self.store.use(), self._chronicle.plot(where) as told:
            if self._options.offline and not then:
                from warpforge.engine.offline import check_plot_offline

                check_plot_offline(self, plot, where, self._options.jobs, remake=self._options.remake)
            results = self._run(plot, where, then)
            told.append(results)
        return results

    def _remake(self, ware: WareId) -> str:
        return self.remaker.remake(ware)

    def _access(self) -> Access:
        from warpforge.mirror.policy import Access

        access = self._options.access() if self._options.access else Access()
        return access._replace(offline=self._options.offline)

    def _last_built(self, module: str) -> PlotResults | None:
        """What a module gave in this run, else in its last one in this workspace."""
        return self.built.get(module) or self.store.built.get(module)

    def tell(self, level: str, message: str) -> None:
        """Let whoever listens hear of something."""
        self._reporter.tell(Notice(level, message))

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

    def mirrors(self, ware: WareId) -> list[WarehouseAddr]:
        """Where a ware may be had, best first."""
        context = self._context.get(ware)
        named = [*([context] if context else ()), *self.pinner.mirrors(ware)]
        return [*dict.fromkeys([*named, *self.reach.addresses])]

    @cached_property
    def beside(self) -> Beside:
        """Runs plots side by side."""
        from warpforge.engine.beside import Beside

        return Beside(self, self._options, self._chronicle)

    @property
    def box(self) -> Backend:
        """What makes boxes here. Errors: as ``Conduct.box``."""
        return self.conduct.box

    @cached_property
    def _cancel(self) -> Cancel:
        from warpforge.sandbox.protocol import Cancel

        return Cancel()

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


def _where(document: Path, name: str = "") -> Where:
    return Where(Path(os.path.abspath(document)), name)


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise Missing("missing", f"{path}: there is no such file", cause=error, path=path) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error
