"""Bundle: what a plot names is copied into the catalog of the nearest workspace, so that it needs no other catalog.

Releases are copied whole, for their ids cover all their items; with them their replays, and the mirrors of their
wares. Nothing that is there already and says the same is written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from warpforge.catalog.edit import ModuleEdit, edit
from warpforge.errors import Failed
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.plot import Plot
from warpforge.plan.refs import refs, wares

if TYPE_CHECKING:
    from warpforge.catalog.lookup import Lookup, Pin
    from warpforge.catalog.tree import Catalog


class Vendored(NamedTuple):
    """One release that was copied. ``changed``: false when it was there already."""

    module: str
    release: str
    source: str
    changed: bool


class Bundler:
    """Copies from the catalogs of a lookup into ``goal``, which is none of them."""

    def __init__(self, lookup: Lookup, goal: Catalog, *, recursive: bool = False, force: bool = False) -> None:
        self._lookup = lookup
        self._goal = goal
        self._recursive = recursive
        self._force = force
        self.wares: dict[WareId, CatalogRef | None] = {}  # what the plots take, by the name they take it by

    def bundle(self, plots: Iterable[Plot]) -> list[Vendored]:
        """Copy all that these plots name.

        Errors: ``catalog-missing-entry`` (all that are missing), ``already-exists`` for a release that is there and
        says something else, ``store``.
        """
        pins = self._pins(plots)
        by_module: dict[str, dict[str, Pin]] = {}
        for pin in pins.values():
            by_module.setdefault(pin.ref.module, {})[pin.ref.release] = pin
        return [vendored for module, releases in by_module.items() for vendored in self._copy(module, releases)]

    def _pins(self, plots: Iterable[Plot]) -> dict[CatalogRef, Pin]:
        """What the plots name, and, if that is wanted, what the replays of those releases name in turn."""
        found: dict[CatalogRef, Pin] = {}
        waiting = [*plots]
        while waiting:
            wanted = set()
            for plot in waiting:
                wanted |= {ref for ref in refs(plot) if isinstance(ref, CatalogRef) and ref not in found}
                self.wares |= dict.fromkeys(wares(plot))
            pins = self._find(sorted(wanted, key=str))
            found |= pins
            self.wares |= {pin.ware: ref for ref, pin in pins.items()}
            waiting = [*self._replays(pins.values())] if self._recursive else []
        return found

    def _find(self, wanted: Sequence[CatalogRef]) -> dict[CatalogRef, Pin]:
        """Where the references stand elsewhere; one that only the goal has needs no copy."""
        there = {ref: ware for ref in wanted if (ware := self._item(ref)) is not None}
        self.wares |= {ware: ref for ref, ware in there.items()}
        found = self._lookup.pin(ref for ref in wanted if ref not in there)
        return found | {ref: pin for ref in there if (pin := self._lookup.find(ref)) is not None}

    def _item(self, ref: CatalogRef) -> WareId | None:
        release = self._goal.release(ref.module, ref.release)
        return release.items.get(ref.item) if release else None

    def _replays(self, pins: Iterable[Pin]) -> Iterator[Plot]:
        for pin in pins:
            plot = pin.catalog.replay(pin.ref.module, pin.release.replay) if pin.release.replay else None
            if plot is not None:
                yield plot

    def _copy(self, module: str, releases: dict[str, Pin]) -> Iterator[Vendored]:
        fresh = {name: pin for name, pin in releases.items() if self._goal.release(module, name) != pin.release}
        if fresh:
            with edit(self._goal, module) as changed:
                for name, pin in fresh.items():
                    self._copy_release(changed, name, pin)
        for name, pin in releases.items():
            yield Vendored(module, name, str(pin.catalog.path), name in fresh)

    def _copy_release(self, changed: ModuleEdit, name: str, pin: Pin) -> None:
        known = changed.release(name)
        if known is not None and not self._force:
            raise Failed(
                "already-exists",
                f"{pin.ref.module}:{name} is in {self._goal.path} already, and says something else than in "
                f"{pin.catalog.path}: use --force to replace it",
                module=pin.ref.module,
                release=name,
            )
        changed.put_release(pin.release)
        if pin.release.replay is not None:
            plot = pin.catalog.replay(pin.ref.module, pin.release.replay)
            if plot is not None:
                changed.put_replay(plot)
        mirrors = pin.catalog.mirrors(pin.ref.module)
        if mirrors is not None:
            changed.add_mirrors(mirrors, pin.release.items.values())
