"""The demo's inputs: two packages at fixed versions, fetched once, and the trees in them that become wares.

``ziglang`` is a whole C compiler in one wheel; the source package of ``lmdb`` holds LMDB's C library under ``lib/``,
that of ``Brotli`` the whole of Brotli, in 32 C files, under ``c/``.
Everything lies under ``build/demo``: ``downloads/`` and one directory a tree. Files are checked against their sha256
on every call, and a tree gets its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

TRIES = 3

Member = tuple[str, int, bytes]  # path in the tree, mode, content


class Download(NamedTuple):
    """A file of a package, by its sha256."""

    package: str
    version: str
    file: str
    sha256: str


ZIG = Download(
    "ziglang",
    "0.13.0",
    "ziglang-0.13.0-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.musllinux_1_1_x86_64.whl",
    "3ce0c9f16547e5d61b32e0d226926e9a2552ef4b91fccf7ab5ea1a623a77824b",
)
LMDB = Download(
    "lmdb",
    "1.6.2",
    "lmdb-1.6.2.tar.gz",
    "d28e3fa59935ff688858760ec52f202ecb8c1089a3f68d1f162ea3078d151e73",
)


BROTLI = Download(
    "Brotli",
    "1.1.0",
    "Brotli-1.1.0.tar.gz",
    "81de08ac11bcb85841e440c13611c00b67d3bf82698314928d0b676362546724",
)


def is_whole(path: Path, download: Download) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == download.sha256


def fetch(target: Path, *downloads: Download) -> dict[Download, Path]:
    """The downloads as files below ``target``, from there or through pip. Raises RuntimeError when that fails."""
    target.mkdir(parents=True, exist_ok=True)
    return {download: _fetch(download, target) for download in downloads}


def _fetch(download: Download, target: Path) -> Path:
    path = target / download.file
    for number in range(TRIES):
        if is_whole(path, download):
            return path
        time.sleep(3 * number)
        path.unlink(missing_ok=True)
        _pip_download(download, target)
    if is_whole(path, download):
        return path
    raise RuntimeError(f"pip could not download {download.file}: see its words above, and try again")


def _pip_download(download: Download, target: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        # pip checks a source package's hash before it runs any of its code
        source = f"--no-binary {download.package}\n" if download.file.endswith(".tar.gz") else ""
        wanted.write(f"{source}{download.package}=={download.version} --hash=sha256:{download.sha256}\n")
        wanted.flush()
        subprocess.run(
            [*pip, "--no-deps", "--require-hashes", "--dest", target, "--requirement", wanted.name],
            # pip asks a source package for its metadata; told to be pure Python, lmdb's needs no tools for that
            env={**os.environ, "LMDB_PURE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=False,
        )


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
