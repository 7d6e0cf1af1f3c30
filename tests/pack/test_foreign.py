"""Foreign tars, forged: what is read, and what is refused with which words.

Where each hostile case is tested (in this file unless said):

T01 T02 T03  "up...", "absolute", NOT_CANONICAL, spellings fold      T04  links are data
T05 T06      "behind a symlink", "behind a chain"                     T08 T09  "hardlink ..."
T11          repetitions, the last of a repeated directory wins       T12  "below a file", "below a root that is a file"
T13          NOT_CANONICAL, any order and missing parents             T14  devices, fifos; in outputs: tests/sandbox/
T16          "setuid", "setgid"; by every filter: test_filters.py     T17  xattrs are hashed, never applied
T18          test_tarball.py: closed directories with children        T19 T20  owners, times
T21 T22      names                                                    T23  the longest name and path; test_tarball.py
T24          names are bytes; where case is folded                    T25  tests/e2e/test_max_unpacked.py
T26 T28      test_corrupt.py                                          T29  "sparse"
T31          ten thousand hardlinks; a million entries: tests/e2e/test_max_unpacked.py
T32          tests/contracts/test_packers.py                          T33  an unreadable directory is never left out
All of it at once, at random: tests/fuzz/.
"""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import forge
from support.forge import ROOT, directory, gnu, hardlink, member, pax, symlink, tar
from support.people import list_people
from support.reachable import reachable
from support.reference import Node, tree_hash
from support.trees import open_dir

from warpforge.errors import WarpforgeError
from warpforge.fsx.tree import walk
from warpforge.pack import collect
from warpforge.pack.filters import SCAN
from warpforge.pack.limits import DEFAULT, UNLIMITED, Limits
from warpforge.pack.packer import manifest, pack, scan, unpack

FILE = member(b"a", b"hello")
LONG = b"d/" + b"n" * 150


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    fd = open_dir(tmp_path)
    yield fd
    os.close(fd)


def refusal(archive: bytes, packtype: str = "tar", limits: Limits = DEFAULT) -> tuple[str, str]:
    """The code and reason with which an archive is refused, the same for scan and unpack; nothing is left of it."""
    with pytest.raises(WarpforgeError) as caught:
        scan(io.BytesIO(archive), packtype, limits=limits)
    first = caught.value.code.removeprefix("warpforge-error-"), caught.value.reason
    assert str(caught.value).isprintable()
    with tempfile.TemporaryDirectory() as base:
        canary = Path(base, "canary")
        canary.write_bytes(b"still here")
        os.mkdir(f"{base}/in")
        fd = open_dir(f"{base}/in")
        with pytest.raises(WarpforgeError) as caught:
            unpack(io.BytesIO(archive), packtype, fd, b"t", filters=SCAN, limits=limits)
        os.close(fd)
        assert os.listdir(f"{base}/in") == []
        assert sorted(os.listdir(base)) == ["canary", "in"]
        assert canary.read_bytes() == b"still here"
    assert (caught.value.code.removeprefix("warpforge-error-"), caught.value.reason) == first
    return first


def paths(archive: bytes, packtype: str = "tar") -> list[bytes]:
    return [line.entry.path for line in manifest(io.BytesIO(archive), packtype)]


def only(archive: bytes) -> str:
    return scan(io.BytesIO(archive), "tar").ware.hash


