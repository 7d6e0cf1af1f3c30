"""Members of a foreign archive, in any order, kept until all are there; many of them spill to a temporary file.

The rules for a foreign archive: missing parents are inferred until an explicit entry replaces them; a repeated
directory's last entry wins; any other repetition is refused; nothing lies below what is no directory; a hardlink
names an earlier regular member, and counts as a file with its content.
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.fsx.tree import Entry, sort_key

from . import faults
from .filters import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .fileset import Digests

IN_MEMORY: Final = 100_000  # nodes


class Node(NamedTuple):
    """One collected member: its entry, and its content's hashes if it is a file."""

    entry: Entry
    digests: Digests | None
    inferred: bool = False


class Collected:
    """The nodes of one archive by path. ``place`` each before ``put``; ``close`` at the end."""

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        self._nodes: dict[bytes, Node] = {}
        self._spill: _Spill | None = None
        self._in_memory = in_memory
        self._parent: bytes | None = None  # the latest directory that was found to be one, with all above it

    def find(self, path: bytes) -> Node | None:
        """The node at a path so far."""
        node = self._nodes.get(path)
        if node is None and self._spill is not None:
            node = self._spill.find(path)
        return node

    def place(self, entry: Entry) -> None:
        """Check that an entry may stand where it says, and infer its missing parents.

        Errors: ``ware-invalid``, reasons duplicate, link and path.
        """
        path = entry.path
        if path:
            self._place_below(path, path.rpartition(b"/")[0])
        elif entry.kind not in "fd":
            raise faults.invalid("type", path, "a ware is a directory or a single file")
        old = self.find(path)
        if old is None:
            return
        if old.entry.kind != "d" or entry.kind != "d":
            raise faults.invalid("duplicate", path, "comes twice")

    def _place_below(self, path: bytes, parent: bytes) -> None:
        if parent == self._parent:
            return
        above = parent
        missing = []
        while True:
            node = self.find(above)
            if node is None:
                missing.append(above)
            elif node.entry.kind == "L":
                raise faults.invalid("link", path, "lies behind a symlink")
            elif node.entry.kind != "d":
                raise faults.invalid("path", path, "lies below something that is no directory")
            else:
                break
            if not above:
                break
            above = above.rpartition(b"/")[0]
        for path in missing:
            self.put(Node(Entry(path, "d", 0o755, mtime=EPOCH), None, inferred=True))
        self._parent = parent

    def put(self, node: Node) -> None:
        """Keep a node; a repeated directory replaces the former."""
        self._nodes[node.entry.path] = node
        if len(self._nodes) > self._in_memory:
            if self._spill is None:
                self._spill = _Spill()
            self._spill.take(self._nodes)
            self._nodes = {}

    def link(self, entry: Entry, target: bytes) -> Node:
        """The earlier regular member that a hardlink names. Errors: ``ware-invalid``, reason link."""
        node = self.find(target)
        if node is None or node.entry.kind != "f" or target == entry.path:
            raise faults.invalid("link", entry.path, "a hardlink to something that is no earlier regular file")
        return node

    def sorted(self) -> Iterator[Node]:
        """All nodes, in canonical order."""
        if self._spill is None:
            yield from sorted(self._nodes.values(), key=lambda node: sort_key(node.entry))
            return
        self._spill.take(self._nodes)
        self._nodes = {}
        yield from self._spill.sorted()

    def close(self) -> None:
        """Drop everything, the temporary file included."""
        self._nodes = {}
        if self._spill is not None:
            self._spill.close()
            self._spill = None


class _Spill:
    """Nodes in a temporary SQLite file, which is deleted when it is closed or its process dies."""

    def __init__(self) -> None:
        import sqlite3

        self._file = sqlite3.connect("", isolation_level=None)
        self._file.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -16384;"
            "CREATE TABLE node (path BLOB PRIMARY KEY, sort BLOB, record BLOB) WITHOUT ROWID; BEGIN"
        )

    def find(self, path: bytes) -> Node | None:
        row = self._file.execute("SELECT record FROM node WHERE path = ?", (path,)).fetchone()
        return None if row is None else _load(row[0])

    def take(self, nodes: dict[bytes, Node]) -> None:
        rows = ((path, sort_key(node.entry), _dump(node)) for path, node in nodes.items())
        self._file.executemany("INSERT OR REPLACE INTO node VALUES (?, ?, ?)", rows)

    def sorted(self) -> Iterator[Node]:
        for (record,) in self._file.execute("SELECT record FROM node ORDER BY sort"):
            yield _load(record)

    def close(self) -> None:
        self._file.close()


def _dump(node: Node) -> bytes:
    entry = node.entry
    return marshal.dumps(
        (
            *(entry.path, entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime, entry.mtime_ns),
            *(entry.size, entry.link, entry.device, entry.xattrs),
            node.digests,
            node.inferred,
        )
    )


def _load(record: bytes) -> Node:
    *attributes, digests, inferred = marshal.loads(record)
    return Node(Entry(*attributes), digests, inferred)
