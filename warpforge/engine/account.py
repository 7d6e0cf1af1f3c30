"""Account: everything that is known of one command, gathered from the run log for a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.engine.why import Explainer
from warpforge.errors import Missing
from warpforge.plan.foresee import in_order
from warpforge.store.invocations import HIT, Invocation, PlotNote, StepNote

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.plan.plan import StepPath
    from warpforge.plan.why import Reason
    from warpforge.store.run_entry import RunEntry
    from warpforge.store.store import Store

LOG_SHOWN: Final = 64 << 10  # bytes of one step's output: its end, if it is longer
LOGS_SHOWN: Final = 8 << 20  # bytes of all steps' output together


class StepAccount(NamedTuple):
    """One step. ``run``: the execution that its results come from; of a hit, an earlier one.

    ``reason``: why it ran, if it did. ``said``: the end of its output, ``cut`` when there was more.
    """

    note: StepNote
    run: RunEntry | None
    reason: Reason | None
    said: str
    cut: bool


class PlotAccount(NamedTuple):
    """One plot or formula of the command."""

    note: PlotNote
    steps: list[StepAccount]


class Account(NamedTuple):
    """One command."""

    invocation: Invocation
    plots: list[PlotAccount]

    def steps(self) -> list[StepAccount]:
        """Those of all its plots."""
        return [step for plot in self.plots for step in plot.steps]


def account(engine: Engine, what: str = "") -> Account:
    """The account of a command: the last one, or that of an id or its beginning, also that of one of its runs.

    A command that was killed left no record: then its executions are told. Errors: ``missing``.
    """
    store = engine.store
    explainer = Explainer(store, engine.supply)
    invocation = _find(store, explainer, what)
    room = LOGS_SHOWN
    plots = []
    for note in invocation.plots:
        steps = []
        for step in _in_order(note.steps):
            run = explainer.history.run(step.run)
            ran = step.verdict != HIT and run is not None
            said, cut = _said(store, run, min(room, LOG_SHOWN)) if run else ("", False)
            room -= len(said)
            steps.append(StepAccount(step, run, explainer.run(run) if ran and run else None, said, cut))
        plots.append(PlotAccount(note, steps))
    return Account(invocation, plots)


def _in_order(steps: list[StepNote]) -> list[StepNote]:
    """Every step behind those that it needs."""
    notes: dict[StepPath, StepNote] = {(note.path,): note for note in steps}
    needs: dict[StepPath, list[StepPath]] = {path: [(need,) for need in note.needs] for path, note in notes.items()}
    return [notes[path] for path, _ in in_order(dict.fromkeys(notes, 0.0), needs)]


def _find(store: Store, explainer: Explainer, what: str) -> Invocation:
    found = store.invocations.find(what)
    if found is None and what:
        run = next(iter(store.runs.find(what)), None)
        command = run.invocation if run else what
        found = store.invocations.find(command) or _of_runs(explainer, command)
    if found is None:
        known = f"no command or run is known by {what!r}" if what else "no command has run anything here yet"
        raise Missing("missing", f"{known}: `warpforge log` lists what ran", what=what or None)
    return found


def _of_runs(explainer: Explainer, command: str) -> Invocation | None:
    """What can be told of a command whose record is not there, from its executions."""
    runs = [run for run in explainer.history.all() if command and run.invocation.startswith(command)]
    if not runs:
        return None
    plots: dict[str, PlotNote] = {}
    for run in reversed(runs):
        note = plots.setdefault(run.document, PlotNote(run.document, run.plot, run.started))
        verdict = "failed" if run.failed else "run"
        needs = [origin[5:].rpartition(":")[0] for origin in run.origins.values() if origin.startswith("pipe:")]
        path = "/".join(run.step)
        note.steps.append(StepNote(path, verdict, run.formula_id, run.duration, run.id, needs, run.error))
    first, last = runs[-1], runs[0]
    return Invocation(
        last.invocation, first.started, last.started + last.duration - first.started, plots=[*plots.values()]
    )


def _said(store: Store, run: RunEntry, room: int) -> tuple[str, bool]:
    path = store.runs.log_path(run)
    if path is None or room <= 0:
        return "", bool(run.output_bytes)
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - room))
        return file.read(room).decode("utf-8", "replace"), size > room or run.truncated
