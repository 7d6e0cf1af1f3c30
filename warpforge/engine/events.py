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
    from warpforge.plan.plan import StepPath


class StepStarted(msgspec.Struct, frozen=True):
    """A formula is about to run in a box."""

    step: StepPath
    formula_id: str
    run_id: str


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
    StepStarted | StepOutput | StepFinished | StepFailed | PlotFinished | WareSupplied | WareMoving | Ingested | Notice
)


class Reporter:
    """Hears events. The empty one is silence."""

    def tell(self, event: Event) -> None:
        """One event, in the order in which things happened."""
