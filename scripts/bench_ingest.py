"""A directory ingested again though nothing changed, beside ``git status`` on the same 20 000 files.

Once as a call in a process that has its modules loaded, as the rows of packing are, and once as a whole command.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench_row import SCRATCH, Row, command, compare

from warpforge.engine.events import Reporter
from warpforge.engine.ingest import Ingester
from warpforge.model.atoms import Ingest
from warpforge.store.store import Store

WARPFORGE = Path(sys.executable).parent / "warpforge"
DIRECTORIES = 400
FILES = 50  # in each
ROUNDS = 15
SETTLING = 2.5  # seconds until what was written is old enough to be believed unchanged
GIT = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "core.fsmonitor=false"]


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
        yield from _unchanged(Path(directory))


def _unchanged(base: Path) -> Iterator[Row]:
    tree = base / "tree"
    write_files(tree)
    env = {"PATH": os.environ["PATH"], "HOME": str(base)}
    root = base / "workspace"
    (root / ".warpforge").mkdir(parents=True)
    (root / ".warpforge" / "root").touch()
    plot = {"inputs": {"source": f"ingest:dir:{tree}"}, "steps": {}, "outputs": {}}
    (root / "plot.wf").write_text(json.dumps({"plot.v1": plot}))
    ours = command([WARPFORGE, "--quiet", "run", "plot.wf"], cwd=root, env=env)
    needs = ["git"]
    try:
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "tree"]):
            command([*GIT, *arguments], cwd=tree, env=env)()
    except FileNotFoundError:
        pass  # the row says so
    time.sleep(SETTLING)
    ours()  # the first ingest reads everything
    peer = ("git status", command([*GIT, "status", "--short"], cwd=tree, env=env))
    with Store(root / ".warpforge") as store:
        what, ingester = Ingest("dir", str(tree), ""), Ingester(store, Reporter())
        call = lambda: ingester.ingest(what, root)  # noqa: E731
        yield compare("ingest T1 again, unchanged", call, peer, budget=3.0, needs=needs, rounds=ROUNDS)
    yield compare("the same, whole command", ours, peer, budget=None, needs=needs, rounds=ROUNDS)


def write_files(tree: Path) -> None:
    """20 000 small files in 400 directories, every tenth a symlink."""
    rng = random.Random(1)
    for number in range(DIRECTORIES):
        directory = tree / f"part{number // 20}" / f"sub{number % 20}"
        directory.mkdir(parents=True)
        for name in range(FILES):
            if name % 10 == 9:
                (directory / f"link{name}").symlink_to(f"file{name - 1}")
            else:
                (directory / f"file{name}").write_bytes(rng.randbytes(rng.randrange(100, 4000)))
