"""Known: what references meant when they were used here, so that it is noticed when they mean something else.

In ``known/MODULE/_known.json`` of the root workspace, ``{"known.v1": {"RELEASE:ITEM": WAREID, ...}}``: written at the
first use, as ``known_hosts`` of ssh and ``go.sum`` are. Beside it, in ``_releases/RELEASEID.json``, what the references
of a release's replay meant when it gave what the release says: ``{"pins.v1": {REFERENCE: WAREID, ...}}``.
A memory and no truth: what cannot be read is not known, and what cannot be written is not remembered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from warpforge.errors import WarpforgeError
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.fsx.locks import Busy, Lock
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.model.layout import layout
from warpforge.model.names import is_module_name

from .tree import RELEASES_DIR, read_file

DIRECTORY: Final = "known"
FILE: Final = "_known.json"
_KNOWN: Final = "known.v1"
_PINS: Final = "pins.v1"
_PATIENCE: Final = 5.0  # seconds to wait for another process that remembers something


class Known:
    """Over one root workspace. Modules are read when they are first asked for, and kept."""

    def __init__(self, internal: Path) -> None:
        self._top = os.fspath(internal / DIRECTORY)
        self._lock = internal / "locks" / DIRECTORY
        self._modules: dict[str, dict[str, str]] = {}

    def ware(self, ref: CatalogRef) -> str | None:
        """What a reference meant; None when it was never used."""
        known = self._modules.get(ref.module)
        if known is None:
            known = self._modules[ref.module] = self._load(ref.module)
        return known.get(f"{ref.release}:{ref.item}")

    def remember(self, wares: Mapping[CatalogRef, WareId]) -> None:
        """These references mean these wares; one that is known already stays as it is."""
        by_module: dict[str, dict[str, str]] = {}
        for ref, ware in wares.items():
            by_module.setdefault(ref.module, {})[f"{ref.release}:{ref.item}"] = str(ware)
        for module, entries in by_module.items():
            self._change(module, partial(_with, entries))

    def forget(self, module: str, release: str = "", item: str = "") -> list[str]:
        """Forget a module, one of its releases, or an item; gives the references that were known."""
        gone: list[str] = []

        def change(known: dict[str, str]) -> dict[str, str]:
            gone.extend(name for name in known if _is_of(name, release, item))
            return {name: ware for name, ware in known.items() if name not in gone}

        if os.path.lexists(self._path(module)):
            self._change(module, change)
        return [f"{module}:{name}" for name in gone]

    def every(self) -> Iterator[tuple[CatalogRef, str]]:
        """All that is known, by module."""
        for directory, names, files in os.walk(self._top):
            names[:] = sorted(name for name in names if not name.startswith("_"))
            module = os.path.relpath(directory, self._top)
            if FILE in files and is_module_name(module):
                for name, ware in sorted(self._load(module).items()):
                    release, _, item = name.partition(":")
                    yield CatalogRef(module, release, item), ware

    def pins(self, module: str, release_id: str) -> dict[CatalogRef, WareId]:
        """What the references of a release's replay meant when it was found to be right."""
        found = _read(f"{self._top}/{module}/{RELEASES_DIR}/{release_id}.json", _PINS)
        with suppress(WarpforgeError):
            return {CatalogRef.parse(ref): WareId.parse(ware) for ref, ware in found.items()}
        return {}

    def remember_pins(self, module: str, release_id: str, wares: Mapping[CatalogRef, WareId]) -> None:
        """The first word stays: what was found right once was right."""
        path = f"{self._top}/{module}/{RELEASES_DIR}/{release_id}.json"
        if wares and not os.path.lexists(path):
            _write(path, _PINS, {str(ref): str(ware) for ref, ware in wares.items()})

    def _load(self, module: str) -> dict[str, str]:
        return _read(self._path(module), _KNOWN)

    def _path(self, module: str) -> str:
        return f"{self._top}/{module}/{FILE}"

    def _change(self, module: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        with suppress(OSError, Busy):
            make_dirs(self._lock.parent, sync=False)
            lock = Lock(self._lock, timeout=_PATIENCE)
            lock.acquire()
            try:
                before = self._load(module)
                known = self._modules[module] = change(before)
                if known != before:
                    _write(self._path(module), _KNOWN, dict(sorted(known.items())))
            finally:
                lock.release()


def _with(entries: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    return {**entries, **known}


def _is_of(name: str, release: str, item: str) -> bool:
    found, _, label = name.partition(":")
    return release in ("", found) and item in ("", label)


def _read(path: str, capsule: str) -> dict[str, str]:
    with suppress(WarpforgeError, msgspec.MsgspecError, UnicodeError):
        data = read_file(path)
        if data is not None:
            return msgspec.json.decode(data, type=dict[str, dict[str, str]]).get(capsule, {})
    return {}


def _write(path: str, capsule: str, value: dict[str, str]) -> None:
    with suppress(OSError):
        make_dirs(os.path.dirname(path), sync=False)
        write_atomic(path, layout({capsule: value}), sync=False)
