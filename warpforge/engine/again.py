"""Again: a ware that is nowhere to be had is made once more: by the replay of a release, or by the run that made it.

What was made before is the same only if it has the same id; anything else is told of, and kept under its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from warpforge.engine.job import Job, Where, is_memoisable
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.model.ident import formula_id

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.model.formula import Formula
    from warpforge.store.run_entry import RunEntry


def make_again(engine: Engine, ware: WareId) -> str:
    """How it was made, in words; empty when nothing makes it. The caller uses the store.

    Errors: ``interrupted``; whatever else went wrong is told to the reporter, or is why the answer is empty.
    """
    return engine.remaker.remake(ware) or _run_again(engine, ware)


def _run_again(engine: Engine, ware: WareId) -> str:
    """By a formula that the run log remembers, the latest first."""
    tried: set[str] = set()
    for entry in engine.store.runs.find(str(ware)):
        if entry.formula_id in tried or str(ware) not in entry.outputs.values():
            continue
        tried.add(entry.formula_id)
        formula = _formula_of(entry)
        if formula is None:
            continue
        where = Where(Path(entry.document) if entry.document else engine.stack.root.path / "formula")
        try:
            record = engine.executor.execute(Job(tuple(entry.step), formula, entry.formula_id, where))
        except WarpforgeError as error:
            if error.chain()[-1].code == "warpforge-error-interrupted":
                raise
            continue
        if ware in record.results.values():
            return f"the formula {entry.formula_id}"
    return ""


def _formula_of(entry: RunEntry) -> Formula | None:
    """The formula of an execution, if the log has it whole and it can run again."""
    from warpforge.model.serial import load_formula

    if entry.failed or not entry.memoised or not bytes(entry.formula):
        return None
    try:
        text = b'{"formula":{"formula.v1":' + bytes(entry.formula) + b"}}"
        formula = load_formula(text, f"the run {entry.id}").noun.formula
    except WarpforgeError:
        return None
    return formula if is_memoisable(formula) and formula_id(formula) == entry.formula_id else None
