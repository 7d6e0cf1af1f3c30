"""Reach: which mirrors this workspace knows for every ware, and what it takes to get there.

``config/mirrors.json`` (``mirrors.v1``, a list of addresses to read from) and ``config/mirroring.json``
(``mirroring.v1``, warehouses to push to, which are read from too) of each workspace in the stack, nearest first. The
warehouse of a workspace that is not the root is a mirror, too: there ``catalog bundle --wares`` puts wares.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from warpforge.errors import Unable
from warpforge.model.atoms import WarehouseAddr
from warpforge.model.catalog import PushConfig

if TYPE_CHECKING:
    from pathlib import Path

    from warpforge.mirror.policy import Access
    from warpforge.workspace.find import Stack

READ: Final = "mirrors.json"
PUSH: Final = "mirroring.json"
MOCK: Final = "mock"  # the original's kind for tests: nothing is there


class Reach:
    """Reads its files when first asked. ``base`` gives the access that the environment allows."""

    def __init__(self, stack: Stack, base: Callable[[], Access] | None = None) -> None:
        self._stack = stack
        self._base = base

    @cached_property
    def addresses(self) -> list[WarehouseAddr]:
        """Mirrors of every ware, best first. Errors: ``catalog-invalid``, ``serialization``, ``io``."""
        from warpforge.model.serial import load_mirror_list

        found: dict[WarehouseAddr, None] = {}
        for workspace in self._stack:
            if not workspace.is_root and (own := workspace.internal / "warehouse").is_dir():
                found[WarehouseAddr(f"ca+file://{quote(os.fspath(own))}")] = None  # what was bundled
            data = read_config(workspace.config(READ))
            if data is not None:
                found.update(dict.fromkeys(load_mirror_list(data, str(workspace.config(READ))).noun.addresses))
        found.update(dict.fromkeys(address for address in self.pushes if address.is_content_addressed))
        return [*found]

    @cached_property
    def pushes(self) -> dict[WarehouseAddr, PushConfig]:
        """Where wares are pushed to, and how. Errors: as ``addresses``."""
        from warpforge.model.serial import load_mirroring

        found: dict[WarehouseAddr, PushConfig] = {}
        for workspace in self._stack:
            data = read_config(workspace.config(PUSH))
            if data is not None:
                for address, push in load_mirroring(data, str(workspace.config(PUSH))).noun.warehouses.items():
                    if push.kind != MOCK:
                        found.setdefault(address, push)
        return found

    @cached_property
    def access(self) -> Access:
        """For ``mirror.protocol.connect``. Errors: as ``addresses``."""
        from warpforge.mirror.policy import Access

        return (self._base() if self._base else Access())._replace(pushes=self.pushes)


def read_config(path: Path) -> bytes | None:
    """A file of a workspace's configuration; None when there is none. Errors: ``io``."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error
