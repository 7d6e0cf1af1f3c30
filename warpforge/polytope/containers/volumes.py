"""Volumes: directories that containers write to and that outlive them.

    .warpforge/volumes/ID/data        a project's: stays until it is removed
    .warpforge/volumes/ID/lock        held by whoever makes or removes it
    .warpforge/volumes/ID/used        held, together, by the jobs that use it

They lie beside the polytope file. A job's volumes lie in the staging directory of its process, and go with it. Under
root everything in a volume belongs to the uids behind the boxes, and the directories around it are root's alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from warpforge.errors import Failed, Invalid, Missing, Unable
from warpforge.fsx.atomic import make_dirs
from warpforge.fsx.locks import Busy, Lock
from warpforge.polytope.spec import VolumeSource
from warpforge.workspace.find import INTERNAL

_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DATA: Final = "data"
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
            found.mkdir(mode=0o700, exist_ok=True)
            with Lock(found / "lock"):
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
            found = [(name, self._scopes["project"] / name / _DATA) for name in names]
            return [Volume(name, path, _measure(path)) for name, path in found if path.is_dir()]
        return []

    def remove(self, name: str) -> None:
        """Remove one of the project's. Errors: ``missing``, ``store`` (busy: a job uses it)."""
        found = self._scopes["project"] / name
        if not _ID.match(name) or not (found / _DATA).is_dir():
            there = ", ".join(volume.id for volume in self.list())
            raise Missing("missing", f"there is no volume {name}: there is {there or 'none'}", volume=name)
        with Lock(found / "lock"):
            try:
                with Lock(found / "used", timeout=0):
                    self._discard(found)
            except Busy as busy:
                pids = ", ".join(map(str, busy.pids)) or "unknown"
                what = f"volume {name} is used by a job that runs (pid {pids}): `pt stop` ends it"
                raise Unable("store", what, cause=busy, reason="busy", volume=name, pid=pids) from busy

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
