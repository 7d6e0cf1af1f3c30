"""Edits: a module's directory is built beside the old one and swapped for it, so that all of it changes or nothing.

One writer at a time for a catalog. What a killed writer left in ``.tmp`` is removed by the next one.
Modules that lie below the edited one in the tree are carried along as hard links: their files never change in place.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET

from warpforge.errors import Failed, Invalid, Unable, store_error
from warpforge.fsx.atomic import exchange, fsync_dir, make_dirs, random_name, rename_noreplace, write_atomic, write_new
from warpforge.fsx.links import link_tree
from warpforge.fsx.locks import Busy, Lock
from warpforge.fsx.remove import remove_tree
from warpforge.model.atoms import CatalogRef, WarehouseAddr, WareId
from warpforge.model.catalog import CatalogModule, Mirrors, Release
from warpforge.model.ident import plot_id, release_id
from warpforge.model.names import is_catalog_name
from warpforge.model.plot import Plot
from warpforge.model.serial import dump

from .snapshot import DIRECTORY as SNAPSHOTS
from .snapshot import KEPT
from .tree import MIRRORS_FILE, MODULE_FILE, RELEASES_DIR, REPLAYS_DIR, Catalog

PATIENCE: Final = 60.0  # seconds to wait for another writer
STAGING: Final = ".tmp"


class ModuleEdit:
    """A module as it is, and as it is to be: change the fields, write() does the rest."""

    def __init__(self, catalog: Catalog, module: str) -> None:
        self._catalog = catalog
        known = catalog.module(module)
        self.module = known or CatalogModule(module, {}, {})
        self.mirrors = catalog.mirrors(module)
        self._releases: dict[str, Release] = {}
        self._replays: dict[str, Plot] = {}
        self.replaced: list[Release] = []  # as they were

    def release(self, name: str) -> Release | None:
        """A release as it is to be."""
        return self._releases.get(name) or self._catalog.release(self.module.name, name)

    def put_release(self, release: Release) -> None:
        """Add or replace a release."""
        if release.name in self.module.releases and release.name not in self._releases:
            replaced = self._catalog.release(self.module.name, release.name)
            if replaced is not None and replaced != release:
                self.replaced.append(replaced)
        self._releases[release.name] = release
        releases = {**self.module.releases, release.name: release_id(release)}
        self.module = msgspec.structs.replace(self.module, releases=releases)

    def item(self, ref: CatalogRef) -> WareId | None:
        """What a reference of this module stands for."""
        release = self.release(ref.release)
        return release.items.get(ref.item) if release else None

    def put_item(self, ref: CatalogRef, ware: WareId) -> None:
        """Add or replace one item of a release, which is made if it is not there."""
        release = self.release(ref.release) or Release(ref.release, {}, {})
        self.put_release(msgspec.structs.replace(release, items={**release.items, ref.item: ware}))

    def put_replay(self, plot: Plot) -> str:
        """Add a replayable plot; returns its id, which a release names in its metadata."""
        name = plot_id(plot)
        self._replays[name] = plot
        return name

    def add_mirror(self, address: WarehouseAddr, *, ware: WareId) -> None:
        """Note that a ware may be had at an address."""
        mirrors = self.mirrors or Mirrors()
        by_ware = {} if mirrors.by_ware is UNSET else dict(mirrors.by_ware)
        by_ware[ware] = tuple(dict.fromkeys((*by_ware.get(ware, ()), address)))
        self.mirrors = msgspec.structs.replace(mirrors, by_ware=by_ware)

    def add_module_mirror(self, address: WarehouseAddr, *, packtype: str) -> None:
        """Note that all wares of this module and packtype may be had at an address."""
        mirrors = self.mirrors or Mirrors()
        by_module = {} if mirrors.by_module is UNSET else dict(mirrors.by_module)
        packtypes = dict(by_module.get(self.module.name, {}))
        packtypes[packtype] = tuple(dict.fromkeys((*packtypes.get(packtype, ()), address)))
        by_module[self.module.name] = packtypes
        self.mirrors = msgspec.structs.replace(mirrors, by_module=by_module)

    def add_mirrors(self, mirrors: Mirrors, wares: Iterable[WareId]) -> None:
        """Take over what somebody else says of some wares, and of this module."""
        by_ware = {} if mirrors.by_ware is UNSET else mirrors.by_ware
        for ware in wares:
            for address in by_ware.get(ware, ()):
                self.add_mirror(address, ware=ware)
        by_module = {} if mirrors.by_module is UNSET else mirrors.by_module
        for packtype, addresses in by_module.get(self.module.name, {}).items():
            for address in addresses:
                self.add_module_mirror(address, packtype=packtype)

    def files(self) -> dict[str, bytes]:
        """The files that are new or changed, by their names below the module's directory."""
        files = {MODULE_FILE: dump(self.module)}
        files |= {f"{RELEASES_DIR}/{name}.json": dump(release) for name, release in self._releases.items()}
        files |= {f"{REPLAYS_DIR}/{name}.json": dump(plot) for name, plot in self._replays.items()}
        if self.mirrors is not None:
            files[MIRRORS_FILE] = dump(self.mirrors)
        return files


