"""What is on disk decides, not how it came there; what is packed can be read by others, and in parts."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from support.forge import ROOT, directory, member, tar
from support.people import list_people, make_person
from support.reference import Node
from support.trees import list_entries, open_dir, write_tree

from warpforge.errors import WarpforgeError
from warpforge.fsx.remove import remove_tree
from warpforge.fsx.tree import Entry, walk
from warpforge.pack.filters import OUTPUT, SCAN
from warpforge.pack.limits import UNLIMITED
from warpforge.pack.packer import pack, scan, unpack
from warpforge.pack.table import FRAME

MIB = 1 << 20


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    fd = open_dir(tmp_path)
    yield fd
    os.close(fd)


@pytest.fixture
def memory_place(tmp_path: Path) -> Iterator[int]:
    """A directory in memory where there is one: thousands of directories take their time elsewhere."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path)
    with tempfile.TemporaryDirectory(dir=base) as directory:
        fd = open_dir(directory)
        yield fd
        os.close(fd)


def ware(place: int, name: bytes) -> tuple[str, bytes]:
    sink = io.BytesIO()
    return str(pack(walk(place, name), "ztar", OUTPUT, sink).ware), sink.getvalue()


def test_how_a_tree_came_to_be_does_not_matter(place: int, tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(40)] + ["a", "a-b", "Z"]
    old = os.umask(0o077)
    try:
        (tmp_path / "one").mkdir(mode=0o755)
        for name in names:
            (tmp_path / "one" / name).write_bytes(b"same")
            (tmp_path / "one" / name).chmod(0o644)
        with open(tmp_path / "one/hole", "wb") as file:
            file.truncate(3 * MIB)
        (tmp_path / "one").chmod(0o755)
        (tmp_path / "one/hole").chmod(0o644)
        os.umask(0)
        (tmp_path / "two").mkdir(mode=0o755)
        first = tmp_path / "two" / names[-1]
        first.write_bytes(b"same")
        first.chmod(0o644)
        for name in reversed(names[:-1]):
            os.link(first, tmp_path / "two" / name)
        (tmp_path / "two/hole").write_bytes(bytes(3 * MIB))
        (tmp_path / "two/hole").chmod(0o644)
    finally:
        os.umask(old)
    assert ware(place, b"one") == ware(place, b"two")


# under 0777 nobody but root can enter a directory that he has just made
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, *([0o777] if os.geteuid() == 0 else [])])
def test_modes_are_the_ware_s_whatever_the_umask(place: int, tmp_path: Path, umask: int) -> None:
    tree = Node("d", 0o751, children={b"d": Node("d", 0o000, children={b"x": Node("f", 0o666, content=b"x")})})
    tree.children[b"p"] = Node("p", 0o622)
    for number in range(300):
        tree.children[b"f%d" % number] = Node("f", number, content=b"%d" % number)
    sink = io.BytesIO()
    packed = pack(list_entries(tree), "ztar", OUTPUT, sink)
    old = os.umask(umask)
    try:
        unpack(io.BytesIO(sink.getvalue()), "ztar", place, b"t")
    finally:
        os.umask(old)
    for number in range(300):
        assert (tmp_path / f"t/f{number}").lstat().st_mode & 0o7777 == number
    assert pack(walk(place, b"t"), "ztar").ware == packed.ware if os.geteuid() == 0 else True


def _unpack_and_look(directory: str, data: bytes, packtype: str) -> list[tuple[str, int, float]]:
    fd = open_dir(directory)
    try:
        unpack(io.BytesIO(data), packtype, fd, b"t", filters=SCAN)
        looks = [(name, os.lstat(f"{directory}/{name}")) for name in ("t", "t/closed", "t/writeonly")]
        return [(name, look.st_mode & 0o7777, look.st_mtime) for name, look in looks]
    finally:
        os.close(fd)


