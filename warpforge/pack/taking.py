"""Taking: the members of an archive are hashed, and written to disk if that is wanted, as they come."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from .collect import Collected, Node
from .extract import Extractor
from .fileset import NO_DIGESTS, Fileset, Look, make_look

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from warpforge.fsx.tree import Content, Entry

    from .fileset import Digests
    from .filters import Attributes, Filters
    from .members import Member

_KEPT: Final = 4096  # shapes


class _Shape(NamedTuple):
    """What nodes of one kind with the same attributes have in common: before the filters, and after."""

    look: Look
    kept: Attributes | None  # None: the filters leave it out
    kept_look: Look


class Tally:
    """The hashes of a tree as it comes and as the filters leave it; the second begins where they first differ.

    Without an ``original`` only the filtered tree is hashed.
    """

    def __init__(self, filtered: Fileset, filters: Filters, original: Fileset | None = None) -> None:
        self.filtered = filtered
        self.filters = filters
        self.original = original
        self.unpacked = 0
        self._shapes: dict[tuple[str, Attributes], _Shape] = {}

    def add(self, entry: Entry, digests: Digests = NO_DIGESTS) -> Entry | None:
        """One node in canonical order; returns what the filters leave of it."""
        attributes = entry.mode, entry.uid, entry.gid, entry.mtime, entry.mtime_ns
        shape = self._shapes.get((entry.kind, attributes))
        if shape is None or entry.xattrs:
            shape = self._shape(entry, attributes)
        look, kept, kept_look = shape
        self.unpacked += entry.size
        if kept == attributes and (self.original is None or self.filtered is self.original):
            self.filtered.add(entry, look, digests)
            return entry
        if self.filtered is self.original:
            self.filtered = self.original.fork()
        if self.original is not None:
            self.original.add(entry, look, digests)
        if kept is None:
            return None
        self.filtered.add(entry, kept_look, digests)
        return entry if kept == attributes else self.filters.apply(entry)

    def _shape(self, entry: Entry, attributes: Attributes) -> _Shape:
        look = kept_look = make_look(entry, attributes)
        kept = None if self.filters.drops(entry) else self.filters.attributes(entry)
        if kept is not None and kept != attributes:
            kept_look = make_look(entry, kept)
        shape = _Shape(look, kept, kept_look)
        if entry.kind in "fdp" and not entry.xattrs:
            if len(self._shapes) > _KEPT:
                self._shapes.clear()
            self._shapes[entry.kind, attributes] = shape
        return shape


def take_ordered(members: Iterable[Member], tally: Tally, extractor: Extractor | None) -> None:
    """An archive in canonical order: every node is hashed and written as it comes."""
    fileset = tally.filtered
    for entry, content, _ in members:
        if entry.kind == "f":
            if isinstance(content, bytes):
                kept = tally.add(entry, fileset.digest(content))
                if extractor is not None and kept is not None:
                    extractor.file(kept, content)
                continue
            assert content is not None
            kept = tally.filters.apply(entry)
            digesting = fileset.digesting()
            _take_large(kept, content, digesting, extractor)
            tally.add(entry, digesting.finish())
            continue
        kept = tally.add(entry)
        if extractor is not None and kept is not None:
            _take_other(kept, extractor, again=False)
    if extractor is not None:
        extractor.finish()


def _take_large(entry: Entry, content: Content, digesting: object, extractor: Extractor | None) -> None:
    from .fileset import ContentHash

    assert isinstance(digesting, ContentHash)
    if extractor is not None:
        extractor.large_file(entry, content, digesting)
        return
    while data := content.read(1 << 20):
        digesting.update(data)


def _take_other(entry: Entry, extractor: Extractor, *, again: bool) -> None:
    if entry.kind == "d":
        extractor.directory(entry, again=again)
    else:
        extractor.other(entry)


def take_foreign(members: Iterable[Member], tally: Tally, extractor: Extractor | None) -> None:
    """An archive in any order: nodes are written as they come, and hashed when all are there."""
    filters = tally.filters
    with closing(Collected()) as collected:
        for node in collect(members, tally.filtered, collected, filters, extractor):
            tally.add(node.entry, node.digests or NO_DIGESTS)
        if extractor is not None:
            directories = (node.entry for node in collected.sorted() if node.entry.kind == "d")
            extractor.finish(filters.apply(entry) for entry in directories)


def collect(
    members: Iterable[Member],
    fileset: Fileset,
    collected: Collected,
    filters: Filters | None = None,
    extractor: Extractor | None = None,
) -> Iterator[Node]:
    """Take all members in, writing them to disk on the way, then give them back in canonical order."""
    for entry, content, target in members:
        kept = None
        if filters is not None:
            kept = None if filters.drops(entry) else filters.apply(entry)
        collected.place(entry)
        digests: Digests | None = None
        if target is not None:
            origin = collected.link(entry, target)
            entry.size, digests = origin.entry.size, origin.digests
            if extractor is not None and kept is not None:
                extractor.copy(kept, target)
        elif isinstance(content, bytes):
            digests = fileset.digest(content)
            if extractor is not None and kept is not None:
                extractor.file(kept, content)
        elif content is not None:
            digesting = fileset.digesting()
            _take_large(kept or entry, content, digesting, extractor)
            digests = digesting.finish()
        elif extractor is not None and kept is not None:
            _take_other(kept, extractor, again=True)
        collected.put(Node(entry, digests))
    yield from collected.sorted()
