"""COPY: which files come to which paths of a tree. Pure, given both trees."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from warpforge.errors import Invalid
from warpforge.polytope.dockerfile.context import Files, Node


class Copying(NamedTuple):
    """``goal``: absolute; a slash at its end says that it is a directory. ``mode``: None for that of each file."""

    sources: Sequence[str]
    goal: str
    mode: int | None = None


def list_copied(files: Files, base: Files, copying: Copying) -> dict[str, Node]:
    """The nodes to lay over ``base`` (which says what is a directory there, and where symlinks lead), parents too.

    A directory's content is copied, not the directory. Errors: ``missing``, ``invalid``.
    """
    found = [path for source in copying.sources for path in files.find(source)]
    goal = resolve_goal(base, copying.goal)
    there = base.nodes.get(goal)
    is_directory = copying.goal.endswith("/") or (there is not None and there.kind == "d")
    if len(found) > 1 and not is_directory:
        raise Invalid(
            "invalid", f"COPY: several files come to {copying.goal}: a slash at its end says that it is a directory"
        )
    added: dict[str, Node] = {}
    for path in found:
        node = files.nodes[path]
        if node.kind == "d":
            added.setdefault(goal, Node("d", 0o755))
            for inner, below in files.below(path):
                added[posixpath.join(goal, inner) if goal else inner] = _with_mode(below, copying.mode)
        else:
            name = posixpath.join(goal, posixpath.basename(path)) if is_directory else goal
            added[name] = _with_mode(node, copying.mode)
    for path in [*added]:
        add_parents(added, base, path)
    added.pop("", None)
    return added


def add_parents(added: dict[str, Node], base: Files, path: str) -> None:
    """The directories above a path that are in neither."""
    while path := posixpath.dirname(path):
        if path not in base.nodes:
            added.setdefault(path, Node("d", 0o755))


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


def _with_mode(node: Node, mode: int | None) -> Node:
    return node if mode is None or node.kind == "L" else node._replace(mode=mode | (0o111 if node.kind == "d" else 0))


def tell(added: Mapping[str, Node]) -> list[tuple[str, str, int, str]]:
    """What identifies an added tree besides its contents, in order."""
    return [(path, node.kind, node.mode, node.link) for path, node in sorted(added.items())]
