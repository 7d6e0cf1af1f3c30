"""Facts: all that the pages of one module tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET

from warpforge.catalog.tree import Catalog
from warpforge.catalog.verdicts import Found, find_verdicts
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.catalog import CatalogModule, Mirrors, Release
from warpforge.model.plot import Plot
from warpforge.model.verdict import ItemVerdict

from .site import Site


class Use(NamedTuple):
    """A release whose replay takes something."""

    module: str
    release: str


class Word(NamedTuple):
    """A verdict that somebody gave. ``signed``: ids of keys that the envelope names; ``believed``: those that count."""

    verdict: ItemVerdict
    published: bool  # in the catalog, else only in a workspace
    signed: tuple[str, ...] = ()
    believed: tuple[str, ...] = ()


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
        """The verdict to show: the newest that a believed key signed, else the newest."""
        return next((word for word in self.words if word.believed), self.words[0] if self.words else None)


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
        self._kept = kept
        self._targets: dict[CatalogRef, Target] = {}

    def module(self, name: str) -> ModuleFacts | None:
        """Errors: those of reading a module; a release that cannot be read has a fault."""
        known = self._catalog.module(name)
        if known is None:
            return None
        mirrors = self._catalog.mirrors(name) or Mirrors()
        has_verdicts = any(Path(top, name, "_verdicts").is_dir() for top in (self._catalog.path, *self._kept))
        releases = tuple(
            self._release(known, release, mirrors, has_verdicts=has_verdicts) for release in reversed(known.releases)
        )
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

    def _release(self, module: CatalogModule, name: str, mirrors: Mirrors, *, has_verdicts: bool) -> ReleaseFacts:
        cid = module.releases[name]
        try:
            release = self._catalog.release(module, name)
        except WarpforgeError as error:
            return ReleaseFacts(module.name, name, cid, fault=error.message)
        if release is None:
            return ReleaseFacts(module.name, name, cid, fault="it went away while the pages were made")
        words = dict(self._words(module.name, cid, release)) if has_verdicts else {}
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

    def _words(self, module: str, cid: str, release: Release) -> Iterator[tuple[str, list[Word]]]:
        """The verdicts of each item of the release in its present form, newest first."""
        found: dict[str, list[Word]] = {}
        for top in (self._catalog.path, *self._kept):
            for one in find_verdicts(top, module, release.name):
                if one.verdicts.release_id == cid:
                    for item, verdict in one.verdicts.items.items():
                        if release.items.get(item) == verdict.published:
                            word = self._word(one, verdict, published=top == self._catalog.path)
                            found.setdefault(item, []).append(word)
        for item, words in found.items():
            words = [*{(word.verdict, word.signed): word for word in reversed(words)}.values()]
            yield item, sorted(words, key=lambda word: (-word.verdict.time, word.signed))

    def _word(self, found: Found, verdict: ItemVerdict, *, published: bool) -> Word:
        if found.envelope is None:
            return Word(verdict, published)
        try:
            believed = tuple(sorted(key.id for key in found.envelope.signers(self._site.keys)))
        except WarpforgeError:
            believed = ()  # nothing here can verify: nobody is believed
        return Word(verdict, published, tuple(one.keyid for one in found.envelope.signatures), believed)