@pytest.mark.parametrize("who", list_people())
@pytest.mark.parametrize("packtype", ["tar", "ztar"])
def test_closed_directories_with_children(who: str, packtype: str, tmp_path: Path) -> None:
    inside = (member(b"closed/x", b"1", mode=0), directory(b"closed/y/", mode=0))
    closed = (directory(b"closed/", mode=0, mtime=11), *inside)
    open_ = (directory(b"writeonly/", mode=0o200, mtime=12), member(b"writeonly/z", b"2"))
    archive = tar(directory(b"./", mode=0o555, mtime=13), *closed, *open_)
    if packtype == "tar":
        archive = tar(*open_[::-1], *closed[::-1], directory(b"./", mode=0o555, mtime=13))
    person = make_person(who)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, person.uid, -1)
    for parent in (tmp_path, *tmp_path.parents[:-1]):
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    try:
        found = person.call(_unpack_and_look, str(home), archive, packtype)
    finally:
        person.close()
    assert found == [("t", 0o555, 13), ("t/closed", 0, 11), ("t/writeonly", 0o200, 12)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_everything_goes_to_the_owner(place: int, tmp_path: Path) -> None:
    below = Node("d", 0o755, children={b"f": Node("f")})
    tree = Node("d", 0o755, children={b"d": below, b"l": Node("L", link=b"d"), b"p": Node("p")})
    tree.children[b"big"] = Node("f", content=bytes(3 * MIB))
    for packtype in ("tar", "ztar"):
        sink = io.BytesIO()
        pack(list_entries(tree), packtype, OUTPUT, sink)
        name = packtype.encode()
        unpack(io.BytesIO(sink.getvalue()), packtype, place, name, owner=(1234, 2345))
        found = {(entry.uid, entry.gid) for entry, _ in walk(place, name)}
        assert found == {(1234, 2345)}


@pytest.mark.parametrize(("packtype", "depth"), [("tar", 1100), ("ztar", 3000)])
def test_a_deep_tree(memory_place: int, packtype: str, depth: int) -> None:
    place = memory_place
    os.mkdir("t", dir_fd=place)
    fd = os.open("t", os.O_RDONLY, dir_fd=place)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=fd))
    os.close(fd)
    sink = io.BytesIO()
    packed = pack(walk(place, b"t"), packtype, OUTPUT, sink)
    assert packed.entries == depth + 2
    unpack(io.BytesIO(sink.getvalue()), packtype, place, b"u", expect=packed.ware, limits=UNLIMITED)
    assert pack(walk(place, b"u"), packtype).ware == packed.ware
    with pytest.raises(WarpforgeError) as caught:
        scan(io.BytesIO(sink.getvalue()), packtype)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-ware-limit", "depth")
    remove_tree(place, b"t")
    remove_tree(place, b"u")


# the packed bytes


def test_gnu_tar_reads_what_we_pack(place: int, tmp_path: Path) -> None:
    tree = Node("d", 0o755, children={b"l": Node("L", 0o777, link=b"t" * 120)})
    tree.children[b"n" * 150] = Node("f", 0o600, uid=3_000_000, mtime=-7, content=b"x")
    tree.children[b"sub"] = Node("d", 0o700, mtime=8589934592, children={b"big": Node("f", content=bytes(9 * MIB))})
    sink = io.BytesIO()
    packed = pack(list_entries(tree), "ztar", SCAN, sink)
    plain = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(sink.getvalue()), read_across_frames=True).read()
    (tmp_path / "t").mkdir()
    subprocess.run(["tar", "-x", "-p", "--numeric-owner", "-C", str(tmp_path / "t")], input=plain, check=True)
    filters = SCAN if os.geteuid() == 0 else SCAN.parse("uid=0,gid=0")
    lone = tree.children[b"l"]
    os.utime(tmp_path / "t/l", (lone.mtime, lone.mtime), follow_symlinks=False)
    assert pack(walk(place, b"t"), "ztar", filters).ware == scan(io.BytesIO(sink.getvalue()), "ztar", filters).ware
    if shutil.which("zstd"):
        assert subprocess.run(["zstd", "-dc"], input=sink.getvalue(), capture_output=True, check=True).stdout == plain
    assert packed.unpacked_bytes == 9 * MIB + 1


def test_frames_can_be_read_alone() -> None:
    """Every frame begins at a member, or holds a stretch of one large file and nothing else."""
    tree = Node("d", 0o755, children={b"a%d" % n: Node("f", content=os.urandom(MIB)) for n in range(6)})
    big = os.urandom(2 * FRAME + 5)
    tree.children[b"big"] = Node("f", content=big)
    tree.children[b"z"] = Node("f", content=b"last")
    sink = io.BytesIO()
    pack(list_entries(tree), "ztar", OUTPUT, sink)
    data = sink.getvalue()
    count, _, magic = struct.unpack("<IBI", data[-9:])
    assert magic == 0x8F92EAB1
    table = data[-9 - 8 * count : -9]
    at = 0
    frames = []
    for packed, unpacked in struct.iter_unpack("<II", table):
        frames.append(zstandard.ZstdDecompressor().decompress(data[at : at + packed]))
        assert len(frames[-1]) == unpacked <= FRAME + 4096
        at += packed
    assert big[:FRAME] in frames
    assert big[FRAME : 2 * FRAME] in frames
    assert [frame for frame in frames if frame.startswith(big[2 * FRAME :])]
    assert frames[0].startswith(b"./\0")


