"""Laying files over the tree of a ware: two streams of entries in canonical order become one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from warpforge.errors import Invalid
from warpforge.fsx.tree import Entry, sort_key
from warpforge.pack.filters import EPOCH
from warpforge.polytope.dockerfile.context import Node

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content

    Member = tuple[Entry, Content | None]


def lay(base: Iterable[Member], added: Mapping[str, Node]) -> Iterator[Member]:
    """The base with what is added, which replaces files; directories that are in both are one. Parents must be there,
    in either. Errors: ``invalid`` where one has a directory and the other has none.
    """
    rest = sorted(((_make_entry(path, node), node) for path, node in added.items()), key=lambda one: sort_key(one[0]))
    kinds = {entry.path: entry.kind for entry, _ in rest}
    at = 0
    for entry, content in base:
        new = kinds.get(entry.path)
        if new is not None and (new == "d") != (entry.kind == "d"):
            shown = "/" + os.fsdecode(entry.path)
            raise Invalid(
                "invalid", f"COPY: {shown} is a directory in one of the two, and none in the other", path=shown
            )
        key = sort_key(entry)
        while at < len(rest) and sort_key(rest[at][0]) < key:
            yield _member(*rest[at])
            at += 1
        if new is None or new == "d":  # a file that is replaced: the new one has its place
            yield entry, content
            at += new == "d"
    for late in rest[at:]:
        yield _member(*late)


def _member(entry: Entry, node: Node) -> Member:
    if entry.kind != "f":
        return entry, None
    return entry.replace(size=node.size()), Opened(node)


class Opened:
    """A content that is opened when it is read, for there may be many."""

    def __init__(self, node: Node) -> None:
        self._stack = ExitStack()
        self._node = node
        self._stream: BinaryIO | None = None

    def read(self, size: int, /) -> bytes:
        if self._stream is None:
            self._stream = self._stack.enter_context(self._node.open())
        data = self._stream.read(size)
        if not data:
            self._stack.close()
        return data


def _make_entry(path: str, node: Node) -> Entry:
    link = os.fsencode(node.link)
    return Entry(os.fsencode(path), node.kind, node.mode, node.uid, node.gid, mtime=EPOCH, link=link)
