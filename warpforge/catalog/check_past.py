"""Checking a catalog as it was: whether all that a snapshot names can still be had, and is what it names.

What is of now alone is not looked at: the form of files, files that nobody names, verdicts, other catalogs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.catalog import HAZARD, CatalogModule
from warpforge.model.plot import every_input

from .check import ERROR, WARNING, Examined, Fault, faults_of, mirrored
from .tree import MIRRORS_FILE, MODULE_FILE, RELEASES_DIR, REPLAYS_DIR, Catalog

T = TypeVar("T")


def check_past(catalog: Catalog, module: str) -> Examined:
    """One module of a catalog whose view is of the past; its mirrors are those of now."""
    return _Look(catalog, module).all()


class _Look:
    def __init__(self, catalog: Catalog, module: str) -> None:
        self._catalog = catalog
        self._module = module
        self._faults: list[Fault] = []

    def all(self) -> Examined:
        wares: dict[CatalogRef, WareId] = {}
        names: dict[CatalogRef, str] = {}
        known = self._read(MODULE_FILE, lambda: self._catalog.module(self._module))
        for name in known.releases if known else ():
            self._release(known, name, wares, names)
        mirrors = self._read(MIRRORS_FILE, lambda: self._catalog.mirrors(self._module))
        return Examined(self._module, wares, names, *mirrored(mirrors, self._module), self._faults)

    def _release(
        self, known: CatalogModule | None, name: str, wares: dict[CatalogRef, WareId], names: dict[CatalogRef, str]
    ) -> None:
        path = f"{RELEASES_DIR}/{name}.json"
        release = self._read(path, lambda: self._catalog.release(known or self._module, name))
        if release is None:
            return
        wares |= {CatalogRef(self._module, name, item): ware for item, ware in release.items.items()}
        if release.hazard is not None:
            self._add(WARNING, path, HAZARD, f"marked as hazardous: {release.hazard}", f"/metadata/{HAZARD}")
        if (cid := release.replay) is None:
            return
        path = f"{REPLAYS_DIR}/{cid}.json"
        before = len(self._faults)
        replay = self._read(path, lambda: self._catalog.replay(self._module, cid))
        if replay is None and len(self._faults) == before:
            self._add(ERROR, path, "missing", f"the replay of {name} is not there")
        for _, item in every_input(replay) if replay else ():
            if isinstance(item.basis, CatalogRef):
                names.setdefault(item.basis, f"{self._module}/{path}")

    def _read(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except WarpforgeError as error:
            self._faults += faults_of(error, self._module, name)
            return None

    def _add(self, level: str, name: str, reason: str, message: str, pointer: str = "") -> None:
        self._faults.append(Fault(level, f"{self._module}/{name}", reason, message, pointer))
