"""Conduct: how actions are run here, as a person says for this command, else as the workspaces' settings say.

Which back-end makes the boxes (``config/sandbox.json``) and what a step may use (``config/limits.json``), of the
nearest workspace that says anything; and where secrets come from. None of it is part of any id.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from warpforge.engine.reach import read_config
from warpforge.model.atoms import Secret

if TYPE_CHECKING:
    from warpforge.engine.guard import Guard
    from warpforge.engine.options import Acting
    from warpforge.engine.secrets import Secrets
    from warpforge.model.formula import Formula
    from warpforge.model.limits import Limits, LimitTable
    from warpforge.sandbox.backend import Backend
    from warpforge.workspace.find import Stack

SANDBOX: Final = "sandbox.json"
LIMITS: Final = "limits.json"


class Conduct:
    """Reads its files when first asked."""

    def __init__(self, stack: Stack, acting: Acting) -> None:
        self._stack = stack
        self._acting = acting

    @cached_property
    def box(self) -> Backend:
        """What makes the boxes. Errors: ``invalid-argument``, ``sandbox-unavailable``, ``invalid``, ``io``."""
        from warpforge.sandbox.choose import choose

        return choose(self._acting.sandbox or self._configured_sandbox())

    def limits(self, module: str, step: tuple[str, ...]) -> Limits:
        """What one step may use, by name; a limit of 0 is none. Errors: ``invalid``, ``serialization``, ``io``."""
        configured = self._table.for_step(module, step) if self._table else {}
        return {**configured, **self._acting.limits}

    def guard(self, formula: Formula) -> Guard | None:
        """The guard of a formula's run, with the values of its secrets; None without any. Errors: as ``Secrets``."""
        names = {entry.basis.name for entry in formula.inputs.values() if isinstance(entry.basis, Secret)}
        if not names:
            return None
        from warpforge.engine.guard import Guard

        return Guard({name: self.secrets.get(name) for name in sorted(names)})

    def _configured_sandbox(self) -> str:
        from warpforge.sandbox.choose import AUTO

        path = self._stack.find_config(SANDBOX)
        data = read_config(path) if path else None
        if data is None:
            return AUTO
        from warpforge.model.serial import load_sandbox

        return load_sandbox(data, str(path)).noun.use

    @cached_property
    def secrets(self) -> Secrets:
        """The values of secrets."""
        from warpforge.engine.secrets import Secrets

        acting = self._acting
        return Secrets(self._stack, acting.secrets, acting.variable, acting.directory)

    @cached_property
    def _table(self) -> LimitTable | None:
        path = self._stack.find_config(LIMITS)
        data = read_config(path) if path else None
        if data is None:
            return None
        from warpforge.model.serial import load_limits

        return load_limits(data, str(path)).noun
