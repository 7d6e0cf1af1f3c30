"""Facts: all that the pages of one module tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET

from warpforge.catalog.tree import Catalog
from warpforge.catalog.words import Word, has_words, read_words, telling
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.catalog import CatalogModule, Mirrors, Release
from warpforge.model.plot import Plot

from .site import Site


class Use(NamedTuple):
    """A release whose replay takes something."""

    module: str
    release: str


class ItemFacts(NamedTuple):
    name: str
    ware: WareId
    dual: str | None
    mirrors: tuple[str, ...]
    download: str
    words: tuple[Word, ...]  # newest first
    uses: tuple[Use, ...]

    @property
    def word(self) -> Word | None:
        """The verdict to show."""
        return telling(self.words)


class ReleaseFacts(NamedTuple):
    """``fault``: why the release or its replay cannot be shown, or empty. ``hazard``: as it says it, or None."""

    module: str
    name: str
    id: str
    items: tuple[ItemFacts, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    replay: str = ""
    plot: Plot | None = None
    fault: str = ""
    hazard: str | None = None


class ModuleFacts(NamedTuple):
    name: str
    releases: tuple[ReleaseFacts, ...]  # the last that was published first
    metadata: tuple[tuple[str, str], ...]
    mirrors: tuple[tuple[str, tuple[str, ...]], ...]  # of all wares of a packtype
    users: tuple[str, ...]  # other modules whose replays take something of this one


class Target(NamedTuple):
    """What a replay's input leads to: ``known`` in this catalog or not; the hazard of its release."""

    known: bool
    ware: WareId | None = None
    hazard: str | None = None


class Reader:
    """Reads the facts of a catalog's modules. ``uses``: who takes what, by ``catalog:REF`` or ``ware:ID``.

    ``kept``: directories with verdicts, of workspaces.
    """

    def __init__(self, site: Site, catalog: Catalog, uses: Mapping[str, Sequence[Use]], kept: Sequence[Path]) -> None:
        self._site = site
        self._catalog = catalog
        self._uses = uses
        self._places = (catalog.path, *kept)
        self._targets: dict[CatalogRef, Target] = {}

    def module(self, name: str) -> ModuleFacts | None:
        """Errors: those of reading a module; a release that cannot be read has a fault."""
        known = self._catalog.module(name)
        if known is None:
            return None
        mirrors = self._catalog.mirrors(name) or Mirrors()
        places = self._places if has_words(self._places, name) else ()
        releases = tuple(self._release(known, release, mirrors, places) for release in reversed(known.releases))
        users = {use.module: None for one in releases for item in one.items for use in item.uses if use.module != name}
        by_module = {} if mirrors.by_module is UNSET else mirrors.by_module.get(name, {})
        general = tuple((kind, tuple(map(self._site.shown, found))) for kind, found in by_module.items() if found)
        return ModuleFacts(name, releases, (*known.metadata.items(),), general, tuple(sorted(users)))

    def target(self, ref: CatalogRef) -> Target:
        """What a reference of a replay leads to."""
        if ref not in self._targets:
            try:
                release = self._catalog.release(ref.module, ref.release)
            except WarpforgeError:
                release = None
            ware = release.items.get(ref.item) if release else None
            hazard = release.hazard if release else None
            self._targets[ref] = Target(ware is not None, ware, hazard)
        return self._targets[ref]

    def _release(self, module: CatalogModule, name: str, mirrors: Mirrors, places: Sequence[Path]) -> ReleaseFacts:
        cid = module.releases[name]
        try:
            release = self._catalog.release(module, name)
        except WarpforgeError as error:
            return ReleaseFacts(module.name, name, cid, fault=error.message)
        if release is None:
            return ReleaseFacts(module.name, name, cid, fault="it went away while the pages were made")
        words = read_words(places, self._site.judges, module.name, release, cid)
        items = tuple(self._item(module.name, release, item, mirrors, words.get(item, ())) for item in release.items)
        plot, fault = None, ""
        if release.replay is not None:
            try:
                plot = self._catalog.replay(module.name, release.replay)
                fault = "" if plot else "the plot that made it is not in the catalog"
            except WarpforgeError as error:
                fault = error.message
        metadata = (*release.metadata.items(),)
        return ReleaseFacts(module.name, name, cid, items, metadata, release.replay or "", plot, fault, release.hazard)

    def _item(self, module: str, release: Release, name: str, mirrors: Mirrors, words: Sequence[Word]) -> ItemFacts:
        ware = release.items[name]
        by_ware = () if mirrors.by_ware is UNSET else mirrors.by_ware.get(ware, ())
        by_module = () if mirrors.by_module is UNSET else mirrors.by_module.get(module, {}).get(ware.packtype, ())
        addresses = dict.fromkeys(map(self._site.shown, (*by_ware, *by_module)))
        base = self._site.download.rstrip("/")
        download = f"{base}/{self._site.ware_path(ware)}" if base else ""
        keys = (f"catalog:{module}:{release.name}:{name}", f"ware:{ware}")
        itself = Use(module, release.name)
        uses = dict.fromkeys(use for key in keys for use in self._uses.get(key, ()) if use != itself)
        return ItemFacts(name, ware, release.dual(name), tuple(addresses), download, tuple(words), tuple(uses))
