"""Peak memory of packing and unpacking, all processes together, and a ware of 2 GiB within 256 MiB of addresses.

The peak is what the resident sets of a process and its children sum up to, looked at every few milliseconds; pages
that they share count for each of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from bench_pack import make_large, make_small
from bench_row import SCRATCH, Row, bounded

MIB = 1 << 20
BOUND = 128  # MB
ADDRESSES = 256  # MiB
LOOK = 0.003  # seconds between two looks

WORK = """
import os, resource, sys
what, addresses = sys.argv[1], int(sys.argv[2])
if addresses:
    resource.setrlimit(resource.RLIMIT_AS, (addresses << 20, addresses << 20))
from warpforge.fsx.tree import walk
from warpforge.pack.limits import UNLIMITED
from warpforge.pack.packer import pack, unpack
here = os.open(".", os.O_RDONLY)
if what == "pack":
    with open("packed", "wb") as sink:
        pack(walk(here, b"tree"), "ztar", sink=sink)
else:
    with open("packed", "rb") as source:
        unpack(source, "ztar", here, b"out", limits=UNLIMITED, hash_packed=False)
"""


def make_huge(tree: Path) -> None:
    """One file of 2 GiB, a tenth of it noise."""
    tree.mkdir()
    with open(tree / "huge", "wb") as file:
        for _ in range(2048):
            file.write(os.urandom(MIB // 10) + bytes(MIB - MIB // 10))


TREES: tuple[tuple[str, Callable[[Path], None], int], ...] = (
    ("T1", make_small, 0),
    ("T2", make_large, 0),
    (f"2 GiB, {ADDRESSES} MiB of addresses", make_huge, ADDRESSES),
)


def rows() -> Iterator[Row]:
    for title, make, addresses in TREES:
        with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
            base = Path(directory)
            make(base / "tree")
            for what in ("pack", "unpack"):
                argv = [sys.executable, "-c", WORK, what, str(addresses)]
                yield bounded(f"memory: {what} {title}", _peak(argv, base) / MIB, BOUND, unit="MB")


def _peak(argv: list[str], cwd: Path) -> int:
    """Bytes; raises when the command fails."""
    process = subprocess.Popen(argv, cwd=cwd)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_resident, [process.pid, *_children(process.pid)])))
        time.sleep(LOOK)
    if process.returncode:
        raise RuntimeError(f"{argv[-2:]} exited with {process.returncode}")
    return peak


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
