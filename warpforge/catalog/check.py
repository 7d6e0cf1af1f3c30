"""Checking a whole catalog: ids, names, what nobody names, what is named and not there, the form of every file.

Each module is looked at by itself, so that several processes can share the work; only names are compared among modules.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from warpforge.errors import WarpforgeError, store_error
from warpforge.fsx.atomic import write_atomic
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.catalog import HAZARD, CatalogModule, Mirrors, Release
from warpforge.model.ident import plot_id, release_id
from warpforge.model.names import is_module_name
from warpforge.model.plot import Plot, every_input
from warpforge.model.read_catalog import is_cid
from warpforge.model.serial import dump, load_catalog_module, load_mirrors, load_release, load_replay

from .snapshot import DIRECTORY as SNAPSHOTS
from .snapshot import KEPT
from .tree import MIRRORS_FILE, MODULE_FILE, RELEASES_DIR, REPLAYS_DIR, VERDICTS_DIR, Catalog, read_file

ERROR: Final = "error"
WARNING: Final = "warning"
_OURS: Final = frozenset((MODULE_FILE, MIRRORS_FILE, RELEASES_DIR, REPLAYS_DIR, VERDICTS_DIR))


class Fault(NamedTuple):
    """One thing to say of a catalog: ``path`` is below the catalog, ``pointer`` a JSON pointer or empty.

    ``reason``: hash, name, missing, orphan, format, form, replay, alike, ware, mirror, verdict, stray, hazard, conflict
    or as documents have it.
    """

    level: str
    path: str
    reason: str
    message: str
    pointer: str = ""

    def __str__(self) -> str:
        at = f"{self.path}:{self.pointer}" if self.pointer else self.path
        return f"{at}: {self.message}"


class Examined(NamedTuple):
    """What a module says, for whoever compares modules: its wares by reference, what it names, where wares may be had.

    ``rewritten``: how many files were given their canonical form.
    """

    module: str
    wares: dict[CatalogRef, WareId]
    names: dict[CatalogRef, str]
    mirrored: frozenset[WareId]
    packtypes: frozenset[str]
    faults: list[Fault]
    rewritten: int = 0

    @property
    def unmirrored(self) -> dict[CatalogRef, WareId]:
        """What no mirror is known for: nobody else can have it, unless a replay makes it."""
        return {
            ref: ware
            for ref, ware in self.wares.items()
            if ware not in self.mirrored and ware.packtype not in self.packtypes
        }


def check_module(catalog: Path, module: str, *, rewrite: bool = False) -> Examined:
    """One module. ``rewrite``: files that say the right thing in another form are written again, canonically.

    Errors: ``store`` when a file cannot be written.
    """
    return _Look(catalog, module, rewrite=rewrite).all()


def check_among(
    examined: Iterable[Examined], known: Callable[[CatalogRef], bool], has: Callable[[WareId], bool]
) -> Iterator[Fault]:
    """What can only be seen of all modules: references that lead nowhere, wares not to be had.

    ``known``: whether some other catalog has a reference; ``has``: whether a ware is here.
    """
    examined = [*examined]
    refs = {ref for one in examined for ref in one.wares}
    for one in examined:
        for ref, path in one.names.items():
            if ref not in refs and not known(ref):
                yield Fault(WARNING, path, "missing", f"no catalog here has {ref}")
        for ref, ware in one.unmirrored.items():
            if not has(ware):
                path = f"{one.module}/{RELEASES_DIR}/{ref.release}.json"
                yield Fault(WARNING, path, "ware", f"{ref}: {ware} is not here, and no mirror is known for it")


def strays(catalog: Catalog) -> Iterator[Fault]:
    """Directories and files that belong to no module. Errors: ``io``."""
    for directory, names, files in os.walk(catalog.path):
        below = os.path.relpath(directory, catalog.path)
        if below == ".":
            names[:] = [name for name in names if name[:1] != "." and name not in ("_html", SNAPSHOTS)]
            files = []  # a catalog may have a readme, a licence, whatever its repository wants
        names.sort()
        for name in [name for name in names if name[:1] == "_"]:
            names.remove(name)
            if MODULE_FILE not in files:
                yield Fault(WARNING, f"{below}/{name}", "orphan", f"there is no {MODULE_FILE} beside it")
        for name in [name for name in names if not is_module_name(name)]:
            names.remove(name)
            yield Fault(WARNING, os.path.normpath(f"{below}/{name}"), "name", "no module can be called so")
        for name in sorted(set(files) - _OURS):
            yield Fault(WARNING, f"{below}/{name}", "stray", "no file of a catalog is called so")


def faults_of(error: WarpforgeError, module: str, name: str) -> Iterator[Fault]:
    """What is wrong with a file of a module, told by who could not read it."""
    path = f"{module}/{name}"
    findings = getattr(error, "findings", ())
    for finding in findings:
        yield Fault(ERROR, path, finding.reason, finding.message, finding.path)
    if isinstance(error.__cause__, OSError):
        yield Fault(ERROR, path, "io", f"it cannot be read: {error.__cause__.strerror}")
    elif not findings:
        yield Fault(ERROR, path, error.reason, error.message.removeprefix(f"{name}, ").removeprefix(f"{name}: "))


def mirrored(mirrors: Mirrors | None, module: str) -> tuple[frozenset[WareId], frozenset[str]]:
    """The wares that a module's mirrors have, and the packtypes of which they have all of its wares."""
    by_ware = {} if mirrors is None or mirrors.by_ware is UNSET else mirrors.by_ware
    by_module = {} if mirrors is None or mirrors.by_module is UNSET else mirrors.by_module
    mine = by_module.get(module, {})
    return frozenset(w for w, found in by_ware.items() if found), frozenset(p for p, found in mine.items() if found)


