"""Datasets: trees that containers left, kept as wares; each has versions, numbered from 1.

    .warpforge/datasets/ID.json    {"dataset.v1": {"versions": [{"number": N, "ware": WAREID, "stored": SECONDS}]}}

The files lie beside the polytope file. A pin ``dataset.PROJECT.ID.N`` in the store (which several projects may share:
PROJECT is a digest of the directory) keeps each ware from being collected.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from warpforge.errors import Invalid, Missing, Unable
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.fsx.locks import Lock
from warpforge.model.atoms import WareId
from warpforge.workspace.find import INTERNAL

if TYPE_CHECKING:
    from warpforge.store.store import Store

_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\Z")
_CAPSULE: Final = "dataset.v1"


class Version(NamedTuple):
    """One version: when it was stored, in seconds since 1970."""

    number: int
    ware: WareId
    stored: int


class Datasets:
    """Those of a project; ``directory``: of its polytope file."""

    def __init__(self, directory: Path, store: Store) -> None:
        self._store = store
        self._directory = directory / INTERNAL / "datasets"
        self._project = hashlib.sha256(os.fsencode(os.path.realpath(directory))).hexdigest()[:12]

    def add(self, name: str, ware: WareId) -> int:
        """The next version; its number. Errors: ``invalid-argument``, ``store``."""
        path = self._path(name)
        make_dirs(str(self._directory), sync=False)
        with Lock(f"{path}.lock"):
            versions = self.versions(name)
            number = versions[-1].number + 1 if versions else 1
            self._store.kept.pin(ware, f"dataset.{self._project}.{name}.{number}")
            versions.append(Version(number, ware, int(time.time())))
            listed = [{"number": one.number, "ware": str(one.ware), "stored": one.stored} for one in versions]
            text = json.dumps({_CAPSULE: {"versions": listed}}, indent="\t") + "\n"
            write_atomic(str(path), text.encode(), staging=self._store.staging.directory())
        return number

    def find(self, name: str, number: int = 0) -> Version:
        """One version, 0 for the newest. Errors: ``missing``, ``store``."""
        versions = self.versions(name)
        for version in reversed(versions):
            if number in (0, version.number):
                return version
        if versions:
            known = ", ".join(str(version.number) for version in versions)
            raise Missing("missing", f"dataset {name} has no version {number}: there is {known}", dataset=name)
        there = ", ".join(self.names())
        raise Missing("missing", f"there is no dataset {name}: there is {there or 'none'}", dataset=name)

    def versions(self, name: str) -> list[Version]:
        """All versions, oldest first. Errors: ``invalid-argument``, ``store``."""
        path = self._path(name)
        try:
            said: Any = json.loads(path.read_bytes())[_CAPSULE]["versions"]
            return [Version(int(one["number"]), WareId.parse(one["ware"]), int(one["stored"])) for one in said]
        except FileNotFoundError:
            return []
        except (ValueError, LookupError, TypeError) as error:
            raise Unable("store", f"{path} is damaged: {error}", reason="corrupt", path=path) from error

    def names(self) -> list[str]:
        """Of all datasets, sorted."""
        with suppress(FileNotFoundError):
            return sorted(name.removesuffix(".json") for name in os.listdir(self._directory) if name.endswith(".json"))
        return []

    def _path(self, name: str) -> Path:
        if not _ID.match(name):
            raise Invalid("invalid-argument", f"{name!r} cannot be a dataset's id: letters, digits, - and _")
        return self._directory / f"{name}.json"
