"""A workspace of its own for a script, and the command line run in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

WARPFORGE = Path(sys.executable).parent / "warpforge"


class Refused(RuntimeError):
    """A command that should have worked did not."""


class Workspace:
    """A new root workspace, with a home of its own."""

    def __init__(self, base: Path) -> None:
        self.root = base / "workspace"
        (self.root / ".warpforge").mkdir(parents=True)
        (self.root / ".warpforge" / "root").touch()
        home = base / "home"
        home.mkdir()
        self.environment = {**os.environ, "HOME": str(home)}
        for name in [name for name in os.environ if name.startswith("WARPFORGE_")]:
            del self.environment[name]

    def call(self, *args: str | Path, cwd: str = ".") -> subprocess.CompletedProcess[str]:
        """Run ``warpforge ARGS``. Raises Refused with its words when it fails."""
        done = subprocess.run(
            [WARPFORGE, *args],
            cwd=self.root / cwd,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            words = " ".join(map(str, args))
            raise Refused(f"warpforge {words} exited with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def get(self, *args: str | Path, cwd: str = ".") -> str:
        """What a command printed."""
        return self.call(*args, cwd=cwd).stdout.strip()
