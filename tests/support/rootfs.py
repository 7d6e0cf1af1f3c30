"""A small root tree to run things on, and what to do with trees: give them away, see that nothing touched them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import rootfs


def make_rootfs(path: Path) -> Path:
    """A new directory with a static busybox and its applets, and etc/passwd: a root ware's tree."""
    path.mkdir()
    rootfs.make_rootfs(path)
    (path / "etc").mkdir()
    (path / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    (path / "etc" / "hello").write_text("hello\n")
    return path


def give_tree(path: Path, uid: int, gid: int) -> None:
    """Give a tree to another owner, symlinks included."""
    for directory, names, files in os.walk(path):
        for name in (".", *names, *files):
            os.chown(os.path.join(directory, name), uid, gid, follow_symlinks=False)


def snapshot(path: Path) -> dict[str, tuple[int, int, int, int, int]]:
    """Inode, mode, owner, size and change time of everything below, to see that nothing was touched."""
    found: dict[str, tuple[int, int, int, int, int]] = {}
    for directory, names, files in os.walk(path):
        for name in (".", *names, *files):
            status = os.lstat(os.path.join(directory, name))
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            found[os.path.join(directory, name)] = (
                status.st_ino,
                status.st_mode,
                status.st_uid,
                size,
                status.st_ctime_ns,
            )
    return found


def make_glibc_root(path: Path, programs: list[str]) -> Path:
    """A new directory with programs of this machine and the shared libraries that they load: a dynamic root."""
    for program in programs:
        found = shutil.which(program, path="/usr/bin:/bin")
        assert found is not None, program
        _copy(Path(found), path / "bin" / program)
        said = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", said):
            _copy(Path(library), path / library.lstrip("/"))
    for directory in (path, *(found for found in path.rglob("*") if found.is_dir())):
        directory.chmod(0o755)
    return path


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755)
