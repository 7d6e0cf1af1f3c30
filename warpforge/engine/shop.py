"""The shop: what a warehouse gives to others, by the path that content-addressed mirrors have for a ware."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from warpforge.errors import WarpforgeError
from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.store.store import Store

GZIP_SPACE: Final = 8 << 30  # bytes of gzip forms that are kept for the next who asks


class Served(NamedTuple):
    """An opened file, and the strong name of its bytes."""

    file: BinaryIO
    size: int
    tag: str


class Shop:
    """What is served: the wares of a store, with ``gzip`` the ``tar`` ones in their gzip form."""

    def __init__(self, store: Store, *, gzip: bool) -> None:
        self._store = store
        self._forms = GzipForms(store) if gzip else None

    def open(self, path: str) -> Served | None:
        """What a request's path names, if it is here. Errors: ``store``, and those of a damaged ware."""
        ware = parse_path(path)
        if ware is None:
            return None
        if self._forms is not None and ware.packtype == "tar":
            return self._forms.open(ware)
        return _open(self._store, ware)

    def has_unmade(self, path: str) -> bool:
        """Whether the path names a ware that is here, but in a form that is yet to be made."""
        ware = parse_path(path)
        if ware is None or self._forms is None or ware.packtype != "tar" or self._forms.is_made(ware):
            return False
        return self._store.warehouse.has(ware)


class GzipForms:
    """Gzip forms, made when first asked for and kept while this process serves."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[WareId, tuple[str, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[WareId, threading.Lock] = {}

    def is_made(self, ware: WareId) -> bool:
        """Whether it is kept."""
        with self._lock:
            return ware in self._kept

    def open(self, ware: WareId) -> Served | None:
        """The gzip form of a ware that is here."""
        with self._lock:
            making = self._making.setdefault(ware, threading.Lock())
        with making:
            while True:
                with self._lock:
                    kept = self._kept.get(ware)
                    if kept is not None:
                        self._kept.move_to_end(ware)
                if kept is None and not self._make(ware):
                    return None
                if kept is not None:
                    with suppress(FileNotFoundError):
                        file = open(kept[0], "rb")
                        return Served(file, kept[1], f'"gzip-{ware.hash}-{kept[1]}"')
                    with self._lock:
                        self._kept.pop(ware, None)

    def _make(self, ware: WareId) -> bool:
        from warpforge.pack.gzip_form import write_gzip_form

        found = _open(self._store, ware)
        if found is None:
            return False
        path = self._store.staging.new("gzip")
        try:
            with found.file, open(path, "x+b") as file:
                write_gzip_form(found.file, file)
                size = file.tell()
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise
        with self._lock:
            self._kept[ware] = (path, size)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > GZIP_SPACE:
                _, (old, _) = self._kept.popitem(last=False)
                with suppress(OSError):
                    os.unlink(old)
        return True


def parse_path(path: str) -> WareId | None:
    """The ware that a request names; None for any other path."""
    parts = path.removeprefix("/").split("/")
    packtype = "tar" if len(parts) == 3 else parts[0]
    try:
        ware = WareId.parse(f"{packtype}:{parts[-1]}")
    except WarpforgeError:
        return None
    return ware if "/" + ca_path(ware) == path else None


def _open(store: Store, ware: WareId) -> Served | None:
    path = store.warehouse.find(ware)
    if path is None:
        return None
    try:
        file = open(path, "rb")
    except OSError:
        return None
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        return None
    # a stored file never changes; its times do, when it is used
    return Served(file, status.st_size, f'"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}"')
