"""The demo's inputs: the trees in packages at fixed versions that become wares.

``ziglang`` is a whole C compiler in one wheel; the source package of ``lmdb`` holds LMDB's C library under ``lib/``,
that of ``Brotli`` the whole of Brotli, in 32 C files, under ``c/``.
Each is one directory below ``build/demo``; a tree gets its name only when it is whole.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

Member = tuple[str, int, bytes]  # path in the tree, mode, content


def zig_tree(wheel: Path, target: Path) -> Path:
    """The compiler: the ``ziglang`` directory of the wheel."""

    def members() -> Iterator[Member]:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                head, _, path = info.filename.partition("/")
                if head == "ziglang" and path and not info.is_dir():
                    yield path, info.external_attr >> 16, archive.read(info)

    return _tree(target, members)


def lmdb_tree(sdist: Path, target: Path) -> Path:
    """LMDB's own C files and their licence, without the Python package around them."""

    def members() -> Iterator[Member]:
        with tarfile.open(sdist) as archive:
            for info in archive:
                _, _, path = info.name.partition("/")
                folder, _, name = path.rpartition("/")
                if path == "LICENSE" or (folder == "lib" and name.endswith((".c", ".h"))):
                    file = archive.extractfile(info)
                    assert file is not None
                    yield name, info.mode, file.read()

    return _tree(target, members)


def brotli_tree(sdist: Path, target: Path) -> Path:
    """Brotli's own C files, headers and licence."""

    def members() -> Iterator[Member]:
        with tarfile.open(sdist) as archive:
            for info in archive:
                _, _, path = info.name.partition("/")
                if path == "LICENSE" or (path.startswith("c/") and path.endswith((".c", ".h"))):
                    file = archive.extractfile(info)
                    assert file is not None
                    yield path.removeprefix("c/"), info.mode, file.read()

    return _tree(target, members)


def _tree(target: Path, members: Callable[[], Iterator[Member]]) -> Path:
    """Write a tree with modes 0644 and 0755, unless it is there already."""
    if target.is_dir():
        return target
    staged = target.with_name(f"{target.name}.part")
    shutil.rmtree(staged, ignore_errors=True)
    _make_directory(staged)
    for name, mode, content in members():
        path = staged / name
        assert ".." not in path.parts
        for parent in reversed(path.relative_to(staged).parents[:-1]):
            _make_directory(staged / parent)
        path.write_bytes(content)
        path.chmod(0o755 if mode & stat.S_IXUSR else 0o644)
    os.rename(staged, target)
    return target


def _make_directory(path: Path) -> None:
    if not path.is_dir():
        path.mkdir()
        path.chmod(0o755)
