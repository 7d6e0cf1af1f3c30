"""Whole commands that look after the store or into wares: verifying against bare zstd, one file against a whole tar."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_pack import make_large
from bench_row import Row, command, compare, shell

WARPFORGE = Path(sys.executable).parent / "warpforge"
ROUNDS = 5


def rows() -> Iterator[Row]:
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=base) as directory:
        yield from _large(Path(directory))


def _large(base: Path) -> Iterator[Row]:
    root = base / "workspace"
    (root / ".warpforge").mkdir(parents=True)
    (root / ".warpforge" / "root").touch()
    make_large(base / "tree", count=5)
    env = {"PATH": os.environ["PATH"], "HOME": str(base)}
    argv = [str(WARPFORGE), "ware", "pack", str(base / "tree")]
    ware = subprocess.run(argv, cwd=root, env=env, check=True, capture_output=True, text=True).stdout.strip()
    (packed,) = (path for path in (root / ".warpforge/warehouse").rglob("*") if path.is_file())
    # read, decoded and compared with each frame's checksum, but not hashed: no budget of its own
    peer = ("zstd -dc", shell(f"zstd -dcq < {packed} > /dev/null"))
    ours = command([WARPFORGE, "store", "verify", "--deep"], cwd=root, env=env)
    yield compare("store verify --deep, 500 MiB", ours, peer, budget=None, needs=["zstd"], rounds=ROUNDS)
    peer = ("zstd -dc | tar -xO", shell(f"zstd -dcq < {packed} | tar -xOf - large4 > /dev/null"))
    ours = shell(f"cd {root}; HOME={base} {WARPFORGE} ware cat {ware} large4 > /dev/null")
    yield compare("ware cat, 100 of 500 MiB", ours, peer, budget=None, needs=["zstd"], rounds=ROUNDS)
