"""One file of a ware is read without the rest: counted in frames; and nothing is ever read that is not there."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import zstandard
from support.forge import directory, member, tar
from support.trees import list_entries, random_tree

from warpforge.errors import Invalid, Missing, WarpforgeError
from warpforge.fsx.tree import Entry
from warpforge.pack.filters import SCAN
from warpforge.pack.lazy import Lazy
from warpforge.pack.packer import manifest, pack
from warpforge.pack.table import FRAME, make_table, read_table

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content

MIB = 1 << 20


def packed(entries: list[tuple[Entry, Content | None]], packtype: str = "ztar") -> io.BytesIO:
    sink = io.BytesIO()
    pack(entries, packtype, SCAN, sink)
    return sink


def file(path: bytes, content: bytes) -> tuple[Entry, Content]:
    return Entry(path, "f", 0o644, size=len(content)), io.BytesIO(content)


def folder(path: bytes) -> tuple[Entry, None]:
    return Entry(path, "d", 0o755), None


def link(path: bytes, target: bytes) -> tuple[Entry, None]:
    return Entry(path, "L", 0o777, link=target), None


def read(lazy: Lazy, path: bytes) -> bytes:
    return b"".join(lazy.open(path))


def large_ware() -> tuple[io.BytesIO, dict[bytes, bytes]]:
    rng = random.Random(5)
    contents = {b"large%d" % number: rng.randbytes(MIB) * 20 + b"%d" % number for number in range(4)}
    contents |= {b"a-small": b"small", b"z-small": b"last"}
    return packed([folder(b""), *(file(path, contents[path]) for path in sorted(contents))]), contents


def test_only_the_needed_frames_are_decoded() -> None:
    ware, contents = large_ware()
    total = Lazy(ware, "ztar").frames
    assert total >= 4 * 20 * MIB // FRAME
    for path, content in contents.items():
        lazy = Lazy(ware, "ztar")
        assert read(lazy, path) == content
        # small frames around each large content, and those of its own content
        assert lazy.decoded <= 9 + len(content) // FRAME, path
    lazy = Lazy(ware, "ztar")
    assert [entry.path for entry in lazy.entries()] == [b"", *sorted(contents)]
    assert lazy.decoded <= 9, "names need no contents"
    assert lazy.frames == total


def test_the_walk_ends_where_the_path_cannot_come_any_more() -> None:
    rng = random.Random(1)
    files = [file(b"d%03d" % number, rng.randbytes(200_000)) for number in range(200)]
    ware = packed([folder(b""), *files])
    first, last = Lazy(ware, "ztar"), Lazy(ware, "ztar")
    assert read(first, b"d001") and first.decoded == 1
    with pytest.raises(Missing):
        read(last, b"d001x")
    assert last.decoded == 1 and last.frames > 8


def test_every_file_of_random_trees() -> None:
    rng = random.Random(11)
    for _ in range(40):
        tree = random_tree(rng)
        for packtype in ("ztar", "tar"):
            ware = packed(list_entries(tree), packtype)
            lines = list(manifest(io.BytesIO(ware.getvalue()), packtype))
            lazy = Lazy(ware, packtype)
            assert list(lazy.entries()) == [line.entry for line in lines]
            everything = {e.path: c.read(1 << 30) for e, c in list_entries(tree) if c is not None}
            for path, content in everything.items():
                if b"\\" not in path:
                    assert read(lazy, path) == content
            assert dict(lazy.contents(everything, 1 << 20)) == everything


def test_below_a_directory() -> None:
    ware = packed([folder(b""), file(b"a", b""), file(b"b-c", b""), folder(b"b"), folder(b"c")])
    lazy = Lazy(ware, "ztar")
    assert [entry.path for entry in lazy.entries(b"/b/")] == [b"b"]
    assert [entry.path for entry in lazy.entries(b"./a")] == [b"a"]
    with pytest.raises(Missing):
        list(lazy.entries(b"b/x"))


def test_symlinks_are_followed_inside_the_ware_only() -> None:
    ware = packed(
        [
            folder(b""),
            folder(b"bin"),
            file(b"bin/busybox", b"box"),
            link(b"bin/sh", b"busybox"),
            link(b"etc", b"../../bin/../usr/etc"),
            link(b"loop", b"loop"),
            link(b"out", b"/../../etc/passwd"),
            folder(b"usr"),
            link(b"usr/bin", b"/bin"),
            folder(b"usr/etc"),
            file(b"usr/etc/passwd", b"root"),
        ]
    )
    lazy = Lazy(ware, "ztar")
    assert read(lazy, b"bin/sh") == read(lazy, b"/usr/bin/sh") == b"box"
    assert read(lazy, b"etc/passwd") == read(lazy, b"out") == b"root"
    assert [entry.path for entry in lazy.entries(b"usr/bin/busybox")] == [b"bin/busybox"]
    assert [entry.kind for entry in lazy.entries(b"bin/sh")] == ["L"]
    with pytest.raises(Invalid, match="too many symlinks"):
        read(lazy, b"loop")


@pytest.mark.parametrize("path", [b"bin", b"", b"."])
def test_a_directory_has_no_content(path: bytes) -> None:
    ware = packed([folder(b""), folder(b"bin"), file(b"bin/a", b"a")])
    with pytest.raises(Invalid, match="is a directory"):
        read(Lazy(ware, "ztar"), path)


def test_a_single_file() -> None:
    ware = packed([file(b"", b"alone")])
    assert read(Lazy(ware, "ztar"), b".") == b"alone"
    with pytest.raises(Missing):
        read(Lazy(ware, "ztar"), b"x")
    with pytest.raises(Invalid):
        read(Lazy(ware, "ztar"), b"../x")


def foreign(form: str) -> io.BytesIO:
    """A tar as others make it: any order, no root, a hardlink; compressed in one frame or with gzip."""
    sink = io.BytesIO()
    mode = "w:gz" if form == "gzip" else "w"
    with tarfile.open(fileobj=sink, mode=mode, format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name, content in (("z/late", b"late" * 1000), ("a/" + "long" * 40, b"long name")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        hard = tarfile.TarInfo("hard")
        hard.type, hard.linkname = tarfile.LNKTYPE, "z/late"
        archive.addfile(hard)
    data = sink.getvalue()
    return io.BytesIO(zstandard.compress(data) if form == "zstd" else data)


@pytest.mark.parametrize("form", ["plain", "gzip", "zstd"])
def test_a_foreign_archive_has_no_table(form: str) -> None:
    lazy = Lazy(foreign(form), "tar")
    assert lazy.frames == 0
    assert read(lazy, b"z/late") == read(lazy, b"hard") == b"late" * 1000
    assert read(lazy, b"a/" + b"long" * 40) == b"long name"
    assert dict(lazy.contents([b"hard", b"z/late"], MIB)) == {b"hard": b"late" * 1000, b"z/late": b"late" * 1000}
    paths = [entry.path for entry in lazy.entries()]
    assert paths == [b"", b"a", b"a/" + b"long" * 40, b"hard", b"z", b"z/late"]
    assert [entry.size for entry in lazy.entries(b"hard")] == [4000]
    with pytest.raises(Invalid, match="is a directory"):
        read(lazy, b"z")


def test_a_content_that_looks_like_a_header_is_none() -> None:
    forged = tar(member(b"evil", b"forged"))
    ware = packed([folder(b""), file(b"a", forged), file(b"big", forged * (5 * MIB // len(forged)))])
    lazy = Lazy(ware, "ztar")
    assert [entry.path for entry in lazy.entries()] == [b"", b"a", b"big"]
    with pytest.raises(Missing):
        read(lazy, b"evil")


def flips(data: bytes) -> Iterator[bytes]:
    rng = random.Random(3)
    for _ in range(60):
        at = rng.randrange(len(data))
        yield data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def test_damage_never_gives_other_bytes() -> None:
    rng = random.Random(9)
    contents = {b"f%02d" % number: rng.randbytes(3000) for number in range(40)}
    ware = packed([folder(b""), *(file(path, content) for path, content in contents.items())]).getvalue()
    for damaged in [*flips(ware), ware[:-1], ware[:100], ware[: len(ware) // 2], ware + b"x", b""]:
        lazy = Lazy(io.BytesIO(damaged), "ztar")
        for path in (b"f00", b"f39"):
            try:
                assert read(lazy, path) == contents[path]
            except WarpforgeError as error:
                assert error.code.removeprefix("warpforge-error-") in ("ware-corrupt", "ware-limit", "ware-invalid")


def test_a_lying_table_is_refused() -> None:
    content = zstandard.compress(bytes(10_000))
    huge = b"\x28\xb5\x2f\xfd" + b"\xe0" + (1 << 50).to_bytes(8, "little") + b"\x01\x00\x00"
    for frame, unpacked in ((content, 9_999), (content, 10_001), (huge, 1000), (content[:-1], 10_000)):
        source = io.BytesIO(frame + make_table([(len(frame), unpacked)]))
        assert read_table(source) is not None
        with pytest.raises(WarpforgeError) as caught:
            read(Lazy(source, "ztar"), b"x")
        assert caught.value.code == "warpforge-error-ware-corrupt"


def test_a_directory_named_twice() -> None:
    twice = tar(directory(b"d"), member(b"d/f", b"x"), directory(b"d"))
    lazy = Lazy(io.BytesIO(twice), "tar")
    assert [entry.path for entry in lazy.entries()] == [b"", b"d", b"d/f"]


def test_c09_a_damaged_ware_is_never_read_wrongly() -> None:
    """A bit anywhere, or a cut: one of the refusals, or what was packed."""
    rng = random.Random(9)
    contents = {b"big": rng.randbytes(9 * MIB), **{b"f%02d" % number: rng.randbytes(3000) for number in range(30)}}
    data = packed([folder(b""), *(file(path, contents[path]) for path in contents)]).getvalue()
    wanted = [entry.path for entry in Lazy(io.BytesIO(data), "ztar").entries()]
    refused = 0
    for number in range(80):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        if number < 40:  # most of the bytes are noise: headers, and the table at the end, get their share
            at = rng.choice((rng.randrange(200), len(data) - 1 - rng.randrange(60)))
        harmed = data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :] if number % 5 else data[:at]
        try:
            assert [entry.path for entry in Lazy(io.BytesIO(harmed), "ztar").entries()] == wanted
            for path in (b"f00", b"f29", b"big"):
                assert read(Lazy(io.BytesIO(harmed), "ztar"), path) == contents[path]
        except WarpforgeError as error:
            assert error.code.removeprefix("warpforge-error-") in ("ware-corrupt", "ware-limit", "ware-invalid"), error
            refused += 1
    assert refused > 50
