"""Where repositories are on this host: their checkouts, what a revision of one holds, and those that are fetched.

/path/to/it                 a directory
owner/name, gh:owner/name   its checkout, if the configuration names one (``repos``), else the one at GitHub
https://..., git@...:...    fetched with git, by the rules of all git mirrors
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import Missing
from warpforge.model.atoms import Ingest, WareId

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine

_NAME: Final = re.compile(r"(?:(gh|github|gl|gitlab):)?([\w.-]+/[\w.-]+)")
_HOSTS: Final = {"gl": "https://gitlab.com", "gitlab": "https://gitlab.com"}
_GITHUB: Final = "https://github.com"


class Found(NamedTuple):
    """A directory. ``ware``: whose tree it is, which nobody may write to; None for a checkout as it stands."""

    path: str
    ware: WareId | None = None


class Checkouts:
    """``known``: the checkout of a repository by its name, if there is one; ``engine``: asked for what has to be
    fetched, or is a revision."""

    def __init__(self, known: Callable[[str], str | None], engine: Callable[[], Engine]) -> None:
        self._known = known
        self._engine = engine

    def find(self, repo: str, revision: str = "") -> str:
        """The directory of a repository, to be read only; without a revision a checkout is as it stands.

        Errors: ``missing``, ``git``, ``fetch``, ``store``.
        """
        with self._engine().store.use() if self._needs_store(repo, revision) else nullcontext():
            return self.locate(repo, revision).path

    def locate(self, repo: str, revision: str = "") -> Found:
        """As ``find``; whoever calls this uses the store as long as the directory is needed."""
        place = self._place(repo)
        if place is None:
            return self._fetched(spell_address(repo), revision or "HEAD")
        if not os.path.isdir(place):
            raise Missing("missing", f"there is no repository {place}", path=place)
        if not revision:
            return Found(place)
        return self._tree(self._engine().ingester.ingest(Ingest("git", place, revision), Path("/")))

    def _place(self, repo: str) -> str | None:
        return repo if repo.startswith("/") else self._known(repo)

    def _needs_store(self, repo: str, revision: str) -> bool:
        return bool(revision) or self._place(repo) is None

    def _fetched(self, address: str, revision: str) -> Found:
        from warpforge.engine.commits import keep_commit
        from warpforge.mirror.git import GitRemote

        engine = self._engine()
        remote = GitRemote.named(address, engine.reach.access)
        with engine.store.scratched("names") as work:
            ware = WareId("git", remote.resolve(revision, work / "git"))
        if not engine.store.warehouse.has(ware):
            keep_commit(engine.store, ware, remote, lambda done, total: None, engine.limits)
        return self._tree(ware)

    def _tree(self, ware: WareId) -> Found:
        return Found(str(self._engine().supply.tree(ware)), ware)


class Revisions:
    """Revisions of checkouts as directories of their own, below one of ``work()``: no checkout is touched, and whatever
    is written there is lost."""

    def __init__(self, engine: Callable[[], AbstractContextManager[Engine]], work: Callable[[], Path]) -> None:
        self._engine = engine
        self._work = work
        self._known: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()

    def find(self, checkout: str, revision: str) -> str:
        """The directory. Errors: ``missing``, ``git``, ``store``."""
        with self._lock:
            if (checkout, revision) not in self._known:
                self._known[checkout, revision] = self._copy(checkout, revision)
            return self._known[checkout, revision]

    def _copy(self, checkout: str, revision: str) -> str:
        goal = self._work() / f"{len(self._known)}"
        with self._engine() as engine, engine.store.use():
            tree = Checkouts(lambda _: None, lambda: engine).locate(checkout, revision).path
            shutil.copytree(tree, goal, symlinks=True)
        (goal / ".git").mkdir(exist_ok=True)  # so that it is the top of a repository to whoever asks
        return str(goal)


def spell_address(repo: str) -> str:
    """Where a repository that is named or addressed can be fetched from."""
    match = _NAME.fullmatch(repo)
    if match is None:
        return repo
    return f"{_HOSTS.get(match[1] or '', _GITHUB)}/{match[2]}.git"
