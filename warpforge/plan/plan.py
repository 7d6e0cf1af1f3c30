"""The state of one plot while it is worked on. No I/O: what can be done now comes out, what was done goes in.

Every step and every (sub)plot is a node, named by its path; a node waits for the nodes that its pipes come from,
and a plot waits for all of its steps. When a plot's last step is finished its outputs are known; those with filters
are packed again, which is a task like any other; then the plot itself is finished, and whoever waited for it is freed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from warpforge.errors import Invalid, Missing
from warpforge.model.atoms import (
    Candidate,
    CatalogRef,
    FilterMap,
    Ingest,
    Literal,
    Mount,
    Pipe,
    SandboxPort,
    Secret,
    WareId,
)
from warpforge.model.formula import Formula, FormulaInput
from warpforge.model.plot import Plot, PlotBasis, Protoformula, spell

from .order import order, siblings

StepPath = tuple[str, ...]
Result = WareId | Literal
Bound = WareId | Literal | Mount | Secret
# a name may stand for itself: then nobody knows its ware yet, and the formula that holds it cannot run
Pins = Mapping[CatalogRef | Ingest | Candidate, Result | Ingest | Candidate]


class FormulaTask(NamedTuple):
    """Run this formula; its results are the step's."""

    path: StepPath
    formula: Formula


class RepackTask(NamedTuple):
    """Pack this ware again through filters; the result is the plot's output ``label``."""

    path: StepPath
    label: str
    ware: WareId
    filters: FilterMap


class Source(NamedTuple):
    """An output of a step that runs."""

    step: StepPath
    label: str


class Closed(NamedTuple):
    """A plot that has its results; the whole plot's path is empty."""

    path: StepPath
    results: dict[str, Result]


Task = FormulaTask | RepackTask


class _Scope:
    """One (sub)plot: where its pipes look."""

    __slots__ = ("parent", "path", "plot", "repacks", "results")

    def __init__(self, path: StepPath, plot: Plot, parent: _Scope | None) -> None:
        self.path = path
        self.plot = plot
        self.parent = parent
        self.results: dict[str, Result] = {}
        self.repacks = 0


