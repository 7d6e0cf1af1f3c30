"""Workspaces below a root: they share its store, so what their catalogs name must stay in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from .find import INTERNAL, Workspace


def workspaces_below(root: Workspace) -> Iterator[Workspace]:
    """Every workspace that lies below a root and belongs to it; another root, with all below it, does not.

    Hidden directories and symlinks are not looked into, nor what we may not read. Nothing for the home workspace:
    all that people have lies below it.
    """
    waiting = [] if root.is_home else _children(os.fspath(root.path))
    while waiting:
        path = waiting.pop()
        internal = os.path.join(path, INTERNAL)
        if os.path.isdir(internal):
            if os.path.lexists(os.path.join(internal, "root")):
                continue
            yield Workspace(root.path / path, root.path / internal, is_root=False, is_home=False)
        waiting += _children(path)


def _children(path: str) -> list[str]:
    found: list[str] = []
    with suppress(PermissionError, FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
        found = [entry.path for entry in entries if entry.name[:1] != "." and entry.is_dir(follow_symlinks=False)]
    return sorted(found, reverse=True)
