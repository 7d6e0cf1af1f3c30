"""Mirrors on a file system: ``file:///path/of/one.tar`` and ``ca+file:///directory``."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from typing import BinaryIO
from urllib.parse import unquote

from warpforge.errors import Unable, store_error
from warpforge.fsx.atomic import fsync_dir, random_name
from warpforge.model.atoms import WarehouseAddr, WareId

from .protocol import ca_path


class FileMirror:
    """One file, or a directory of many. Only regular files are read; nothing is linked, all is copied."""

    def __init__(self, address: WarehouseAddr) -> None:
        self._address = address
        self._path = unquote(address.url.removeprefix("file://"))
        if not self._path.startswith("/"):
            raise Unable("fetch", f"{address}: a file address needs an absolute path", reason="policy", address=address)

    def open(self, ware: WareId) -> BinaryIO:
        path = self._where(ware)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Unable("fetch", f"{self._address}: not found", cause=error, reason="not-found") from error
        except OSError as error:
            raise Unable("fetch", f"{self._address}: {error.strerror}", cause=error, reason="policy") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Unable("fetch", f"{self._address}: not a regular file", reason="policy")
        return os.fdopen(descriptor, "rb")

    def push(self, ware: WareId, source: BinaryIO) -> None:
        path = self._where(ware)
        directory = os.path.dirname(path)
        staged = os.path.join(directory, random_name(".push-"))
        try:
            os.makedirs(directory, exist_ok=True)
            with open(staged, "xb") as target:
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

    def _where(self, ware: WareId) -> str:
        if self._address.is_content_addressed:
            return os.path.join(self._path, ca_path(ware))
        return self._path
