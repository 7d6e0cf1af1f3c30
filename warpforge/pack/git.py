"""``git``: the tree of one commit, read by our own walk of git's objects.

The objects lie in a bare repository that we made. Attributes do not count: files are 0644 or 0755, directories 0755,
owner 0, every mtime the same. A submodule is the tree of the commit that is recorded for it.
At rest a git ware is a ``ztar``: its id is that of a commit, which no tree can give again, so its dual id vouches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import Unable
from warpforge.fsx.tree import Entry

from . import faults
from .at_rest import AtRest
from .git_objects import Child, Objects
from .limits import DEFAULT, Limits

if TYPE_CHECKING:
    from warpforge.fsx.git import Bare
    from warpforge.fsx.tree import Content

MTIME: Final = 1262304000
LINK: Final = 4095  # bytes of a symlink's target


class Submodule(NamedTuple):
    """A place in a tree that another repository's ``commit`` fills. ``path``: in the whole tree; ``address``: as
    ``.gitmodules`` of the commit around it has it, empty when it has none, and ``name`` likewise.
    """

    path: bytes
    commit: str
    address: str
    name: str


Fill = Callable[[Submodule, list[Submodule]], None]  # bring its commit; the second: those that it lies in


def commit_entries(
    bare: Bare, commit: str, fill: Fill, limits: Limits = DEFAULT
) -> Iterator[tuple[Entry, Content | None]]:
    """The tree of a commit in canonical order. ``fill`` brings a submodule's commit into ``bare`` before it returns.

    Errors: ``git`` (unsafe for a name that no checkout may hold; failed), ``ware-invalid``, ``ware-limit``.
    """
    with Objects(bare) as objects:
        yield from _Walk(bare, objects, fill, limits).entries(commit)


class _Owner(NamedTuple):
    """A commit whose tree is rooted at ``prefix``, with the submodules around it, and what it says of its own."""

    prefix: bytes
    around: list[Submodule]
    modules: dict[bytes, tuple[str, str]]


class _Level(NamedTuple):
    """A directory whose children are still coming."""

    prefix: bytes
    children: deque[Child]
    owner: _Owner

    def blobs(self) -> Iterator[str]:
        """The ids of those that come before the next directory."""
        for child in self.children:
            if child.kind in "dS":
                return
            yield child.oid


class _Walk:
    def __init__(self, bare: Bare, objects: Objects, fill: Fill, limits: Limits) -> None:
        self._bare = bare
        self._objects = objects
        self._fill = fill
        self._limits = limits
        self._entries = 0
        self._unpacked = 0
        self._packed = bare.packed_bytes()

    def entries(self, commit: str) -> Iterator[tuple[Entry, Content | None]]:
        """No recursion: a tree may be as deep as the limits allow."""
        yield Entry(b"", "d", 0o755, mtime=MTIME), None
        levels = [self._commit(b"", commit, [])]
        while levels:
            level = levels[-1]
            if not level.children:
                levels.pop()
                continue
            self._objects.ask_ahead(level.blobs())
            child = level.children.popleft()
            path = level.prefix + child.name
            self._count(path)
            if child.kind == "d":
                yield Entry(path, "d", 0o755, mtime=MTIME), None
                levels.append(self._level(path + b"/", child.oid, level.owner))
            elif child.kind == "S":
                yield Entry(path, "d", 0o755, mtime=MTIME), None
                levels.append(self._submodule(path, child.oid, level.owner))
            elif child.kind == "L":
                yield Entry(path, "L", 0o777, mtime=MTIME, link=self._target(path, child.oid)), None
            else:
                content = self._objects.blob(child.oid)
                self._unpacked += content.left
                self._limits.check_bytes(self._packed, self._unpacked)
                mode = 0o755 if child.kind == "x" else 0o644
                yield Entry(path, "f", mode, mtime=MTIME, size=content.left), content
                content.drain()

    def _level(self, prefix: bytes, tree: str, owner: _Owner) -> _Level:
        return _Level(prefix, deque(self._objects.tree(tree)), owner)

    def _commit(self, prefix: bytes, commit: str, around: list[Submodule]) -> _Level:
        owner = _Owner(prefix, around, read_modules(self._bare, commit))
        return self._level(prefix, self._objects.tree_of(commit), owner)

    def _submodule(self, path: bytes, commit: str, owner: _Owner) -> _Level:
        name, address = owner.modules.get(path[len(owner.prefix) :], ("", ""))
        found = Submodule(path, commit, address, name)
        if any(byte < 0x20 or byte == 0x7F for byte in path):
            raise Unable(
                "git", f"{faults.printable(path)}: a submodule with control characters in its path", reason="unsafe"
            )
        self._fill(found, owner.around)
        self._packed = self._bare.packed_bytes()
        return self._commit(path + b"/", commit, [*owner.around, found])

    def _target(self, path: bytes, oid: str) -> bytes:
        blob = self._objects.blob(oid)
        target = blob.read(LINK + 1)
        if not target or len(target) > LINK or b"\0" in target:
            raise faults.invalid("link", path, f"a symlink's target has 1 to {LINK} bytes, and no NUL")
        return target

    def _count(self, path: bytes) -> None:
        self._entries += 1
        limits = self._limits
        if limits.entries is not None and self._entries > limits.entries:
            raise faults.over_limit("entries", f"more than {limits.entries} entries")
        limits.check_path(path)


def read_modules(bare: Bare, commit: str) -> dict[bytes, tuple[str, str]]:
    """What ``.gitmodules`` of a commit says: name and address by path; nothing when there is none, or a broken one."""
    try:
        said = bare.run("config", "--blob", f"{commit}:.gitmodules", "-z", "--list")
    except Unable as error:
        if error.reason == "missing":
            raise
        return {}
    found: dict[str, dict[str, bytes]] = {}
    for line in said.split(b"\0"):
        key, _, value = line.partition(b"\n")
        section, _, rest = key.decode("utf-8", "surrogateescape").partition(".")
        name, _, variable = rest.rpartition(".")
        if section == "submodule":
            found.setdefault(name, {})[variable] = value
    return {
        said["path"].rstrip(b"/"): (name, said.get("url", b"").decode("utf-8", "surrogateescape"))
        for name, said in found.items()
        if "path" in said
    }


PACKER: Final = AtRest("git", "a git ware is a commit: make one with `git commit`, and say ingest:git:PATH:REF")
