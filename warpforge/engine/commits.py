"""Commits: a git ware is made of a commit and of those of its submodules, each from where it can be had.

All are brought into one bare repository of ours, which is gone afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from warpforge.engine.keep import keep_tree
from warpforge.errors import Unable, WarpforgeError
from warpforge.mirror.git import GitRemote
from warpforge.model.atoms import WareId
from warpforge.store.origins import Part

if TYPE_CHECKING:
    from warpforge.mirror.protocol import Moved
    from warpforge.pack.git import Submodule
    from warpforge.pack.limits import Limits
    from warpforge.store.store import Store


def keep_commit(
    store: Store, ware: WareId, remote: GitRemote, moved: Moved, limits: Limits, checkout: Path | None = None
) -> None:
    """Bring a commit with its submodules from a repository, and keep its tree as ``ware``.

    ``checkout``: a working tree of the repository on this machine, whose submodules are looked at first.
    Errors: ``fetch``, ``git`` (unsafe, submodule, failed, missing), ``ware-invalid``, ``ware-limit``,
    ``ware-mismatch``, ``store``.
    """
    from warpforge.fsx.git import Bare
    from warpforge.pack.filters import SCAN
    from warpforge.pack.git import commit_entries

    with store.scratched("git") as work:
        directory = work / "objects"
        remote.bring(ware, directory, moved)
        fill = _Fill(directory, remote, moved, checkout)
        entries = commit_entries(Bare(directory, size=len(ware.hash)), ware.hash, fill, limits)
        keep_tree(store, entries, "ztar", SCAN, ware)
        store.origins.record(ware, [Part(".", ware.hash, remote.name), *fill.came])


class _Fill:
    """Brings the commits of submodules. ``came``: from where each did."""

    def __init__(self, directory: Path, remote: GitRemote, moved: Moved, checkout: Path | None) -> None:
        self._directory = directory
        self._moved = moved
        self._remotes = {b"": remote}  # by the path of the submodule; what addresses inside of it are relative to
        self._checkouts = {b"": checkout}
        self.came: list[Part] = []

    def __call__(self, found: Submodule, around: list[Submodule]) -> None:
        """Errors: ``git`` (submodule, around what kept it from coming; unsafe)."""
        outer = around[-1].path if around else b""
        last: WarpforgeError | None = None
        for remote in self._places(found, outer):
            try:
                remote.bring(WareId("git", found.commit), self._directory, self._moved)
            except WarpforgeError as error:
                last = error
                continue
            self._remotes[found.path] = self._recorded(found, outer) or remote
            self.came.append(Part(os.fsdecode(found.path), found.commit, remote.name))
            return
        raise _not_had(found, last)

    def _places(self, found: Submodule, outer: bytes) -> Iterator[GitRemote]:
        """Where a submodule may be: checked out, laid away by git, and where its repository says. Errors: ``git``."""
        checkout = self._checkouts[outer]
        self._checkouts[found.path] = None
        if checkout is not None:
            inner = checkout / os.fsdecode(found.path[len(outer) :].lstrip(b"/"))
            self._checkouts[found.path] = inner
            if os.path.lexists(inner / ".git"):
                yield GitRemote.at(inner)
            laid = checkout / ".git" / "modules" / found.name
            if found.name and ".." not in found.name.split("/") and laid.is_dir():
                yield GitRemote.at(laid)
        if found.address:
            yield self._remotes[outer].submodule(found.address)

    def _recorded(self, found: Submodule, outer: bytes) -> GitRemote | None:
        """What addresses inside of a submodule are relative to, wherever it came from itself."""
        try:
            return self._remotes[outer].submodule(found.address) if found.address else None
        except WarpforgeError:
            return None


def _not_had(found: Submodule, last: WarpforgeError | None) -> Unable:
    path = os.fsdecode(found.path).encode("utf-8", "backslashreplace").decode()
    why = last.message if last else "no .gitmodules says where it is; check it out first"
    return Unable(
        "git",
        f"the submodule at {path} cannot be had at its commit {found.commit}: {why}",
        cause=last,
        reason="submodule",
        path=path,
        commit=found.commit,
    )
