"""The seeds of the fuzzers: small archives and documents of every kind that the readers know, made here byte by byte.

``python -m support.corpus`` (in tests/) writes them to fixtures/fuzz/; a test says when that was forgotten.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from . import forge
from .forge import ROOT, directory, gnu, hardlink, header, member, pax, symlink, tar

FIXTURES = Path(__file__).parents[2] / "fixtures"
FUZZ = FIXTURES / "fuzz"
ELSEWHERE = ("document", "polytope")  # their seeds are fixtures of their own
FILE = member(b"a", b"hello")
TREE = tar(
    ROOT,
    directory(b"d/", mode=0o700),
    member(b"d/x", b"1" * 600, mode=0o755),
    symlink(b"l", b"d/x"),
    member(b"p", b"", b"6"),
)
TARS = {
    "plain": TREE,
    "only-a-file": tar(member(b".", b"alone")),
    "no-parents": tar(member(b"z/y/x", b"1"), FILE),
    "v7": tar(
        directory(b"./", magic=b""),
        member(b"d/", b"", b"\0", mode=0o755, magic=b""),
        member(b"d/a", b"x", b"\0", magic=b""),
    ),
    "prefix": tar(ROOT, member(b"f" * 90, b"x", prefix=b"e" * 90)),
    "gnu-long": tar(
        ROOT, gnu(b"L", b"d/" + b"n" * 150), member(b"s", b"x"), gnu(b"K", b"../" * 40), symlink(b"l", b"s")
    ),
    "pax": tar(
        ROOT,
        pax({b"path": b"d/" + b"n" * 120, b"mtime": b"-1.5", b"uid": b"1000"}),
        FILE,
        pax({b"linkpath": b"t" * 120}),
        symlink(b"l", b"s"),
        pax({b"SCHILY.xattr.user.a": b"b"}),
        member(b"x", b"y"),
    ),
    "pax-size": tar(ROOT, pax({b"size": b"5"}), header(b"a", size=0) + forge.padded(b"hello")),
    "global": tar(pax({b"comment": b"x"}, b"g"), ROOT, FILE),
    "hardlinks": tar(ROOT, FILE, hardlink(b"h", b"a"), hardlink(b"i", b"h")),
    "base256": tar(
        ROOT, member(b"a", b"x", uid=forge.base256(70000, 8), mtime=forge.base256(-7, 12), size=forge.base256(1, 12))
    ),
    "repeated-directory": tar(ROOT, directory(b"d/"), member(b"d/a", b"x"), directory(b"d/", mode=0o711)),
    "folded": tar(directory(b"."), member(b".//d/./a", b"x")),
    "names": tar(ROOT, member(b"\xff\xfe\n", b"x"), member(b"\x1b[31m", b"y"), member("\u202e".encode(), b"z")),
    "device": tar(ROOT, member(b"c", b"", b"3", device=(1, 3))),
    "sparse": tar(ROOT, pax({b"GNU.sparse.major": b"1", b"GNU.sparse.name": b"x"}), FILE),
    "gz": gzip.compress(TREE, mtime=0),
    "bz2": bz2.compress(TREE),
    "xz": lzma.compress(TREE),
    "zst": forge.zstd(TREE[:1024], TREE[1024:]),
}
CANONICAL = tar(ROOT, member(b"a", b"hello"), directory(b"d/"), member(b"d/x", b"1" * 600), symlink(b"l", b"d/x"))


def raw_frame(data: bytes, *, size: int | None = None) -> bytes:
    """A zstd frame of raw blocks and no checksum, which survives changes of its content."""
    head = b"\x28\xb5\x2f\xfd" + bytes((0xA0,)) + struct.pack("<I", len(data) if size is None else size)
    blocks = [data[at : at + 1024] for at in range(0, len(data), 1024)] or [b""]
    last = len(blocks) - 1
    return head + b"".join(
        struct.pack("<I", len(block) << 3 | (number == last))[:3] + block for number, block in enumerate(blocks)
    )


def framed(*contents: bytes) -> bytes:
    """Raw frames with their seek table."""
    made = [raw_frame(content) for content in contents]
    return b"".join(made) + forge.seek_table([(len(m), len(c)) for m, c in zip(made, contents, strict=True)])


def zips() -> Iterator[tuple[str, bytes]]:
    for name, method in (("stored", 0), ("deflated", 8), ("bzip2", 12), ("lzma", 14)):
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.comment = b"note"
            for path, mode, content in (
                ("d/", 0o40755, ""),
                ("d/a", 0o100644, "hello " * 20),
                ("b", 0o100755, ""),
                ("l", 0o120777, "d/a"),
            ):
                info = zipfile.ZipInfo(path, (2010, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr = 3, mode << 16
                info.compress_type = method if content and path != "l" else 0
                info.extra = struct.pack("<HHBI", 0x5455, 5, 1, 1262304000)
                archive.writestr(info, content)
        yield name, sink.getvalue()
    streamed = io.BytesIO()

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            return streamed.write(data)

    with zipfile.ZipFile(Pipe(), "w") as archive:
        info = zipfile.ZipInfo("a", (2010, 1, 1, 0, 0, 0))
        info.create_system = 0
        archive.writestr(info, "streamed")
    yield "streamed", streamed.getvalue()


def seeds() -> dict[str, dict[str, bytes]]:
    """Target, name, bytes."""
    found = {"tar": dict(TARS), "ztar": {}, "zip": dict(zips()), "zstd": {}, "document": {}}
    pax_file = tar(ROOT, pax({b"path": b"n" * 120}), member(b"n" * 100, b"x"), symlink(b"o", b"a"))
    found["ztar"] = {"plain": CANONICAL, "pax": pax_file, "framed": framed(CANONICAL[:1024], CANONICAL[1024:])}
    found["zstd"] = {
        "raw": raw_frame(b"raw" * 400),
        "framed": framed(b"one" * 10, b"two" * 10),
        "compressed": forge.zstd(b"text " * 100, b"more"),
        "rle": forge.rle_bomb(256 << 10),
        "empty": raw_frame(b""),
        "lying": raw_frame(b"x" * 10, size=1 << 30),
        "gzip": gzip.compress(b"x" * 100, mtime=0),
        "bzip2": bz2.compress(b"x" * 100),
        "xz": lzma.compress(b"x" * 100),
    }
    found["document"] = {path.name: path.read_bytes() for path in _documents()}
    found["polytope"] = {path.name: path.read_bytes() for path in sorted((FIXTURES / "polytope").glob("f*/*"))}
    return found


def _documents() -> Iterator[Path]:
    """Those that are fixtures for other reasons are seeds, too; they are not written once more."""
    yield from sorted(path for path in (FIXTURES / "accepted").iterdir() if path.name != "ids.json")
    yield from sorted(path for path in (FIXTURES / "refused").glob("*/*") if path.stat().st_size < 4096)


def read(target: str) -> dict[str, bytes]:
    """The seeds as they lie in fixtures/, and every input that once found something."""
    found = {path.name: path.read_bytes() for path in sorted((FUZZ / target).glob("*"))}
    return {**found, **(seeds()[target] if target in ELSEWHERE else {})}


def write(directory: Path = FUZZ) -> None:
    for target, inputs in seeds().items():
        if target not in ELSEWHERE:
            (directory / target).mkdir(parents=True, exist_ok=True)
            for name, data in inputs.items():
                (directory / target / name).write_bytes(data)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FUZZ)
