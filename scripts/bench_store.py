"""Whole commands that look after the store or into wares: verifying against bare zstd, one file against a whole tar."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench_pack import make_large, make_small
from bench_row import SCRATCH, Row, command, compare, shell

from warpforge.model.atoms import WareId
from warpforge.pack.limits import UNLIMITED
from warpforge.pack.packer import scan
from warpforge.store.store import Store

WARPFORGE = Path(sys.executable).parent / "warpforge"
ROUNDS = 5


def rows() -> Iterator[Row]:
    for title, make in (("500 MiB", make_five), ("20 000 small files", make_small)):
        with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
            yield from _verified(title, make, Path(directory))


def make_five(tree: Path) -> None:
    """Half of T2."""
    make_large(tree, count=5)


def _verified(title: str, make: Callable[[Path], None], base: Path) -> Iterator[Row]:
    root = base / "workspace"
    (root / ".warpforge").mkdir(parents=True)
    (root / ".warpforge" / "root").touch()
    make(base / "tree")
    env = {"PATH": os.environ["PATH"], "HOME": str(base)}
    argv = [str(WARPFORGE), "ware", "pack", str(base / "tree")]
    ware = subprocess.run(argv, cwd=root, env=env, check=True, capture_output=True, text=True).stdout.strip()
    (packed,) = (path for path in (root / ".warpforge/warehouse").rglob("*") if path.is_file())
    # read, decoded and compared with each frame's checksum, but not hashed
    peer = ("zstd -dc", shell(f"zstd -dcq < {packed} > /dev/null"))
    ours = command([WARPFORGE, "store", "verify", "--deep"], cwd=root, env=env)
    yield compare(f"store verify --deep, {title}", ours, peer, budget=None, needs=["zstd"], rounds=ROUNDS)
    with Store(root / ".warpforge") as store:
        call = lambda: scan(store.warehouse.open(WareId.parse(ware)), "ztar", limits=UNLIMITED, hash_packed=False)  # noqa: E731
        yield compare("the same, by the call", call, peer, budget=1.0, needs=["zstd"], rounds=ROUNDS)
    if make is not make_five:
        return
    peer = ("zstd -dc | tar -xO", shell(f"zstd -dcq < {packed} | tar -xOf - large4 > /dev/null"))
    ours = shell(f"cd {root}; HOME={base} {WARPFORGE} ware cat {ware} large4 > /dev/null")
    yield compare("ware cat, 100 of 500 MiB", ours, peer, budget=None, needs=["zstd"], rounds=ROUNDS)
