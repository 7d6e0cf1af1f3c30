"""Layers laid over one another: what an image's tree is.

The rules are those of the OCI image specification, "Applying Changesets": ``.wh.NAME`` takes NAME of the layers below
away, ``.wh..wh..opq`` all that a directory holds of them, before or behind what the layer itself brings; a node
replaces what stands there, but a directory over a directory keeps its children. Within one layer the rules of foreign
tars hold.
A parent that is a symlink of a lower layer is followed inside of the image's root, as every runtime does.
Whatever a tree of ours cannot hold is settled here: setuid and setgid bits are cleared, extended attributes and
fractions of seconds left out, and devices below ``dev/``, where a box has its own; any other device is refused.
"""

from __future__ import annotations

import marshal
import os
import sqlite3
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import store_error
from warpforge.fsx.tree import Entry, sort_key

from . import faults
from .filters import EPOCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from warpforge.fsx.tree import Content

    from .limits import Limits
    from .members import Member

WHITEOUT: Final = b".wh."
OPAQUE: Final = b".wh..wh..opq"
_AUFS: Final = b".wh..wh."  # aufs' own affairs, which old layers hold: nothing of the tree
_HOPS: Final = 40  # symlinks followed for one path, as the kernel does
_PIECE: Final = 1 << 20
_SETID: Final = 0o6000


class _Node(NamedTuple):
    """What is known at a path: by which layer, where its content is, and its entry."""

    layer: int
    at: int
    entry: Entry


class Overlay:
    """The merged tree; contents wait in a temporary file, nodes in a temporary table. A context manager.

    ``scratch``: the directory of the temporary file (None: the system's). ``faithful``: what comes is no image but any
    foreign archive, whose nodes are only put in order.
    """

    def __init__(self, limits: Limits, scratch: str | None = None, *, faithful: bool = False) -> None:
        self._limits = limits
        self._faithful = faithful
        self._layer = 0
        self._count = 0
        self._end = 0
        self._known = b"/"  # the latest directory that was found to be one; no path is so called
        self._stack = ExitStack()
        with _spooling():
            self._spool = self._stack.enter_context(tempfile.TemporaryFile(dir=scratch))
        self._table = sqlite3.connect("", isolation_level=None)
        self._stack.callback(self._table.close)
        self._table.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -32768;"
            "CREATE TABLE node (path BLOB PRIMARY KEY, sort BLOB, layer INT, record BLOB) WITHOUT ROWID; BEGIN"
        )

    def add(self, members: Iterable[Member]) -> None:
        """Lay one more layer on top. Errors: ``ware-invalid``, ``ware-limit``, and those of the members."""
        self._layer += 1
        self._known = b"/"
        for entry, content, target in members:
            self._count += 1
            if self._limits.entries is not None and self._count > self._limits.entries:
                raise faults.over_limit("entries", f"more than {self._limits.entries} entries in all layers")
            if self._faithful or not (self._is_whiteout(entry.path) or _is_left_out(entry)):
                self._place(entry, content, target)

    def entries(self) -> Iterator[tuple[Entry, Content | None]]:
        """The tree in canonical order."""
        if self._find(b"") is None:
            self._infer(b"")
        with _spooling():
            self._spool.flush()
        for (record,) in self._table.execute("SELECT record FROM node ORDER BY sort"):
            node = _load(record)
            content = _Spooled(self._spool.fileno(), node.at, node.entry.size) if node.entry.kind == "f" else None
            yield node.entry, content

    # placing

    def _place(self, entry: Entry, content: bytes | Content | None, target: bytes | None) -> None:
        path, at = self._settle(entry.path), 0
        if target is not None:
            entry, at = self._link(entry, target)
        elif entry.kind == "f":
            assert content is not None
            at = self._keep(content)
        kept = entry.replace(path=path)
        if not self._faithful:
            kept = kept.replace(mode=entry.mode & ~_SETID, mtime_ns=0, xattrs={})
        self._make_room(kept)
        self._put(_Node(self._layer, at, kept))

    def _settle(self, path: bytes) -> bytes:
        """A member's path with the symlinks of lower layers followed in its parents, which are inferred if missing."""
        if not path:
            return path
        parent, _, name = path.rpartition(b"/")
        if parent != self._known:
            found = self._resolve(parent, path)
            assert found is not None
            if found != parent:
                path = found + b"/" + name if found else name
                self._limits.check_path(path)
                return path
            self._known = parent
        return path

    def _resolve(self, parent: bytes, path: bytes, *, infer: bool = True) -> bytes | None:
        """The directory that a parent's path leads to; None when it is missing, and not to be inferred."""
        at, rest, hops = b"", [part for part in reversed(parent.split(b"/")) if part], 0
        if self._find(at) is None and infer:
            self._infer(at)
        while rest:
            part = rest.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                at = at.rpartition(b"/")[0]
                continue
            here = at + b"/" + part if at else part
            node = self._find(here)
            if node is None:
                if not infer:
                    return None
                self._limits.check_path(here)
                self._infer(here)
            elif node.entry.kind == "L":
                hops += 1
                if node.layer == self._layer or hops > _HOPS:
                    raise faults.invalid("link", path, "lies behind a symlink")
                link = node.entry.link
                at = b"" if link.startswith(b"/") else at
                rest += [step for step in reversed(link.split(b"/")) if step]
                continue
            elif node.entry.kind != "d":
                raise faults.invalid("path", path, "lies below something that is no directory")
            at = here
        return at

    def _infer(self, path: bytes) -> None:
        self._put(_Node(self._layer, 0, Entry(path, "d", 0o755, mtime=EPOCH)))

    def _make_room(self, entry: Entry) -> None:
        """Take away what the entry replaces. Errors: ``ware-invalid``, reasons duplicate and type."""
        if not entry.path and entry.kind != "d" and not self._faithful:
            raise faults.invalid("type", None, "an image is a directory")
        old = self._find(entry.path)
        if old is None:
            return
        both = old.entry.kind == "d" and entry.kind == "d"
        if old.layer == self._layer and not both:
            raise faults.invalid("duplicate", entry.path, "comes twice")
        if old.entry.kind == "d" and not both:
            self._known = b"/"
            self._clear(entry.path)
            if self._children(entry.path):
                raise faults.invalid("duplicate", entry.path, "comes twice")

    def _link(self, entry: Entry, target: bytes) -> tuple[Entry, int]:
        """A hardlink: a file with the content of an earlier one, of this layer or one below, or a symlink like it."""
        parent, _, name = target.rpartition(b"/")
        found = self._resolve(parent, entry.path, infer=False)
        node = None if found is None else self._find(found + b"/" + name if found else name)
        if node is None or node.entry.kind not in "fL" or node.entry.path == entry.path:
            raise faults.invalid("link", entry.path, "a hardlink to something that is no earlier file")
        origin = node.entry
        return entry.replace(kind=origin.kind, size=origin.size, link=origin.link), node.at

    def _keep(self, content: bytes | Content) -> int:
        at = self._end
        with _spooling():
            if isinstance(content, bytes):
                self._spool.write(content)
                self._end += len(content)
                return at
            while piece := content.read(_PIECE):
                self._spool.write(piece)
                self._end += len(piece)
        return at

    # whiteouts

    def _is_whiteout(self, path: bytes) -> bool:
        """Whether a name is no node but a mark, which is heeded."""
        if WHITEOUT not in path:
            return False
        parent, _, name = path.rpartition(b"/")
        if _AUFS in path and name != OPAQUE:
            return True
        if any(part.startswith(WHITEOUT) for part in parent.split(b"/")):
            raise faults.invalid("name", path, "lies below a whiteout")
        if not name.startswith(WHITEOUT):
            return False
        self._white_out(path, parent, name)
        return True

    def _white_out(self, path: bytes, parent: bytes, name: bytes) -> None:
        hidden = name.removeprefix(WHITEOUT)
        if name != OPAQUE and hidden in (b"", b".", b".."):
            raise faults.invalid("name", path, "a whiteout of nothing, or of a directory above")
        where = self._resolve(parent, path, infer=False)
        if where is None:
            return
        self._known = b"/"
        if name == OPAQUE:
            self._clear(where)
            left = self._children(where)
        else:
            goal = where + b"/" + hidden if where else hidden
            self._clear(goal)
            self._table.execute("DELETE FROM node WHERE path = ? AND layer < ?", (goal, self._layer))
            left = self._children(goal)
        for child in left:  # of this very layer: they stay, whatever was below them
            self._resolve(child.rpartition(b"/")[0], child)

    def _clear(self, directory: bytes) -> None:
        """Take away all that lies below a directory and is of a lower layer."""
        self._table.execute(
            "DELETE FROM node WHERE path > ? AND path < ? AND layer < ?", (*_span(directory), self._layer)
        )

    def _children(self, directory: bytes) -> list[bytes]:
        found = self._table.execute("SELECT path FROM node WHERE path > ? AND path < ?", _span(directory))
        return [path for (path,) in found]

    # the table

    def _find(self, path: bytes) -> _Node | None:
        row = self._table.execute("SELECT record FROM node WHERE path = ?", (path,)).fetchone()
        return None if row is None else _load(row[0])

    def _put(self, node: _Node) -> None:
        row = (node.entry.path, sort_key(node.entry), node.layer, _dump(node))
        self._table.execute("INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?)", row)

    def __enter__(self) -> Overlay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