def test_what_has_no_measure_has_room() -> None:
    """Links that no disk could hold, at the begin of a frame and at its very end."""
    link = b"x" * 200_000
    entries = [Entry(b"", "d", 0o755), Entry(b"a", "L", 0o777, link=link)]
    entries += [Entry(b"b", "f", 0o644, size=FRAME - (250 << 10)), Entry(b"c", "L", 0o777, link=link)]
    contents = {b"b": bytes(FRAME - (250 << 10))}
    sink = io.BytesIO()
    packed = pack(((e, io.BytesIO(contents[e.path]) if e.kind == "f" else None) for e in entries), "ztar", sink=sink)
    sink.seek(0)
    assert scan(sink, "ztar", limits=UNLIMITED).ware == packed.ware


def test_packing_is_deterministic() -> None:
    tree = Node("d", 0o755, children={b"f%d" % n: Node("f", content=os.urandom(100_000)) for n in range(100)})
    results = set()
    for _ in range(4):
        sink = io.BytesIO()
        results.add((pack(list_entries(tree), "ztar", OUTPUT, sink), sink.getvalue()))
    assert len(results) == 1


def test_no_thread_and_no_descriptor_is_left(place: int, tmp_path: Path) -> None:
    tree = Node("d", 0o755, children={b"f%d" % n: Node("f", content=bytes(50_000)) for n in range(400)})
    write_tree(tree, os.fsencode(tmp_path) + b"/from")
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    name, data = ware(place, b"from")
    unpack(io.BytesIO(data), "ztar", place, b"to")
    for broken in (data[:-1], data[: len(data) // 2], b"\x28\xb5\x2f\xfd"):
        with pytest.raises(WarpforgeError):
            unpack(io.BytesIO(broken), "ztar", place, b"no")
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before
    assert name.startswith("ztar:")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("size", [3 * MIB, 3000])
def test_a_full_disk_leaves_nothing(place: int, tmp_path: Path, size: int) -> None:
    """Large files and many small ones, onto a file system that cannot hold them."""
    count = 4 * MIB // size + 1
    tree = Node("d", 0o755, children={b"f%d" % n: Node("f", content=os.urandom(size)) for n in range(count)})
    sink = io.BytesIO()
    pack(list_entries(tree), "ztar", OUTPUT, sink)
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", str(small)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        fd = open_dir(small)
        with pytest.raises(WarpforgeError) as caught:
            unpack(io.BytesIO(sink.getvalue()), "ztar", fd, b"t")
        os.close(fd)
        assert (caught.value.code, caught.value.reason) == ("warpforge-error-store", "full")
        assert os.listdir(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


# memory

MEASURE = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))
from warpforge.fsx.tree import walk
from warpforge.pack.packer import pack, unpack
from warpforge.pack.limits import UNLIMITED
from warpforge.pack.abreast import PARTNERS
base, packtype = sys.argv[1:]
fd = os.open(base, os.O_RDONLY)
def size(what):
    [line] = [line for line in open("/proc/self/status") if line.startswith(what)]
    return int(line.split()[1])
def peak():
    return size("VmHWM")
with open(base + "/packed", "wb") as sink:
    packed = pack(walk(fd, b"tree"), packtype, sink=sink)
packing = peak()
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak begins anew
shared = size("VmRSS")  # what a partner begins with is ours, and counted once
with open(base + "/packed", "rb") as source:
    assert unpack(source, packtype, fd, b"out", expect=packed.ware, limits=UNLIMITED).source == packed
unpacking = peak() + PARTNERS * max(0, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss - shared)
print(max(packing, unpacking) // 1024)
"""


@pytest.mark.parametrize("packtype", ["tar", "ztar"])
def test_memory_is_bounded(packtype: str, tmp_path: Path) -> None:
    """With 256 MiB of addresses, and a bound on what is held, all processes together."""
    (tmp_path / "tree").mkdir()
    with open(tmp_path / "tree/zeros", "wb") as file:
        file.truncate(400 * MIB)
    (tmp_path / "tree/noise").write_bytes(os.urandom(30 * MIB))
    argv = [sys.executable, "-c", MEASURE, str(tmp_path), packtype]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 128


def test_a_hostile_member_is_streamed() -> None:
    archive = tar(ROOT, member(b"a", bytes(64 * MIB)), member(b"b", bytes(64 * MIB)))
    assert scan(io.BytesIO(archive), "tar").unpacked_bytes == 128 * MIB
