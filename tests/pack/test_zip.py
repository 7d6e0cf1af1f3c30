"""Foreign zips, forged: what is read, what is refused and with which words, and how they lie at rest."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.reference import Node, tree_hash
from support.trees import open_dir

from warpforge.errors import WarpforgeError
from warpforge.pack.filters import OUTPUT, SCAN
from warpforge.pack.lazy import Lazy
from warpforge.pack.limits import DEFAULT, UNLIMITED, Limits
from warpforge.pack.packer import manifest, pack, repack, scan, unpack

EPOCH = 1262304000
OWNED: dict[str, Any] = {"uid": 1000, "gid": 1000}


def member(name: str, mode: int = 0o100644, method: int = zipfile.ZIP_STORED, **fields: Any) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (2010, 1, 1, 0, 0, 0))
    info.external_attr, info.create_system, info.compress_type = mode << 16, 3, method
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def make(*members: tuple[zipfile.ZipInfo, bytes], comment: bytes = b"") -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.comment = comment
        for info, content in members:
            archive.writestr(info, content, info.compress_type)
    return sink.getvalue()


def refusal(archive: bytes, tmp_path: Path, limits: Limits = DEFAULT) -> tuple[str, str]:
    """The code and reason with which an archive is refused, the same for scan and unpack; nothing is left of it."""
    with pytest.raises(WarpforgeError) as first:
        scan(io.BytesIO(archive), "zip", limits=limits)
    fd = open_dir(tmp_path)
    try:
        with pytest.raises(WarpforgeError) as caught:
            unpack(io.BytesIO(archive), "zip", fd, b"t", filters=SCAN, limits=limits)
    finally:
        os.close(fd)
    assert os.listdir(tmp_path) == []
    assert str(caught.value).isprintable()
    assert (caught.value.code, caught.value.reason) == (first.value.code, first.value.reason)
    return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason or ""


def only(archive: bytes, **limits: Any) -> Any:
    [_, line] = manifest(io.BytesIO(archive), "zip", **limits)
    return line.entry


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
def test_any_order_and_every_method(method: int, tmp_path: Path) -> None:
    large = os.urandom(100) * 40_000
    archive = make(
        (member("d/z", method=method), large),
        (member("b", 0o100755, method), b"b"),
        (member("d/", 0o40750), b""),
        (member("d/l", 0o120777), b"../b"),
        (member("empty", method=method), b""),
    )
    inner = {b"z": Node("f", content=large, **OWNED), b"l": Node("L", 0o777, link=b"../b", **OWNED)}
    tree = Node("d", 0o755)
    tree.children = {b"d": Node("d", 0o750, children=inner, **OWNED), b"b": Node("f", 0o755, content=b"b", **OWNED)}
    tree.children[b"empty"] = Node("f", **OWNED)
    found = scan(io.BytesIO(archive), "zip")
    assert (found.ware.hash, found.dual) == (tree_hash(tree, "zip"), "ztar:" + tree_hash(tree, "ztar"))
    assert (found.packed_bytes, found.unpacked_bytes, found.entries) == (len(archive), len(large) + 1, 6)
    fd = open_dir(tmp_path)
    done = unpack(io.BytesIO(archive), "zip", fd, b"t", expect=found.ware)
    os.close(fd)
    assert done.source == found
    assert ((tmp_path / "t/d/l").readlink(), (tmp_path / "t/d/z").read_bytes()) == (Path("../b"), large)
    assert stat.S_IMODE((tmp_path / "t/b").stat().st_mode) == 0o755


def test_at_rest_it_is_a_tarball_or_the_zip_itself() -> None:
    archive = make((member("p/a"), b"x"), (member("b"), b"y" * 3_000_000), (member("p/l", 0o120777), b"a"))
    found = scan(io.BytesIO(archive), "zip")
    sink = io.BytesIO()
    assert repack(io.BytesIO(archive), "zip", SCAN, sink).ware == found.ware
    assert sink.getvalue()[:4] == b"\x28\xb5\x2f\xfd"
    again = scan(io.BytesIO(sink.getvalue()), "zip")
    assert (again.ware, again.dual) == (found.ware, found.dual)
    lines = [*map(str, manifest(io.BytesIO(archive), "zip"))]
    assert lines == [*map(str, manifest(io.BytesIO(sink.getvalue()), "zip"))]
    for packed in (archive, sink.getvalue()):
        lazy = Lazy(io.BytesIO(packed), "zip")
        assert [entry.path for entry in lazy.entries()] == [b"", b"b", b"p", b"p/a", b"p/l"]
        assert b"".join(lazy.open(b"p/l")) == b"x"
        assert b"".join(lazy.open(b"b")) == b"y" * 3_000_000


def test_filters_as_for_tar() -> None:
    archive = make((member("a", 0o104755), b"x"))
    filters = OUTPUT.parse("setid=ignore")
    tree = Node("d", children={b"a": Node("f", 0o755, content=b"x")}, mode=0o755)
    assert scan(io.BytesIO(archive), "zip", filters).ware.hash == tree_hash(tree, "zip")
    with pytest.raises(WarpforgeError):
        scan(io.BytesIO(archive), "zip")


def test_a_stream_is_read_too() -> None:
    archive = make((member("a"), b"x"))
    reader, writer = os.pipe()
    os.write(writer, archive)
    os.close(writer)
    with open(reader, "rb") as stream:
        assert scan(stream, "zip") == scan(io.BytesIO(archive), "zip")
    reader, writer = os.pipe()
    os.write(writer, archive)
    os.close(writer)
    with open(reader, "rb") as stream, pytest.raises(WarpforgeError) as caught:
        scan(stream, "zip", limits=DEFAULT.allowing(20))
    assert caught.value.code == "warpforge-error-ware-limit"


DATE = (1980, 1, 1, 0, 0, 0)
TIMES = {
    "dos": (b"", (EPOCH, 0)),
    "extended": (struct.pack("<HHBI", 0x5455, 5, 1, 77), (77, 0)),
    "extended without mtime": (struct.pack("<HHBI", 0x5455, 5, 2, 77), (EPOCH, 0)),
    "extended, late": (struct.pack("<HHBI", 0x5455, 5, 1, 0xFFFFFFFF), (0xFFFFFFFF, 0)),
    "unix": (struct.pack("<HHII", 0x5855, 8, 1, 78), (78, 0)),
    "windows": (struct.pack("<HHIHHQQQ", 10, 32, 0, 1, 24, 116444736000000003, 0, 0), (0, 300)),
    "cut": (struct.pack("<HHB", 0x5455, 5, 1), (EPOCH, 0)),
}


@pytest.mark.parametrize("case", TIMES)
def test_times(case: str) -> None:
    extra, expected = TIMES[case]
    entry = only(make((member("a", extra=extra), b"x")))
    assert (entry.mtime, entry.mtime_ns) == expected


def test_a_date_that_is_none_carries_over_as_in_go() -> None:
    archive = make((member("a"), b"x"))
    at = archive.index(b"PK\1\2") + 12
    assert only(archive[:at] + bytes(4) + archive[at + 4 :]).mtime == 312768000  # 1979-11-30


def test_owners() -> None:
    newer, older = struct.pack("<HHBBIBI", 0x7875, 11, 1, 4, 5, 4, 6), struct.pack("<HHHH", 0x7855, 4, 7, 8)
    for extra, owner in (
        (b"", (1000, 1000)),
        (newer, (5, 6)),
        (older, (7, 8)),
        (newer + older, (5, 6)),
        (struct.pack("<HH", 0x7855, 0), (1000, 1000)),
    ):
        entry = only(make((member("a", extra=extra), b"x")))
        assert (entry.uid, entry.gid) == owner


def test_modes() -> None:
    for system, attributes, name, expected in (
        (3, 0o100640 << 16, "a", ("f", 0o640)),
        (19, 0o40700 << 16, "a", ("d", 0o700)),
        (3, 0o600 << 16, "a/", ("d", 0o600)),
        (0, 0x01, "a", ("f", 0o444)),
        (11, 0x10, "a/", ("d", 0o777)),
        (14, 0x20, "a", ("f", 0o666)),
        (7, 0o100640 << 16, "a", ("f", 0)),
    ):
        entry = only(make((member(name, create_system=system, external_attr=attributes), b"")))
        assert (entry.kind, entry.mode) == expected


def test_names_fold_and_are_raw_bytes() -> None:
    archive = make((member("./x//y/./zzzz"), b"x")).replace(b"zzzz", b"\xff\x1b\n\\")
    assert [line.entry.path for line in manifest(io.BytesIO(archive), "zip")][-1] == b"x/y/\xff\x1b\n\\"


FILE = member("a"), b"hello"
SOUND = make(FILE)
CENTRAL = SOUND.index(b"PK\1\2")
END = SOUND.index(b"PK\5\6")


def changed(at: int, data: bytes, archive: bytes = SOUND) -> bytes:
    return archive[:at] + data + archive[at + len(data) :]


REFUSED = {
    "up": (make((member("../evil"), b"x")), "ware-invalid", "path"),
    "absolute": (make((member("/abs"), b"x")), "ware-invalid", "path"),
    "up in the middle": (make((member("a/../b"), b"x")), "ware-invalid", "path"),
    "behind a symlink": (make((member("l", 0o120777), b".."), (member("l/evil"), b"x")), "ware-invalid", "link"),
    "below a file": (make(FILE, (member("a/b"), b"x")), "ware-invalid", "path"),
    "twice": (make((member("a"), b""), (member("./a"), b"")), "ware-invalid", "duplicate"),
    "file, then directory": (make(FILE, (member("a/", 0o40755), b"")), "ware-invalid", "duplicate"),
    "no name": (make((member("b"), b"")).replace(b"b", b"\0"), "ware-invalid", "name"),
    "a long name": (make((member("n" * 256), b"")), "ware-invalid", "name"),
    "a symlink to nothing": (make((member("l", 0o120777), b"")), "ware-invalid", "name"),
    "a symlink with a NUL": (make((member("l", 0o120777), b"a\0b")), "ware-invalid", "name"),
    "a long symlink": (make((member("l", 0o120777), b"x" * 5000)), "ware-invalid", "name"),
    "a symlink named as a directory": (make((member("l/", 0o120777), b"x")), "ware-invalid", "name"),
    "a device": (make((member("n", 0o20644), b"")), "ware-invalid", "type"),
    "a socket": (make((member("n", 0o140644), b"")), "ware-invalid", "type"),
    "setuid": (make((member("n", 0o104755), b"")), "ware-invalid", "metadata"),
    "a directory with a content": (make((member("d", 0o40755), b"x")), "ware-corrupt", ""),
    "encrypted": (changed(CENTRAL + 8, b"\1", changed(6, b"\1")), "ware-invalid", "type"),
    "encrypted, says one header": (changed(CENTRAL + 8, b"\1"), "ware-invalid", "type"),
    "encrypted, says the other": (changed(6, b"\1"), "ware-corrupt", ""),
    "an unknown method": (changed(CENTRAL + 10, b"\x63", changed(8, b"\x63")), "ware-invalid", "type"),
    "two names": (changed(30, b"b"), "ware-corrupt", ""),
    "two methods": (changed(8, b"\x08"), "ware-corrupt", ""),
    "a wrong checksum": (changed(CENTRAL + 16, b"\0"), "ware-corrupt", ""),
    "another content": (changed(31, b"j"), "ware-corrupt", ""),
    "longer than it says": (changed(CENTRAL + 24, b"\4"), "ware-corrupt", ""),
    "shorter than it says": (changed(CENTRAL + 24, b"\6"), "ware-corrupt", ""),
    "a member over the end": (changed(CENTRAL + 20, b"\xff"), "ware-corrupt", ""),
    "not at its place": (changed(CENTRAL + 42, b"\1"), "ware-corrupt", ""),
    "more records": (changed(END + 8, b"\2\0\2\0"), "ware-corrupt", ""),
    "fewer records": (changed(END + 8, b"\0\0\0\0"), "ware-corrupt", ""),
    "several volumes": (changed(END + 4, b"\1"), "ware-corrupt", ""),
    "something in front": (b"#!/bin/sh\n" + SOUND, "ware-corrupt", ""),
    "something behind": (SOUND + b"\0", "ware-corrupt", ""),
    "two ends": (make(FILE, comment=b"PK\5\6" + bytes(18)), "ware-corrupt", ""),
    "nothing": (make(), "ware-corrupt", ""),
    "no zip": (b"hello", "ware-corrupt", ""),
    "no byte": (b"", "ware-corrupt", ""),
    "an owner without numbers": (make((member("a", extra=b"\x75\x78\1\0\1"), b"")), "ware-corrupt", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path) -> None:
    archive, code, reason = REFUSED[case]
    assert refusal(archive, tmp_path) == (code, reason)


def test_a_comment_is_no_content() -> None:
    assert scan(io.BytesIO(make(FILE, comment=b"hello")), "zip").ware == scan(io.BytesIO(SOUND), "zip").ware


def test_what_follows_the_compressed_bytes(tmp_path: Path) -> None:
    deflated = make((member("a", method=zipfile.ZIP_DEFLATED), b"hello"))
    central = deflated.index(b"PK\1\2")
    packed = struct.unpack_from("<I", deflated, central + 20)[0]
    longer = changed(central + 20, struct.pack("<I", packed + 1), deflated)
    longer = longer[:central] + b"!" + longer[central:]
    at = longer.index(b"PK\5\6") + 16
    assert refusal(changed(at, struct.pack("<I", central + 1), longer), tmp_path) == ("ware-corrupt", "")


def test_members_that_share_bytes(tmp_path: Path) -> None:
    """The bomb of many names for one content."""
    shared = make((member("a"), b"x" * 5000))
    begin, end = shared.index(b"PK\1\2"), shared.index(b"PK\5\6")
    record = shared[begin:end]
    many = shared[:begin] + record * 2
    many += struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2, 2, len(record) * 2, begin, 0)
    assert refusal(many, tmp_path)[0] == "ware-corrupt"


def test_a_bomb(tmp_path: Path) -> None:
    bomb = make((member("a", method=zipfile.ZIP_DEFLATED), bytes(4 << 20)))
    assert refusal(bomb, tmp_path, DEFAULT.allowing(1 << 20)) == ("ware-limit", "bytes")
    said = changed(bomb.index(b"PK\1\2") + 24, struct.pack("<I", 0xF0000000), bomb)
    assert refusal(said, tmp_path) == ("ware-limit", "ratio")
    assert refusal(said, tmp_path, UNLIMITED) == ("ware-corrupt", "")
    many = make(*((member(f"{number}"), b"") for number in range(5)))
    assert refusal(many, tmp_path, Limits(entries=4)) == ("ware-limit", "entries")
    assert refusal(make((member("a/b/c"), b"")), tmp_path, Limits(depth=2)) == ("ware-limit", "depth")


def test_large_numbers() -> None:
    """Sizes in the ZIP64 extra, and both end records."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive, archive.open(member("a"), "w", force_zip64=True) as file:
        file.write(b"hello")
    assert only(sink.getvalue()).size == 5
    begin, end = CENTRAL, END
    extra = struct.pack("<HHQQQ", 1, 24, 5, 5, 0)
    record = changed(20, b"\xff" * 8, changed(42, b"\xff" * 4, SOUND[begin:end]))
    record = changed(30, struct.pack("<H", len(extra)), record)
    record += extra
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(record), begin)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, begin + len(record), 1)
    last = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    large = SOUND[:begin] + record + end64 + locator + last
    assert scan(io.BytesIO(large), "zip").ware == scan(io.BytesIO(SOUND), "zip").ware
    disagreeing = large[:-14] + struct.pack("<HHIIH", 1, 1, len(record) + 1, 0xFFFFFFFF, 0)
    with pytest.raises(WarpforgeError):
        scan(io.BytesIO(disagreeing), "zip")


def test_a_cut_or_a_flipped_bit_is_never_another_tree(tmp_path: Path) -> None:
    archive = make((member("a", method=zipfile.ZIP_DEFLATED), b"hello" * 9), (member("l", 0o120777), b"a"))
    found = scan(io.BytesIO(archive), "zip")
    for cut in range(len(archive)):
        with pytest.raises(WarpforgeError):
            scan(io.BytesIO(archive[:cut]), "zip")
    for at in range(len(archive)):
        flipped = changed(at, bytes((archive[at] ^ 1 << at % 8,)), archive)
        fd = open_dir(tmp_path)
        try:
            unpack(io.BytesIO(flipped), "zip", fd, b"t%d" % at, expect=found.ware)
        except WarpforgeError:
            assert not (tmp_path / f"t{at}").exists()
        finally:
            os.close(fd)


def test_hashing_is_that_of_tar() -> None:
    lone = [(only(SOUND), io.BytesIO(b"hello"))]
    lone[0][0].path = b""
    assert pack(lone, "zip").ware.hash == pack([(lone[0][0], io.BytesIO(b"hello"))], "tar").ware.hash
