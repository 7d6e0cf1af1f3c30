"""How an execution ended: whether what a box came to is a success, and which error it is if not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from warpforge.errors import Failed
from warpforge.model.formula import Script
from warpforge.model.run import RunRecord

if TYPE_CHECKING:
    from warpforge.engine.execute import Job
    from warpforge.sandbox.spec import Gathered, Outcome
    from warpforge.store.runs import Run


class ActionFailed(Failed):
    """The action ended with another exit code than 0; ``record`` tells."""

    record: RunRecord


def check_end(job: Job, record: RunRecord, outcome: Outcome, run: Run) -> None:
    """Errors: an ActionFailed, ``action-limit``, ``interrupted``."""
    if outcome.stopped == "cancelled":
        raise Failed("interrupted", "the action was stopped")
    if outcome.stopped:
        raise Failed("action-limit", f"the action went over its limit: {outcome.stopped}", reason=outcome.stopped)
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
