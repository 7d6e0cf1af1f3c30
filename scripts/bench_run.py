"""Whole commands: a trivial action that must run, and one that the memo answers."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_row import SCRATCH, Row, Work, command, compare
from rootfs import make_rootfs

WARPFORGE = Path(sys.executable).parent / "warpforge"
ROUNDS = 15


class Bench:
    """A root workspace with busybox on its shelf."""

    def __init__(self, base: Path) -> None:
        self.root = base / "workspace"
        (self.root / ".warpforge").mkdir(parents=True)
        (self.root / ".warpforge" / "root").touch()
        self.rootfs = base / "rootfs"
        make_rootfs(self.rootfs)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(base)}
        packed = [str(WARPFORGE), "ware", "pack", str(self.rootfs)]
        done = subprocess.run(packed, cwd=self.root, env=self.env, check=True, capture_output=True, text=True)
        self.ware = done.stdout.strip()
        self._numbers = itertools.count()

    def write(self, name: str, word: str) -> Path:
        """A formula that differs by its word."""
        formula = {
            "inputs": {"/": f"ware:{self.ware}", "$WORD": f"literal:{word}"},
            "action": {"exec": {"command": ["/bin/true"]}},
            "outputs": {},
        }
        path = self.root / name
        path.write_text(json.dumps({"formula": {"formula.v1": formula}}))
        return path

    def run(self, path: Path) -> Work:
        return command([WARPFORGE, "run", path], cwd=self.root, env=self.env)

    def fresh(self) -> None:
        """Run a formula that has never run."""
        self.run(self.write("fresh.json", f"word {next(self._numbers)}"))()

    def imports(self) -> str:
        """An import statement for every module, not our own, that running a formula imports."""
        probe = (
            "import sys; before = set(sys.modules); from warpforge.cli.main import call; call(sys.argv[1:]); "
            "print(*sorted(m for m in set(sys.modules) - before if not m.startswith(('warpforge', '__'))))"
        )
        argv = [sys.executable, "-c", probe, "--quiet", "run", str(self.write("probe.json", "probe"))]
        done = subprocess.run(argv, cwd=self.root, env=self.env, check=True, capture_output=True, text=True)
        return "import subprocess, " + ", ".join(done.stdout.split())

    def bare(self) -> Work:
        """Python with the same imports, and bwrap once."""
        box = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--bind", str(self.rootfs), "/"]
        box += ["--proc", "/proc", "--dev", "/dev", "--clearenv", "/bin/true"]
        return command([sys.executable, "-c", f"{self.imports()}; subprocess.run({box!r}, check=True)"], env=self.env)


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="warpforge-bench-", dir=SCRATCH) as directory:
        bench = Bench(Path(directory))
        bench.fresh()  # puts the ware on the shelf
        bare = ("python + same imports + bwrap", bench.bare())
        yield compare("trivial action", bench.fresh, bare, budget=1.5, needs=["bwrap"], rounds=ROUNDS)
        same = bench.run(bench.write("same.json", "same"))
        start = ("python -c 'import click, lmdb'", command([sys.executable, "-c", "import click, lmdb"]))
        yield compare("memoised run", same, start, budget=1.5, rounds=ROUNDS)
