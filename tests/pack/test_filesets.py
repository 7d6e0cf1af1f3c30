"""Tree hashes and filters against what the original made of 22 trees and 33 archives."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import pytest
from support.conformance import load, needs_conformance
from support.reference import Node, tree_hash
from support.trees import list_entries, open_dir, write_tree

from warpforge.errors import WarpforgeError
from warpforge.fsx.tree import walk
from warpforge.pack.filters import OUTPUT, SCAN
from warpforge.pack.packer import pack, scan, unpack

pytestmark = needs_conformance
KINDS = {"dir": "d", "file": "f", "symlink": "L"}


def build(described: dict[str, Any]) -> Node:
    """The tree that one fileset describes."""
    root = Node("d")
    nodes = {b".": root}
    for entry in described["entries"]:
        node = Node(KINDS[entry["type"]], int(entry["mode"], 8), mtime=entry["mtime"])
        node.content = base64.b64decode(entry.get("content", ""))
        node.link = entry.get("link", "").encode()
        nodes[entry["path"].encode()] = node
    for path, node in nodes.items():
        if path != b".":
            parent, _, name = path.rpartition(b"/")
            nodes[parent or b"."].children[name] = node
    return nodes[b"."]


def list_cases() -> list[Any]:
    try:
        return [*load("archives.json")]
    except FileNotFoundError:
        return []


def test_filesets_with_every_filter(tmp_path: Path) -> None:
    checked = 0
    for number, described in enumerate(load("filesets.json")):
        tree = build(described)
        write_tree(tree, os.fsencode(tmp_path) + b"/%d" % number)
        fd = open_dir(tmp_path)
        for text, ware in described["tar"].items():
            filters = OUTPUT.parse(text)
            assert str(pack(list_entries(tree), "tar", filters).ware) == ware
            sink = io.BytesIO()
            found = pack(walk(fd, b"%d" % number), "tar", filters, sink)
            assert str(found.ware) == ware
            assert scan(io.BytesIO(sink.getvalue()), "tar") == found
            checked += 1
        os.close(fd)
        assert tree_hash(tree, "ztar") == found.dual.removeprefix("ztar:") or "mtime" in text
    assert checked == 66


@pytest.mark.parametrize("case", list_cases(), ids=lambda case: f"{case['packtype']}-{case['name']}")
def test_archives(case: dict[str, Any], tmp_path: Path) -> None:
    packtype = case["packtype"]
    archive = base64.b64decode(case["archive"])
    fd = open_dir(tmp_path)
    try:
        if case["ours"].startswith("refused"):
            code, _, reason = case["ours"].partition("(")[2].partition(")")[0].partition(", ")
            with pytest.raises(WarpforgeError) as caught:
                scan(io.BytesIO(archive), packtype)
            assert (caught.value.code, caught.value.reason) == (f"warpforge-error-{code}", reason)
            with pytest.raises(WarpforgeError) as caught:
                unpack(io.BytesIO(archive), packtype, fd, b"t", filters=SCAN)
            assert (caught.value.code, caught.value.reason) == (f"warpforge-error-{code}", reason)
            assert os.listdir(tmp_path) == []
            return
        found = scan(io.BytesIO(archive), packtype)
        if case["ours"] == "same id":
            assert str(found.ware) == case["original"]
        unpacked = unpack(io.BytesIO(archive), packtype, fd, b"t", filters=SCAN, expect=found.ware)
        assert unpacked.source == found
    finally:
        os.close(fd)


def test_a_hardlink_counts_as_a_file(tmp_path: Path) -> None:
    [case] = [case for case in list_cases() if case["name"] == "hardlink"]
    fd = open_dir(tmp_path)
    unpack(io.BytesIO(base64.b64decode(case["archive"])), "tar", fd, b"t")
    os.close(fd)
    files = [path for path in (tmp_path / "t").rglob("*") if path.is_file()]
    assert len({path.read_bytes() for path in files}) == 1
    assert {path.stat().st_nlink for path in files} == {1}
