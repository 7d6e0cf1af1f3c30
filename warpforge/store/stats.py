"""What a store holds, counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .finding import storing
from .trees import tree_bytes, trees

if TYPE_CHECKING:
    from .store import Store


class Count(NamedTuple):
    """How many of one kind there are, and their bytes."""

    what: str
    number: int
    size: int


def stats(store: Store) -> Iterator[Count]:
    """Wares by packtype, trees, memos, dual ids, runs and their logs, pins, partial downloads, quarantine, index.

    Errors: ``store``.
    """
    with storing("cannot look through the store"):
        wares: dict[str, list[int]] = {}
        for ware, path in store.warehouse.wares():
            wares.setdefault(ware.packtype, []).append(os.lstat(path).st_size)
        for packtype, sizes in sorted(wares.items()):
            yield Count(f"wares {packtype}", len(sizes), sum(sizes))
        facts = dict(store.index.wares())
        shelf = list(trees(store.layout))
        known = [
            facts[tree.ware].unpacked_bytes
            if tree.ware in facts and facts[tree.ware].entries
            else tree_bytes(tree.path)
            for tree in shelf
        ]
        yield Count("trees", len(shelf), sum(known))
        yield Count("memos", sum(1 for _ in store.memo.formula_ids()), _bytes(store.layout.memos))
        yield Count("duals", sum(len(files) for _, _, files in os.walk(store.layout.duals)), _bytes(store.layout.duals))
        yield Count("runs", sum(1 for _ in store.runs.entries()), _bytes(store.layout.runs))
        yield Count("pins", sum(1 for _ in store.kept.pins()), _bytes(store.layout.pins))
        layers = [size for _, _, size in store.layers.all()]
        yield Count("layers", len(layers), sum(layers))
        partial = list(store.partials.all())
        yield Count("partial", len(partial), sum(size for _, size, _ in partial))
        yield Count("quarantine", len(_names(store.layout.quarantine)), _bytes(store.layout.quarantine))
        yield Count("index", sum(1 for _ in facts), _bytes(store.layout.index))


def _bytes(path: str) -> int:
    return tree_bytes(path) if os.path.isdir(path) else 0


def _names(path: str) -> list[str]:
    return os.listdir(path) if os.path.isdir(path) else []
