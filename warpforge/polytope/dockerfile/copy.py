"""COPY: which files come to which paths of a tree. Pure, given both trees."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from warpforge.errors import Invalid
from warpforge.polytope.dockerfile.context import Files, Node
from warpforge.polytope.dockerfile.ignoring import Ignoring

_NOTHING = Ignoring()


class Changes(NamedTuple):
    """What becomes of what is copied. ``modes``: a new mode of an old one, and of whether it is a directory's; None
    for what each has. ``owner``: uid and gid; None for whose each is."""

    modes: Callable[[int, bool], int] | None = None
    owner: tuple[int, int] | None = None

    def of(self, node: Node) -> Node:
        """The node as it will be."""
        if self.owner is not None:
            node = node._replace(uid=self.owner[0], gid=self.owner[1])
        if self.modes is None or node.kind == "L":
            return node
        return node._replace(mode=self.modes(node.mode, node.kind == "d"))

    def directory(self) -> Node:
        """One that had to be made."""
        return self._replace(modes=None).of(Node("d", 0o755))


_SAME = Changes()


class Copying(NamedTuple):
    """``goal``: absolute; a slash at its end says that it is a directory. ``excluded``: what is left out of each
    source; ``keeps_parents``: sources keep the directories above them, those behind ``/./`` if they have that."""

    sources: Sequence[str]
    goal: str
    changes: Changes = _SAME
    excluded: Ignoring = _NOTHING
    keeps_parents: bool = False


def list_copied(files: Files, base: Files, copying: Copying) -> dict[str, Node]:
    """The nodes to lay over ``base`` (which says what is a directory there, and where symlinks lead), parents too.

    A directory's content is copied, not the directory. Errors: ``missing``, ``invalid``.
    """
    found = [(path, source) for source in copying.sources for path in files.find(source)]
    goal = resolve_goal(base, copying.goal)
    there = base.nodes.get(goal)
    is_directory = copying.goal.endswith("/") or copying.keeps_parents or (there is not None and there.kind == "d")
    if len(found) > 1 and not is_directory:
        raise Invalid(
            "invalid", f"COPY: several files come to {copying.goal}: a slash at its end says that it is a directory"
        )
    added: dict[str, Node] = {}
    for path, source in found:
        node = files.nodes[path]
        into = posixpath.join(goal, _parents(path, source)) if copying.keeps_parents else goal
        if node.kind == "d":
            into = posixpath.join(into, posixpath.basename(path)) if copying.keeps_parents else into
            if into not in base.nodes:
                added.setdefault(into, copying.changes.directory())
            for inner, below in files.below(path):
                if not copying.excluded.leaves_out(inner):
                    added[posixpath.join(into, inner)] = copying.changes.of(below)
        elif not copying.excluded.leaves_out(posixpath.basename(path)):
            name = posixpath.join(into, posixpath.basename(path)) if is_directory else into
            added[name] = copying.changes.of(node)
    for path in [*added]:
        add_parents(added, base, path, copying.changes)
    added.pop("", None)
    return added


def _parents(path: str, source: str) -> str:
    """The directories above a source that it keeps."""
    before, pivot, _ = f"/{source}".partition("/./")
    parent = posixpath.dirname(path)
    if not pivot:
        return parent
    depth = len([part for part in posixpath.normpath(before).split("/") if part])
    return "/".join(parent.split("/")[depth:])


def add_parents(added: dict[str, Node], base: Files, path: str, changes: Changes = _SAME) -> None:
    """The directories above a path that are in neither."""
    while path := posixpath.dirname(path):
        if path not in base.nodes:
            added.setdefault(path, changes.directory())


def resolve_goal(base: Files, goal: str) -> str:
    """Where a path of the tree is, symlinks in it followed as far as it is there."""
    done = ""
    for part in goal.strip("/").split("/"):
        if not part:
            continue
        inner = f"{done}/{part}".lstrip("/")
        resolved = base.resolve(inner)
        done = inner if resolved is None else resolved
    return done


def tell(added: Mapping[str, Node]) -> list[tuple[str, str, int, str, int, int]]:
    """What identifies an added tree besides its contents, in order."""
    return [(path, node.kind, node.mode, node.link, node.uid, node.gid) for path, node in sorted(added.items())]
