"""Offline: before anything runs, all that is not on this machine is told at once, with where it could be had.

Where replays may make what is missing, what they take is looked for in turn: what is told then are the wares at the
bottom, which nobody here can make.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.engine.forecast import HERE, MIRROR, Forecaster, WareForecast
from warpforge.engine.job import Where
from warpforge.errors import Unable
from warpforge.mirror.protocol import shown
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.units import counted
from warpforge.plan.foresee import REPLAY

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.model.plot import Plot
    from warpforge.workspace.targets import Target

_NEAR: Final = (HERE, "ingest", MIRROR)  # a mirror that answers offline is of this machine


class Lack(NamedTuple):
    """A ware that is not here. ``maybe``: only perhaps needed; ``by``: the release whose replay takes it, or empty."""

    ware: WareForecast
    maybe: bool
    by: str = ""


def check_offline(engine: Engine, target: Target, jobs: int, *, remake: bool) -> None:
    """Errors: ``fetch`` (offline) naming every ware that a step needs and that is nowhere on this machine.

    What only steps need whose formulas are not known yet is told of too, but alone it is no error.
    """
    forecaster = Forecaster(engine, jobs)
    _check(engine, forecaster, forecaster.forecast(target).wares, remake=remake)


def check_plot_offline(engine: Engine, plot: Plot, where: Where, jobs: int, *, remake: bool) -> None:
    """The same for the plot of a release. Errors: as ``check_offline``."""
    forecaster = Forecaster(engine, jobs)
    _check(engine, forecaster, forecaster.forecast_plot(plot, where).wares, remake=remake)


def _check(engine: Engine, forecaster: Forecaster, found: Sequence[WareForecast], *, remake: bool) -> None:
    lacks = (
        [*_lacks(engine, forecaster, found)] if remake else [Lack(o, o.maybe) for o in found if o.state not in _NEAR]
    )
    if all(lack.maybe for lack in lacks):
        return
    lines = "".join(f"\n  {_said(engine, lack)}" for lack in lacks)
    raise Unable(
        "fetch",
        f"offline, and {counted(len(lacks), 'ware is', 'wares are')} not on this machine ({_total(lacks)}):{lines}",
        reason="offline",
        wareId=" ".join(lack.ware.ware for lack in lacks),
    )


def _lacks(engine: Engine, forecaster: Forecaster, found: Sequence[WareForecast]) -> Iterator[Lack]:
    """What is missing, and what is missing to make it again."""
    waiting = [Lack(ware, ware.maybe) for ware in found]
    seen = {ware.ware for ware in found}
    for lack in waiting:  # it grows meanwhile
        if lack.ware.state in _NEAR:
            continue
        if lack.ware.state != REPLAY:
            yield lack
            continue
        by, plot, where = _replay(engine, lack.ware)
        for ware in forecaster.forecast_plot(plot, where).wares:
            if ware.ware not in seen:
                seen.add(ware.ware)
                waiting.append(Lack(ware, lack.maybe or ware.maybe, by))


def _replay(engine: Engine, ware: WareForecast) -> tuple[str, Plot, Where]:
    """The plot that makes a ware which is named by a reference, and where it lies."""
    ref = CatalogRef.parse(ware.origin.removeprefix("catalog:"))
    pin = engine.lookup.find(ref)
    plot = pin.catalog.replay(ref.module, ware.source) if pin else None
    assert pin is not None and plot is not None  # the forecast has just read it
    path = Path(pin.catalog.replay_path(ref.module, ware.source))
    return f"{ref.module}:{ref.release}", plot, Where(path, ref.module)


def _said(engine: Engine, lack: Lack) -> str:
    ware = lack.ware
    places = [shown(address) for address in engine.mirrors(WareId.parse(ware.ware))]
    if ware.state == REPLAY:
        places.append(f"its replay ({counted(ware.steps, 'step')}, run -r)")
    where = f"could be had from {', '.join(places)}" if places else "nobody here knows where it could be had"
    name = f" ({ware.origin})" if ware.origin != f"ware:{ware.ware}" else ""
    more = [_size(ware.bytes) if ware.bytes is not None else "size unknown"]
    more += [f"for the replay of {lack.by}"] if lack.by else []
    more += ["perhaps needed"] if lack.maybe else []
    return f"{', '.join([ware.ware + name, *more])}: {where}"


def _total(lacks: Sequence[Lack]) -> str:
    known = [lack.ware.bytes for lack in lacks if lack.ware.bytes is not None]
    if not known:
        return "nobody here knows how large"
    unknown = len(lacks) - len(known)
    return _size(sum(known)) + (f", and {unknown} of unknown size" if unknown else "")


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count} bytes"
