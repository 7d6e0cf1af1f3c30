"""What every packtype must do: one suite, all packers."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.reference import Node, tree_hash
from support.trees import list_entries, open_dir, random_tree, write_tree

from warpforge.errors import WarpforgeError
from warpforge.fsx.remove import remove_tree
from warpforge.fsx.tree import walk
from warpforge.model.atoms import WareId
from warpforge.pack.filters import OUTPUT, SCAN
from warpforge.pack.packer import PACKTYPES, Sum, get_packer, manifest, pack, repack, scan, unpack

KEEP = OUTPUT.parse("uid=keep,gid=keep,mtime=keep,setid=keep")
TREES = 100  # for each packtype


@pytest.fixture(params=[name for name in PACKTYPES if name != "git"])
def packtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["git"])
def foreign(request: pytest.FixtureRequest) -> str:
    """A packtype whose ids come from elsewhere, and whose wares are a ztar at rest."""
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    fd = open_dir(tmp_path)
    yield fd
    os.close(fd)


def some_trees(packtype: str, seed: int) -> list[Node]:
    """A directory, and a lone file where the packtype has those."""
    trees = [random_tree(random.Random(seed))]
    return trees if packtype == "oci" else [*trees, Node("f", content=b"x")]


def pack_bytes(tree: Node, packtype: str) -> tuple[Sum, bytes]:
    sink = io.BytesIO()
    return pack(list_entries(tree), packtype, KEEP, sink), sink.getvalue()


def test_it_knows_its_name(packtype: str) -> None:
    assert get_packer(packtype).packtype == packtype


def test_ids_are_those_of_the_reference(packtype: str) -> None:
    for seed in range(TREES):
        tree = random_tree(random.Random(seed))
        found = pack(list_entries(tree), packtype, KEEP)
        if get_packer(packtype).recomputes:
            assert found.ware == WareId(packtype, tree_hash(tree, packtype)), seed
        assert found.dual == "ztar:" + tree_hash(tree, "ztar")


def test_scan_finds_what_pack_made(packtype: str) -> None:
    for seed in range(30):
        packed, data = pack_bytes(random_tree(random.Random(seed)), packtype)
        assert scan(io.BytesIO(data), packtype) == packed
        assert packed.packed_bytes == len(data)


def test_hashing_alone_gives_the_same_id(packtype: str) -> None:
    tree = random_tree(random.Random(1))
    packed, _ = pack_bytes(tree, packtype)
    hashed = pack(list_entries(tree), packtype, KEEP)
    assert (hashed.ware, hashed.dual, hashed.entries, hashed.unpacked_bytes) == packed[:4]
    assert (hashed.packed_bytes, hashed.packed_sha256) == (0, "")


def test_pack_unpack_pack_is_fixed(packtype: str, place: int, tmp_path: Path) -> None:
    for seed in range(30):
        tree = random_tree(random.Random(seed), owners=False)
        write_tree(tree, os.fsencode(tmp_path) + b"/from%d" % seed)
        sink = io.BytesIO()
        first = pack(walk(place, b"from%d" % seed), packtype, OUTPUT.parse("mtime=keep"), sink)
        unpacked = unpack(io.BytesIO(sink.getvalue()), packtype, place, b"to%d" % seed, expect=first.ware)
        again = io.BytesIO()
        second = pack(walk(place, b"to%d" % seed), packtype, OUTPUT.parse("mtime=keep"), again)
        assert first == second == unpacked.source, seed
        assert sink.getvalue() == again.getvalue()


def test_a_lone_file(packtype: str, place: int, tmp_path: Path) -> None:
    tree = Node("f", 0o640, mtime=5, content=b"alone")
    if packtype == "oci":
        with pytest.raises(WarpforgeError) as caught:
            pack_bytes(tree, packtype)
        assert (caught.value.code, caught.value.reason) == ("warpforge-error-ware-invalid", "type")
        return
    packed, data = pack_bytes(tree, packtype)
    assert packed.ware.hash == tree_hash(tree, packtype)
    unpack(io.BytesIO(data), packtype, place, b"one", expect=packed.ware)
    file = tmp_path / "one"
    assert (file.read_bytes(), file.stat().st_mode & 0o7777, file.stat().st_mtime) == (b"alone", 0o640, 5)


def test_the_wrong_hash_leaves_nothing(packtype: str, place: int, tmp_path: Path) -> None:
    for tree in some_trees(packtype, 2):
        packed, data = pack_bytes(tree, packtype)
        other = WareId(packtype, packed.ware.hash[:-1] + ("1" if packed.ware.hash[-1] != "1" else "2"))
        with pytest.raises(WarpforgeError) as caught:
            unpack(io.BytesIO(data), packtype, place, b"t", expect=other)
        assert caught.value.code == "warpforge-error-ware-mismatch"
        assert caught.value.details["wareId"] == str(other)
        assert caught.value.details["found"] == str(packed.ware)
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("there", ["file", "directory", "symlink", "dangling"])
def test_what_is_there_is_not_touched(packtype: str, place: int, tmp_path: Path, there: str) -> None:
    target = tmp_path / "t"
    if there == "file":
        target.write_bytes(b"mine")
    elif there == "directory":
        target.mkdir()
    else:
        target.symlink_to("." if there == "symlink" else "nowhere")
    before = target.lstat()
    for tree in some_trees(packtype, 2):
        _, data = pack_bytes(tree, packtype)
        with pytest.raises(WarpforgeError) as caught:
            unpack(io.BytesIO(data), packtype, place, b"t")
        assert caught.value.code == "warpforge-error-already-exists"
    after = target.lstat()
    assert (before.st_ino, before.st_mode, before.st_mtime_ns) == (after.st_ino, after.st_mode, after.st_mtime_ns)
    assert os.listdir(tmp_path) == ["t"]


def test_filters_on_the_way_out_give_the_filtered_id(packtype: str, place: int) -> None:
    tree = random_tree(random.Random(3))
    tree.children[b"own"] = Node("f", uid=7, gid=8, content=b"x")
    packed, data = pack_bytes(tree, packtype)
    filters = SCAN.parse("uid=0,gid=0,mtime=@7")
    found = unpack(io.BytesIO(data), packtype, place, b"t", filters=filters)
    assert found.source == packed
    assert found.ware == scan(io.BytesIO(data), packtype, filters).ware
    named = packtype if get_packer(packtype).recomputes else "ztar"  # no longer that image, but a tree like others
    assert found.ware == pack(walk(place, b"t"), named, OUTPUT.parse("mtime=@7")).ware
    assert found.ware != packed.ware


def test_filters_that_change_nothing_give_the_same_id(packtype: str, place: int) -> None:
    packed, data = pack_bytes(random_tree(random.Random(4), owners=False), packtype)
    assert unpack(io.BytesIO(data), packtype, place, b"t", filters=SCAN).ware == packed.ware


def test_repacking_through_filters(packtype: str) -> None:
    packed, data = pack_bytes(random_tree(random.Random(4)), packtype)
    sink = io.BytesIO()
    filters = OUTPUT.parse("mtime=@9")
    again = repack(io.BytesIO(data), packtype, filters, sink)
    assert again.ware == scan(io.BytesIO(sink.getvalue()), packtype).ware
    assert again.dual == scan(io.BytesIO(data), packtype, filters).dual
    assert again.ware != packed.ware


def test_the_manifest_has_every_node(packtype: str) -> None:
    tree = random_tree(random.Random(6))
    _, data = pack_bytes(tree, packtype)
    lines = list(manifest(io.BytesIO(data), packtype))
    assert [line.entry.path for line in lines] == [entry.path for entry, _ in list_entries(tree)]
    for line in lines:
        assert str(line).isprintable()
        assert (line.digest is not None) == (line.entry.kind == "f")


def test_a_cut_anywhere_is_refused(packtype: str, place: int, tmp_path: Path) -> None:
    _, data = pack_bytes(random_tree(random.Random(8)), packtype)
    table = 8 + 8 + 9  # one frame's seek table: without it the rest is a plain zstd file, which is fine
    end = len(data) - 512 if packtype == "oci" else len(data)  # one end block is enough for a tar
    cuts = {*range(1, end, max(1, end // 150)), *range(end - table + 1, end)}
    for cut in sorted(cuts - {len(data) - table}):
        with pytest.raises(WarpforgeError) as caught:
            unpack(io.BytesIO(data[:cut]), packtype, place, b"t")
        assert caught.value.code in ("warpforge-error-ware-corrupt", "warpforge-error-ware-invalid"), cut
        assert os.listdir(tmp_path) == []


def test_a_flipped_bit_is_found_or_harmless(packtype: str, place: int, tmp_path: Path) -> None:
    packed, data = pack_bytes(random_tree(random.Random(7)), packtype)
    rng = random.Random(1)
    harmless = 0
    for _ in range(200):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        flipped = data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :]
        try:
            found = unpack(io.BytesIO(flipped), packtype, place, b"t", expect=packed.ware)
        except WarpforgeError:
            assert os.listdir(tmp_path) == []
            continue
        # zstd has bits that no content depends on: the tree is right, and the packed bytes are known to be others
        harmless += 1
        assert found.source.ware == packed.ware
        assert found.source.packed_sha256 != packed.packed_sha256
        remove_tree(place, b"t")
    assert harmless < 10


def test_what_comes_from_elsewhere_is_read_as_it_lies_there(foreign: str, place: int, tmp_path: Path) -> None:
    tree = random_tree(random.Random(9))
    packed, data = pack_bytes(tree, "ztar")
    assert get_packer(foreign).packtype == foreign
    assert scan(io.BytesIO(data), foreign) == packed
    assert [*manifest(io.BytesIO(data), foreign)] == [*manifest(io.BytesIO(data), "ztar")]
    assert unpack(io.BytesIO(data), foreign, place, b"t", expect=packed.ware).source == packed
    with pytest.raises(WarpforgeError) as caught:
        unpack(io.BytesIO(data), foreign, place, b"u", expect=WareId("ztar", "1" * 44))
    assert caught.value.code == "warpforge-error-ware-mismatch"
    assert os.listdir(tmp_path) == ["t"]
    sinks = io.BytesIO(), io.BytesIO()
    filters = OUTPUT.parse("mtime=@9")
    again = repack(io.BytesIO(data), foreign, filters, sinks[0])
    assert again == repack(io.BytesIO(data), "ztar", filters, sinks[1])
    assert again.ware.packtype == "ztar", "what filters made of it is no longer what the id says"


def test_what_comes_from_elsewhere_is_not_packed(foreign: str) -> None:
    with pytest.raises(WarpforgeError) as caught:
        pack(list_entries(random_tree(random.Random(1))), foreign)
    assert caught.value.code == "warpforge-error-invalid-argument"


def test_an_unknown_packtype() -> None:
    with pytest.raises(WarpforgeError) as caught:
        pack([], "rpm")
    assert caught.value.code == "warpforge-error-invalid-argument"
