"""Change: whether the files that pages are made from are as they were, told by their times and names alone.

A module's directory is swapped whole when it is written, and each file of verdicts replaced, so that directories tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Final

from warpforge.catalog.tree import MIRRORS_FILE, MODULE_FILE, RELEASES_DIR, REPLAYS_DIR

_LEFT_OUT: Final = ("_html", "_snapshots", REPLAYS_DIR)  # these change only with others, or are the pages themselves
_TOLD: Final = (MODULE_FILE, MIRRORS_FILE)


def fingerprint(places: Iterable[Path], files: Iterable[Path] = ()) -> bytes:
    """Differs when something below the places, which have the tree of a catalog, or one of the files was replaced."""
    digest = blake2b(digest_size=16)
    for file in files:
        digest.update(_stamp(os.fspath(file)))
    for place in places:
        top = os.fspath(place)
        waiting = [top]
        while waiting:
            directory = waiting.pop()
            told = b"" if directory == top else _stamp(directory)  # the pages themselves may come to lie there
            digest.update(os.fsencode(directory) + told)
            if os.path.basename(directory) == RELEASES_DIR:
                continue
            for name, path, is_directory in _entries(directory):
                if is_directory:
                    waiting.append(path)
                elif name in _TOLD:
                    digest.update(_stamp(path))
    return digest.digest()


def _entries(directory: str) -> list[tuple[str, str, bool]]:
    try:
        with os.scandir(directory) as found:
            return sorted(
                (entry.name, entry.path, entry.is_dir(follow_symlinks=False))
                for entry in found
                if entry.name[0] != "." and entry.name not in _LEFT_OUT
            )
    except OSError:
        return []


def _stamp(path: str) -> bytes:
    try:
        status = os.stat(path)
    except OSError:
        return b"-"
    return f" {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns} ".encode()
