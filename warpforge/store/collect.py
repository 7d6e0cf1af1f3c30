"""Collect: what a plan of garbage collection lets go is deleted, references before what they name.

Everything is first renamed into the trash and only then deleted, so one that is killed midway leaves a sound store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from warpforge.errors import WarpforgeError
from warpforge.fsx.atomic import fsync_dir, movable
from warpforge.fsx.locks import locked_open

from .finding import storing
from .gc import Plan
from .trees import Tree

if TYPE_CHECKING:
    from .store import Store

_BY_KEY: Final = ("formula-", "ware-", "shelf-", "layer-")  # lock files that exist once for each of many things
_SIZES: Final = 100_000  # that are remembered of wares that are gone


def collect(store: Store, plan: Plan, told: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Delete what a plan says. The caller holds ``store.exclusive()`` since before the plan was made.

    ``told`` hears how many of how many things are gone. Errors: ``store``; what was deleted before stays deleted, and
    doing it again goes on from there.
    """
    trash = _Trash(store)
    total = len(plan.memos) + len(plan.trees) + len(plan.wares)
    done = 0
    with storing("cannot delete everything that was to go"):
        for formula_id in plan.memos:
            store.memo.forget(formula_id)
            told(done := done + 1, total)
        if plan.memos:
            fsync_dir(store.layout.memos)
        _forget(store, plan)
        for path, _ in plan.partials:
            store.partials.remove(path)
        for path, _ in plan.layers:
            trash.take(path)
        for tree, _ in plan.trees:
            trash.tree(tree)
            told(done := done + 1, total)
        for stock in plan.wares:
            for tree, _ in stock.trees:
                trash.tree(tree)
            if stock.packed:
                trash.take(stock.packed)
            told(done := done + 1, total)
        trash.empty()
    if plan.wares and store.index.ware(plan.wares[-1].ware) is not None:
        _forget(store, plan)  # the disk was full, and is no longer
    _sweep_locks(store.layout.locks)
    _sweep_indexes(store.layout.quarantine)


def _forget(store: Store, plan: Plan) -> None:
    for stock in plan.wares:
        store.index.forget_ware(stock.ware)
    store.index.flush()
    store.index.forget_sizes(_SIZES)
    store.index.flush()


class _Trash:
    """Where things go by one rename before they are deleted; where there is no room for that, they are deleted at once.

    The directory is a staging directory: whatever a killed collection leaves in it is swept at the next start.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: list[str] = []
        self._emptied: set[str] = set()

    def tree(self, tree: Tree) -> None:
        """An unpacked tree: its stamp first, so that nobody uses what is half gone. Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(tree.stamp)
        self._emptied.add(os.path.dirname(tree.stamp))
        self.take(tree.path)

    def take(self, path: str) -> None:
        """A file or tree. Raises OSError."""
        from warpforge.fsx.remove import remove_tree

        self._emptied.add(os.path.dirname(path))
        try:
            goal = self._store.staging.new("trash")
            with movable(path):
                os.rename(path, goal)
        except FileNotFoundError:
            return
        except (OSError, WarpforgeError):  # another file system, or no room for a directory
            remove_tree(-100, path, missing_ok=True)
            return
        self._held.append(goal)
        if len(self._held) >= 1000:
            self._delete()

    def empty(self) -> None:
        """Delete everything, and the directories that hold nothing any more. Raises OSError."""
        self._delete()
        for directory in self._emptied:
            with suppress(OSError):
                os.rmdir(directory)
                os.rmdir(os.path.dirname(directory))

    def _delete(self) -> None:
        from warpforge.fsx.remove import remove_tree

        while self._held:
            remove_tree(-100, self._held[-1], missing_ok=True)
            self._held.pop()


def _sweep_locks(directory: str) -> None:
    """Lock files that nobody holds; whoever waits for one notices, and makes it anew."""
    with suppress(OSError):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if name.startswith(_BY_KEY):
                with suppress(OSError), locked_open(path, os.O_RDONLY) as fd:
                    if fd is not None:
                        os.unlink(path)


def _sweep_indexes(quarantine: str) -> None:
    """Indexes that were set aside: derived, so nobody needs them."""
    from warpforge.fsx.remove import remove_tree

    with suppress(OSError):
        for name in os.listdir(quarantine):
            if name.startswith("index-"):
                remove_tree(-100, os.path.join(quarantine, name))