def init_catalog(catalogs_dir: Path, name: str, *, shared: bool = False) -> Catalog:
    """Make an empty catalog. ``shared``: one that somebody else has just made will do.

    Errors: ``catalog-name``, ``already-exists``, ``store``.
    """
    if not is_catalog_name(name):
        raise Invalid(
            "catalog-name",
            f"not a catalog name: {name!r}; one is letters, digits and - _ . + ~, at most 127",
            catalog=name,
        )
    path = catalogs_dir / name
    try:
        make_dirs(catalogs_dir)
        try:
            os.mkdir(path)
        except FileExistsError:
            if not (shared and path.is_dir()):
                raise
        fsync_dir(catalogs_dir)
    except FileExistsError as error:
        raise Failed("already-exists", f"there is a catalog {name} already", cause=error, path=path) from error
    except OSError as error:
        raise store_error(error, f"cannot make catalog {name}") from error
    return Catalog(path)


def add_item(
    catalog: Catalog,
    ref: CatalogRef,
    ware: WareId,
    *,
    address: WarehouseAddr | None = None,
    module_address: WarehouseAddr | None = None,
    force: bool = False,
) -> None:
    """Publish a ware under a name, with an address for it alone or for its module's packtype.

    Errors: ``already-exists`` when the name stands for something and not ``force``; ``catalog-invalid``; ``store``.
    """
    with edit(catalog, ref.module) as module:
        known = module.item(ref)
        if known is not None and not force:
            raise Failed(
                "already-exists",
                f"{ref} is in catalog {catalog.name} already, as {known}: use --force to replace it",
                catalogRef=ref,
                wareId=known,
            )
        module.put_item(ref, ware)
        if address is not None:
            module.add_mirror(address, ware=ware)
        if module_address is not None:
            module.add_module_mirror(module_address, packtype=ware.packtype)


@contextmanager
def edit(catalog: Catalog, module: str) -> Iterator[ModuleEdit]:
    """Change a module: what the body leaves is written, all at once, unless it raises.

    Errors: ``store`` (full, readonly, io, busy), and those of reading.
    """
    with writing(catalog):
        changed = ModuleEdit(catalog, module)
        yield changed
        with _as_store(f"cannot write module {module} of catalog {catalog.name}"):
            _keep_replaced(catalog, changed)
            _swap(catalog.path, module, changed.files())
        forget_known(catalog, module, (release.name for release in changed.replaced))


def forget_known(catalog: Catalog, module: str, releases: Iterable[str]) -> None:
    """Somebody here says what releases are from now on: that they were something else is no news."""
    for release in releases:
        from .known import Known

        Known(lock_path(catalog.path).parent.parent).forget(module, release)


def lock_path(catalog: Path) -> Path:
    """The lock of a catalog's writers, beside the tree, so that a repository in it never sees it."""
    if catalog.parent.name == "catalogs":
        return catalog.parent.parent / "locks" / f"catalogs-{catalog.name}"
    return catalog.parent / "locks" / f"catalog-{catalog.name}"


@contextmanager
def writing(catalog: Catalog) -> Iterator[None]:
    """Hold the lock of a catalog's writers. Errors: ``store`` (busy, with the holder's pid)."""
    with locked(lock_path(catalog.path), f"cannot lock catalog {catalog.name}"):
        yield


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold a lock, whose directory is made; ``what`` cannot be done without it. Errors: ``store`` (busy, with pid)."""
    with _as_store(what):
        make_dirs(path.parent, sync=False)
        lock = Lock(path, timeout=PATIENCE)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _keep_replaced(catalog: Catalog, changed: ModuleEdit) -> None:
    """Keep releases that are replaced, if the catalog has snapshots: one may name them. Raises OSError."""
    snapshots = catalog.path / SNAPSHOTS
    if not changed.replaced or not snapshots.is_dir():
        return
    make_dirs(snapshots / KEPT)
    for release in changed.replaced:
        write_atomic(snapshots / KEPT / f"{release_id(release)}.json", dump(release))


def _swap(catalog: Path, module: str, files: dict[str, bytes]) -> None:
    """Build the module's directory anew and put it in place. Raises OSError."""
    staging = catalog / STAGING
    remove_tree(-100, os.fspath(staging), missing_ok=True)
    make_dirs(staging, sync=False)
    goal = catalog / module
    fresh = staging / random_name()
    if goal.is_dir():
        link_tree(goal, fresh, {*files})
    else:
        os.mkdir(fresh)
    for name, data in files.items():
        make_dirs((fresh / name).parent, sync=False)
        write_new(fresh / name, data)
    for directory in (fresh, fresh / RELEASES_DIR, fresh / REPLAYS_DIR):
        if directory.is_dir():
            fsync_dir(directory)
    make_dirs(goal.parent)
    if goal.is_dir():
        exchange(fresh, goal)
    else:
        rename_noreplace(fresh, goal)
    fsync_dir(goal.parent)
    with suppress(OSError):  # the change is made; what stays here the next writer removes
        remove_tree(-100, os.fspath(staging))


@contextmanager
def _as_store(what: str) -> Iterator[None]:
    try:
        yield
    except Busy as busy:
        pids = ", ".join(map(str, busy.pids)) or "unknown"
        raise Unable(
            "store", f"{what}: another process (pid {pids}) is writing", cause=busy, reason="busy", pid=pids
        ) from busy
    except OSError as error:
        raise store_error(error, what) from error
