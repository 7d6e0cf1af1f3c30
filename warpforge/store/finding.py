"""Findings: what was not as it should be, kept for whoever reports it; and the quarantine they are moved to."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

from warpforge.errors import PREFIX, Unable, WarpforgeError, store_error
from warpforge.fsx.atomic import make_dirs, random_name


class Finding(NamedTuple):
    """``kind``: ware, memo, dual, runs, index or store. ``name``: which one. ``code`` is without its prefix."""

    kind: str
    name: str
    code: str
    reason: str
    message: str
    path: str = ""

    @classmethod
    def of(cls, kind: str, name: str, error: WarpforgeError, path: str = "") -> Finding:
        """An error as a finding."""
        return cls(kind, name, error.code.removeprefix(PREFIX), error.reason, error.message, path)


class Findings:
    """Collects findings of one process until they are taken; each is kept once."""

    def __init__(self) -> None:
        self._found: dict[Finding, None] = {}
        self._lock = Lock()

    def add(self, finding: Finding) -> None:
        """Keep a finding."""
        with self._lock:
            self._found[finding] = None

    def take(self) -> list[Finding]:
        """All findings since the last call."""
        with self._lock:
            found = list(self._found)
            self._found.clear()
        return found


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Turn an operating-system error into the code ``store``."""
    try:
        yield
    except OSError as error:
        raise store_error(error, what) from error


def corrupt(what: str, path: str) -> Unable:
    """The error for truth that was damaged at rest."""
    return Unable("store", f"{what} is damaged: run `warpforge store verify`", reason="corrupt", path=path)


def quarantine(directory: str, path: str, kind: str) -> str:
    """Move a file or tree out of the way; returns its new name, or "" when that cannot be done."""
    goal = os.path.join(directory, f"{kind}-{os.path.basename(path)[:120]}-{random_name()[:8]}")
    try:
        make_dirs(directory, 0o700)
        os.rename(path, goal)
    except OSError:
        return ""
    return goal


def is_unwritable(error: OSError) -> bool:
    """Whether the store is read-only for us."""
    return error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
