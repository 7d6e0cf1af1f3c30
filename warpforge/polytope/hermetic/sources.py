"""What is at a container's mounts, as a plot says it: looks at the host, keeps nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from warpforge.errors import Missing
from warpforge.model.atoms import Ingest, Literal
from warpforge.model.plot import PlotBasis
from warpforge.polytope.hermetic.purity import Impurity
from warpforge.polytope.spec import ContainerSpec, DatasetSource, HostSource, RepoSource, Source, StringSource

LITERAL_LIMIT: Final = 64 << 10
Find = Callable[[DatasetSource], PlotBasis | None]


class Bases(NamedTuple):
    """``bases``: by the path of the mount; ``impurities``: of what cannot be said in a plot."""

    bases: Mapping[str, PlotBasis]
    impurities: tuple[Impurity, ...]


def find_bases(spec: ContainerSpec, root: str, plot: str, dataset: Find) -> Bases:
    """``root``: of the repository; ``plot``: the directory that a plot's paths are relative to; ``dataset``: what a
    version of a dataset is (None: not known).

    Errors: ``missing`` for what is not there.
    """
    bases: dict[str, PlotBasis] = {}
    impurities: list[Impurity] = []
    for mount in spec.mounts:
        found = _find(mount.source, mount.path, root, plot, dataset)
        if isinstance(found, Impurity):
            impurities.append(found)
        else:
            bases[mount.path] = found
    return Bases(bases, tuple(impurities))


def _find(source: Source, where: str, root: str, plot: str, dataset: Find) -> PlotBasis | Impurity:
    if isinstance(source, StringSource):
        return _literal(source.data.encode(), where)
    if isinstance(source, HostSource):
        return _of_host(source.path, where, plot)
    if isinstance(source, RepoSource):
        repository = source.repo or root
        if source.revision:
            return Ingest("git", _relative(repository, plot), source.revision)
        return _of_host(os.path.join(repository, source.path), where, plot)
    if isinstance(source, DatasetSource):
        if source.path:
            return Impurity("dataset", f"what is at {where} is a part of the dataset {source.dataset}, not all of it")
        found = dataset(source)
        return Impurity("dataset", f"there is no dataset {source.dataset} yet") if found is None else found
    return Impurity("volume", f"what is at {where} changes from run to run")


def _of_host(path: str, where: str, plot: str) -> PlotBasis | Impurity:
    try:
        seen = os.stat(path)
        if stat.S_ISDIR(seen.st_mode):
            return Ingest("dir", _relative(path, plot))
        if not stat.S_ISREG(seen.st_mode):
            return Impurity("file", f"what is at {where} is no file and no directory")
        if seen.st_mode & stat.S_IXUSR:
            return Impurity("file", f"the file at {where} can be executed: mount its directory instead")
        with open(path, "rb") as file:
            return _literal(file.read(LITERAL_LIMIT + 1), where)
    except OSError as error:
        message = f"{path}, which is mounted at {where}: {error.strerror}"
        raise Missing("missing", message, cause=error, path=path) from error


def _literal(data: bytes, where: str) -> PlotBasis | Impurity:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or len(data) > LITERAL_LIMIT:
        return Impurity("file", f"the file at {where} is no text of up to 64 KiB: mount its directory instead")
    return Literal(text)


def _relative(path: str, plot: str) -> str:
    return os.path.relpath(path, plot)
