"""What happened in a git repository between two looks at it: branches and tags that came, moved and went."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from warpforge.errors import Missing
from warpforge.mirror.git import GitRemote

KINDS: Final = {"refs/heads/": "branch", "refs/tags/": "tag"}

Refs = dict[str, str]  # full names to commits


class Happening(NamedTuple):
    """``type`` as triggers name it, such as git-branch-updated; ``name`` of the branch or tag; commits, "" for none."""

    type: str
    name: str
    before: str
    after: str


def find_repository(directory: str) -> str:
    """The repository that a directory lies in. Errors: ``missing``."""
    for path in (Path(directory), *Path(directory).parents):
        if (path / ".git").exists():
            return str(path)
    raise Missing("missing", f"{directory} does not lie in a git repository", path=directory)


def read_refs(repository: str, work: Path) -> Refs:
    """Its branches and tags, tags as what they lead to. ``work``: a path for a bare repository of ours.

    Errors: ``git``, ``fetch``.
    """
    names = GitRemote.at(Path(repository)).names(work)
    return {name: commit for name, commit in names.items() if name.startswith((*KINDS,))}


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> list[Happening]:
    """What happened, by name."""
    found = []
    for ref in sorted({*before, *after}):
        old, new = before.get(ref, ""), after.get(ref, "")
        if old == new:
            continue
        prefix, kind = next((prefix, kind) for prefix, kind in KINDS.items() if ref.startswith(prefix))
        what = "updated" if old and new else "added" if new else "deleted"
        found.append(Happening(f"git-{kind}-{what}", ref.removeprefix(prefix), old, new))
    return found
