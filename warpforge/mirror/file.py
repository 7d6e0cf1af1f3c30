"""Mirrors on a file system: ``file:///path/of/one.tar`` and ``ca+file:///directory``."""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote

from warpforge.errors import Unable, store_error
from warpforge.fsx.atomic import fsync_dir, random_name
from warpforge.fsx.locks import locked_open
from warpforge.model.atoms import WarehouseAddr, WareId

from .protocol import ca_paths

if TYPE_CHECKING:
    from typing_extensions import Buffer

STAGED: Final = ".push-"
OLD: Final = 60.0  # seconds after which something staged that nobody holds is debris


class FileMirror:
    """One file, or a directory of many. Only regular files are read; nothing is linked, all is copied."""

    def __init__(self, address: WarehouseAddr) -> None:
        self._address = address
        self._path = unquote(address.url.removeprefix("file://"))
        if not self._path.startswith("/"):
            raise Unable("fetch", f"{address}: a file address needs an absolute path", reason="policy", address=address)

    def open(self, ware: WareId) -> BinaryIO:
        path = next((path for path in self._places(ware) if os.path.lexists(path)), self._places(ware)[0])
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError) as error:
            there = not self._address.is_content_addressed or os.path.isdir(self._path)
            raise self._refuse("not found" if there else "there is no such directory", "not-found", error) from error
        except OSError as error:
            raise self._refuse(error.strerror or str(error), "policy", error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._refuse("not a regular file", "policy")
        return io.BufferedReader(_Reading(descriptor, self._refuse))

    def has(self, ware: WareId) -> bool:
        return any(os.path.isfile(path) and not os.path.islink(path) for path in self._places(ware))

    def push(self, ware: WareId, source: BinaryIO) -> None:
        path = self._places(ware)[0]
        directory = os.path.dirname(path)
        staged = os.path.join(directory, random_name(STAGED))
        try:
            os.makedirs(directory, exist_ok=True)
            _sweep(directory)
            with open(staged, "xb") as target:
                with suppress(OSError):  # a file system without locks; then nobody sweeps it either
                    fcntl.flock(target.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            os.rename(staged, path)
            fsync_dir(directory)
        except BaseException as error:
            with suppress(OSError):
                os.unlink(staged)
            if isinstance(error, OSError):
                raise store_error(error, f"cannot push to {self._address}") from error
            raise

    def _places(self, ware: WareId) -> list[str]:
        """Where the ware may be; it is pushed to the first."""
        if not self._address.is_content_addressed:
            return [self._path]
        return [os.path.join(self._path, path) for path in ca_paths(ware)]

    def _refuse(self, what: str, reason: str, cause: OSError | None = None) -> Unable:
        return Unable("fetch", f"{self._address}: {what}", cause=cause, reason=reason, address=self._address)


class _Reading(io.FileIO):
    """A file whose faults are the mirror's."""

    def __init__(self, descriptor: int, refuse: Callable[[str, str, OSError], Unable]) -> None:
        super().__init__(descriptor, "rb")
        self._refuse = refuse

    def readinto(self, buffer: Buffer, /) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise self._refuse(f"it cannot be read: {error.strerror or error}", "policy", error) from error


def _sweep(directory: str) -> None:
    """Remove what pushes that were killed left here."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        with suppress(OSError):
            if name.startswith(STAGED) and abs(time.time() - os.lstat(path).st_mtime) > OLD:
                with locked_open(path, os.O_RDONLY) as fd:
                    if fd is not None:
                        os.unlink(path)
