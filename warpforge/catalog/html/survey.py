"""A survey of a module: what the index and the pages of other modules say of it. Small, and kept from time to time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from warpforge.catalog.tree import MIRRORS_FILE, MODULE_FILE, REPLAYS_DIR, VERDICTS_DIR, Catalog
from warpforge.catalog.words import Judges, Word, read_words, telling, worst
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.catalog import CatalogModule
from warpforge.model.plot import Plot, every_input

DESCRIPTIONS: Final = ("description", "summary", "about")  # keys of metadata, the first that is there

LONGEST: Final = 200  # characters of what a module says of itself


class Survey(msgspec.Struct):
    """``digest``: of all files of the module that its pages depend on. ``fault``: why it cannot be shown, or empty.

    ``word``: what came of building the latest release again. ``takes``: for each release with a replay what that takes,
    as plots spell it.
    """

    name: str
    digest: str
    latest: str = ""
    count: int = 0
    about: str = ""
    hazard: bool = False
    word: Word | None = None
    takes: dict[str, list[str]] = {}
    fault: str = ""


class Surveyor(NamedTuple):
    """``kept``: directories of verdicts in workspaces; ``seed``: what else changes what is believed of the catalog."""

    catalog: Catalog
    kept: Sequence[Path]
    judges: Judges
    seed: bytes

    def survey(self, name: str, known: Survey | None) -> Survey:
        """Look at one module; what was known holds when its files say the same. One that is wrong has a fault."""
        digest = _digest(self.catalog.path, name, self.kept, self.seed)
        if known is not None and known.digest == digest and not known.fault:
            return known
        try:
            module = self.catalog.module(name)
        except WarpforgeError as error:
            return Survey(name, digest, fault=error.message)
        if module is None:
            return Survey(name, digest, fault="it went away while the pages were made")
        return self._survey(module, digest)

    def _survey(self, module: CatalogModule, digest: str) -> Survey:
        newest = [*reversed(module.releases)]  # they are listed as they were published
        found = Survey(module.name, digest, newest[0] if newest else "", len(newest))
        found.about = described(module.metadata)[:LONGEST]
        found.takes = dict(_takes(self.catalog, module, newest))
        try:
            latest = self.catalog.release(module, newest[0]) if newest else None
        except WarpforgeError:
            found.digest = ""  # its page says what is wrong with it; the next time it is looked at again
            return found
        if latest is not None:
            places = (self.catalog.path, *self.kept)
            words = read_words(places, self.judges, module.name, latest, module.releases[latest.name])
            found.word = worst(map(telling, words.values()))
            found.hazard = latest.hazard is not None
            found.about = found.about or described(latest.metadata)[:LONGEST]
        return found


def described(metadata: Mapping[str, str]) -> str:
    """What a module or a release says of itself in a line; empty when it says nothing."""
    return next((metadata[key] for key in DESCRIPTIONS if key in metadata), "")


def _takes(catalog: Catalog, module: CatalogModule, releases: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    if not os.path.isdir(catalog.path / module.name / REPLAYS_DIR):
        return
    read: dict[str, list[str]] = {}
    for name in releases:
        try:
            release = catalog.release(module, name)
            if release is None or release.replay is None:
                continue
            if release.replay not in read:
                plot = catalog.replay(module.name, release.replay)
                read[release.replay] = taken(plot) if plot else []
        except WarpforgeError:
            continue  # its own page says so
        yield name, read[release.replay]


def taken(plot: Plot) -> list[str]:
    """What a plot takes by name or by id, each once, as it spells it (without filters)."""
    bases = [item.basis for _, item in every_input(plot)]
    names = [f"catalog:{basis}" for basis in bases if isinstance(basis, CatalogRef)]
    return [*dict.fromkeys(names + [f"ware:{basis}" for basis in bases if isinstance(basis, WareId)])]


def _digest(top: Path, module: str, kept: Iterable[Path], seed: bytes) -> str:
    """The module's document names each release by its hash, and a release its replay: nothing more need be read."""
    digest = blake2b(seed, digest_size=15)
    for name in (MODULE_FILE, MIRRORS_FILE):
        _add(digest, top / module / name)
    for directory in (top, *kept):
        verdicts = directory / module / VERDICTS_DIR
        if verdicts.is_dir():
            for path in sorted(verdicts.glob("*/*")):
                digest.update(os.fsencode(os.path.relpath(path, verdicts)))
                _add(digest, path)
    return digest.hexdigest()


def _add(digest: blake2b, path: Path) -> None:
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    digest.update(len(data).to_bytes(8, "big"))
    digest.update(data)
