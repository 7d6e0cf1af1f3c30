"""Packed bytes that lie: cuts, bombs, windows, seek tables, trailing bytes, in every compression."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import forge
from support.forge import ROOT_AND_FILE, member, tar
from support.trees import open_dir

from warpforge.errors import WarpforgeError
from warpforge.fsx.tree import Entry
from warpforge.pack.filters import OUTPUT, SCAN
from warpforge.pack.limits import DEFAULT, Limits
from warpforge.pack.packer import pack, scan, unpack

TAR = tar(*ROOT_AND_FILE, member(b"b", os.urandom(3000)))
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": forge.zstd,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "plain": lambda data: data,
}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[int]:
    fd = open_dir(tmp_path)
    yield fd
    os.close(fd)


def refusal(data: bytes, limits: Limits = DEFAULT) -> tuple[str, str]:
    with pytest.raises(WarpforgeError) as caught:
        scan(io.BytesIO(data), "tar", limits=limits)
    return caught.value.code.removeprefix("warpforge-error-"), caught.value.reason


@pytest.fixture(params=COMPRESSIONS)
def compress(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return COMPRESSIONS[request.param]


def test_every_compression_gives_the_same_id(compress: Callable[[bytes], bytes]) -> None:
    found = scan(io.BytesIO(compress(TAR)), "tar")
    assert found.ware == scan(io.BytesIO(TAR), "tar").ware
    assert found.packed_bytes == len(compress(TAR))


def test_every_cut_is_refused(compress: Callable[[bytes], bytes]) -> None:
    data = compress(TAR)
    ends = len(TAR) - 512 if compress is COMPRESSIONS["plain"] else len(data)  # one zero block is an end
    for cut in range(0, ends, 97):
        assert refusal(data[:cut])[0] == "ware-corrupt", cut
    assert refusal(data[: ends - 1])[0] == "ware-corrupt"


def test_a_tar_cut_at_any_block_is_refused(place: int, tmp_path: Path) -> None:
    big = tar(*ROOT_AND_FILE, member(b"b", bytes(3 << 20)), member(b"c", b"x"))
    whole = len(big) - 1024
    for cut in [*range(0, 5 * 512, 512), *range(512, whole, 512 * 499), whole]:
        with pytest.raises(WarpforgeError) as caught:
            unpack(io.BytesIO(big[:cut]), "tar", place, b"t")
        assert caught.value.code == "warpforge-error-ware-corrupt"
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("garbage", [b"x", b"\0", bytes(512)])
def test_trailing_bytes_are_refused(compress: Callable[[bytes], bytes], garbage: bytes) -> None:
    if compress is COMPRESSIONS["plain"]:
        pytest.skip("zeros behind a plain tar's end are its padding")
    assert refusal(compress(TAR) + garbage)[0] == "ware-corrupt"


def test_several_plain_frames_or_streams_are_fine() -> None:
    half = len(TAR) // 2 // 512 * 512
    wanted = scan(io.BytesIO(TAR), "tar").ware
    assert scan(io.BytesIO(forge.zstd(TAR[:half], TAR[half:])), "tar").ware == wanted
    assert scan(io.BytesIO(gzip.compress(TAR[:half]) + gzip.compress(TAR[half:])), "tar").ware == wanted


# seek tables


def framed() -> tuple[bytes, list[tuple[int, int]]]:
    half = len(TAR) // 2
    frames = forge.zstd(TAR[:half]), forge.zstd(TAR[half:])
    return b"".join(frames), [(len(frames[0]), half), (len(frames[1]), len(TAR) - half)]


def test_a_true_seek_table_is_fine() -> None:
    data, sizes = framed()
    assert scan(io.BytesIO(data + forge.seek_table(sizes)), "tar").ware == scan(io.BytesIO(TAR), "tar").ware


LIES: dict[str, Callable[[list[tuple[int, int]]], bytes]] = {
    "frame missing": lambda s: forge.seek_table(s[:1]),
    "frame too many": lambda s: forge.seek_table([*s, (1, 1)]),
    "packed size": lambda s: forge.seek_table([(s[0][0] + 1, s[0][1]), s[1]]),
    "unpacked size": lambda s: forge.seek_table([s[0], (s[1][0], s[1][1] - 1)]),
    "count": lambda s: forge.seek_table(s, frames=1),
    "magic": lambda s: forge.seek_table(s, magic=0),
    "twice": lambda s: forge.seek_table(s) * 2,
    "a frame behind it": lambda s: forge.seek_table(s) + forge.zstd(bytes(512)),
    "a byte behind it": lambda s: forge.seek_table(s) + b"\0",
    "another skippable frame": lambda s: forge.skippable(b"hidden", 0x184D2A50) + forge.seek_table(s),
    "an empty skippable frame": lambda s: forge.skippable(b""),
    "a size beyond all": lambda s: struct.pack("<II", 0x184D2A5E, 0xFFFFFFFF),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_seek_table_must_tell_the_truth(lie: str) -> None:
    data, sizes = framed()
    assert refusal(data + LIES[lie](sizes))[0] == "ware-corrupt"


def test_a_frame_that_the_table_does_not_list() -> None:
    data, sizes = framed()
    assert refusal(forge.zstd(b"") + data + forge.seek_table(sizes))[0] == "ware-corrupt"


# windows, sizes, bombs


def test_a_window_beyond_all() -> None:
    data = bytearray(forge.rle_bomb(1 << 20))
    data[5] = 21 << 3  # 2 GiB
    assert refusal(bytes(data)) == ("ware-limit", "header")


@pytest.mark.parametrize("size", [1 << 50, 1 << 30, 1000])
def test_a_content_size_that_lies(size: int) -> None:
    body = forge.rle_bomb(1 << 20)[6:]
    data = b"\x28\xb5\x2f\xfd" + bytes((0xC0, 0x58)) + struct.pack("<Q", size) + body
    assert refusal(data)[0] in ("ware-corrupt", "ware-limit")
    single = b"\x28\xb5\x2f\xfd" + bytes((0xE0,)) + struct.pack("<Q", size) + body
    assert refusal(single)[0] in ("ware-corrupt", "ware-limit")


def test_a_frame_that_needs_a_dictionary() -> None:
    assert refusal(b"\x28\xb5\x2f\xfd" + bytes((0x01, 0x58, 7)) + b"\1\0\0")[0] == "ware-corrupt"


def test_a_flipped_content_is_found_by_the_checksum() -> None:
    data = bytearray(forge.zstd(TAR))
    data[len(data) // 2] ^= 1
    assert refusal(bytes(data))[0] == "ware-corrupt"


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    assert refusal(forge.bomb(4 << 30)) == ("ware-limit", "ratio")


def test_a_person_may_allow_more() -> None:
    size = (1 << 30) + (128 << 20)
    assert scan(io.BytesIO(forge.bomb(size)), "tar", limits=DEFAULT.allowing(2 << 30)).unpacked_bytes == size
    assert refusal(forge.bomb(size), DEFAULT.allowing(1 << 20)) == ("ware-limit", "bytes")


def test_bytes_are_limited() -> None:
    assert refusal(forge.zstd(TAR), DEFAULT._replace(unpacked=1024)) == ("ware-limit", "bytes")


# what pack refuses


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry(b"s", "s", 0o644), "type"),
        (Entry(b"c", "c", 0o644, device=(1, 3)), "type"),
        (Entry(b"p", "p", 0o4644), "metadata"),
        (Entry(b"p", "p", 0o644, mtime=1 << 41), "metadata"),
    ],
)
def test_pack_refuses(entry: Entry, reason: str) -> None:
    filters = OUTPUT if reason != "metadata" else OUTPUT.parse("mtime=keep")
    with pytest.raises(WarpforgeError) as caught:
        pack([(Entry(b"", "d", 0o755), None), (entry, None)], "ztar", filters, io.BytesIO())
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-ware-invalid", reason)


def test_a_content_that_is_short() -> None:
    entries = [(Entry(b"", "d", 0o755), None), (Entry(b"a", "f", 0o644, size=5), io.BytesIO(b"abc"))]
    for sink in (None, io.BytesIO()):
        with pytest.raises(WarpforgeError) as caught:
            pack(entries, "ztar", SCAN, sink)
        assert (caught.value.code, caught.value.reason) == ("warpforge-error-store", "io")


def test_a_full_disk() -> None:
    entries = [(Entry(b"", "d", 0o755), None), (Entry(b"a", "f", 0o644, size=9 << 20), io.BytesIO(os.urandom(9 << 20)))]
    with open("/dev/full", "wb", buffering=0) as sink, pytest.raises(WarpforgeError) as caught:
        pack(entries, "ztar", SCAN, sink)
    assert (caught.value.code, caught.value.reason) == ("warpforge-error-store", "full")
