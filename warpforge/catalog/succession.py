"""Succession: whether a newer state of a catalog still says all that an older one published.

A release may get further items, a replay where it had none, and any other metadata (a hazard, above all). What it said
of a ware, of its replay or of a tree (``ztar.ITEM``) stands for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import WarpforgeError
from warpforge.model.catalog import DUAL

if TYPE_CHECKING:
    from warpforge.model.catalog import Release

    from .tree import Catalog

GONE: Final = "gone"
REWRITTEN: Final = "rewritten"
ADDED: Final = "added"
ANNOTATED: Final = "annotated"


class Step(NamedTuple):
    """What became of one release. ``kind``: gone, rewritten, added, annotated. ``how``: for people, may be empty."""

    kind: str
    module: str
    release: str
    how: str = ""

    def __str__(self) -> str:
        ref = f"{self.module}:{self.release}"
        return f"{ref} ({self.how})" if self.how else ref


def succession(old: Catalog, new: Catalog, modules: Iterable[str]) -> Iterator[Step]:
    """What became of the releases of some modules, in their order.

    What could not be read in the old state promised nothing. Errors: those of reading the new one.
    """
    for module in modules:
        before, after = _releases(old, module), new.module(module)
        named = after.releases if after else {}
        for name, cid in before.items():
            if name not in named:
                yield Step(GONE, module, name)
            elif named[name] != cid:
                yield from _compare(module, _release(old, module, name), new.release(module, name))
        for name in named:
            if name not in before:
                yield Step(ADDED, module, name)


def _compare(module: str, before: Release | None, after: Release | None) -> Iterator[Step]:
    if before is None or after is None:
        return
    for item, ware in before.items.items():
        if after.items.get(item) != ware:
            found = after.items.get(item, "nothing")
            yield Step(REWRITTEN, module, before.name, f"{item} was {ware}, and is {found}")
            return
    said, now = before.metadata, after.metadata
    for key, value in said.items():
        if (key == "replay" or key.startswith(f"{DUAL}.")) and now.get(key) != value:
            yield Step(REWRITTEN, module, before.name, f"{key} was {value}, and is {now.get(key, 'nothing')}")
            return
    changed = [key for key in {**said, **now} if said.get(key) != now.get(key)]
    more = [item for item in after.items if item not in before.items]
    yield Step(ANNOTATED, module, before.name, ", ".join([*more, *(_told(key, after) for key in changed)]))


def _told(key: str, after: Release) -> str:
    return f"{key}: {after.metadata.get(key, 'no longer said')}"


def _releases(old: Catalog, module: str) -> dict[str, str]:
    try:
        known = old.module(module)
    except WarpforgeError:
        return {}
    return known.releases if known else {}


def _release(old: Catalog, module: str, name: str) -> Release | None:
    try:
        return old.release(module, name)
    except WarpforgeError:
        return None
