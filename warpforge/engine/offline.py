"""Offline: before anything runs, all that is not on this machine is told at once, with where it could be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warpforge.engine.forecast import HERE, MIRROR, Forecaster, WareForecast
from warpforge.errors import Unable
from warpforge.mirror.protocol import shown
from warpforge.model.atoms import WareId
from warpforge.plan.foresee import REPLAY

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.workspace.targets import Target


def check_offline(engine: Engine, target: Target, jobs: int, *, remake: bool) -> None:
    """Errors: ``fetch`` (offline) naming every ware that a step needs and that is nowhere on this machine.

    What only steps need whose formulas are not known yet is told of too, but alone it is no error.
    """
    found = Forecaster(engine, jobs).forecast(target).wares
    spared = (HERE, "ingest", MIRROR, *([REPLAY] if remake else []))  # a mirror that answers offline is of this machine
    missing = [ware for ware in found if ware.state not in spared]
    if not any(not ware.maybe for ware in missing):
        return
    lines = "".join(f"\n  {_said(engine, ware)}" for ware in missing)
    raise Unable(
        "fetch",
        f"offline, and {len(missing)} ware(s) are not on this machine:{lines}",
        reason="offline",
        wareId=" ".join(ware.ware for ware in missing),
    )


def _said(engine: Engine, ware: WareForecast) -> str:
    places = [shown(address) for address in engine.mirrors(WareId.parse(ware.ware))]
    if ware.state == REPLAY:
        places.append(f"its replay ({ware.steps} steps, run -r)")
    where = f"could be had from {', '.join(places)}" if places else "nobody here knows where it could be had"
    name = f" ({ware.origin})" if ware.origin != f"ware:{ware.ware}" else ""
    return f"{ware.ware}{name}{', perhaps needed' if ware.maybe else ''}: {where}"
