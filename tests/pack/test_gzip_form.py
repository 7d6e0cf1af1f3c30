"""The gzip form of tar wares: what the original's clients get."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import random
import tarfile
from pathlib import Path

import pytest
import zstandard
from support.conformance import CONFORMANCE, needs_conformance
from support.forge import hardlink, member, tar
from support.reference import Node
from support.trees import list_entries, open_dir, random_tree

from warpforge.fsx.tree import Entry, walk
from warpforge.pack.filters import OUTPUT, SCAN
from warpforge.pack.gzip_form import make_go_header, write_gzip_form
from warpforge.pack.packer import pack, scan, unpack

KEEP = OUTPUT.parse("uid=keep,gid=keep,mtime=keep,setid=keep")


def form(stored: bytes) -> bytes:
    sink = io.BytesIO()
    write_gzip_form(io.BytesIO(stored), sink)
    return sink.getvalue()


@needs_conformance
def test_it_is_what_the_original_packs(tmp_path: Path) -> None:
    (theirs,) = (path for path in (CONFORMANCE / "warehouse").rglob("*") if path.is_file())
    place = open_dir(tmp_path)
    unpack(io.BytesIO(theirs.read_bytes()), "tar", place, b"t", filters=SCAN)
    stored = io.BytesIO()
    assert pack(walk(place, b"t"), "tar", OUTPUT.parse("mtime=keep"), stored).ware.hash == theirs.name
    os.close(place)
    ours = form(stored.getvalue())
    assert gzip.decompress(ours) == gzip.decompress(theirs.read_bytes())
    assert ours[:10] == theirs.read_bytes()[:10]


def test_ids_stay_and_bytes_are_the_same_every_time() -> None:
    for seed in range(60):
        stored = io.BytesIO()
        packed = pack(list_entries(random_tree(random.Random(seed))), "tar", KEEP, stored)
        ours = form(stored.getvalue())
        found = scan(io.BytesIO(ours), "tar")
        assert (found.ware, found.dual) == (packed.ware, packed.dual), seed
        assert ours == form(stored.getvalue())


def test_other_readers_understand_it() -> None:
    stored = io.BytesIO()
    pack(list_entries(random_tree(random.Random(5))), "tar", KEEP, stored)
    with tarfile.open(fileobj=io.BytesIO(form(stored.getvalue()))) as archive:
        names = archive.getnames()
    assert names[0] == "."
    assert all(name.startswith("./") for name in names[1:])


def test_a_lone_file() -> None:
    stored = io.BytesIO()
    packed = pack(list_entries(Node("f", 0o600, content=b"x" * 700)), "tar", KEEP, stored)
    ours = form(stored.getvalue())
    assert scan(io.BytesIO(ours), "tar").ware == packed.ware
    assert gzip.decompress(ours)[:2] == b".\0"


def test_a_gzip_ware_stays_as_it_is() -> None:
    theirs = gzip.compress(tar(member(b"a", b"hello")), mtime=7)
    assert form(theirs) == theirs


@pytest.mark.parametrize("compress", [bytes, bz2.compress, zstandard.ZstdCompressor().compress])
def test_a_foreign_archive_keeps_its_members(compress: object) -> None:
    assert callable(compress)
    archive = tar(member(b"b", b"hello"), member(b"a", b""), hardlink(b"c", b"b"))
    ours = form(compress(archive))
    assert gzip.decompress(ours) == archive
    assert ours[4:8] == bytes(4)


@pytest.mark.parametrize(
    ("path", "prefix", "name"),
    [
        (b"a" * 98, b"", b"./" + b"a" * 98),
        (b"d/" * 20 + b"a" * 98, b"./" + (b"d/" * 20)[:-1], b"a" * 98),
        (b"d" * 153 + b"/" + b"a" * 100, b"./" + b"d" * 153, b"a" * 100),
    ],
)
def test_long_names_that_ustar_can_split(path: bytes, prefix: bytes, name: bytes) -> None:
    header = make_go_header(Entry(path, "f", 0o644))
    assert len(header) == 512
    assert (header[345:500].rstrip(b"\0"), header[:100].rstrip(b"\0")) == (prefix, name)


@pytest.mark.parametrize(
    ("entry", "record"),
    [
        (Entry(b"a" * 101, "f", 0o644), b"113 path=./" + b"a" * 101 + b"\n"),
        (Entry("é".encode(), "f", 0o644), "13 path=./é\n".encode()),
        (Entry(b"l", "L", 0o777, link=b"x" * 101), b"115 linkpath=" + b"x" * 101 + b"\n"),
        (Entry(b"a", "f", 0o644, uid=8**7), b"15 uid=2097152\n"),
        (Entry(b"a", "f", 0o644, mtime=-1), b"12 mtime=-1\n"),
        (Entry(b"a", "f", 0o644, mtime=5, mtime_ns=250_000_000), b"14 mtime=5.25\n"),
        (Entry(b"a", "f", 0o644, mtime=-2, mtime_ns=750_000_000), b"15 mtime=-1.25\n"),
    ],
)
def test_what_ustar_cannot_hold_goes_into_pax(entry: Entry, record: bytes) -> None:
    header = make_go_header(entry)
    assert header[156:157] == b"x"
    assert header[512 : 512 + len(record) + 1] == record + b"\0"
    name = b"PaxHeaders.0/" + bytes(b for b in entry.path if b < 128)
    assert header[:100].rstrip(b"\0") == name[:100].rstrip(b"/")
