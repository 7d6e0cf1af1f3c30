"""Archives taken by several takers abreast: the result of the ordinary way, or nothing at all and then that way."""

from __future__ import annotations

import io
import os
import random
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from support import forge
from support.forge import ROOT, directory, hardlink, member, pax, symlink, tar
from support.reference import Node
from support.trees import list_entries, open_dir, random_tree

from warpforge.errors import WarpforgeError
from warpforge.fsx.tree import walk
from warpforge.pack.abreast import scan_abreast, unpack_abreast
from warpforge.pack.fileset import BLAKE3
from warpforge.pack.filters import INPUT, OUTPUT, SCAN
from warpforge.pack.limits import DEFAULT, UNLIMITED, Limits
from warpforge.pack.packer import Place, pack, scan, unpack
from warpforge.pack.partner import Partner
from warpforge.pack.sha384 import SHA384
from warpforge.pack.stretch import Deviation
from warpforge.pack.table import read_table
from warpforge.pack.taker import Taker

FLAVOURS = {"ztar": BLAKE3, "tar": SHA384}
KEEP = OUTPUT.parse("uid=keep,gid=keep,mtime=keep,setid=keep")
MIB = 1 << 20


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    fd = open_dir(tmp_path)
    yield fd
    os.close(fd)


@pytest.fixture(params=FLAVOURS)
def packtype(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def large_tree(seed: int = 1) -> Node:
    """Nine frames at least: small files, links, empty directories, and contents beyond a frame, one of whole frames."""
    rng = random.Random(seed)
    root = Node("d", 0o755)
    for number in range(30):
        below = root.children[b"d%02d" % number] = Node("d", 0o750)
        below.children[b"empty"] = Node("d", 0o700)
        for name in (b"a", b"a-b", b"ab", b"x" * 120):
            below.children[name] = Node("f", rng.choice((0o644, 0o755, 0o1755)), content=rng.randbytes(120_000))
        below.children[b"link"] = Node("L", 0o777, link=b"a")
    root.children[b"large"] = Node("f", content=rng.randbytes(MIB) * 9 + b"rest")
    root.children[b"d05"].children[b"whole"] = Node("f", content=rng.randbytes(MIB) * 8)
    return root


def archive_file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def packed_file(path: Path, tree: Node, packtype: str) -> Path:
    with open(path, "wb") as sink:
        pack(list_entries(tree), packtype, KEEP, sink)
    return path


def framed(data: bytes, *cuts: int) -> bytes:
    """In frames that end at these places, with a seek table that is true."""
    ends = [0, *sorted(cuts), len(data)]
    parts = [data[a:b] for a, b in pairwise(ends)]
    frames = [forge.zstd(part) for part in parts]
    sizes = [(len(frame), len(part)) for frame, part in zip(frames, parts, strict=True)]
    return b"".join(frames) + forge.seek_table(sizes)


def short_scan(path: Path, packtype: str, limits: Limits = DEFAULT) -> tuple[str, str] | None:
    with open(path, "rb") as source:
        taken = scan_abreast(source, FLAVOURS[packtype], SCAN, limits)
        assert source.tell() == 0
        return None if taken is None else taken.fileset.finish()


def outcome(source: io.BytesIO | Path, packtype: str) -> object:
    try:
        if isinstance(source, io.BytesIO):
            return scan(source, packtype)
        with open(source, "rb") as file:
            return scan(file, packtype)
    except WarpforgeError as error:
        return error.code, error.reason, error.message


def test_it_is_the_same_tree(packtype: str, place: int, tmp_path: Path) -> None:
    path = packed_file(tmp_path / "packed", large_tree(), packtype)
    ordinary = scan(io.BytesIO(path.read_bytes()), packtype)
    with open(path, "rb") as source:
        assert len(read_table(source) or ()) > 9
    assert short_scan(path, packtype) == (ordinary.ware.hash, ordinary.dual.removeprefix("ztar:"))
    assert outcome(path, packtype) == ordinary
    with open(path, "rb") as source:
        done = unpack(source, packtype, place, b"out", filters=INPUT, expect=ordinary.ware)
    assert done.source == ordinary
    assert pack(walk(place, b"out"), packtype, OUTPUT.parse("mtime=keep")).ware == ordinary.ware
    with (
        open(path, "rb") as source,
        unpack_abreast(source, FLAVOURS[packtype], INPUT, DEFAULT, Place(place, b"2")) as t,
    ):
        assert t is not None


def test_random_trees(packtype: str, place: int, tmp_path: Path) -> None:
    for seed in range(40):
        tree = random_tree(random.Random(seed), owners=False)
        path = packed_file(tmp_path / f"packed{seed}", tree, packtype)
        ordinary = scan(io.BytesIO(path.read_bytes()), packtype)
        assert outcome(path, packtype) == ordinary, seed
        with open(path, "rb") as source:
            unpack(source, packtype, place, b"%d" % seed, expect=ordinary.ware)
        again = pack(walk(place, b"%d" % seed), packtype, OUTPUT.parse("mtime=keep"))
        assert again.ware == ordinary.ware, seed


def test_frames_cut_anywhere(tmp_path: Path) -> None:
    members = [member(b"f%02d" % n, b"x" * (n * 100)) for n in range(20)]
    data = tar(ROOT, *members, directory(b"g/"), pax({b"path": b"g/" + b"y" * 150}) + member(b"g/y", b"1"))
    expected = outcome(io.BytesIO(data), "ztar")
    taken = 0
    for cut in range(0, len(data), 256):
        path = archive_file(tmp_path / "cut", framed(data, cut))
        taken += short_scan(path, "ztar") is not None
        assert outcome(path, "ztar") == outcome(io.BytesIO(path.read_bytes()), "ztar")
        assert outcome(path, "ztar").ware == expected.ware  # type: ignore[attr-defined]
    assert taken > 20


FORGED = {
    "outside": (ROOT, member(b"../evil", b"1")),
    "absolute": (ROOT, member(b"/evil", b"1")),
    "dots inside": (ROOT, directory(b"a/"), member(b"a/../b", b"1")),
    "a dot": (ROOT, member(b"./a", b"1")),
    "only dots": (ROOT, member(b"..", b"1")),
    "two slashes": (ROOT, directory(b"a/"), member(b"a//b", b"1")),
    "behind a symlink": (ROOT, symlink(b"a", b"/tmp"), member(b"a/b", b"1")),
    "hardlink": (ROOT, member(b"a", b"1"), hardlink(b"b", b"a")),
    "twice": (ROOT, member(b"a", b"1"), member(b"a", b"1")),
    "out of order": (ROOT, member(b"b", b"1"), member(b"a", b"1")),
    "file and directory": (ROOT, member(b"a", b"1"), directory(b"a/")),
    "file and directory, far": (ROOT, member(b"a", b"1"), member(b"a-", b"1"), directory(b"a/"), member(b"a/b")),
    "no parent": (ROOT, member(b"a/b", b"1")),
    "no root": (member(b"a", b"1"),),
    "no name": (ROOT, member(b"", b"1")),
    "setuid": (ROOT, member(b"a", b"1", mode=0o4755)),
    "size not ours": (ROOT, member(b"a", b"1", size=b"        1\0")),
    "checksum": (ROOT, member(b"a", b"1", checksum=b"000000\0 ")),
    "padding": (ROOT, forge.header(b"a", size=1) + forge.padded(b"1", b"x")),
    "device": (ROOT, member(b"a", kind=b"3")),
    "cut": (ROOT, forge.header(b"a", size=5000) + bytes(512)),
    "far time": (ROOT, member(b"a", b"1", mtime=forge.base256(1 << 41, 12))),
    "a garbled name": (ROOT, member(b"a\0b", b"1")),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_not_ours_goes_the_ordinary_way(name: str, packtype: str, place: int, tmp_path: Path) -> None:
    data = framed(tar(*FORGED[name]))
    path = archive_file(tmp_path / "forged", data)
    expected = outcome(io.BytesIO(data), packtype)
    assert outcome(path, packtype) == expected
    before = sorted(os.listdir(tmp_path))
    with open(path, "rb") as source:
        with unpack_abreast(source, FLAVOURS[packtype], INPUT, DEFAULT, Place(place, b"out")) as taken:
            found = None if taken is None else taken.fileset.finish()
        if taken is None:
            assert sorted(os.listdir(tmp_path)) == before
        else:  # what can be taken so has the id that it has
            assert found is not None and found[0] == expected.ware.hash  # type: ignore[attr-defined]


@pytest.mark.parametrize("end", [b"", bytes(512), bytes(1024) + b"x", bytes(1024) + member(b"b", b"2")])
def test_the_end_is_where_it_should_be(end: bytes, packtype: str, tmp_path: Path) -> None:
    data = framed(tar(ROOT, member(b"a", b"1"), end=end))
    assert outcome(archive_file(tmp_path / "end", data), packtype) == outcome(io.BytesIO(data), packtype)


def test_an_end_in_an_earlier_frame(tmp_path: Path) -> None:
    data = tar(ROOT, member(b"a", b"1"))
    for more in (bytes(1024), member(b"b", b"2")):
        path = archive_file(tmp_path / "more", framed(data + more, len(data)))
        assert short_scan(path, "ztar") is None
        assert outcome(path, "ztar") == outcome(io.BytesIO(path.read_bytes()), "ztar")


def test_limits_hold(tmp_path: Path) -> None:
    path = packed_file(tmp_path / "packed", large_tree(), "ztar")
    for limits in (DEFAULT._replace(entries=50), DEFAULT._replace(unpacked=MIB), DEFAULT._replace(path=20)):
        assert short_scan(path, "ztar", limits) is None
        with open(path, "rb") as source, pytest.raises(WarpforgeError) as caught:
            scan(source, "ztar", limits=limits)
        assert caught.value.code == "warpforge-error-ware-limit"


def test_flipped_bits_are_found(tmp_path: Path) -> None:
    data = packed_file(tmp_path / "packed", large_tree(), "ztar").read_bytes()
    ware = scan(io.BytesIO(data), "ztar").ware
    rng = random.Random(4)
    for _ in range(6):
        at = rng.randrange(len(data))
        flipped = data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
        path = archive_file(tmp_path / "flipped", flipped)
        found = outcome(path, "ztar")
        assert (isinstance(found, tuple) and found[0] == "warpforge-error-ware-corrupt") or found.ware != ware  # type: ignore[attr-defined]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_everything_goes_to_the_owner(place: int, tmp_path: Path) -> None:
    path = packed_file(tmp_path / "packed", large_tree(), "ztar")
    with open(path, "rb") as source:
        unpack(source, "ztar", place, b"out", owner=(1234, 2345))
    found = [os.lstat(p) for p in (tmp_path / "out", *(tmp_path / "out").rglob("*"))]
    assert {(status.st_uid, status.st_gid) for status in found} == {(1234, 2345)}
    assert oct((tmp_path / "out/d01/a").lstat().st_mode & 0o777) in ("0o644", "0o755")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes_are_the_ware_s_whatever_the_umask(umask: int, place: int, tmp_path: Path) -> None:
    tree = Node("d", 0o755, children={b"f%d" % mode: Node("f", mode, content=b"1") for mode in range(0o1000)})
    path = packed_file(tmp_path / "packed", tree, "ztar")
    source = open(path, "rb")
    os.mkdir(tmp_path / "in")
    fd = open_dir(tmp_path / "in")
    old = os.umask(umask)
    try:
        unpack(source, "ztar", fd, b"out")
    finally:
        os.umask(old)
        os.close(fd)
        source.close()
    for mode in range(0o1000):
        assert (tmp_path / f"in/out/f{mode}").lstat().st_mode & 0o7777 == mode


def test_a_partner_that_dies_is_no_error(tmp_path: Path) -> None:
    path = packed_file(tmp_path / "packed", large_tree(), "ztar")
    with open(path, "rb") as source:
        table = read_table(source)
        assert table is not None
        taker = Taker(source.fileno(), table, BLAKE3, SCAN, UNLIMITED)
        partner = Partner(source.fileno(), table, BLAKE3, SCAN, UNLIMITED, -1, None)
        assert partner.stretch(0, 0) == taker.stretch(0, 0)
        partner.kill()
        with pytest.raises(Deviation):
            partner.stretch(0, 0)
        partner.close()
        taker.close()


def test_nothing_is_left_running(place: int, tmp_path: Path) -> None:
    path = packed_file(tmp_path / "packed", large_tree(), "ztar")
    half = archive_file(tmp_path / "half", path.read_bytes()[:-9])

    def running() -> tuple[int, int, list[bytes]]:
        """Threads, descriptors and children, also those that other tests have."""
        children = [Path(task, "children").read_bytes() for task in Path("/proc/self/task").iterdir()]
        return threading.active_count(), len(os.listdir("/proc/self/fd")), sorted(b"".join(children).split())

    before = running()
    assert short_scan(path, "ztar") is not None
    assert short_scan(half, "ztar") is None
    place_ = Place(place, b"out")
    with pytest.raises(KeyboardInterrupt), open(path, "rb") as f, unpack_abreast(f, BLAKE3, INPUT, DEFAULT, place_):
        raise KeyboardInterrupt
    assert not (tmp_path / "out").exists()
    assert running() == before
