"""A world for one test: a directory of its own, and the real command line run in it.

A ``World`` holds ``root`` (where commands run; no workspace lies above it) and ``home`` (an empty HOME).
A ``Result`` is what one command gave. ``world.run("run", "plot.wf")`` fails the test unless the command succeeded;
``world.fail("run", "plot.wf")`` fails it unless the command failed properly: one error, no traceback.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

WARPFORGE = Path(sys.executable).parent / "warpforge"
PT = Path(sys.executable).parent / "pt"
PREFIX = "warpforge-error-"
SECONDS = 100  # no command of the suite takes as long; one that hangs must not hang the suite


class Result(NamedTuple):
    """What one command gave."""

    argv: list[str]
    exit: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines of stdout."""
        return [json.loads(line) for line in self.out.splitlines() if line]

    def all(self, kind: str) -> list[Any]:
        """The values of every stdout line of one kind, such as ``runrecord``."""
        return [line[kind] for line in self.lines if kind in line]

    def one(self, kind: str) -> Any:
        """The value of the only line of one kind."""
        found = self.all(kind)
        assert len(found) == 1, f"{len(found)} lines of {kind}\n{self}"
        return found[0]

    @property
    def error(self) -> dict[str, Any]:
        """The one JSON error of stderr."""
        found = [json.loads(line) for line in self.err.splitlines() if line.startswith('{"code"')]
        assert len(found) == 1, f"{len(found)} errors\n{self}"
        error: dict[str, Any] = found[0]
        return error

    @property
    def causes(self) -> list[dict[str, Any]]:
        """The error and its causes, outermost first."""
        chain = [self.error]
        while "cause" in chain[-1]:
            chain.append(chain[-1]["cause"])
        return chain

    @property
    def code(self) -> str:
        """The code of the innermost cause that is an error of ours, without its prefix."""
        codes = [str(cause["code"]).removeprefix(PREFIX) for cause in self.causes]
        return next((code for code in reversed(codes) if code != "unknown"), "unknown")

    def __str__(self) -> str:
        return f"$ {' '.join(self.argv)}\nexit {self.exit}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class World:
    """A directory of its own, and commands run in it."""

    def __init__(self, base: Path) -> None:
        self.root = base / "work"
        self.home = base / "home"
        self.root.mkdir(parents=True)
        self.home.mkdir()

    def path(self, path: str) -> Path:
        """A path below the working directory."""
        return self.root / path

    def write(self, path: str, content: str | bytes | Mapping[str, Any]) -> Path:
        """Write a file, its parents too; a mapping is written as JSON."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Mapping):
            content = json.dumps(content, indent="\t") + "\n"
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def read_json(self, path: str) -> Any:
        return json.loads((self.root / path).read_bytes())

    def root_workspace(self, path: str = ".") -> Path:
        """Make a directory a root workspace."""
        return self.write(f"{path}/.warpforge/root", "").parent.parent

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of every command: nothing of the caller's but PATH and TMPDIR."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
        return {**kept, "HOME": str(self.home), "LANG": "C.UTF-8", **(more or {})}

    def call(self, *args: str | Path, env: Mapping[str, str] | None = None, cwd: str = ".", stdin: str = "") -> Result:
        """Run ``warpforge ARGS``, whatever comes of it."""
        return self._call(WARPFORGE, *args, env=env, cwd=cwd, stdin=stdin)

    def pt(self, *args: str | Path, cwd: str = ".", stdin: str = "") -> Result:
        """Run ``pt ARGS``, whatever comes of it."""
        return self._call(PT, *args, cwd=cwd, stdin=stdin)

    def _call(
        self, program: Path, *args: str | Path, env: Mapping[str, str] | None = None, cwd: str = ".", stdin: str = ""
    ) -> Result:
        argv = [str(program), *map(str, args)]
        done = subprocess.run(
            argv,
            cwd=self.root / cwd,
            env=self.environment(env),
            input=stdin.encode(),
            capture_output=True,
            timeout=SECONDS,
        )
        result = Result(
            [program.name, *argv[1:]],
            done.returncode,
            done.stdout.decode("utf-8", "surrogateescape"),
            done.stderr.decode("utf-8", "surrogateescape"),
        )
        assert "Traceback" not in result.err, str(result)
        if "--json" in argv:
            from support.jsonlines import check

            check(result)
        return result

    def run(self, *args: str | Path, env: Mapping[str, str] | None = None, cwd: str = ".", stdin: str = "") -> Result:
        """Run ``warpforge ARGS``, which must succeed."""
        result = self.call(*args, env=env, cwd=cwd, stdin=stdin)
        assert result.exit == 0, str(result)
        return result

    def fail(self, *args: str | Path, env: Mapping[str, str] | None = None, cwd: str = ".") -> Result:
        """Run ``warpforge --json ARGS``, which must fail with exactly one error."""
        result = self.call("--json", *args, env=env, cwd=cwd)
        assert result.exit not in (0, 70), str(result)
        assert result.error["message"], str(result)
        return result

    def adopt(self, template: Path) -> None:
        """Make the working directory like a prepared one, its ``.warpforge`` too."""
        shutil.copytree(template, self.root, symlinks=True, dirs_exist_ok=True)
