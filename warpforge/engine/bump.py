"""Bump: newer releases for what a plot takes from catalogs, and what they would change.

A release is newer that its module names later: a catalog's modules list their releases in the order in which they were
published. Of the catalogs, those of the root workspace decide; a nearer one holds what was copied from them.
Releases that are marked as hazardous, or that lack the item, are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from warpforge.errors import Missing, WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.plan.foresee import in_order
from warpforge.plan.refs import Ref, refs
from warpforge.plan.replayable import replayable

if TYPE_CHECKING:
    from warpforge.catalog.lookup import Lookup
    from warpforge.engine.engine import Engine
    from warpforge.engine.forecast import Forecaster
    from warpforge.engine.job import Where
    from warpforge.model.catalog import Release
    from warpforge.model.plot import Plot
    from warpforge.plan.foresee import Foreseen
    from warpforge.plan.plan import StepPath
    from warpforge.workspace.targets import Target


class PassedOver(msgspec.Struct):
    """A later release that is not proposed. ``why``: its hazard, or that it lacks the item."""

    release: str
    why: str


class RefBump(msgspec.Struct, omit_defaults=True):
    """One reference. ``to``: what is proposed, empty when there is only something to say of it.

    ``ware``: empty when no catalog here has the reference. ``newer``: releases between, the proposed one last.
    ``hazard``: why the release that is used now is marked as hazardous. ``places``: JSON pointers into the plot.
    """

    ref: str
    ware: str
    places: list[str]
    to: str = ""
    to_ware: str = msgspec.field(default="", name="toWare")
    newer: list[str] = []
    hazard: str = ""
    passed_over: list[PassedOver] = msgspec.field(default_factory=list, name="passedOver")


class StepBump(msgspec.Struct):
    """A step whose result is not known after the change. ``verdict``: run, or waits (for one of those)."""

    step: str
    verdict: str


class PlotBump(msgspec.Struct):
    """One plot. ``steps``: those that would run again, None when that cannot be known. ``total``: steps of the plot."""

    document: str
    module: str
    refs: list[RefBump]
    steps: list[StepBump] | None
    total: int
    written: bool = False

    @property
    def changes(self) -> list[RefBump]:
        return [ref for ref in self.refs if ref.to]


class Bumper:
    """``only``: modules to look at, each with the release that is wanted, or an empty text; none for all."""

    def __init__(self, engine: Engine, forecaster: Forecaster, only: Mapping[str, str]) -> None:
        self._engine = engine
        self._forecaster = forecaster
        self._only = only
        self.taken: Final[set[str]] = set()  # modules that the plots take something from

    def bump(self, target: Target) -> tuple[PlotBump, Plot]:
        """What would change in a target's plot, and the plot with it.

        Errors: those of reading it; ``catalog-missing-entry`` for a wanted release that nobody has;
        ``catalog-invalid``.
        """
        plot, where = self._engine.load(target)
        found = []
        for ref, places in refs(plot).items():
            if not isinstance(ref, CatalogRef):
                continue
            self.taken.add(ref.module)
            if not self._only or ref.module in self._only:
                proposed = self._propose(ref, places)
                if proposed.to or proposed.hazard or proposed.passed_over or not proposed.ware:
                    found.append(proposed)
        replacements: dict[Ref, WareId | CatalogRef] = {}
        for one in found:
            if one.to:
                replacements[CatalogRef.parse(one.ref)] = CatalogRef.parse(one.to)
        fresh = replayable(plot, replacements)
        steps, total = self._steps(plot, fresh, where) if replacements else ([], 0)
        return PlotBump(str(target.plot), where.plot, found, steps, total), fresh

    def _propose(self, ref: CatalogRef, places: list[str]) -> RefBump:
        lookup = self._engine.lookup
        now = lookup.find(ref)
        ware = str(now.ware) if now else ""
        proposed = RefBump(ref=str(ref), ware=ware, places=["/plot.v1" + place for place in places])
        if now is not None:
            proposed.hazard = _hazard_of(now.release)
        wanted = self._only.get(ref.module, "")
        if wanted:
            self._choose(proposed, ref._replace(release=wanted))
            if not proposed.to and wanted != ref.release:
                raise Missing("catalog-missing-entry", f"no catalog here has {ref._replace(release=wanted)}",
                              catalogRef=ref._replace(release=wanted))  # fmt: skip
            return proposed
        for name in reversed(later := _later(lookup, ref)):
            if self._choose(proposed, ref._replace(release=name)):
                proposed.newer = later[: later.index(name) + 1]
                break
        return proposed

    def _choose(self, proposed: RefBump, ref: CatalogRef) -> bool:
        try:
            found = self._engine.lookup.find(ref)
        except WarpforgeError as error:  # catalogs that disagree on it, say: this one is none to propose
            proposed.passed_over.append(PassedOver(ref.release, error.message))
            return False
        hazard = _hazard_of(found.release) if found else ""
        if found is None or (hazard and not self._only.get(ref.module)):
            proposed.passed_over.append(PassedOver(ref.release, f"hazard: {hazard}" if hazard else f"no {ref.item}"))
            return False
        if str(ref) != proposed.ref:
            proposed.to, proposed.to_ware = str(ref), str(found.ware)
        return True

    def _steps(self, plot: Plot, fresh: Plot, where: Where) -> tuple[list[StepBump] | None, int]:
        """Steps that are not known after the change, but for those that were not known before and stay as they are."""
        try:
            plan, after = self._forecaster.foresee(fresh, where)
        except WarpforgeError:
            return None, 0
        before: Mapping[StepPath, Foreseen] = {}
        try:
            _, before = self._forecaster.foresee(plot, where)
        except WarpforgeError:
            pass  # what cannot even be begun is all new
        order = [path for path, _ in in_order(dict.fromkeys(after, 0.0), {path: plan.needs(path) for path in after})]
        again = [path for path in order if after[path].results is None and _differs(after[path], before.get(path))]
        return [StepBump("/".join(path), "run" if after[path].formula else "waits") for path in again], len(after)


def _hazard_of(release: Release) -> str:
    """Why a release is marked as hazardous; empty when it is not."""
    return "" if release.hazard is None else release.hazard or "no reason is given"


def _differs(after: Foreseen, before: Foreseen | None) -> bool:
    return before is None or before.results is not None or before.formula is None or before.formula != after.formula


def _later(lookup: Lookup, ref: CatalogRef) -> list[str]:
    """Releases behind the one of a reference; all of them when no catalog has that one."""
    catalogs = [*lookup.catalogs()][::-1]  # those of the root workspace come last, and decide
    named = [[*module.releases] for catalog in catalogs if (module := catalog.module(ref.module)) is not None]
    for releases in named:
        if ref.release in releases and (later := releases[releases.index(ref.release) + 1 :]):
            return later
    if any(ref.release in releases for releases in named):
        return []
    return next((releases for releases in named), [])
