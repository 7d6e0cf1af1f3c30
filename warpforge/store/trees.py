"""Every tree on the shelf, usable or not, with its stamp."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from warpforge.model.atoms import WareId

from .layout import Layout, is_storable, sharded

PLAIN: Final = "fileset"
FILTERED: Final = "fileset-filtered"


class Tree(NamedTuple):
    """A tree of a ware. ``place``: its filters as the shelf names them, "" without any."""

    ware: WareId
    place: str
    path: str
    stamp: str

    @property
    def last_use(self) -> float:
        """When it was last asked for, to the day; 0 when it has no stamp."""
        try:
            return os.lstat(self.stamp).st_mtime
        except OSError:
            return 0.0


def trees(layout: Layout) -> Iterator[Tree]:
    """All of them, sorted by packtype, filters and hash. Raises OSError when the shelf cannot be listed."""
    for packtype in _names(layout.cache):
        top = f"{layout.cache}/{packtype}"
        yield from _below(packtype, "", f"{top}/{PLAIN}", f"{top}/stamp")
        for place in _names(f"{top}/{FILTERED}"):
            yield from _below(packtype, place, f"{top}/{FILTERED}/{place}", f"{top}/stamp-filtered/{place}")


def stamp_of(layout: Layout, path: str) -> str:
    """The stamp of the tree at a path."""
    packtype, kind, rest = os.path.relpath(path, layout.cache).split("/", 2)
    return f"{layout.cache}/{packtype}/{kind.replace(PLAIN, 'stamp', 1)}/{rest}"


def tree_bytes(path: str) -> int:
    """Bytes that a tree takes, without following symlinks; what cannot be read counts nothing."""
    total, waiting = 0, [path]
    with suppress(OSError):
        total = os.lstat(path).st_size
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_size
    return total


def _below(packtype: str, place: str, top: str, stamps: str) -> Iterator[Tree]:
    for first in _names(top):
        for second in _names(f"{top}/{first}"):
            for name in _names(f"{top}/{first}/{second}"):
                ware = WareId(packtype, name)
                if is_storable(ware) and sharded(name) == f"{first}/{second}/{name}":
                    yield Tree(ware, place, f"{top}/{first}/{second}/{name}", f"{stamps}/{first}/{second}/{name}")


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