class Plan:
    """One plot with all its names pinned. Errors of the constructor: ``plot-invalid``."""

    def __init__(self, plot: Plot, pins: Pins) -> None:
        self._pins = pins
        self._open = any(isinstance(pin, Ingest | Candidate) for pin in pins.values())
        self._scopes: dict[StepPath, _Scope] = {}
        self._protos: dict[StepPath, tuple[_Scope, Protoformula]] = {}
        self._results: dict[StepPath, Mapping[str, Result]] = {}
        self._waits: dict[StepPath, int] = {}
        self._frees: dict[StepPath, list[StepPath]] = {}
        self._ready: list[Task] = []
        self._closed: list[Closed] = []
        self._news: list[StepPath] = []
        self._lost: set[StepPath] = set()
        self.steps: list[StepPath] = []
        self.stuck: dict[StepPath, str] = {}  # ready but for a name that stands for itself
        self._build(plot)

    @property
    def done(self) -> bool:
        """Whether the whole plot has its results."""
        return () in self._results

    def ready(self) -> list[Task]:
        """The tasks that became possible since the last call, in the plot's order."""
        ready, self._ready = self._ready, []
        return ready

    def closed(self) -> list[Closed]:
        """The plots that got their results since the last call, inner ones first."""
        closed, self._closed = self._closed, []
        return closed

    def finished(self, task: Task, results: Mapping[str, Result]) -> None:
        """Take what a task gave: a step's results by label, or ``{label: ware}`` of a repack."""
        if isinstance(task, FormulaTask):
            self._finish(task.path, results)
        else:
            scope = self._scopes[task.path]
            scope.results[task.label] = results[task.label]
            scope.repacks -= 1
            if not scope.repacks:
                self._close(scope)
        self._settle()

    def source(self, path: StepPath, port: SandboxPort) -> Source | PlotBasis:
        """Where a step's input comes from: a step that runs, through all subplots, and its label; else what is said.

        Plot inputs are followed; a label that is not there stands for the subplot itself.
        """
        scope, proto = self._protos[path]
        at, where = _end(scope, proto.inputs[port].basis)
        while isinstance(where, Pipe):
            node, label = (*at.path, where.step), where.label
            inner = self._scopes.get(node)
            if inner is None or label not in inner.plot.outputs:
                return Source(node, label)
            at, where = inner, inner.plot.outputs[label].pipe
        return where

    def needs(self, path: StepPath) -> list[StepPath]:
        """The steps that a step pipes from, through all subplots."""
        found = (self.source(path, port) for port in self._protos[path][1].inputs)
        return [*dict.fromkeys(source.step for source in found if isinstance(source, Source))]

    def origins(self, path: StepPath) -> dict[str, str]:
        """By port, what the plot says of a step's inputs, as ``source`` follows it."""
        return {str(port): _spell_source(self.source(path, port)) for port in self._protos[path][1].inputs}

    def pinned(self, basis: PlotBasis) -> PlotBasis:
        """What a name stands for; anything else stands for itself."""
        return self._pins[basis] if isinstance(basis, CatalogRef | Ingest | Candidate) else basis

    def proto(self, path: StepPath) -> Protoformula:
        """A step as it is written."""
        return self._protos[path][1]

    def failed(self, task: Task) -> list[StepPath]:
        """Give up on a task; gives the steps that cannot be run any more because of it, in the plot's order.

        Whatever does not need it goes on; the plan is never done.
        """
        lost, todo = set(), [task.path]
        while todo:
            for dependent in self._frees.get(todo.pop(), ()):
                if dependent not in self._lost:
                    self._lost.add(dependent)
                    lost.add(dependent)
                    todo.append(dependent)
        return [path for path in self.steps if path in lost]

    def before(self, step: StepPath) -> set[StepPath]:
        """Every node, steps and subplots, that must be finished before a step is ready.

        Errors: ``missing`` when there is no such step.
        """
        if step not in self._protos:
            raise Missing("missing", f"the plot has no step {'/'.join(step)}", stepName="/".join(step))
        before: dict[StepPath, list[StepPath]] = {}
        for need, dependents in self._frees.items():
            for dependent in dependents:
                before.setdefault(dependent, []).append(need)
        found: set[StepPath] = set()
        todo = [step]
        while todo:
            for need in before.get(todo.pop(), ()):
                if need not in found:
                    found.add(need)
                    todo.append(need)
        return found

    def results(self) -> dict[str, Result]:
        """The whole plot's results, once it is done."""
        return self._scopes[()].results

    # building the graph

    def _build(self, plot: Plot) -> None:
        open_ = [_Scope((), plot, None)]
        while open_:
            scope = open_.pop()
            self._scopes[scope.path] = scope
            subplots = []
            for name in order({name: siblings(step) for name, step in scope.plot.steps.items()}):
                body = scope.plot.steps[name].body
                path = (*scope.path, name)
                if isinstance(body, Plot):
                    subplots.append(_Scope(path, body, scope))
                else:
                    self._protos[path] = (scope, body)
                    self.steps.append(path)
            open_.extend(reversed(subplots))
        for path, scope in self._scopes.items():
            self._wait(path, {(*path, name) for name in scope.plot.steps})
        for path, (scope, proto) in self._protos.items():
            sources = (self._source(scope, entry.basis) for entry in proto.inputs.values())
            self._wait(path, {source for source in sources if source is not None})
        for path in [path for path, count in self._waits.items() if not count]:
            self._free(path)
        self._settle()

    def _wait(self, path: StepPath, needs: set[StepPath]) -> None:
        self._waits[path] = len(needs)
        for need in needs:
            if need not in self._protos and need not in self._scopes:
                what = f"step {'/'.join(path)} pipes from step {need[-1]}, which is not there"
                raise Invalid("plot-invalid", what, reason="missing-step", stepName=need[-1])
            self._frees.setdefault(need, []).append(path)

    def _source(self, scope: _Scope, basis: PlotBasis) -> StepPath | None:
        """The node whose results a basis waits for, if any."""
        at, where = _end(scope, basis)
        return (*at.path, where.step) if isinstance(where, Pipe) else None

    # walking it

    def _finish(self, path: StepPath, results: Mapping[str, Result]) -> None:
        self._results[path] = results
        self._news.append(path)

    def _settle(self) -> None:
        """Free whoever waited for what is finished; closing a plot finishes it, so this goes on until it is quiet."""
        while self._news:
            for dependent in self._frees.get(self._news.pop(), ()):
                self._waits[dependent] -= 1
                if not self._waits[dependent]:
                    self._free(dependent)

    def _free(self, path: StepPath) -> None:
        if path in self._protos:
            scope, proto = self._protos[path]
            name = self._unknown(scope, proto)
            if name:
                self.stuck[path] = name
            else:
                self._ready.append(FormulaTask(path, self._formula(scope, proto)))
            return
        scope = self._scopes[path]
        for label, output in scope.plot.outputs.items():
            value = self._resolve(scope, output.pipe, f"{'/'.join(path)} output {label}")
            if output.filters and isinstance(value, WareId):
                scope.repacks += 1
                self._ready.append(RepackTask(path, label, value, output.filters))
            elif isinstance(value, WareId | Literal):
                scope.results[label] = value
        if not scope.repacks:
            self._close(scope)

    def _close(self, scope: _Scope) -> None:
        # outputs that were packed again arrive late: give the results the document's order
        results = {label: scope.results[label] for label in scope.plot.outputs}
        scope.results = results
        self._closed.append(Closed(scope.path, results))
        self._finish(scope.path, results)

    def _unknown(self, scope: _Scope, proto: Protoformula) -> str:
        """An input whose name stands for itself; empty when all are known."""
        for entry in proto.inputs.values() if self._open else ():
            end = _end(scope, entry.basis)[1]
            if isinstance(end, Ingest | Candidate) and self._pins[end] == end:
                return str(end)
        return ""

    def _formula(self, scope: _Scope, proto: Protoformula) -> Formula:
        inputs = {}
        for port, entry in proto.inputs.items():
            bound = self._resolve(scope, entry.basis, port)
            text = f"ware:{bound}" if isinstance(bound, WareId) else str(bound)
            inputs[port] = FormulaInput(text, bound, entry.filters, entry.is_complex)
        return Formula(inputs=inputs, action=proto.action, outputs=proto.outputs)

    def _resolve(self, scope: _Scope, basis: PlotBasis, what: str) -> Bound:
        at, end = _end(scope, basis)
        if isinstance(end, CatalogRef | Ingest | Candidate):
            pin = self._pins[end]
            assert not isinstance(pin, Ingest | Candidate), "a step that holds it is stuck"
            return pin
        if not isinstance(end, Pipe):
            return end
        found = self._results.get((*at.path, end.step), {}).get(end.label)
        if found is None:
            raise Invalid(
                "plot-invalid",
                f"{what}: step {end.step} has no output {end.label}",
                reason="missing-label",
                stepName=end.step,
                label=end.label,
            )
        return found


def _end(scope: _Scope, basis: PlotBasis) -> tuple[_Scope, PlotBasis]:
    """Where a basis leads to through plot inputs; a subplot's input pipes look in the parent's scope."""
    while isinstance(basis, Pipe) and not basis.step:
        entry = scope.plot.inputs.get(basis.label)
        if entry is None:
            raise Invalid("plot-invalid", f"no plot input is called {basis.label}", reason="missing-label")
        basis = entry.basis
        if isinstance(basis, Pipe):
            if scope.parent is None:
                raise Invalid("plot-invalid", f"a plot's own input cannot be a pipe: {basis}", reason="pipe")
            scope = scope.parent
    return scope, basis


def _spell_source(source: Source | PlotBasis) -> str:
    return f"pipe:{'/'.join(source.step)}:{source.label}" if isinstance(source, Source) else spell(source)
