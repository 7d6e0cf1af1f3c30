"""The tree hash: the identity of a ware, computed while its nodes stream by in canonical order.

Over CBOR written key by key in a fixed order (the original's, whose ids depend on it; names are raw bytes in texts):

    file   H( map2 "m" META "h" bytes(H(content)) )       directory  H( map2 "m" META "l" [_ bytes(child) ... ] )
    other  H( map1 "m" META )                             META       n t p u g [l] [dM dm] m mn [x]

Two flavours: SHA384 (``sha384``), where symlinks, fifos and devices are not handed to their parent (a flaw of the
original that its ids depend on), and BLAKE3, where every node counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from blake3 import blake3

from . import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from warpforge.fsx.tree import Entry

    from .filters import Attributes
    from .run import Run

_BATCH: Final = 4096  # children kept one by one before they are joined: bounds memory
_LATEST: Final = 1 << 40  # seconds: beyond it a time is nonsense


class Hasher(Protocol):
    """What hashlib and blake3 have in common."""

    def update(self, data: bytes, /) -> object: ...

    def digest(self) -> bytes: ...


class Flavour(NamedTuple):
    """A hash function, and whether every node counts."""

    new: Callable[..., Hasher]
    size: int
    covers_all: bool

    @property
    def head(self) -> bytes:
        """The CBOR head of one digest."""
        return _head(2, self.size)


BLAKE3: Final = Flavour(blake3, 32, covers_all=True)


def _head(major: int, value: int) -> bytes:
    """The head of one CBOR item (RFC 8949, 3)."""
    for width, info in ((1, 24), (2, 25), (4, 26), (8, 27)):
        if value < 24:
            return bytes((major << 5 | value,))
        if value < 1 << 8 * width:
            return bytes((major << 5 | info,)) + value.to_bytes(width, "big")
    raise OverflowError(value)


def _text(value: bytes) -> bytes:
    return _head(3, len(value)) + value


def _integer(value: int) -> bytes:
    return _head(0, value) if value >= 0 else _head(1, -1 - value)


TEXT_HEADS: Final = [_head(3, size) for size in range(256)]  # of names


class Look(NamedTuple):
    """The CBOR of a node around its name."""

    before: bytes
    after: bytes


def make_look(entry: Entry, attributes: Attributes) -> Look:
    """The node's metadata as CBOR, all but its name. Errors: ``ware-invalid``, reason metadata."""
    mode, uid, gid, mtime, mtime_ns = attributes
    if not (0 <= uid < 1 << 32 and 0 <= gid < 1 << 32):
        raise faults.invalid("metadata", entry.path, "uid and gid are numbers from 0 to 4294967295")
    if not -_LATEST < mtime < _LATEST:
        raise faults.invalid("metadata", entry.path, "its time is beyond all sense")
    keys = 7
    parts = [b"\x61t\x61", entry.kind.encode(), b"\x61p", _integer(mode), b"\x61u", _integer(uid)]
    parts += [b"\x61g", _integer(gid)]
    if entry.kind == "L":
        keys += 1
        parts += [b"\x61l", _text(entry.link)]
    if entry.kind in "Dc":
        keys += 2
        parts += [b"\x62dM", _integer(entry.device[0]), b"\x62dm", _integer(entry.device[1])]
    parts += [b"\x61m", _integer(mtime), b"\x62mn", _integer(mtime_ns)]
    if entry.xattrs:
        keys += 1
        parts += [b"\x61x", _head(5, len(entry.xattrs))]
        parts += [_text(key) + _text(value) for key, value in sorted(entry.xattrs.items())]
    outer = b"\xa2\x61m" if entry.kind in "fd" else b"\xa1\x61m"
    return Look(outer + _head(5, keys) + b"\x61n", b"".join(parts))


