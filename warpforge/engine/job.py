"""A job: one formula to execute, where it comes from, and what can be known of it before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from warpforge.errors import Missing, Unable
from warpforge.model.atoms import Literal, Mount, SandboxPort, Secret
from warpforge.model.formula import Exec, Formula, Script

if TYPE_CHECKING:
    from warpforge.plan.plan import StepPath
    from warpforge.store.runs import Run


class Where(NamedTuple):
    """Where formulas come from: the document's file, the module's name, if it has one; host paths begin beside it."""

    document: Path
    plot: str = ""

    @property
    def base(self) -> Path:
        return self.document.parent


class Job(NamedTuple):
    """One formula to execute: its step, its id, where it comes from, and what the plot says of each input."""

    step: StepPath
    formula: Formula
    formula_id: str
    where: Where
    origins: Mapping[str, str] | None = None


def is_memoisable(formula: Formula) -> bool:
    """Whether the same formula id means the same inputs: a mount of the host breaks that, and a secret."""
    return not any(isinstance(entry.basis, Mount | Secret) for entry in formula.inputs.values())


def list_secrets(formula: Formula) -> list[tuple[SandboxPort, str]]:
    """The secrets of a formula: where, and which."""
    return [(port, entry.basis.name) for port, entry in formula.inputs.items() if isinstance(entry.basis, Secret)]


def unhermetic(formula: Formula) -> list[str]:
    """Why a formula depends on more than its hashes."""
    why = [f"mount at {port}" for port, entry in formula.inputs.items() if isinstance(entry.basis, Mount)]
    why += [f"secret {name} at {port}" for port, name in list_secrets(formula)]
    if isinstance(formula.action, Exec | Script) and formula.action.network is True:
        why.append("network")
    return why


def check_mounts(job: Job) -> None:
    """Errors: ``missing``."""
    for port, entry in job.formula.inputs.items():
        if isinstance(entry.basis, Mount) and not (job.where.base / entry.basis.path).exists():
            path = job.where.base / entry.basis.path
            raise Missing("missing", f"{entry.text} at {port}: there is no {path}", path=path)


def check_network(job: Job) -> None:
    """Errors: ``fetch`` (offline)."""
    action = job.formula.action
    if isinstance(action, Exec | Script) and action.network is True:
        raise Unable("fetch", "offline, and the action asks for the network", reason="offline")


def describe(run: Run, job: Job) -> None:
    """What the run log says of a run before it begins."""
    from msgspec import Raw
    from msgspec.json import encode

    from warpforge.store.run_entry import FORMULA_LIMIT

    entry = run.entry
    entry.plot = job.where.plot
    entry.document = str(job.where.document)
    entry.origins = dict(job.origins or {})
    formula = encode(job.formula.to_serial())
    if len(formula) <= FORMULA_LIMIT:
        entry.formula = Raw(formula)
    entry.why = unhermetic(job.formula)
    entry.hermetic = not entry.why
    entry.secrets = sorted({name for _, name in list_secrets(job.formula)})
    entry.inputs = {
        str(port): item.text for port, item in job.formula.inputs.items() if not isinstance(item.basis, Literal)
    }
