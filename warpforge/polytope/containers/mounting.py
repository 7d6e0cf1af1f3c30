"""From the mounts of a container's spec to those of its box: volumes made, datasets and repositories within reach."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Missing
from warpforge.fsx.linux import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from warpforge.model.atoms import WareId
from warpforge.polytope.containers.checkouts import Checkouts
from warpforge.polytope.containers.datasets import Datasets
from warpforge.polytope.containers.image import Image
from warpforge.polytope.containers.repository import find_repository
from warpforge.polytope.containers.volumes import Volumes, not_a_directory
from warpforge.polytope.spec import (
    ContainerSpec,
    DatasetSource,
    HostSource,
    Mount,
    RepoSource,
    Source,
    StringSource,
    VolumeSource,
)
from warpforge.sandbox.spec import Mount as BoxMount
from warpforge.sandbox.spec import make_mount

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine

_NOT_OF_AN_ID: Final = re.compile(r"[^A-Za-z0-9_.-]+")


class Mounting:
    """Of one job; for one container at a time. The caller uses the store; ``need`` hears what of it."""

    def __init__(
        self,
        engine: Engine,
        volumes: Volumes,
        datasets: Datasets,
        checkouts: Checkouts,
        need: Callable[[tuple[WareId]], None],
    ) -> None:
        self._engine = engine
        self._volumes = volumes
        self._datasets = datasets
        self._checkouts = checkouts
        self._owner = engine.box.owner
        self._need = need

    def mounts(self, spec: ContainerSpec, image: Image) -> tuple[list[BoxMount], list[str]]:
        """In their order; and at which paths volumes were made that hold what the image has there.

        Errors: ``missing``, and those of volumes, datasets and ingests.
        """
        self._fresh: list[str] = []
        return [self._mount(spec, mount, image) for mount in spec.mounts], self._fresh

    def _mount(self, spec: ContainerSpec, mount: Mount, image: Image) -> BoxMount:
        source = mount.source
        if isinstance(source, StringSource):
            return make_mount(mount.path, "bytes", source.data.encode("utf-8", "surrogateescape"))
        if isinstance(source, VolumeSource):
            default = _NOT_OF_AN_ID.sub("-", f"{spec.id}{mount.path}").strip("-")
            path = self._volumes.open(source, default, lambda new: self._fill(new, source, spec, mount, image))
            return make_mount(mount.path, "volume", path)
        path, is_ours = self._find(source, spec)
        if not is_ours:
            return make_mount(mount.path, "host-rw", path)
        return make_mount(mount.path, "overlay" if path.is_dir() else "file", path)

    def _find(self, source: Source, spec: ContainerSpec) -> tuple[Path, bool]:
        """Where a source lies; and whether that is a tree of the shelf, which nobody may write to."""
        if isinstance(source, DatasetSource):
            tree = self._tree(self._datasets.find(source.dataset, source.version).ware)
            return _below(tree, source.path, f"dataset {source.dataset}"), True
        if isinstance(source, RepoSource):
            repository = source.repo or _repository(spec.base)
            found = self._checkouts.locate(repository, source.revision)
            if found.ware is not None:
                self._need((found.ware,))
            called = f"{repository} at {source.revision}" if source.revision else repository
            return _below(Path(found.path), source.path, called), found.ware is not None
        assert isinstance(source, HostSource)
        if not os.path.lexists(source.path):
            raise Missing(
                "missing", f"container {spec.id}: there is nothing to mount at {source.path}", path=source.path
            )
        return Path(source.path), False

    def _tree(self, ware: WareId) -> Path:
        self._need((ware,))
        return self._engine.supply.tree(ware)

    def _fill(self, new: Path, source: VolumeSource, spec: ContainerSpec, mount: Mount, image: Image) -> None:
        """What a new volume holds: its source, else what the image has at that path, as everybody does it."""
        if isinstance(source.source, StringSource):
            raise not_a_directory("a text")
        if source.source is not None:
            origin, _ = self._find(source.source, spec)
            if not origin.is_dir():
                raise not_a_directory(str(origin))
            _copy(origin, new)
        else:
            self._fresh.append(mount.path)
            found = _inside(image.tree, mount.path)
            if found is not None and found.is_dir():
                _copy(found, new)
        if self._owner is not None:
            _give(new, *self._owner)


def _copy(origin: Path, new: Path) -> None:
    shutil.copytree(origin, new, symlinks=True, dirs_exist_ok=True)
    shutil.copystat(origin, new)


def _give(path: Path, uid: int, gid: int) -> None:
    for directory, names, files in os.walk(path):
        for name in (".", *names, *files):
            os.chown(os.path.join(directory, name), uid, gid, follow_symlinks=False)


def _below(top: Path, path: str, what: str) -> Path:
    found = _inside(top, path)
    if found is None:
        raise Missing("missing", f"{what} has no {path}", path=path)
    return found


def _inside(top: Path, path: str) -> Path | None:
    """A path below a directory, symlinks followed as if that were the root: what a tree says leads nowhere else."""
    root = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fd = openat2(root, path.strip("/") or ".", os.O_PATH, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    except OSError:
        return None
    finally:
        os.close(root)
    try:
        return Path(os.readlink(f"/proc/self/fd/{fd}"))
    finally:
        os.close(fd)


def _repository(base: str) -> str:
    """The one that a file's directory lies in; the directory itself when it lies in none."""
    try:
        return find_repository(base)
    except Missing:
        return base
