"""What a box costs beside bare bubblewrap: ``true`` in a box of three overlays, with gather and clean-up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_row import SCRATCH, Row, command, compare
from rootfs import make_rootfs

from warpforge.sandbox.bwrap import Bwrap
from warpforge.sandbox.spec import SCRIPT_DIR, make_mount, make_spec

ROUNDS = 30


def rows() -> Iterator[Row]:
    # on tmpfs where there is one: what is measured is the box, not how a disk makes directories
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
        yield _box(Path(directory))


def _box(base: Path) -> Row:
    root = base / "root"
    root.mkdir()
    make_rootfs(root)
    trees = [base / "a", base / "b"]
    for path in (base / "tmp", *trees, root / "proc", root / "dev"):
        path.mkdir()
    base.chmod(0o755)
    box = Bwrap()
    if box.owner:
        for path in (root, *root.rglob("*"), *trees):
            os.chown(path, *box.owner, follow_symlinks=False)
    mounts = [make_mount("/", "overlay", root), *(make_mount(f"/in/{tree.name}", "overlay", tree) for tree in trees)]
    mounts += [make_mount(f"{SCRIPT_DIR}/{name}", "bytes", b"true") for name in ("run", "entry-0")]
    spec = make_spec(mounts=mounts, argv=["/bin/true"], gathers=["/in/a"])

    def ours() -> None:
        outcome = box.run(spec, base / "tmp")
        if outcome.exit_code:
            raise RuntimeError(f"the box failed: {outcome}")

    bare: list[str | Path] = [
        "bwrap",
        "--unshare-all",
        "--bind",
        root,
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "/bin/true",
    ]
    # no budget of its own: the row of the whole command has one
    peer = ("bare bwrap, no overlay, nothing gathered", command(bare))
    return compare("a box: true, three overlays", ours, peer, budget=None, needs=["bwrap"], rounds=ROUNDS)
