"""Chronicle: hears what one command does, and leaves the record of its steps in the run log.

What only came from the memo is noted, too, so that a report can tell of all of it. Nothing depends on the record: where
it cannot be written, it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from warpforge.engine.events import (
    Event,
    PlotBegan,
    Reporter,
    StepFailed,
    StepFinished,
    StepStarted,
    WareMoving,
    WareSupplied,
)
from warpforge.errors import WarpforgeError
from warpforge.store.invocations import FAILED, HIT, RAN, Invocation, PlotNote, StepNote

if TYPE_CHECKING:
    from warpforge.engine.job import Where
    from warpforge.model.plot import PlotResults
    from warpforge.model.run import RunRecord
    from warpforge.plan.plan import Plan
    from warpforge.store.store import Store

GRAPH: Final = 200  # steps of a plot whose pipes are noted although nothing ran


class Chronicle(Reporter):
    """Of one command in one store."""

    def __init__(self, invocation: str, jobs: int) -> None:
        self._invocation = Invocation(invocation, round(time(), 3), jobs=jobs)
        self._began = monotonic()
        self._steps: dict[tuple[str, ...], StepNote] = {}
        self._plan: Plan | None = None
        self._where: Where | None = None
        self._runs: dict[tuple[str, ...], str] = {}
        self._moving: dict[str, tuple[int, float]] = {}

    def tell(self, event: Event) -> None:
        kind = type(event)
        if kind is StepFinished:
            self._finished(event)  # type: ignore[arg-type]
        elif isinstance(event, StepStarted):
            self._runs[event.step] = event.run_id
        elif isinstance(event, StepFailed):
            code = event.error.chain()[-1].code if isinstance(event.error, WarpforgeError) else ""
            name = "/".join(event.step)
            self._steps[event.step] = StepNote(name, FAILED, run=self._runs.get(event.step, ""), error=code)
        elif isinstance(event, PlotBegan):
            if event.where == self._where:  # and no replay that it needs
                self._plan = event.plan
        elif isinstance(event, WareMoving):
            self._moving.setdefault(str(event.ware), (0, monotonic()))
            self._moving[str(event.ware)] = (event.done, self._moving[str(event.ware)][1])
        elif isinstance(event, WareSupplied):
            self._moved(str(event.ware))

    def _finished(self, event: StepFinished) -> None:
        record = event.record
        verdict = HIT if event.hit else RAN
        self._steps[event.step] = StepNote(
            "/".join(event.step), verdict, record.formula_id, 0.0 if event.hit else round(event.seconds, 6), record.guid
        )

    def _moved(self, ware: str) -> None:
        count, since = self._moving.pop(ware, (0, 0.0))
        if count:
            before, seconds = self._invocation.moved
            self._invocation.moved = (before + count, round(seconds + monotonic() - since, 6))

    @contextmanager
    def plot(self, where: Where) -> Iterator[list[RunRecord | PlotResults]]:
        """One plot or formula is run inside; its results are put into the list."""
        note = PlotNote(str(where.document), where.plot, round(time(), 3))
        since = monotonic()
        self._where = where
        results: list[RunRecord | PlotResults] = []
        try:
            yield results
        except WarpforgeError as error:
            note.error = error.chain()[-1].code
            raise
        except BaseException:
            note.error = "warpforge-error-interrupted"
            raise
        finally:
            note.seconds = round(monotonic() - since, 6)
            for result in results:
                note.results = {label: str(value) for label, value in result.results.items()}
            note.steps = self._take_steps()
            self._invocation.plots.append(note)

    def _take_steps(self) -> list[StepNote]:
        steps, plan = self._steps, self._plan
        self._steps, self._plan = {}, None
        if plan is None:
            return [*steps.values()]
        found = [steps.get(path) or StepNote("/".join(path)) for path in plan.steps]
        if len(found) <= GRAPH or any(note.verdict != HIT for note in found):
            for note, path in zip(found, plan.steps, strict=True):
                note.needs = ["/".join(need) for need in plan.needs(path)]
        return found

    def take(self, other: Chronicle) -> None:
        """What another one heard belongs to this command, too."""
        self._invocation.plots += other._invocation.plots

    def save(self, store: Store) -> None:
        """Leave the record; when old ones went, old output goes, too."""
        if not self._invocation.plots:
            return
        self._invocation.seconds = round(monotonic() - self._began, 6)
        with suppress(WarpforgeError):
            if store.invocations.save(self._invocation):
                store.runs.prune()
        self._invocation.plots = []
