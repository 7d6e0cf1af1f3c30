"""A store of many wares: what one look-up costs, what a command takes to start, and whether collecting is linear."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import base58
from bench_row import SCRATCH, Row, bounded, command, seconds, within

from warpforge.model.atoms import WareId
from warpforge.store.facts import WareFacts
from warpforge.store.layout import packed
from warpforge.store.store import Store

WARPFORGE = Path(sys.executable).parent / "warpforge"
FEW, MANY = 10_000, 100_000
LOOKUP, START, LINEAR = 0.001, 0.3, 1.3  # seconds, seconds, times what each ware cost when they were few


def rows() -> Iterator[Row]:
    collecting: dict[int, float] = {}
    for count in (FEW, MANY):
        with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
            workspace = Path(directory)
            wares = fill(workspace, count)
            with Store(workspace / ".warpforge") as store:
                store.index.ware(wares[0])  # opens it
                yield bounded(f"looked up in the index of {count} wares", _each(store.index.ware, wares), LOOKUP)
                yield bounded(f"found in a warehouse of {count} wares", _each(store.warehouse.has, wares), LOOKUP)
            env = {"PATH": os.environ["PATH"], "HOME": directory}
            start = command([WARPFORGE, "status"], cwd=workspace, env=env)
            yield within(f"status with {count} wares", start, START)
            collecting[count] = seconds(command([WARPFORGE, "--quiet", "store", "gc"], cwd=workspace, env=env)) / count
    yield Row(f"gc, each of {MANY} wares", collecting[MANY], f"each of {FEW}", collecting[FEW], LINEAR)


def fill(workspace: Path, count: int) -> list[WareId]:
    """A root workspace with so many wares, which nothing names; their ids."""
    (workspace / ".warpforge").mkdir(parents=True)
    (workspace / ".warpforge" / "root").touch()
    digests = (hashlib.sha256(b"%d" % number).digest() for number in range(count))
    wares = [WareId("ztar", base58.b58encode(digest).decode()) for digest in digests]
    with Store(workspace / ".warpforge") as store:
        for ware in wares:
            path = Path(packed(store.warehouse.own, ware))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"packed")
            store.index.put_ware(ware, WareFacts(6, 3, 1, ""))
    return wares


def _each(work: object, wares: list[WareId]) -> float:
    """Seconds of the slowest in a hundred: 99 of them are faster."""
    assert callable(work)
    took = []
    for ware in wares[:: max(1, len(wares) // 2000)]:
        start = time.perf_counter()
        work(ware)
        took.append(time.perf_counter() - start)
    return sorted(took)[len(took) * 99 // 100]
