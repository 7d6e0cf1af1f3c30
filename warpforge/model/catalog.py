"""Catalog documents: a module's releases, each release's items, where wares are mirrored, where they are pushed to.

A replay is a ``plot.Plot``; its place in the catalog is named by its id.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from .atoms import WarehouseAddr, WareId

HAZARD: Final = "hazard"
DUAL: Final = "ztar"  # as a packtype, and before an item's name in a release's metadata
SIZE: Final = "size"  # before an item's name in a release's metadata


class CatalogModule(msgspec.Struct, frozen=True):
    """A module (a lineage): the id of each release, by its name."""

    name: str
    releases: dict[str, str]
    metadata: dict[str, str]

    def to_serial(self) -> dict[str, Any]:
        return {"name": self.name, "releases": dict(self.releases), "metadata": dict(self.metadata)}


class Release(msgspec.Struct, frozen=True):
    """One release: the ware of each item. Its file has no capsule."""

    name: str
    items: dict[str, WareId]
    metadata: dict[str, str]

    @property
    def replay(self) -> str | None:
        """The id of the plot that made it, if the release says so."""
        return self.metadata.get("replay")

    @property
    def hazard(self) -> str | None:
        """Why nobody should use it, on one line, if the release says so."""
        text = self.metadata.get(HAZARD)
        return None if text is None else " ".join(text.split())

    def dual(self, item: str) -> str | None:
        """The dual id (``ztar:...``) that an item's ware must have, if the release says so."""
        found = self.metadata.get(f"{DUAL}.{item}", "").removeprefix(f"{DUAL}:")
        return f"{DUAL}:{found}" if found else None

    def size(self, item: str) -> int | None:
        """How many bytes an item has when it is packed, about, if the release says so."""
        found = self.metadata.get(f"{SIZE}.{item}", "")
        return int(found) if found.isascii() and found.isdigit() else None

    def to_serial(self) -> dict[str, Any]:
        return {
            "releaseName": self.name,
            "items": {label: str(ware) for label, ware in self.items.items()},
            "metadata": dict(self.metadata),
        }


class Mirrors(msgspec.Struct, frozen=True):
    """Where the wares of a module may be had: by ware, or by module and packtype."""

    by_ware: dict[WareId, tuple[WarehouseAddr, ...]] | UnsetType = UNSET
    by_module: dict[str, dict[str, tuple[WarehouseAddr, ...]]] | UnsetType = UNSET

    def to_serial(self) -> dict[str, Any]:
        serial: dict[str, Any] = {}
        if self.by_ware is not UNSET:
            serial["byWare"] = {str(ware): _texts(addresses) for ware, addresses in self.by_ware.items()}
        if self.by_module is not UNSET:
            serial["byModule"] = {
                module: {packtype: _texts(addresses) for packtype, addresses in packtypes.items()}
                for module, packtypes in self.by_module.items()
            }
        return serial


class PushConfig(msgspec.Struct, frozen=True):
    """How to push to a warehouse: a kind (``s3``, ``mock``, ...) and its settings, all text."""

    kind: str
    settings: dict[str, str]

    def to_serial(self) -> dict[str, Any]:
        return {"pushConfig": {self.kind: dict(self.settings)}}


class Mirroring(msgspec.Struct, frozen=True):
    """Where this workspace pushes the wares of its catalogs."""

    warehouses: dict[WarehouseAddr, PushConfig]

    def to_serial(self) -> dict[str, Any]:
        return {str(address): config.to_serial() for address, config in self.warehouses.items()}


class MirrorList(msgspec.Struct, frozen=True):
    """Where this workspace looks for wares of any module, best first."""

    addresses: tuple[WarehouseAddr, ...]

    def to_serial(self) -> list[str]:
        return _texts(self.addresses)


class CatalogSources(msgspec.Struct, frozen=True):
    """The catalogs that a root workspace has from git repositories: ``URL`` or ``URL#BRANCH``, by their names here."""

    sources: dict[str, str]

    def to_serial(self) -> dict[str, str]:
        return dict(self.sources)


class Unpacking(msgspec.Struct, frozen=True):
    """What this workspace lets an archive unpack to before its id is verified, in bytes."""

    max_unpacked: int

    def to_serial(self) -> dict[str, Any]:
        return {"maxUnpacked": self.max_unpacked}


def _texts(addresses: tuple[WarehouseAddr, ...]) -> list[str]:
    return [str(address) for address in addresses]
