"""Rebuilders: whose word counts on what came of building a release again. They have no say in what a release is.

The keys are in ``config/rebuilders.json`` of the root workspace, by the name of the catalog there:
``{"rebuilders.v1": {CATALOG: {NAME: ["ed25519:...", ...], ...}, ...}}``. Several keys of one name are one rebuilder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Invalid, store_error
from warpforge.fsx.atomic import make_dirs, write_atomic
from warpforge.model.layout import layout
from warpforge.model.names import is_release_name

from .capsule import read_capsule
from .tree import read_file

if TYPE_CHECKING:
    from .keys import PublicKey

FILE: Final = "rebuilders.json"
_CAPSULE: Final = "rebuilders.v1"

Rebuilders = Mapping[str, tuple[str, ...]]  # keys by name
NOBODY: Final[Rebuilders] = {}


def names_of(rebuilders: Rebuilders) -> dict[PublicKey, str]:
    """Whose each key is. Errors: ``key-invalid``."""
    from .keys import PublicKey

    return {PublicKey.parse(key): name for name, keys in rebuilders.items() for key in keys}


def load_rebuilders(path: Path) -> dict[str, Rebuilders]:
    """By catalog; nothing when there is no such file. Errors: ``catalog-invalid``, ``serialization``, ``io``."""
    data = read_file(os.fspath(path))
    if data is None:
        return {}
    found = read_capsule(data, str(path), _CAPSULE, dict[str, dict[str, tuple[str, ...]]])
    for rebuilders in found.values():
        _check(rebuilders)
    return dict(found)


def save_rebuilders(path: Path, catalogs: Mapping[str, Rebuilders]) -> None:
    """Errors: ``store``, ``key-invalid``, ``catalog-invalid`` (rebuilders)."""
    for rebuilders in catalogs.values():
        _check(rebuilders)
        names_of(rebuilders)
    lists = {catalog: {name: [*keys] for name, keys in one.items()} for catalog, one in catalogs.items() if one}
    try:
        make_dirs(path.parent)
        write_atomic(path, layout({_CAPSULE: lists}))
    except OSError as error:
        raise store_error(error, f"cannot write {path}") from error


def _check(rebuilders: Rebuilders) -> None:
    """That no key is that of two: they would count twice."""
    seen: dict[str, str] = {}
    for name, keys in rebuilders.items():
        if not is_release_name(name):
            raise _refuse(f"a rebuilder is called by letters, digits and - _ . + ~, not {name!r}")
        for key in keys:
            if seen.setdefault(key, name) != name:
                raise _refuse(f"{key} is the key of two rebuilders, {seen[key]} and {name}: they would count twice")


def _refuse(message: str) -> Invalid:
    return Invalid("catalog-invalid", message, reason="rebuilders")