REFUSED = {
    # where a member may be
    "up": (tar(ROOT, member(b"../evil", b"x")), "path"),
    "absolute": (tar(ROOT, member(b"/abs", b"x")), "path"),
    "up in the middle": (tar(ROOT, member(b"a/../b", b"x")), "path"),
    "up at the end": (tar(ROOT, directory(b"a/..")), "path"),
    "up by pax": (tar(ROOT, pax({b"path": b"../evil"}), FILE), "path"),
    "up by a long name": (tar(ROOT, gnu(b"L", b"x/../../evil"), FILE), "path"),
    "up by prefix": (tar(ROOT, member(b"evil", b"x", prefix=b"..")), "path"),
    "below a file": (tar(ROOT, FILE, member(b"a/b", b"x")), "path"),
    "below a root that is a file": (tar(member(b".", b"x"), member(b"a", b"y")), "path"),
    "far below a file": (tar(ROOT, FILE, member(b"a/b/c/d", b"x")), "path"),
    # links
    "behind a symlink": (tar(ROOT, symlink(b"l", b".."), member(b"l/evil", b"x")), "link"),
    "behind a chain": (
        tar(ROOT, symlink(b"a", b"."), symlink(b"a/b", b".."), member(b"a/b/evil", b"x")),
        "link",
    ),
    "directory behind a symlink": (tar(ROOT, symlink(b"l", b"/tmp"), directory(b"l/evil/")), "link"),
    "hardlink up": (tar(ROOT, hardlink(b"h", b"../secret")), "link"),
    "hardlink absolute": (tar(ROOT, hardlink(b"h", b"/etc/passwd")), "link"),
    "hardlink to a symlink": (tar(ROOT, symlink(b"s", b"/etc/passwd"), hardlink(b"h", b"s")), "link"),
    "hardlink to itself": (tar(ROOT, hardlink(b"h", b"h")), "link"),
    "hardlink to a directory": (tar(ROOT, directory(b"d/"), hardlink(b"h", b"d")), "link"),
    "hardlink before its target": (tar(ROOT, hardlink(b"h", b"a"), FILE), "link"),
    "hardlink to nothing": (tar(ROOT, hardlink(b"h", b"nothing")), "link"),
    # repetitions
    "file twice": (tar(ROOT, FILE, FILE), "duplicate"),
    "file twice, spelled differently": (tar(ROOT, FILE, member(b"./a", b"hello")), "duplicate"),
    "file twice, other bytes": (tar(ROOT, FILE, member(b"a", b"other")), "duplicate"),
    "link twice": (tar(ROOT, symlink(b"l", b"a"), symlink(b"l", b"a")), "duplicate"),
    "file, then directory": (tar(ROOT, FILE, directory(b"a/")), "duplicate"),
    "directory, then symlink": (tar(ROOT, directory(b"a/"), symlink(b"a", b"..")), "duplicate"),
    "directory, then file": (tar(ROOT, directory(b"a/"), FILE), "duplicate"),
    "inferred directory, then symlink": (tar(ROOT, member(b"a/b", b"x"), symlink(b"a", b"..")), "duplicate"),
    "the root twice, as a file": (tar(ROOT, member(b".", b"x")), "duplicate"),
    # types
    "character device": (tar(ROOT, member(b"c", b"", b"3", device=(1, 3))), "type"),
    "block device": (tar(ROOT, member(b"c", b"", b"4", device=(8, 0))), "type"),
    "gnu sparse": (tar(ROOT, member(b"s", b"x" * 512, b"S")), "type"),
    "pax sparse 0.1": (tar(ROOT, pax({b"GNU.sparse.map": b"0,1"}), FILE), "type"),
    "pax sparse name": (tar(ROOT, pax({b"GNU.sparse.name": b"../x", b"GNU.sparse.major": b"1"}), FILE), "type"),
    "pax sparse size": (tar(ROOT, pax({b"GNU.sparse.realsize": b"-1"}), FILE), "type"),
    "multi-volume": (tar(ROOT, member(b"m", b"", b"M")), "type"),
    "volume label": (tar(member(b"label", b"", b"V"), ROOT), "type"),
    "the root as a symlink": (tar(symlink(b".", b"/")), "type"),
    # owners, times, modes
    "uid negative": (tar(ROOT, member(b"a", b"x", uid=forge.base256(-1, 8))), "metadata"),
    "gid above": (tar(ROOT, member(b"a", b"x", gid=forge.base256(1 << 32, 8))), "metadata"),
    "uid by pax": (tar(ROOT, pax({b"uid": b"4294967296"}), FILE), "metadata"),
    "uid no number": (tar(ROOT, pax({b"uid": b"root"}), FILE), "metadata"),
    "mtime nan": (tar(ROOT, pax({b"mtime": b"nan"}), FILE), "metadata"),
    "mtime inf": (tar(ROOT, pax({b"mtime": b"inf"}), FILE), "metadata"),
    "mtime 1e20": (tar(ROOT, pax({b"mtime": b"1e20"}), FILE), "metadata"),
    "mtime 2^40": (tar(ROOT, pax({b"mtime": b"1099511627776"}), FILE), "metadata"),
    "mtime 2^40 in binary": (tar(ROOT, member(b"a", b"x", mtime=forge.base256(1 << 40, 12))), "metadata"),
    "negative size": (tar(ROOT, member(b"a", b"", size=forge.base256(-512, 12))), "metadata"),
    "negative size by pax": (tar(ROOT, pax({b"size": b"-1"}), member(b"a")), "metadata"),
    "setuid": (tar(ROOT, member(b"a", b"x", mode=0o4755)), "metadata"),
    "setgid": (tar(ROOT, directory(b"a/", mode=0o2755)), "metadata"),
    # names
    "nul in a pax path": (tar(ROOT, pax({b"path": b"a\0b"}), FILE), "name"),
    "nul in a pax link": (tar(ROOT, pax({b"linkpath": b"a\0b"}), symlink(b"l", b"x")), "name"),
    "no name": (tar(ROOT, member(b"", b"x")), "name"),
    "no link": (tar(ROOT, symlink(b"l", b"")), "name"),
    "no path by pax": (tar(ROOT, pax({b"path": b""}), FILE), "name"),
    "component too long": (tar(ROOT, pax({b"path": b"n" * 256}), FILE), "name"),
    "a file spelled as a directory": (tar(ROOT, member(b"a/", b"x")), "name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    archive, reason = REFUSED[case]
    assert refusal(archive) == ("ware-invalid", reason)


CORRUPT = {
    "empty": b"",
    "only an end": tar(),
    "no end": tar(ROOT, FILE, end=b""),
    "a second tar behind the end": tar(ROOT, FILE) + tar(ROOT, member(b"evil")),
    "garbage behind the end": tar(ROOT, FILE) + b"x",
    "garbage right behind one zero block": tar(ROOT, FILE, end=bytes(512) + b"\1" * 512),
    "checksum": tar(ROOT, member(b"a", b"x", checksum=b"000000\0 ")),
    "checksum off by one": tar(ROOT, FILE).replace(b"ustar", b"vstar", 1),
    "checksum no number": tar(ROOT, member(b"a", b"x", checksum=b"zzzzzz\0 ")),
    "padding": tar(ROOT, forge.header(b"a", size=5) + forge.padded(b"hello", b"!")),
    "size no number": tar(ROOT, member(b"a", b"", size=b"0000000008x")),
    "size with an underscore": tar(ROOT, member(b"a", b"x", size=b"0000000_001")),
    "more than there is": tar(ROOT, member(b"a", b"x", size=1 << 20)),
    "pax without length": tar(ROOT, member(b"p", b"path=x\n", b"x"), FILE),
    "pax with a wrong length": tar(ROOT, member(b"p", b"99 path=x\n", b"x"), FILE),
    "pax with a short length": tar(ROOT, member(b"p", b"3 path=x\n", b"x"), FILE),
    "pax without newline": tar(ROOT, member(b"p", b"9 path=xx", b"x"), FILE),
    "pax for nobody": tar(ROOT, FILE, pax({b"path": b"x"})),
    "text": b"<html>please log in</html>" * 50,
}


@pytest.mark.parametrize("case", CORRUPT)
def test_corrupt(case: str) -> None:
    assert refusal(CORRUPT[case]) == ("ware-corrupt", "")


LIMITED = {
    "path": (tar(ROOT, pax({b"path": b"d/" * 2048 + b"x"}), FILE), "depth"),
    "depth": (tar(ROOT, pax({b"path": b"d/" * 1100 + b"x"}), FILE), "depth"),
    "pax header": (tar(ROOT, pax({b"comment": b"x" * (1 << 20)}), FILE), "header"),
    "pax headers": (tar(ROOT, *(pax({b"comment": b"x"}) for _ in range(17)), FILE), "header"),
    "a size beyond all": (tar(ROOT, member(b"a", b"", size=forge.base256(1 << 50, 12))), "bytes"),
    "a name beyond all": (tar(ROOT, member(b"L", b"", b"L", size=forge.base256(1 << 40, 12)), FILE), "header"),
}


@pytest.mark.parametrize("case", LIMITED)
def test_limited(case: str) -> None:
    archive, reason = LIMITED[case]
    assert refusal(archive) == ("ware-limit", reason)


def test_entries_are_limited() -> None:
    archive = tar(ROOT, *(member(b"%d" % number) for number in range(20)))
    assert refusal(archive, limits=DEFAULT._replace(entries=20)) == ("ware-limit", "entries")
    assert len(paths(archive)) == 21


# what is read


def test_spellings_fold() -> None:
    wanted = only(tar(ROOT, directory(b"d/"), member(b"d/a", b"x")))
    assert wanted == only(tar(directory(b"."), directory(b"./d"), member(b"./d/a", b"x")))
    assert wanted == only(tar(ROOT, directory(b"d//"), member(b".//d/./a", b"x")))


def test_any_order_and_missing_parents() -> None:
    assert paths(tar(member(b"z/y/x", b"1"), member(b"a", b"2"))) == [b"", b"a", b"z", b"z/y", b"z/y/x"]
    parts = [ROOT, directory(b"z/", mtime=5), directory(b"z/y/", mtime=6), member(b"z/y/x", b"1"), FILE]
    wanted = only(tar(*parts))
    for shift in range(len(parts)):
        turned = parts[shift:] + parts[:shift]
        assert only(tar(*turned)) == only(tar(*reversed(turned))) == wanted


def test_the_last_of_a_repeated_directory_wins(place: int, tmp_path: Path) -> None:
    archive = tar(ROOT, directory(b"d/", mode=0o700), member(b"d/a", b"x"), directory(b"d/", mode=0o711, mtime=9))
    unpack(io.BytesIO(archive), "tar", place, b"t")
    status = (tmp_path / "t/d").stat()
    assert (status.st_mode & 0o7777, status.st_mtime) == (0o711, 9)
    assert only(archive) == only(tar(ROOT, directory(b"d/", mode=0o711, mtime=9), member(b"d/a", b"x")))


def test_v7_and_its_directories() -> None:
    old = {"magic": b""}
    archive = tar(
        directory(b"./", **old), member(b"d/", b"", b"\0", mode=0o755, **old), member(b"d/a", b"x", b"\0", **old)
    )
    assert only(archive) == only(tar(ROOT, directory(b"d/"), member(b"d/a", b"x")))


def test_signed_checksums() -> None:
    assert only(tar(ROOT, member(b"\xff\xfe", b"x", signed=True))) == only(tar(ROOT, member(b"\xff\xfe", b"x")))


def test_long_names_in_every_spelling() -> None:
    wanted = only(tar(ROOT, directory(b"d/"), pax({b"path": LONG}), member(b"short", b"x")))
    assert wanted == only(tar(ROOT, directory(b"d/"), gnu(b"L", LONG), member(b"short", b"x")))
    nested = b"e" * 90 + b"/" + b"f" * 90
    by_prefix = only(tar(ROOT, member(b"f" * 90, b"x", prefix=b"e" * 90)))
    assert by_prefix == only(tar(ROOT, pax({b"path": nested}), member(b"a", b"x")))


def test_long_links(place: int, tmp_path: Path) -> None:
    target = b"../" * 40 + b"x"
    for front in (pax({b"linkpath": target}), gnu(b"K", target)):
        [line] = [
            x for x in manifest(io.BytesIO(tar(ROOT, front, symlink(b"l", b"short"))), "tar") if x.entry.kind == "L"
        ]
        assert line.entry.link == target


def test_numbers_in_every_spelling() -> None:
    wanted = only(tar(ROOT, member(b"a", b"x", uid=1000, mtime=77)))
    assert wanted == only(tar(ROOT, member(b"a", b"x", uid=forge.base256(1000, 8), mtime=forge.base256(77, 12))))
    assert wanted == only(tar(ROOT, pax({b"uid": b"1000", b"mtime": b"77"}), member(b"a", b"x")))
    assert wanted == only(tar(ROOT, member(b"a", b"x", uid=b"  1750 \0", mtime=b"        115 ")))
    negative = Node("d", 0o755, children={b"a": Node("f", content=b"x", mtime=-2, mtime_ns=500_000_000)})
    assert only(tar(ROOT, pax({b"mtime": b"-1.5"}), member(b"a", b"x"))) == tree_hash(negative, "tar")


def test_global_headers_are_skipped() -> None:
    assert only(tar(pax({b"path": b"evil", b"uid": b"7"}, b"g"), ROOT, FILE)) == only(tar(ROOT, FILE))


def test_xattrs_are_hashed_never_applied(place: int, tmp_path: Path) -> None:
    front = pax({b"SCHILY.xattr.security.capability": b"\1\0\0\2", b"SCHILY.xattr.user.a": b"b"})
    archive = tar(ROOT, front, FILE)
    found = unpack(io.BytesIO(archive), "tar", place, b"t")
    plain = scan(io.BytesIO(tar(ROOT, FILE)), "tar")
    assert found.source.ware != plain.ware
    assert os.listxattr(tmp_path / "t/a") == []


def test_links_are_data(place: int, tmp_path: Path) -> None:
    archive = tar(ROOT, symlink(b"abs", b"/etc/shadow"), symlink(b"up", b"../../x"), member(b"b", b"x"))
    unpack(io.BytesIO(archive), "tar", place, b"t")
    assert os.readlink(tmp_path / "t/abs") == "/etc/shadow"
    assert os.readlink(tmp_path / "t/up") == "../../x"


def test_fifos_are_accepted(place: int, tmp_path: Path) -> None:
    unpack(io.BytesIO(tar(ROOT, member(b"p", b"", b"6", mode=0o600))), "tar", place, b"t")
    assert (tmp_path / "t/p").is_fifo()


def test_devices_are_never_created(place: int, tmp_path: Path) -> None:
    archive = tar(ROOT, member(b"c", b"", b"3", device=(1, 3)))
    with pytest.raises(WarpforgeError) as caught:
        unpack(io.BytesIO(archive), "tar", place, b"t", filters=SCAN.parse("dev=keep"))
    assert caught.value.reason == "type"
    assert os.listdir(tmp_path) == []
    unpack(io.BytesIO(archive), "tar", place, b"t", filters=SCAN.parse("dev=ignore"))
    assert os.listdir(tmp_path / "t") == []


def test_hardlinks_become_copies(place: int, tmp_path: Path) -> None:
    big = os.urandom(3 << 20)
    links = [hardlink(b"h%d" % number, b"d/a") for number in range(50)]
    archive = tar(ROOT, member(b"d/a", big, mode=0o000), *links, hardlink(b"i", b"h1"))
    found = unpack(io.BytesIO(archive), "tar", place, b"t")
    assert found.source == scan(io.BytesIO(archive), "tar")
    assert found.source.unpacked_bytes == 52 * len(big)
    for name in ("h0", "h49", "i"):
        assert (tmp_path / "t" / name).read_bytes() == big
    assert (tmp_path / "t/d/a").stat().st_mode & 0o7777 == 0


def test_names_are_bytes(place: int, tmp_path: Path) -> None:
    names = [
        b"new\nline",
        b"\xff\xfe\n",
        b"\x1b[31mred",
        "\u202eright".encode(),
        "é".encode(),
        "e\u0301".encode(),
        b"E",
        b"e",
    ]
    archive = tar(ROOT, *(member(name, name) for name in names))
    unpack(io.BytesIO(archive), "tar", place, b"t")
    assert sorted(os.listdir(os.fsencode(tmp_path) + b"/t")) == sorted(names)
    assert all(str(line).isprintable() for line in manifest(io.BytesIO(archive), "tar"))


def test_many_members_spill_to_a_file(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = list(range(500))
    files = [member(b"d%d/f%d" % (number % 7, number), b"%d" % number) for number in numbers]
    links = [hardlink(b"l%d" % number, b"d%d/f%d" % (number % 7, number)) for number in numbers[::10]]
    archive = tar(ROOT, *reversed(files), *links, directory(b"d3/", mtime=4))
    wanted = scan(io.BytesIO(archive), "tar")
    monkeypatch.setattr(collect.Collected.__init__, "__defaults__", (32,))
    assert scan(io.BytesIO(archive), "tar") == wanted
    assert unpack(io.BytesIO(archive), "tar", place, b"t", filters=SCAN).source == wanted
    for case in ("file twice", "behind a symlink", "below a file", "hardlink to a symlink"):
        body, reason = REFUSED[case]
        assert refusal(tar(*(member(b"n%d" % n) for n in range(100))).removesuffix(bytes(1024)) + body)[1] == reason


def test_t23_the_longest_name_and_path(place: int, tmp_path: Path) -> None:
    name = b"n" * 255
    path = b"/".join([b"d" * 200] * 20 + [b"x" * 75])  # 4095 bytes
    archive = tar(ROOT, pax({b"path": name}), FILE, pax({b"path": path}), FILE)
    unpack(io.BytesIO(archive), "tar", place, b"t")
    assert name in os.listdir(os.fsencode(tmp_path) + b"/t")
    assert refusal(tar(ROOT, pax({b"path": b"n" * 256}), FILE)) == ("ware-invalid", "name")
    assert refusal(tar(ROOT, pax({b"path": path + b"yy"}), FILE)) == ("ware-limit", "depth")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_t24_names_that_are_one_where_case_is_folded(tmp_path: Path) -> None:
    """Both are kept where the file system keeps both; else they are a duplicate, and nothing is left."""
    image, disk = tmp_path / "image", tmp_path / "disk"
    disk.mkdir()
    script = (
        'truncate -s 16M "$0" && mkfs.ext4 -q -F -O casefold "$0" && mount -o loop "$0" "$1" && '
        'mkdir "$1/folded" && chattr +F "$1/folded"'
    )
    done = subprocess.run(["sh", "-c", script, image, disk], capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            pytest.skip(f"no file system here folds case: {done.stderr.strip()}")
        fd = open_dir(disk / "folded")
        for one, other in ((b"Name", b"name"), ("\u00e9".encode(), "e\u0301".encode())):
            with pytest.raises(WarpforgeError) as caught:
                unpack(io.BytesIO(tar(ROOT, member(one, b"1"), member(other, b"2"))), "tar", fd, b"t")
            assert (caught.value.code, caught.value.reason) == ("warpforge-error-ware-invalid", "duplicate")
            assert os.listdir(disk / "folded") == []
        os.close(fd)
    finally:
        subprocess.run(["umount", disk], capture_output=True, check=False)


def test_t31_ten_thousand_hardlinks_to_one_file(place: int, tmp_path: Path) -> None:
    archive = tar(ROOT, FILE, *(hardlink(b"h%d" % number, b"a") for number in range(10_000)))
    found = unpack(io.BytesIO(archive), "tar", place, b"t")
    assert found.source == scan(io.BytesIO(archive), "tar")
    assert found.source.entries == 10_002
    assert {(tmp_path / f"t/h{number}").stat().st_nlink for number in (0, 5000, 9999)} == {1}
    assert (tmp_path / "t/h9999").read_bytes() == b"hello"


def pack_directory(path: str) -> tuple[str, str]:
    fd = open_dir(path)
    try:
        pack(walk(fd), "ztar", sink=io.BytesIO())
    except WarpforgeError as error:
        return error.code, error.reason
    finally:
        os.close(fd)
    return "", ""


@pytest.mark.parametrize("name", [name for name in list_people() if name != "root"])
def test_t33_an_unreadable_directory_is_never_left_out(name: str) -> None:
    with reachable(name) as (person, own):
        (own / "tree/open/closed").mkdir(parents=True)
        (own / "tree/open/closed").chmod(0)
        for path in (own / "tree", own / "tree/open", own / "tree/open/closed"):
            os.chown(path, person.uid, -1)
        assert person.call(pack_directory, str(own / "tree")) == ("warpforge-error-store", "io")


# ztar has one form only

NOT_CANONICAL = {
    "dot slash": tar(ROOT, member(b"./a", b"x")),
    "root without slash": tar(directory(b"."), FILE),
    "directory without slash": tar(ROOT, directory(b"d")),
    "double slash": tar(ROOT, directory(b"d/"), member(b"d//a", b"x")),
    "out of order": tar(ROOT, member(b"b"), member(b"a")),
    "children after a sibling": tar(ROOT, directory(b"a/"), member(b"b"), member(b"a/x")),
    "file order, not tree order": tar(ROOT, directory(b"a/"), member(b"a-b")),
    "missing parent": tar(ROOT, member(b"d/a", b"x")),
    "missing root": tar(FILE),
    "hardlink": tar(ROOT, FILE, hardlink(b"h", b"a")),
    "global header": tar(pax({b"a": b"b"}, b"g"), ROOT),
    "gnu long name": tar(ROOT, gnu(b"L", b"n" * 150), FILE),
    "a root that is a file, with children": tar(member(b".", b"x"), FILE),
    "a child of a file": tar(ROOT, FILE, member(b"a/b", b"x")),
}


@pytest.mark.parametrize("case", NOT_CANONICAL)
def test_a_ztar_has_one_form(case: str) -> None:
    assert refusal(NOT_CANONICAL[case], "ztar") == ("ware-corrupt", "")


@pytest.mark.parametrize(
    "archive",
    [
        tar(ROOT, FILE, FILE),
        tar(ROOT, FILE, directory(b"a/")),
        tar(ROOT, FILE, member(b"a-b"), directory(b"a/")),
        tar(ROOT, symlink(b"a", b"b"), member(b"a-b"), directory(b"a/"), member(b"a/b")),
        tar(ROOT, ROOT),
    ],
)
def test_a_ztar_repeats_nothing(archive: bytes) -> None:
    assert refusal(archive, "ztar") == ("ware-invalid", "duplicate")


def test_a_plain_ztar_in_canonical_form_is_read() -> None:
    tree = Node("d", 0o755, children={b"a": Node("f", content=b"hello")})
    assert scan(io.BytesIO(tar(ROOT, FILE)), "ztar").ware.hash == tree_hash(tree, "ztar")


def test_a_deep_archive_needs_to_be_verified(place: int) -> None:
    deep = [b"d/" * depth for depth in range(1, 1500)]
    archive = tar(ROOT, *(part for path in deep for part in (pax({b"path": path}), directory(b"d/"))))
    assert refusal(archive, "ztar") == ("ware-limit", "depth")
    found = unpack(io.BytesIO(archive), "ztar", place, b"t", limits=UNLIMITED)
    assert found.source.entries == 1500