class _Directory:
    """A directory whose children are still coming."""

    __slots__ = ("children", "joined", "last", "meta", "prefix", "shadows")

    def __init__(self, prefix: bytes, meta: bytes) -> None:
        self.prefix = prefix
        self.meta = meta
        self.children: list[bytes] = []
        self.joined: list[bytes] = []
        self.last = b""  # sort key of the latest child
        self.shadows: list[bytes] = []  # earlier children that are no directories and may share a name with a later one

    def copy(self) -> _Directory:
        other = _Directory(self.prefix, self.meta)
        other.children, other.joined = self.children.copy(), self.joined.copy()
        other.last, other.shadows = self.last, self.shadows.copy()
        return other


def _misplaced(directory: _Directory, key: bytes, name: bytes, path: bytes) -> Exception:
    if b"/" in name:
        return faults.corrupt("its parent directory is missing or out of order", path)
    if key == directory.last:
        return faults.invalid("duplicate", path, "comes twice")
    return faults.corrupt("not in canonical order", path)


class TreeHash:
    """One tree hash in the making: ``add`` every node in canonical order, the root first, then ``finish``."""

    __slots__ = ("_all", "_content", "_digest", "_head", "_new", "_stack")

    def __init__(self, flavour: Flavour) -> None:
        self._content = b"\x61h" + flavour.head
        self._new = flavour.new
        self._all = flavour.covers_all
        self._head = flavour.head
        self._stack: list[_Directory] = []
        self._digest = b""

    def fork(self) -> TreeHash:
        """A second hash that has seen the same nodes so far."""
        other = TreeHash.__new__(TreeHash)
        other._new, other._all, other._digest = self._new, self._all, self._digest
        other._head, other._content = self._head, self._content
        other._stack = [directory.copy() for directory in self._stack]
        return other

    def add(self, path: bytes, kind: str, look: Look, digest: bytes = b"") -> None:
        """One node; ``digest`` is the hash of a file's content.

        Errors: ``ware-corrupt`` for a node out of order or without its parent, ``ware-invalid`` for a repeated one.
        """
        stack = self._stack
        if not path or not stack:
            self._add_root(path, kind, look, digest)
            return
        directory = stack[-1]
        while not path.startswith(directory.prefix):
            self._close()
            directory = stack[-1]
        name = path[len(directory.prefix) :]
        key = name + b"/" if kind == "d" else name
        if key <= directory.last or b"/" in name:
            raise _misplaced(directory, key, name, path)
        directory.last = key
        # "a" and "a/" do not sort next to each other, but every child between them begins with "a"
        shadows = directory.shadows
        while shadows and not name.startswith(shadows[-1]):
            shadows.pop()
        before, after = look
        head = TEXT_HEADS[len(name)] if len(name) < 256 else _head(3, len(name))
        if kind == "d":
            if shadows and shadows[-1] == name:
                raise faults.invalid("duplicate", path, "is a directory and something else")
            stack.append(_Directory(path + b"/", b"%b%b%b%b" % (before, head, name, after)))
            return
        shadows.append(name)
        if kind == "f":
            node = b"".join((before, head, name, after, self._content, digest))
        elif self._all:
            node = b"".join((before, head, name, after))
        else:
            return
        children = directory.children
        children.append(self._new(node).digest())
        if len(children) >= _BATCH:
            directory.joined.append(self._head + self._head.join(children))
            children.clear()

    def add_run(self, prefix: bytes, first: bytes, last: bytes, shadows: Sequence[bytes], digests: bytes) -> None:
        """Successive children of the directory at ``prefix`` (with its "/"), hashed elsewhere: see ``run``.

        ``first`` and ``last``: their names; ``shadows``: those of them that ``last`` begins with. Errors: as ``add``.
        """
        stack = self._stack
        while stack and not prefix.startswith(stack[-1].prefix):
            self._close()
        if not stack or stack[-1].prefix != prefix:
            raise faults.corrupt("its parent directory is missing or out of order", prefix + first)
        directory = stack[-1]
        if first <= directory.last:
            raise _misplaced(directory, first, first, prefix + first)
        directory.last = last
        older = directory.shadows
        while older and not (first.startswith(older[-1]) and last.startswith(older[-1])):
            older.pop()
        older += shadows
        if directory.children:
            directory.joined.append(self._head + self._head.join(directory.children))
            directory.children.clear()
        directory.joined.append(digests)

    def _add_root(self, path: bytes, kind: str, look: Look, digest: bytes) -> None:
        if path:
            raise faults.corrupt("the root does not come first, or is a file with something below it", path)
        if self._stack or self._digest:
            raise faults.invalid("duplicate", path, "the root comes twice")
        meta = look.before + b"\x61." + look.after
        if kind == "d":
            self._stack.append(_Directory(b"", meta))
        elif kind == "f" and digest:
            self._digest = self._new(meta + b"\x61h" + self._head + digest).digest()
        else:
            raise faults.invalid("type", path, "a ware is a directory or a single file")

    def _close(self) -> None:
        directory = self._stack.pop()
        hasher = self._new(directory.meta + b"\x61l\x9f")
        for part in directory.joined:
            hasher.update(part)
        if directory.children:
            hasher.update(self._head + self._head.join(directory.children))
        hasher.update(b"\xff")
        digest = hasher.digest()
        if self._stack:
            self._stack[-1].children.append(digest)
        else:
            self._digest = digest

    def finish(self) -> str:
        """The hash of the whole tree, in base58. Errors: ``ware-corrupt`` when there was no node at all."""
        import base58

        while self._stack:
            self._close()
        if not self._digest:
            raise faults.corrupt("holds no entry at all")
        return base58.b58encode(self._digest).decode()


