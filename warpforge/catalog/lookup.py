"""Lookup: from references to wares, over layers of catalogs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET

from warpforge.errors import Invalid, Missing
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.catalog import Mirrors, Release

from .tree import Catalog


class Pin(NamedTuple):
    """What a reference stands for, and where that was read."""

    ref: CatalogRef
    ware: WareId
    release: Release
    catalog: Catalog


class Lookup:
    """``layers``: catalogs nearest first; those of one layer are equals. What was read is kept: one for a command."""

    def __init__(self, layers: Sequence[Sequence[Catalog | Path]]) -> None:
        self._layers = [[one if isinstance(one, Catalog) else Catalog(one) for one in layer] for layer in layers]
        self._releases: dict[tuple[Catalog, str, str], Release | None] = {}
        self._mirrors: dict[tuple[Catalog, str], Mirrors | None] = {}

    def find(self, ref: CatalogRef) -> Pin | None:
        """The ware of a reference, from the nearest layer that has it; a release without the item is passed over.

        Errors: ``catalog-invalid`` (conflict: equals that say different things; hash; others), ``io``.
        """
        for layer in self._layers:
            found = list(self._pins(layer, ref))
            if found:
                return _agreed(found)
        return None

    def pin(self, refs: Iterable[CatalogRef]) -> dict[CatalogRef, Pin]:
        """All of these. Errors: as ``find``; ``catalog-missing-entry`` naming every one that is missing."""
        found: dict[CatalogRef, Pin] = {}
        missing: list[CatalogRef] = []
        lost: list[Missing] = []
        for ref in dict.fromkeys(refs):
            try:
                pin = self.find(ref)
            except Missing as error:  # a snapshot names it, and it was not kept
                lost.append(error)
                continue
            if pin is None:
                missing.append(ref)
            else:
                found[ref] = pin
        if lost:
            raise lost[0] if len(lost) == 1 else _lost(lost)
        if missing:
            raise _missing(missing)
        return found

    def shadowed(self, ref: CatalogRef) -> list[Pin]:
        """What farther layers say of a reference that a nearer one answers otherwise."""
        pins = [pin for layer in self._layers for pin in self._pins(layer, ref)]
        return [pin for pin in pins if pin.ware != pins[0].ware]

    def mirrors(self, ware: WareId, modules: Iterable[str]) -> list[WarehouseAddr]:
        """Where a ware of these modules may be had: first who names the ware, then who names its module.

        Errors: as ``find``.
        """
        named: dict[WarehouseAddr, None] = {}
        general: dict[WarehouseAddr, None] = {}
        for module in modules:
            for layer in self._layers:
                for catalog in layer:
                    by_ware, by_module = _addresses(self._mirrors_of(catalog, module), ware, module)
                    named.update(dict.fromkeys(by_ware))
                    general.update(dict.fromkeys(by_module))
        return list(named | general)

    def catalogs(self) -> Iterator[Catalog]:
        """Every catalog, nearest first."""
        for layer in self._layers:
            yield from layer

    def _pins(self, layer: Sequence[Catalog], ref: CatalogRef) -> Iterator[Pin]:
        for catalog in layer:
            release = self._release_of(catalog, ref)
            ware = None if release is None else release.items.get(ref.item)
            if release is not None and ware is not None:
                yield Pin(ref, ware, release, catalog)

    def _release_of(self, catalog: Catalog, ref: CatalogRef) -> Release | None:
        key = (catalog, ref.module, ref.release)
        if key not in self._releases:
            self._releases[key] = catalog.release(ref.module, ref.release)
        return self._releases[key]

    def _mirrors_of(self, catalog: Catalog, module: str) -> Mirrors | None:
        key = (catalog, module)
        if key not in self._mirrors:
            self._mirrors[key] = catalog.mirrors(module)
        return self._mirrors[key]


def _addresses(
    mirrors: Mirrors | None, ware: WareId, module: str
) -> tuple[Sequence[WarehouseAddr], Sequence[WarehouseAddr]]:
    if mirrors is None:
        return (), ()
    by_ware = () if mirrors.by_ware is UNSET else mirrors.by_ware.get(ware, ())
    by_module = () if mirrors.by_module is UNSET else mirrors.by_module.get(module, {}).get(ware.packtype, ())
    return by_ware, by_module


def _agreed(pins: list[Pin]) -> Pin:
    first, *others = pins
    for other in others:
        if other.ware != first.ware:
            raise Invalid(
                "catalog-invalid",
                f"catalogs {first.catalog.name} and {other.catalog.name} disagree on {first.ref}: "
                f"{first.ware} and {other.ware}; remove or correct one",
                reason="conflict",
                catalogRef=first.ref,
                catalogs=f"{first.catalog.name} {other.catalog.name}",
            )
    return first


def _lost(errors: list[Missing]) -> Missing:
    lines = "".join(f"\n  {error.message}" for error in errors)
    return Missing("catalog-missing-entry", f"what a snapshot names was not kept:{lines}", reason="kept")


def _missing(refs: list[CatalogRef]) -> Missing:
    names = [str(ref) for ref in refs]
    lines = "".join(f"\n  {name}" for name in names) if len(names) > 1 else f" {names[0]}"
    return Missing(
        "catalog-missing-entry",
        f"no catalog here has{lines}\nadd a catalog that does, or an entry with `warpforge catalog add`",
        catalogRef=" ".join(names),
    )