class _Spooled:
    """A content in the temporary file."""

    __slots__ = ("_at", "_fd", "_left")

    def __init__(self, fd: int, at: int, size: int) -> None:
        self._fd = fd
        self._at = at
        self._left = size

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._fd, min(size, self._left), self._at)
        self._at += len(data)
        self._left -= len(data)
        return data


class _spooling:
    """A temporary file that cannot be written is the store's affair. Errors: ``store``."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise store_error(error, "an image's layers could not be kept for a while") from error


def _is_left_out(entry: Entry) -> bool:
    """Whether it is a device where a box has its own. Errors: ``ware-invalid``, reason type, for any other."""
    if entry.kind not in "Dc":
        return False
    if not entry.path.startswith(b"dev/"):
        raise faults.invalid("type", entry.path, "a device is refused here: build the image without it")
    return True


def _span(directory: bytes) -> tuple[bytes, bytes]:
    """Between which paths all below a directory lies."""
    return (directory + b"/", directory + b"0") if directory else (b"", b"\xff" * 256)


def _dump(node: _Node) -> bytes:
    entry = node.entry
    attributes = (
        *(entry.path, entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime, entry.mtime_ns),
        *(entry.size, entry.link, entry.device, entry.xattrs),
    )
    return marshal.dumps((node.layer, node.at, attributes))


def _load(record: bytes) -> _Node:
    layer, at, attributes = marshal.loads(record)
    return _Node(layer, at, Entry(*attributes))
