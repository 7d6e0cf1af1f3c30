"""Z07: twenty trees whose ids are frozen in the repository, whoever packs them, with whatever Python, wherever.

The twenty documents are those of fixtures/accepted with their ids, and what is in the shipped catalog.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.reference import Node
from support.trees import list_entries

from warpforge.pack.filters import OUTPUT, SCAN
from warpforge.pack.packer import pack, scan

TREES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "fixtures/golden/trees.json").read_bytes())
FILTERS = {"kept": SCAN, "output": OUTPUT}
pytestmark = pytest.mark.both


def build(entries: list[dict[str, Any]]) -> Node:
    """The tree of one description: paths and contents in base64, parents first."""
    nodes: dict[bytes, Node] = {}
    for entry in entries:
        node = Node(entry["kind"], entry["mode"], mtime=entry["mtime"])
        node.content = base64.b64decode(entry.get("content", ""))
        node.link = entry.get("link", "").encode()
        path = base64.b64decode(entry["path"])
        nodes[path] = node
        if path:
            parent, _, name = path.rpartition(b"/")
            nodes[parent].children[name] = node
    return nodes[b""]


@pytest.mark.parametrize("number", range(len(TREES)))
def test_z07_ids_of_trees_stay(number: int) -> None:
    """An id is a promise: one that changes here has changed for everybody."""
    tree = build(TREES[number]["entries"])
    for words, ware in TREES[number]["ids"].items():
        packtype, row = words.split()
        sink = io.BytesIO()
        assert str(pack(list_entries(tree), packtype, FILTERS[row], sink).ware) == ware
        sink.seek(0)
        assert str(scan(sink, packtype).ware) == ware


def test_z07_there_are_twenty() -> None:
    assert len(TREES) == 20
