"""Finding the workspaces that matter here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from warpforge.errors import Missing, Unable

INTERNAL: Final = ".warpforge"
HOME: Final = ".warphome"


class Workspace(NamedTuple):
    """``path``: the directory people see. ``internal``: where everything is kept."""

    path: Path
    internal: Path
    is_root: bool
    is_home: bool

    @property
    def catalogs_dir(self) -> Path:
        """Where a root keeps its catalogs, one directory each."""
        return self.internal / "catalogs"

    def catalogs(self) -> list[Path]:
        """The catalogs of this workspace: a root's ``catalogs/*`` in bytewise order, another's one ``catalog/``."""
        if not self.is_root:
            catalog = self.internal / "catalog"
            return [catalog] if catalog.is_dir() else []
        try:
            names = os.listdir(self.catalogs_dir)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(self.catalogs_dir, error) from error
        found = [self.catalogs_dir / name for name in sorted(names, key=os.fsencode) if not name.startswith(".")]
        return [path for path in found if path.is_dir()]

    def config(self, name: str) -> Path:
        """A settings file of this workspace, whether it is there or not."""
        return self.internal / "config" / name


class Stack(tuple[Workspace, ...]):
    """The workspaces that matter, nearest first; never empty."""

    __slots__ = ()

    @property
    def nearest(self) -> Workspace:
        return self[0]

    @property
    def root(self) -> Workspace:
        """The last one: it holds the store."""
        return self[-1]

    def catalog_layers(self) -> list[list[Path]]:
        """The catalogs of each workspace, nearest first: a nearer layer shadows, within a layer there is no order."""
        return [catalogs for workspace in self if (catalogs := workspace.catalogs())]

    def find_config(self, name: str) -> Path | None:
        """The nearest settings file of this name."""
        return next((path for workspace in self if (path := workspace.config(name)).is_file()), None)


def find_stack(start: Path, home: Path | None) -> Stack:
    """The stack seen from a directory. ``~/.warphome`` counts also before it is made.

    Errors: ``workspace-missing`` when there is neither a root above nor a home; ``workspace``.
    """
    found: list[Workspace] = []
    for workspace in _upward(Path(os.path.abspath(start))):
        found.append(workspace)
        if workspace.is_root:
            return Stack(found)
    if home is not None:
        return Stack((*found, Workspace(home, home / HOME, is_root=True, is_home=True)))
    raise Missing(
        "workspace-missing",
        f"no root workspace at or above {start}, and no home directory: "
        "make one with `mkdir .warpforge; touch .warpforge/root`",
        path=start,
    )


def _upward(directory: Path) -> Iterator[Workspace]:
    for path in (directory, *directory.parents):
        internal = path / INTERNAL
        try:
            is_there = os.path.isdir(internal)
            if not is_there and os.path.lexists(internal):
                raise Unable("workspace", f"{internal} is not a directory", path=internal)
            if is_there:
                yield Workspace(path, internal, is_root=os.path.lexists(internal / "root"), is_home=False)
        except OSError as error:
            raise _unreadable(internal, error) from error


def _unreadable(path: Path, error: OSError) -> Unable:
    return Unable("searching-filesystem", f"cannot look into {path}: {error.strerror}", cause=error, path=path)
