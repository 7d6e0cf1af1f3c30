"""Peers: other root workspaces that may hold the same wares: those above, those beside, and the home workspace."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .find import HOME, INTERNAL, Workspace


def find_peers(root: Workspace, home: Path | None) -> list[Workspace]:
    """Nearest first. What may not be read is no peer; nothing is beside the home workspace."""
    places: list[Path] = [] if root.is_home else [*_beside(root.path), *root.path.parents]
    found = [
        Workspace(path, path / INTERNAL, is_root=True, is_home=False)
        for path in places
        if os.path.lexists(path / INTERNAL / "root")
    ]
    if home is not None and not root.is_home and os.path.isdir(home / HOME):
        found.append(Workspace(home, home / HOME, is_root=True, is_home=True))
    return found


def _beside(path: Path) -> list[Path]:
    """The directories with the same parent."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        return [path.parent / name for name in names if name != path.name]
    return []
