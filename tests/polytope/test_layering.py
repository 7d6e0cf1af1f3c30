"""The layer between two trees: laid over the first it gives the second again, whatever has become of what."""

from __future__ import annotations

import io

import pytest

from warpforge.fsx.tree import Entry, sort_key
from warpforge.pack.limits import DEFAULT
from warpforge.pack.manifest import Line, make_lines
from warpforge.pack.members import Member
from warpforge.pack.overlay import Overlay
from warpforge.polytope.dockerfile.context import Files, Node
from warpforge.polytope.dockerfile.layering import list_changes

Tree = dict[str, str | bytes | None]

OLD: Tree = {
    "a": None,
    "a/b": None,
    "a/b/f": b"1",
    "a/g": b"2",
    "d": None,
    "d/e": b"3",
    "l": "a/g",
    "s": b"4",
    "k": b"5",
}


def entries(tree: Tree, mtime: int) -> list[tuple[Entry, io.BytesIO | None]]:
    made = []
    for path, what in {"": None, **tree}.items():
        kind = "d" if what is None else "f" if isinstance(what, bytes) else "L"
        data = what if isinstance(what, bytes) else b""
        link = what.encode() if isinstance(what, str) else b""
        entry = Entry(path.encode(), kind, 0o755, mtime=mtime, size=len(data), link=link)
        made.append((entry, io.BytesIO(data) if kind == "f" else None))
    return sorted(made, key=lambda one: sort_key(one[0]))


def lines(tree: Tree, mtime: int) -> list[Line]:
    return [*make_lines(entries(tree, mtime))]


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        {},
        {"a": b"file", "d": "l", "l": None, "l/in": b"x", "s": b"4"},
        {**OLD, "a/b/f": b"other", "n": None, "n/m": None, "n/m/o": b""},
        {"a": None, "a/b": b"now a file", "s": "d"},
        {"d": None, "d/e": None, "d/e/e": b"", "a.wh": b""},
    ],
    ids=["same", "nothing", "kinds", "more", "less", "deeper"],
)
def test_a_layer_leads_from_one_tree_to_the_other(new: Tree) -> None:
    nodes = {path: Node("f", 0o755, data=what) for path, what in new.items() if isinstance(what, bytes)}
    layer = list_changes(lines(OLD, 1), lines(new, 2), Files(nodes, "new"))
    with Overlay(DEFAULT) as overlay:
        for one in (entries(OLD, 1), layer):
            overlay.add(Member(entry, content) for entry, content in one)
        found = [Line(entry.replace(mtime=0), digest) for entry, digest in make_lines(overlay.entries())]
    assert found == [Line(entry.replace(mtime=0), digest) for entry, digest in lines(new, 2)]
    if new == OLD:
        assert [entry.path for entry, _ in layer] == [b""]
