"""Objects of a git repository of ours, asked of one ``git cat-file --batch``; and how a tree object reads."""

from __future__ import annotations

import re
from collections import deque
from itertools import islice
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import Unable

from . import faults
from .limits import COMPONENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from warpforge.fsx.git import Bare

AHEAD: Final = 256  # objects that are asked for before they are read: few enough to fit into a pipe
_TREE: Final = 64 << 20  # bytes of one tree object, which has a million names then
_DOTGIT: Final = re.compile(rb"(?i)\.git[ .]*(?:\Z|:)|git~[0-9]+\Z")
_IGNORED_BY_HFS: Final = re.compile(b"\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf")


class Objects:
    """Ask for an object, read all of it, ask for the next."""

    def __init__(self, bare: Bare) -> None:
        self._process = bare.start_reading("cat-file", "--batch")
        assert self._process.stdin and self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        self._asked: deque[str] = deque()

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *_: object) -> None:
        self._stdout.close()
        self._stdin.close()
        self._process.wait()

    def tree_of(self, commit: str) -> str:
        """The id of a commit's tree. Errors: ``git`` (failed)."""
        head = self._whole(commit, "commit").split(b"\n", 1)[0]
        if not head.startswith(b"tree "):
            raise _broken(commit)
        return head[5:].decode("ascii", "replace")

    def tree(self, oid: str) -> list[Child]:
        """The children of a tree, in our canonical order. Errors: ``git`` (unsafe, failed), ``ware-invalid``."""
        children = sorted(_parse_tree(self._whole(oid, "tree"), len(oid) // 2, oid), key=Child.key)
        names = {child.name for child in children}
        if len(names) < len(children):
            raise _unsafe(b"", f"the tree {oid} holds a name twice")
        return children

    def ask_ahead(self, oids: Iterable[str]) -> None:
        """Ask for blobs that will be read next, in this order: git reads one while we pack another."""
        if not self._asked:
            self._ask(islice(oids, AHEAD))

    def blob(self, oid: str) -> Blob:
        """A file's content or a symlink's target; all of it is to be read. Errors: ``git`` (failed)."""
        return self._answer(oid, "blob")

    def _whole(self, oid: str, kind: str) -> bytes:
        found = self._answer(oid, kind)
        if found.left > _TREE:
            raise faults.over_limit("bytes", f"the {kind} {oid} has {found.left} bytes")
        return found.read(found.left)

    def _ask(self, oids: Iterable[str]) -> None:
        for oid in oids:
            self._asked.append(oid)
            self._stdin.write(oid.encode() + b"\n")
        self._stdin.flush()

    def _answer(self, oid: str, kind: str) -> Blob:
        if not self._asked:
            self._ask([oid])
        assert self._asked.popleft() == oid
        head = self._stdout.readline().split()
        if len(head) != 3 or head[1] != kind.encode() or head[0] != oid.encode():
            raise _broken(oid)
        return Blob(self._stdout, int(head[2]), oid)


class Blob:
    """The content of one object, on its way. ``left``: bytes that have not been read."""

    def __init__(self, stream: IO[bytes], size: int, oid: str) -> None:
        self._stream = stream
        self._oid = oid
        self.left = size
        if not size:
            self._end()

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(min(size, self.left))
        if not data and self.left and size:
            raise _broken(self._oid)
        if data:
            self.left -= len(data)
            if not self.left:
                self._end()
        return data

    def drain(self) -> None:
        """Read the rest, and leave it."""
        while self.left:
            self.read(1 << 20)

    def _end(self) -> None:
        self._stream.read(1)  # the newline behind every object


class Child(NamedTuple):
    """One name in a tree. ``kind``: "f", "x" (executable), "d", "L", or "S" for a submodule, whose id is a commit's."""

    name: bytes
    kind: str
    oid: str

    def key(self) -> bytes:
        """What canonical order sorts by: to git a submodule is no directory, to us it is."""
        return self.name + b"/" if self.kind in "dS" else self.name


def _parse_tree(data: bytes, width: int, oid: str) -> Iterator[Child]:
    at = 0
    while at < len(data):
        blank = data.find(b" ", at)
        nul = data.find(b"\0", blank)
        if not at < blank < nul or nul + width >= len(data):
            raise _broken(oid)
        mode, name = data[at:blank], data[blank + 1 : nul]
        _check_name(name)
        yield Child(name, _kind_of(mode, name), data[nul + 1 : nul + 1 + width].hex())
        at = nul + 1 + width


def _kind_of(mode: bytes, name: bytes) -> str:
    try:
        bits = int(mode, 8)
    except ValueError:
        bits = 0
    match bits & 0o170000:
        case 0o040000:
            return "d"
        case 0o100000:
            return "x" if bits & 0o100 else "f"
        case 0o120000:
            return "L"
        case 0o160000:
            return "S"
    raise _unsafe(name, "its mode is none that git knows")


def _check_name(name: bytes) -> None:
    plain = _IGNORED_BY_HFS.sub(b"", name)
    if name in (b"", b".", b"..") or b"/" in name or _DOTGIT.match(plain):
        raise _unsafe(name, "a name that no checkout may have")
    if len(name) > COMPONENT:
        raise faults.invalid("name", name, f"a name of more than {COMPONENT} bytes")


def _unsafe(name: bytes, why: str) -> Unable:
    shown = faults.printable(name)
    return Unable("git", f"{shown!r}: {why}" if name else why, reason="unsafe", path=shown)


def _broken(oid: str) -> Unable:
    return Unable("git", f"the object {oid} is missing or broken", reason="failed")