@lru_cache(maxsize=1)
def _replays_of(directory: str, _changed: int) -> frozenset[str]:
    """The replays that the releases in a directory name; what is no release there is somebody else's fault to find."""
    found = set()
    for name in os.listdir(directory):
        with suppress(WarpforgeError):
            data = read_file(f"{directory}/{name}")
            found.add(load_release(data, name).noun.replay if data is not None else None)
    return frozenset(replay for replay in found if replay is not None)


class _Look:
    """One module being looked at."""

    def __init__(self, catalog: Path, module: str, *, rewrite: bool) -> None:
        self._top = catalog
        self._directory = f"{catalog}/{module}"  # as a text: each of its files is asked for
        self._module = module
        self._rewrite = rewrite
        self._faults: list[Fault] = []
        self._rewritten = 0

    def all(self) -> Examined:
        wares: dict[CatalogRef, WareId] = {}
        names: dict[CatalogRef, str] = {}
        known = self._read(MODULE_FILE, load_catalog_module)
        if known is not None:
            if known.name != self._module:
                self._add(ERROR, MODULE_FILE, "name", f"it is the module {known.name}", "/catalogmodule.v1/name")
            replays_of = {}
            for name, cid in known.releases.items():
                release = self._release(name, cid)
                if release is not None:
                    wares |= {CatalogRef(self._module, name, item): ware for item, ware in release.items.items()}
                    replays_of[name] = release.replay
            self._orphans(RELEASES_DIR, known.releases, "no release of the module")
            self._verdicts(known.releases)
            for replay, name in {replay: name for name, replay in replays_of.items()}.items():
                if replay is not None and is_cid(replay):
                    self._replay(replay, names, f"the replay of {name} is not there")
            if len(replays_of) == len(known.releases):  # else nobody knows which replays are named
                replays = [cid for cid in replays_of.values() if cid]
                self._orphans(REPLAYS_DIR, replays, "no release's replay", spared=self._kept_replays)
        mirrored, packtypes = self._mirrors(known)
        return Examined(self._module, wares, names, mirrored, packtypes, self._faults, self._rewritten)

    def _release(self, name: str, cid: str) -> Release | None:
        path = f"{RELEASES_DIR}/{name}.json"
        release: Release | None = self._read(path, load_release, named=f"the release {name} is named, and not there")
        if release is None:
            return None
        if (found := release_id(release)) != cid:
            self._add(ERROR, path, "hash", f"its id is {found}, the module names {cid}")
        if release.hazard is not None:
            self._add(WARNING, path, HAZARD, f"marked as hazardous: {release.hazard}", f"/metadata/{HAZARD}")
        if release.name != name:
            self._add(ERROR, path, "name", f"it is the release {release.name}", "/releaseName")
        if release.replay is not None and not is_cid(release.replay):
            self._add(ERROR, path, "name", f"its replay is {release.replay!r}, which is no id", "/metadata/replay")
        return release

    def _replay(self, cid: str, names: dict[CatalogRef, str], named: str) -> None:
        from warpforge.model.shipped import beyond_shipped
        from warpforge.plan.order import rings
        from warpforge.plan.replayable import why_not

        path = f"{REPLAYS_DIR}/{cid}.json"
        plot: Plot | None = self._read(path, load_replay, named=named)
        if plot is None:
            return
        if (found := plot_id(plot)) != cid:
            self._add(ERROR, path, "hash", f"its id is {found}")
        for finding in rings(plot):
            self._add(ERROR, path, finding.reason, finding.message, finding.path)
        for finding in why_not(plot):
            self._add(ERROR, path, "replay", finding.message, finding.path)
        for finding in beyond_shipped(plot):
            self._add(WARNING, path, finding.reason, finding.message, "/plot.v1" + finding.path)
        for _, item in every_input(plot):
            if isinstance(item.basis, CatalogRef):
                names.setdefault(item.basis, f"{self._module}/{path}")

    def _mirrors(self, known: CatalogModule | None) -> tuple[frozenset[WareId], frozenset[str]]:
        mirrors: Mirrors | None = self._read(MIRRORS_FILE, load_mirrors)
        for module in {} if mirrors is None or mirrors.by_module is UNSET else mirrors.by_module:
            if known is not None and module != self._module:
                pointer = f"/catalogmirrors.v1/byModule/{module.replace('/', '~1')}"
                self._add(WARNING, MIRRORS_FILE, "mirror", f"mirrors of another module, {module}", pointer)
        return mirrored(mirrors, self._module)

    def _verdicts(self, releases: dict[str, str]) -> None:
        """What is kept of replays: readers pass over what is not right, so here it is told of."""
        from .verdicts import find_verdicts

        if not os.path.isdir(f"{self._directory}/{VERDICTS_DIR}"):
            return
        self._orphans(VERDICTS_DIR, releases, "what was said of no release of the module", suffix="")
        for name, cid in releases.items():
            directory = self._top / self._module / VERDICTS_DIR / name
            if not directory.is_dir():
                continue
            read = {one.path: one.verdicts for one in find_verdicts(self._top, self._module, name)}
            for path in sorted(directory.iterdir()):
                at = f"{VERDICTS_DIR}/{name}/{path.name}"
                if str(path) not in read:
                    self._add(WARNING, at, "verdict", "it is no word on this release")
                elif read[str(path)].release_id != cid:
                    self._add(WARNING, at, "verdict", "it is a word on another form of the release")

    def _orphans(
        self,
        directory: str,
        named: Iterable[str],
        what: str,
        suffix: str = ".json",
        spared: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """``spared``: what is named elsewhere, too; it is only asked when something is left over."""
        wanted = {f"{name}{suffix}" for name in named}
        with suppress(FileNotFoundError, NotADirectoryError):
            left = sorted({*os.listdir(f"{self._directory}/{directory}")} - wanted)
            named = {f"{name}{suffix}" for name in spared()} if left else ()
            for name in left:
                if name not in named:
                    self._add(WARNING, f"{directory}/{name}", "orphan", f"it is {what}: name it, or delete it")

    def _kept_replays(self) -> frozenset[str]:
        """Replays of releases that were replaced, and that snapshots of before still name."""
        kept = f"{self._top}/{SNAPSHOTS}/{KEPT}"
        try:
            return _replays_of(kept, os.stat(kept).st_mtime_ns)
        except OSError:
            return frozenset()

    def _read(self, name: str, load: Callable[[bytes, str], Any], named: str = "") -> Any:
        """A document of the module, or None when it is not there or not right. ``named``: what to say if it is not."""
        path = f"{self._directory}/{name}"
        try:
            data = read_file(path)
            if data is None:
                if named:
                    self._add(ERROR, name, "missing", named)
                return None
            noun = load(data, name).noun
        except WarpforgeError as error:
            self._faults += faults_of(error, self._module, name)
            return None
        if (formed := dump(noun)) != data:
            self._form(path, name, formed)
        return noun

    def _form(self, path: str, name: str, formed: bytes) -> None:
        if not self._rewrite:
            self._add(WARNING, name, "form", "it is not in the canonical form; --rewrite gives it that")
            return
        try:
            write_atomic(path, formed, os.stat(path).st_mode & 0o777)
        except OSError as error:
            raise store_error(error, f"cannot write {path}") from error
        self._rewritten += 1

    def _add(self, level: str, name: str, reason: str, message: str, pointer: str = "") -> None:
        self._faults.append(Fault(level, f"{self._module}/{name}", reason, message, pointer))
