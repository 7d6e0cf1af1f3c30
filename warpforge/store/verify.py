"""Looking at everything: each ware hashed again, each memo and dual id read.

The store does not know how wares are packed, so the one who asks hands in ``check``: it reads a packed ware and
returns the WareId of what it read, or raises.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from warpforge.errors import WarpforgeError, store_error
from warpforge.model.atoms import WareId

from . import duals, memo
from .finding import Finding

if TYPE_CHECKING:
    from .store import Store

Check = Callable[[WareId, BinaryIO], WareId]


def verify(store: Store, check: Check) -> list[Finding]:
    """Everything that is not as it should be; an empty list is a sound store. Nothing is changed."""
    return [*_wares(store, check), *_duals(store), *_memos(store)]


def _wares(store: Store, check: Check) -> Iterator[Finding]:
    for ware, path in store.warehouse.wares():
        finding = _ware(ware, path, check)
        if finding is not None:
            yield finding
    for ware, _facts in store.index.wares():
        if not store.warehouse.has(ware):
            yield Finding("index", str(ware), "missing", "", f"the index names {ware}, which is not there")


def _ware(ware: WareId, path: str, check: Check) -> Finding | None:
    kind, name = "ware", str(ware)
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return Finding(kind, name, "ware-corrupt", "type", f"{path} is no regular file", path)
        with open(path, "rb") as file:
            found = check(ware, file)
    except WarpforgeError as error:
        return Finding.of(kind, name, error, path)
    except OSError as error:
        return Finding.of(kind, name, store_error(error, f"cannot read ware {ware}"), path)
    if found != ware:
        return Finding(kind, name, "ware-mismatch", "", f"{path} holds {found}", path)
    return None


def _duals(store: Store) -> Iterator[Finding]:
    top = store.layout.duals
    for directory, _, names in os.walk(top):
        for name in sorted(names):
            path = os.path.join(directory, name)
            ware = WareId(os.path.relpath(directory, top).split(os.sep)[0], name)
            try:
                with open(path, "rb") as file:
                    duals.parse(file.read(512), path, ware)
            except WarpforgeError as error:
                yield Finding.of("dual", str(ware), error, path)


def _memos(store: Store) -> Iterator[Finding]:
    for formula_id in store.memo.formula_ids():
        path = store.layout.memo(formula_id)
        try:
            with open(path, "rb") as file:
                memo.parse(file.read(), formula_id)
        except WarpforgeError as error:
            yield Finding.of("memo", formula_id, error, path)
