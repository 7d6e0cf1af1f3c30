"""What the engine tells: frozen events, and the Reporter that hears them.

The engine tells and never asks. A Reporter's methods may be called from any thread of the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from warpforge.model.atoms import WareId
from warpforge.model.plot import PlotResults
from warpforge.model.run import RunRecord

if TYPE_CHECKING:
    from warpforge.engine.job import Where
    from warpforge.plan.plan import Plan, StepPath
    from warpforge.plan.why import Reason


class PlotBegan(msgspec.Struct, frozen=True):
    """A plot has its names and is about to run. ``plan`` knows its steps; it is read, never driven."""

    plan: Plan
    where: Where


class StepPhase(msgspec.Struct, frozen=True):
    """A part of a step begins (``seconds`` is None) or has ended; ``began`` on the monotonic clock.

    The phases: ``supply`` (inputs onto the shelf), ``furnish`` (the box as a value), ``box`` (the action),
    ``gather`` (outputs come out), and within it ``pack LABEL``.
    """

    step: StepPath
    phase: str
    began: float
    seconds: float | None


class StepStarted(msgspec.Struct, frozen=True):
    """A formula is about to run in a box, which ``sandbox`` makes."""

    step: StepPath
    formula_id: str
    run_id: str
    sandbox: str = ""


class StepOutput(msgspec.Struct, frozen=True):
    """Bytes that the action wrote; ``stream`` is ``out`` or ``err``."""

    step: StepPath
    stream: str
    data: bytes


class StepFinished(msgspec.Struct, frozen=True):
    """A formula has its RunRecord. ``hit``: from the memo; then nothing ran."""

    step: StepPath
    record: RunRecord
    hit: bool
    seconds: float


class StepFailed(msgspec.Struct, frozen=True):
    """A step ended without results. ``record`` is there when its action ran to an exit code."""

    step: StepPath
    error: Exception
    record: RunRecord | None


class StepExplained(msgspec.Struct, frozen=True):
    """Why a step is about to run, as lines for people and as plain values."""

    step: StepPath
    reason: Reason


class StepSkipped(msgspec.Struct, frozen=True):
    """A step cannot be run any more, for the step ``because`` failed."""

    step: StepPath
    because: StepPath


class PlotFinished(msgspec.Struct, frozen=True):
    """A plot, or a subplot when ``step`` is not empty, has its results."""

    step: StepPath
    results: PlotResults


class WareSupplied(msgspec.Struct, frozen=True):
    """A ware came from somewhere else than the shelf."""

    ware: WareId
    source: str
    seconds: float


class WareMoving(msgspec.Struct, frozen=True):
    """Bytes of a packed ware come from a mirror, or go to one: ``done`` of ``total``, None when nobody knows."""

    ware: WareId
    address: str
    done: int
    total: int | None


class Ingested(msgspec.Struct, frozen=True):
    """Something of the host became a ware."""

    ingest: str
    ware: WareId
    cached: bool


class Notice(msgspec.Struct, frozen=True):
    """Something a person should know; ``level`` is ``info`` or ``warning``."""

    level: str
    message: str


Event = (
    PlotBegan
    | StepPhase
    | StepStarted
    | StepOutput
    | StepFinished
    | StepFailed
    | StepSkipped
    | StepExplained
    | PlotFinished
    | WareSupplied
    | WareMoving
    | Ingested
    | Notice
)


class Reporter:
    """Hears events. The empty one is silence."""

    def tell(self, event: Event) -> None:
        """One event, in the order in which things happened."""


class Several(Reporter):
    """Tells several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def tell(self, event: Event) -> None:
        for reporter in self._reporters:
            reporter.tell(event)
