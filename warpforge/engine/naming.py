"""Naming: the wares that a person names on the command line, and where the catalogs here say that these may be had.

A person says what a plot may say: a WareId (also ``ware:...``), ``module:release:item`` (also ``catalog:...``),
``candidate:...``, ``ingest:...``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import UNSET

from warpforge.errors import Invalid
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.names import is_module_name, is_release_name

SCHEMES: Final = ("ware", "catalog", "candidate", "ingest")

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.model.plot import PlotBasis


class Names:
    """The names of wares, for one command. ``base``: where the paths of ingests begin."""

    def __init__(self, engine: Engine, base: Path) -> None:
        self._engine = engine
        self._base = base
        self._every: dict[WareId, set[str]] | None = None

    def ware(self, text: str, *, use: bool = False) -> WareId:
        """One of ``wares``."""
        return self.wares((text,), use=use)[0]

    def wares(self, texts: Iterable[str], *, use: bool = False) -> list[WareId]:
        """What each text names; a ware that several name is given once.

        ``use``: hazardous releases are refused, unless they are allowed.
        Errors: ``wareid-invalid``, ``catalog-name``, ``invalid``; ``catalog-missing-entry`` naming all that are
        missing; ``catalog-invalid`` (hazard, others); those of ingests.
        """
        meant = [parse_name(text) for text in texts]
        pinned = self._engine.pinner.wares((one for one in meant if isinstance(one, CatalogRef)), use=use)
        found: dict[WareId, None] = {}
        for one in meant:
            ware = pinned[one] if isinstance(one, CatalogRef) else one if isinstance(one, WareId) else self._other(one)
            if isinstance(one, WareId) and not self._engine.supply.has(one):
                self._learn()
                self.claim(one)
            found[ware] = None
        return [*found]

    def every(self) -> list[WareId]:
        """Every ware that catalogs name. Errors: those of reading them."""
        return [*self._learn()]

    def mirrors(self, ware: WareId) -> list[WarehouseAddr]:
        """Every mirror that catalogs or workspaces know for a ware, best first. Errors: as ``every``."""
        if not self._engine.pinner.modules(ware):
            self._learn()
        return self._engine.mirrors(ware)

    def claim(self, ware: WareId) -> None:
        """Hold a ware to the tree that the releases say it has. Errors: ``ware-mismatch`` (symlinks)."""
        for dual in (self._every or {}).get(ware, ()):
            self._engine.store.duals.claim(ware, dual)

    def _other(self, name: PlotBasis) -> WareId:
        found = self._engine.pinner.made(name, self._base)
        if not isinstance(found, WareId):
            raise Invalid("invalid", f"{name} is no ware: name a WareId, or module:release:item", value=str(name))
        return found

    def _learn(self) -> dict[WareId, set[str]]:
        """Every ware that catalogs name, with the dual ids that releases give; the pinner hears of their modules."""
        if self._every is None:
            self._every = {}
            for ware, module, dual in self._read():
                duals = self._every.setdefault(ware, set())
                if dual:
                    duals.add(dual)
                self._engine.pinner.belong(module, (ware,))
        return self._every

    def _read(self) -> Iterator[tuple[WareId, str, str]]:
        for catalog in self._engine.lookup.catalogs():
            for module in catalog.modules():
                found = catalog.module(module)
                for name in found.releases if found else ():
                    release = catalog.release(found, name) if found else None
                    for item, ware in release.items.items() if release else ():
                        yield ware, module, (release.dual(item) or "") if release else ""
                mirrors = catalog.mirrors(module)
                if mirrors is not None and mirrors.by_ware is not UNSET:
                    yield from ((ware, module, "") for ware in mirrors.by_ware)


def is_reference(text: str) -> bool:
    """Whether a word can only be a name of a plot, and not, for one, that of an image."""
    scheme, _, rest = text.partition(":")
    if scheme in SCHEMES:
        return True
    release, _, item = rest.partition(":")
    return "." in scheme and is_module_name(scheme) and is_release_name(release) and is_release_name(item)


def parse_name(text: str) -> PlotBasis:
    """What a person names, with or without its scheme. Errors: ``wareid-invalid``, ``catalog-name``, ``invalid``."""
    from warpforge.model.read_plot import parse_plot_basis

    scheme, _, rest = text.partition(":")
    if scheme in SCHEMES:
        return parse_plot_basis(text)
    return CatalogRef.parse(text) if rest.count(":") == 1 else WareId.parse(text)
