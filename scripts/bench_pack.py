"""Rows for packing and unpacking ``ztar`` beside tar and zstd, on three trees, in memory where there is some.

T1: 20 000 small files with symlinks. T2: ten large files, half compressible. T3: Python's standard library with Django
(where `scripts/bench-setup.sh` has brought it).
Ours is the call in a process that has its modules loaded, as the engine makes it for every output; the peer's
pipeline hashes its stream with b3sum where that is installed.
"""

from __future__ import annotations

import os
import random
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_row import SCRATCH, Row, compare, shell

from warpforge.fsx.tree import walk
from warpforge.pack.limits import UNLIMITED
from warpforge.pack.packer import pack, unpack

ROUNDS = 7
MIB = 1 << 20
DJANGO = Path(__file__).resolve().parent.parent / "build/bench/django"


def make_small(tree: Path, count: int = 20_000) -> None:
    """T1: files of 4 kB on average, made of words, a link among every twenty."""
    rng = random.Random(7)
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz_", k=rng.randint(2, 11))) for _ in range(3000)]
    text = b" ".join(rng.choices(words, k=1_000_000))
    for number in range(count):
        directory = tree / f"package{number % 40:02}/module{number // 40 % 10}"
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"file_{number:05}.txt"
        if number % 20 == 19:
            path.symlink_to(f"file_{number - 400:05}.txt")
            continue
        size = min(int(rng.expovariate(1 / 4000)), 60_000)
        start = rng.randrange(len(text) - size)
        path.write_bytes(text[start : start + size])


def make_large(tree: Path, count: int = 10, size: int = 100) -> None:
    """T2: each MiB is half noise, half repetition."""
    rng = random.Random(3)
    tree.mkdir()
    for number in range(count):
        with open(tree / f"large{number}", "wb") as file:
            for _ in range(size):
                file.write(rng.randbytes(MIB // 2))
                file.write(rng.randbytes(MIB // 128) * 64)


def make_library(tree: Path) -> None:
    """T3: the standard library of the Python that runs this, and Django where it is."""
    ignored = shutil.ignore_patterns("site-packages", "dist-packages", "__pycache__")
    shutil.copytree(sysconfig.get_path("stdlib"), tree, symlinks=True, ignore=ignored)
    if DJANGO.is_dir():
        shutil.copytree(DJANGO, tree / "site-packages", symlinks=True)


TREES = {
    "T1, small files": make_small,
    "T2, large files": make_large,
    f"T3, Python's library{' with Django' if DJANGO.is_dir() else ''}": make_library,
}


def rows() -> Iterator[Row]:
    """Two rows for each tree."""
    for title, make in TREES.items():
        with tempfile.TemporaryDirectory(dir=SCRATCH) as name:
            base = Path(name)
            make(base / "tree")
            yield from _rows_of(title, base)


def _rows_of(title: str, base: Path) -> Iterator[Row]:
    base_fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    ours, theirs, out = base / "ours.zst", base / "theirs.zst", base / "out"

    def pack_it() -> None:
        with open(ours, "wb") as sink:
            pack(walk(base_fd, b"tree"), "ztar", sink=sink)

    def unpack_it() -> None:
        with open(ours, "rb") as source:
            unpack(source, "ztar", base_fd, b"out", limits=UNLIMITED, hash_packed=False)

    hashing = "| tee >(b3sum >&2) " if shutil.which("b3sum") else ""
    pipeline = f"tar --sort=name -c . {hashing}| zstd -q -3 -T0"
    packing = shell(f"cd '{base}/tree'; {pipeline} > '{theirs}'")
    unpacking = shell(f"mkdir '{out}'; zstd -q -dc '{theirs}' | tar -x -C '{out}'")
    named = pipeline.replace(" >&2", "").replace(" -q", "")
    try:
        yield compare(f"pack {title}", pack_it, (named, packing), budget=1.0, needs=("tar", "zstd"), rounds=ROUNDS)
        yield compare(
            f"unpack {title}",
            unpack_it,
            ("zstd -dc | tar -x", unpacking),
            budget=1.0,
            needs=("tar", "zstd"),
            rounds=ROUNDS,
            before=lambda: shutil.rmtree(out, ignore_errors=True),
        )
    finally:
        os.close(base_fd)
