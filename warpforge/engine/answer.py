"""Answer: the question why a step of a target runs, put together from its plan and the run log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from warpforge.engine.job import Job
from warpforge.engine.why import Explainer
from warpforge.errors import Missing
from warpforge.model.ident import formula_id
from warpforge.plan.foresee import foresee
from warpforge.plan.plan import FormulaTask, Plan, Result, StepPath
from warpforge.plan.why import SAME, Reason

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.model.run import RunRecord
    from warpforge.workspace.targets import Target


class Answer(NamedTuple):
    """``state``: hit (then the reason tells of its last run), run or waits."""

    state: str
    reason: Reason


def answer(engine: Engine, target: Target, step: str) -> Answer:
    """Why a step would run, or did. The caller holds the store. Errors: ``missing`` (step), those of pinning."""
    explainer = Explainer(engine.store, engine.supply)
    if target.kind == "formula":
        file, where = engine.load_formula(target)
        job = Job((), file.formula, formula_id(file.formula), where)
        return _known(explainer, job, engine.executor.recall(job))
    plot, where = engine.load(target)
    plan = Plan(plot, engine.pinner.pins(plot, where.base))
    path = find_step(plan, step)
    records: dict[StepPath, RunRecord] = {}

    def recall(task: FormulaTask) -> Mapping[str, Result] | None:
        record = engine.executor.recall(Job(task.path, task.formula, formula_id(task.formula), where))
        if record is not None:
            records[task.path] = record
        return None if record is None else record.results

    seen = foresee(plan, recall, engine.repack)
    formula = seen[path].formula
    if formula is None:
        return Answer("waits", explainer.waiting(plan, seen, where, path))
    return _known(explainer, Job(path, formula, formula_id(formula), where, plan.origins(path)), records.get(path))


def _known(explainer: Explainer, job: Job, record: RunRecord | None) -> Answer:
    if record is None:
        return Answer("run", explainer.job(job))
    entry = explainer.history.run(record.guid)
    if entry is None:
        step = "/".join(job.step)
        return Answer("hit", Reason(step, SAME, note="its result was made elsewhere: no run of it is in the log"))
    return Answer("hit", explainer.run(entry))


def find_step(plan: Plan, step: str) -> StepPath:
    """The step that a person means: its whole path, else its name, if only one has it. Errors: ``missing``."""
    found = [path for path in plan.steps if "/".join(path) == step] or [p for p in plan.steps if p[-1] == step]
    if len(found) == 1:
        return found[0]
    names = ", ".join("/".join(path) for path in (found or plan.steps)[:20])
    what = f"several steps are called {step}" if found else f"no step is called {step}"
    raise Missing("missing", f"{what}: name one of {names or 'none, for the plot has no steps'}", stepName=step)
