"""How an execution ended: whether what a box came to is a success, and which error it is if not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from warpforge.errors import Failed, WarpforgeError
from warpforge.model.formula import Script
from warpforge.model.run import RunRecord

if TYPE_CHECKING:
    from warpforge.engine.job import Job
    from warpforge.sandbox.spec import Gathered, Outcome
    from warpforge.store.runs import Run


class ActionFailed(Failed):
    """The action ended with another exit code than 0; ``record`` tells."""

    record: RunRecord


def executor_failed(engine: str, error: WarpforgeError) -> Failed:
    """The original's wrapper around what a box could not do."""
    return Failed("executor-failed", f"the {engine} engine could not run it", cause=error, engineName=engine)


def check_end(job: Job, record: RunRecord, outcome: Outcome, run: Run, *, over: float = 0.0) -> None:
    """``over``: seconds that all actions together had and that are over. Errors: an ActionFailed, ``action-limit``,
    ``interrupted``.
    """
    if outcome.stopped == "cancelled" and over:
        what = f"the actions of this command together went over their limit total={over:g}: this one was stopped"
        raise Failed("action-limit", what, reason="time", limit=f"{over:g}", step="/".join(job.step) or None)
    if outcome.stopped == "cancelled":
        raise Failed("interrupted", "the action was stopped")
    if outcome.stopped:
        raise _over("/".join(job.step), record, outcome)
    if not outcome.exit_code:
        return
    code = outcome.exit_code
    if outcome.exec_error:
        what = f"the action could not be executed: {outcome.text}"
    elif outcome.signal:
        what = f"the action was killed by signal {outcome.signal}"
    else:
        what = f"the action ended with exit code {code}"
    script = job.formula.action
    if outcome.entry >= 0 and isinstance(script, Script) and len(script.contents) > 1:
        what += f", in entry {outcome.entry} (of 0 to {len(script.contents) - 1})"
    error = ActionFailed(
        "formula-execution-failed",
        f"{what}; its output: warpforge log {record.guid[:8]}",
        exitCode=code,
        signal=outcome.signal or None,
        reason=outcome.exec_error or None,
        formulaID=job.formula_id,
        run=record.guid,
        entry=outcome.entry if outcome.entry >= 0 else None,
        output=run.tail() or None,
    )
    error.record = record
    raise error


def _over(step: str, record: RunRecord, outcome: Outcome) -> Failed:
    name = outcome.stopped
    limit, _, keeper = outcome.facts.limits.get(name, "").partition(" by ")
    if limit:
        what = (
            f"the action went over its limit {name}={limit}: it was stopped; "
            f"raise it with --limit {name}=... or in .warpforge/config/limits.json"
        )
    else:
        what = f"the action was stopped: it left too little {name} space free for anybody else"
    return Failed(
        "action-limit",
        f"{what}; its output: warpforge log {record.guid[:8]}",
        reason=name,
        limit=limit or None,
        keeper=keeper or None,
        step=step or None,
        run=record.guid,
    )


def check_gathered(label: str, gathered: Gathered) -> None:
    """Errors: ``output-invalid``."""
    if gathered.status == "ok":
        return
    path = os.fsdecode(gathered.path)
    raise Failed(
        "output-invalid",
        f"output {label} at {path}: {gathered.text or gathered.status}",
        reason=gathered.status,
        output=label,
        path=path,
    )
