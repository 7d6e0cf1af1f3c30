"""What must hold after anything that went wrong: nothing outside changed, nothing wrong stands, nothing is left."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from support.processes import find_by_command
from support.world import World


class Canary:
    """A tree beside the store that nobody has any business with (P1)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        (path / "deep").mkdir(parents=True)
        (path / "file").write_text("canary")
        (path / "deep" / "closed").write_text("canary")
        (path / "deep" / "closed").chmod(0o400)
        (path / "link").symlink_to("file")
        os.link(path / "file", path / "again")
        self._before = self._look()

    def _look(self) -> list[tuple[object, ...]]:
        seen: list[tuple[object, ...]] = []
        for path in sorted(self._path.rglob("*")):
            status = path.lstat()
            content = sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            seen.append((path, status.st_ino, status.st_mode, status.st_nlink, status.st_mtime_ns, content))
        return seen

    def check(self) -> None:
        """It is as it was."""
        assert self._look() == self._before


def check_sound(world: World, *, wares: int | None = None) -> None:
    """Every ware verifies (P2 P3), no process, mount or temporary file is left (P5), no failure is memoised (P8)."""
    done = world.call("--json", "store", "verify", "--deep")
    assert done.exit == 0, str(done)
    assert wares is None or done.one("verified")["wares"] == wares, str(done)
    internal = world.path(".warpforge")
    for name in ("tmp", "roots", "partial"):
        left = os.listdir(internal / name) if (internal / name).exists() else []
        assert left == [], f"left in {name}: {left}"
    assert str(world.root) not in Path("/proc/mounts").read_text()
    assert find_by_command(str(world.root)) == []
    for memo in internal.glob("memos/*.json"):
        assert b'"exitcode":0' in memo.read_bytes().replace(b" ", b"").replace(b"\t", b"")
