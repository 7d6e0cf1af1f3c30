"""Volumes: directories that containers write to and that outlive them.

    .warpforge/volumes/ID/data        a project's: stays until it is removed
    .warpforge/volumes/ID/lock        held by whoever makes or removes it
    .warpforge/volumes/ID/used        held, together, by the jobs that use it
    .warpforge/volumes/.gone-*        what is being removed

They lie beside the polytope file. A job's volumes lie in the staging directory of its process, and go with it. Under
root everything in a volume belongs to the uids behind the boxes, and the directories around it are root's alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from warpforge.errors import Failed, Invalid, Missing, Unable
from warpforge.fsx.atomic import make_dirs, random_name
from warpforge.fsx.locks import Busy, Lock
from warpforge.polytope.spec import VolumeSource
from warpforge.workspace.find import INTERNAL

_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DATA: Final = "data"
_GONE: Final = ".gone-"  # what is being removed has another name already
Fill = Callable[[Path], None]  # gives a new volume's directory, which is empty, its first content


def volumes_of(directory: Path) -> Path:
    """Where a project's volumes lie; ``directory``: of its polytope file."""
    return directory / INTERNAL / "volumes"


class Volume(NamedTuple):
    """A project's volume, for people. ``bytes``: what its files say that they hold."""

    id: str
    path: Path
    bytes: int


class Volumes:
    """``project``: where the project's lie; ``job``: where those of this job do; ``discard`` removes a directory.

    Close it: what it opened can be removed then.
    """

    def __init__(self, project: Path, job: Path, discard: Callable[[Path], None]) -> None:
        self._scopes: Final = {"project": project, "job": job}
        self._discard = discard
        self._used: dict[Path, Lock] = {}

    def close(self) -> None:
        """Nothing of it is used any more."""
        while self._used:
            self._used.popitem()[1].release()

    def open(self, source: VolumeSource, default: str, fill: Fill) -> Path:
        """The directory of a volume, made as its source says; ``default``: its id when it has none.

        Errors: ``missing``, ``invalid-argument``, ``store``; those of ``fill``.
        """
        name = source.id or default
        if not _ID.match(name):
            raise Invalid("invalid-argument", f"{name!r} cannot be a volume's id: letters, digits, - and _")
        directory = self._scopes[source.scope]
        if source.create == "never" and not (directory / name / _DATA).is_dir():
            what = f"there is no volume {name} ({source.scope} scope), and it is not to be made"
            raise Missing("missing", what, volume=name)
        make_dirs(str(directory), 0o700, sync=False)
        number = 1
        while True:
            found = directory / (name if number == 1 else f"{name}-{number}")
            with _made(found):
                data = found / _DATA
                if not data.is_dir():
                    self._make(data, fill)
                elif source.create == "always":
                    number += 1
                    continue
                if found not in self._used:
                    lock = self._used[found] = Lock(found / "used", shared=True)
                    lock.acquire()
                return data

    def list(self) -> list[Volume]:
        """The project's, by id."""
        with suppress(FileNotFoundError):
            names = sorted(os.listdir(self._scopes["project"]))
            found = [(name, self._scopes["project"] / name / _DATA) for name in names if _ID.match(name)]
            return [Volume(name, path, _measure(path)) for name, path in found if path.is_dir()]
        return []

    def remove(self, name: str) -> None:
        """Remove one of the project's. Errors: ``missing``, ``store`` (busy: a job uses it)."""
        project = self._scopes["project"]
        found, gone = project / name, project / random_name(_GONE)
        if not _ID.match(name) or not (found / _DATA).is_dir():
            raise self._missing(name)
        try:
            with Lock(found / "lock"), Lock(found / "used", timeout=0):
                found.rename(gone)  # at once: whoever wants one of this name from now on makes it anew
        except Busy as busy:
            pids = ", ".join(map(str, busy.pids)) or "unknown"
            what = f"volume {name} is used by a job that runs (pid {pids}): `pt stop` ends it"
            raise Unable("store", what, cause=busy, reason="busy", volume=name, pid=pids) from busy
        except FileNotFoundError:
            raise self._missing(name) from None  # somebody else was first
        for left in project.glob(f"{_GONE}*"):  # also by those who were killed
            self._discard(left)

    def _missing(self, name: str) -> Missing:
        there = ", ".join(volume.id for volume in self.list())
        return Missing("missing", f"there is no volume {name}: there is {there or 'none'}", volume=name)

    def _make(self, data: Path, fill: Fill) -> None:
        new = data.with_name("new")
        if new.exists():
            self._discard(new)  # of somebody who was killed
        new.mkdir(mode=0o755)
        try:
            fill(new)
        except BaseException:
            self._discard(new)
            raise
        new.rename(data)


@contextmanager
def _made(directory: Path) -> Iterator[None]:
    """Make a volume's directory, unless it is there, and hold its lock."""
    lock = Lock(directory / "lock")
    while not lock.held:
        with suppress(FileExistsError):
            os.mkdir(directory, 0o700)
        with suppress(FileNotFoundError):  # it was removed meanwhile
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _measure(path: Path) -> int:
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            with suppress(OSError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total


def not_a_directory(path: str) -> Failed:
    """A volume holds a directory."""
    return Failed("io", f"{path} is a file, and a volume begins as a directory", path=path)