Digests = tuple[bytes, bytes]  # of one content: by the packtype's flavour, and by the dual's
NO_DIGESTS: Final[Digests] = (b"", b"")


class Fileset:
    """The hashes of one tree: by its packtype's flavour, and beside it the dual, which every node enters."""

    __slots__ = ("_dual", "_new", "_own", "entries", "flavour")

    def __init__(self, flavour: Flavour) -> None:
        self.flavour = flavour
        self._new = flavour.new
        self._own = TreeHash(flavour)
        self._dual = None if flavour.covers_all else TreeHash(BLAKE3)
        self.entries = 0

    def fork(self) -> Fileset:
        """A second fileset that has seen the same nodes so far."""
        other = Fileset(self.flavour)
        other._own = self._own.fork()
        other._dual = None if self._dual is None else self._dual.fork()
        other.entries = self.entries
        return other

    def digest(self, content: bytes | memoryview) -> Digests:
        """The hashes of a whole content."""
        own = self._new(content).digest()
        return own, own if self._dual is None else BLAKE3.new(content).digest()

    def digesting(self) -> ContentHash:
        """For a content that comes in pieces."""
        return ContentHash(self.flavour)

    def add(self, entry: Entry, look: Look, digests: Digests = NO_DIGESTS) -> None:
        """One node in canonical order, with its look after the filters, and its content's hashes."""
        self.entries += 1
        self._own.add(entry.path, entry.kind, look, digests[0])
        if self._dual is not None:
            self._dual.add(entry.path, entry.kind, look, digests[1])

    def add_run(self, run: Run) -> None:
        """As ``add`` for many: successive children of one directory."""
        self.entries += run.nodes
        self._own.add_run(run.prefix, run.first, run.last, run.shadows, run.own)
        if self._dual is not None:
            self._dual.add_run(run.prefix, run.first, run.last, run.shadows, run.dual)

    def finish(self) -> tuple[str, str]:
        """The tree hash, and the dual's (the same one where the flavour covers all)."""
        own = self._own.finish()
        return own, own if self._dual is None else self._dual.finish()


class ContentHash:
    """The hashes of a content that comes in large pieces."""

    __slots__ = ("_dual", "_own")

    def __init__(self, flavour: Flavour) -> None:
        self._own = flavour.new()
        self._dual = None if flavour.covers_all else BLAKE3.new()

    def update(self, data: bytes) -> None:
        """One more piece."""
        self._own.update(data)
        if self._dual is not None:
            self._dual.update(data)

    def finish(self) -> Digests:
        """All of it."""
        own = self._own.digest()
        return own, own if self._dual is None else self._dual.digest()
