"""Looking at everything: each ware hashed again, each memo and dual id read.

The store does not know how wares are packed, so the one who asks hands in ``check``: it reads a packed ware and
returns the WareId of what it read, or raises. How deep it looks is its own affair.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from warpforge.errors import WarpforgeError, store_error
from warpforge.model.atoms import WareId

from . import duals, memo
from .finding import Finding, storing
from .layout import is_inside
from .shelf import judge
from .trees import Tree, tree_bytes, trees

if TYPE_CHECKING:
    from .store import Store

Check = Callable[[WareId, BinaryIO], WareId]
CheckTree = Callable[
    [Tree], str
]  # what is wrong with a tree that has a sound stamp, in words; nothing when all is well
Told = Callable[[int, int, str], None]  # how much of how much is done, and what comes next


def verify(
    store: Store, check: Check, *, check_tree: CheckTree | None = None, told: Told = lambda done, total, name: None
) -> list[Finding]:
    """Everything that is not as it should be; an empty list is a sound store. Nothing is changed.

    ``check_tree``: asked about every tree that stands on the shelf without filters (None: only stamps are looked at).
    ``told`` hears of the progress, in bytes.
    """
    progress = _Progress(told)
    wares = [(ware, path, _size(path)) for ware, path in store.warehouse.wares()]
    shelf = [(tree, tree_bytes(tree.path) if check_tree else 1) for tree in trees(store.layout)]
    progress.expect(sum(size for _, _, size in wares) + sum(size for _, size in shelf))
    found: list[Finding] = []
    for ware, path, size in wares:
        progress.tell(str(ware), size)
        found += filter(None, (_ware(ware, path, check, own=is_inside(path, store.warehouse.own)),))
    found += _index(store)
    found += [*_duals(store), *_memos(store), *_pins(store)]
    for tree, size in shelf:
        progress.tell(str(tree.ware), size)
        found += filter(None, (_tree(tree, check_tree),))
    progress.tell("", 0)
    return found


class _Progress:
    """Bytes done of all; each thing counts once the next is told of."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._done = self._running = self._total = 0

    def expect(self, total: int) -> None:
        self._total = total

    def tell(self, name: str, size: int) -> None:
        self._done += self._running
        self._running = size
        self._told(self._done, self._total, name)


def _index(store: Store) -> Iterator[Finding]:
    for ware, facts in store.index.wares():
        if not store.warehouse.has(ware):
            yield Finding("index", str(ware), "missing", "", f"the index names {ware}, which is not there")
        elif ware.packtype != "ztar" and facts.entries and not os.path.lexists(store.layout.dual(ware)):
            path = store.layout.dual(ware)
            yield Finding("dual", str(ware), "missing", "", f"the dual id of {ware} is gone", path)


def _tree(tree: Tree, check_tree: CheckTree | None) -> Finding | None:
    """A tree without a stamp, or with that of an earlier boot, is never used: no finding."""
    state = judge(tree.path, tree.stamp)
    wrong = ""
    if state == "changed":
        wrong = "it is not as it was when it was put on the shelf"
    elif state == "ok" and check_tree is not None and not tree.place:
        try:
            wrong = check_tree(tree)
        except WarpforgeError as error:
            wrong = error.message
    if not wrong:
        return None
    return Finding("tree", str(tree.ware), "ware-corrupt", state, f"the tree of {tree.ware}: {wrong}", tree.path)


def _pins(store: Store) -> Iterator[Finding]:
    try:
        for _ in store.kept.pins():
            pass
    except WarpforgeError as error:
        yield Finding.of("pin", os.path.basename(error.details.get("path", "")), error, error.details.get("path", ""))


def _ware(ware: WareId, path: str, check: Check, *, own: bool) -> Finding | None:
    """A warehouse that stands in for ours may hold symlinks, ours may not."""
    kind, name = "ware", str(ware)
    try:
        status = os.lstat(path) if own else os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return Finding(kind, name, "ware-corrupt", "type", f"{path} is no regular file", path)
        if not status.st_size:
            return Finding(kind, name, "ware-corrupt", "size", f"{path} is empty", path)
        with open(path, "rb") as file:
            found = check(ware, file)
    except WarpforgeError as error:
        return Finding.of(kind, name, error, path)
    except OSError as error:
        return Finding.of(kind, name, store_error(error, f"cannot read ware {ware}"), path)
    if found != ware:
        return Finding(kind, name, "ware-mismatch", "", f"{path} holds {found}", path)
    return None


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _duals(store: Store) -> Iterator[Finding]:
    top = store.layout.duals
    for directory, _, names in os.walk(top):
        for name in sorted(names):
            path = os.path.join(directory, name)
            ware = WareId(os.path.relpath(directory, top).split(os.sep)[0], name)
            try:
                with storing("cannot read a dual id"), suppress(FileNotFoundError), open(path, "rb") as file:
                    duals.parse(file.read(512), path, ware)
            except WarpforgeError as error:
                yield Finding.of("dual", str(ware), error, path)


def _memos(store: Store) -> Iterator[Finding]:
    for formula_id in store.memo.formula_ids():
        path = store.layout.memo(formula_id)
        try:
            with storing(f"cannot read {formula_id}"), suppress(FileNotFoundError), open(path, "rb") as file:
                memo.parse(file.read(), formula_id)
        except WarpforgeError as error:
            yield Finding.of("memo", formula_id, error, path)
