"""What every mirror can do, and the address behind which each kind stands."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from warpforge.errors import Unable
from warpforge.model.atoms import WarehouseAddr, WareId


class Mirror(Protocol):
    """A place that holds packed wares."""

    def open(self, ware: WareId) -> BinaryIO:
        """The packed ware as a stream. Errors: ``fetch`` (reason not-found, net, policy)."""

    def push(self, ware: WareId, source: BinaryIO) -> None:
        """Keep a packed ware there, whole or not at all. Errors: ``fetch`` (reason policy, net), ``store``."""


def connect(address: WarehouseAddr) -> Mirror:
    """The mirror behind an address; nothing is opened yet. Errors: ``fetch`` (reason policy)."""
    if address.scheme == "file":
        from .file import FileMirror

        return FileMirror(address)
    raise Unable("fetch", f"{address}: mirrors of this kind cannot be read", reason="policy", address=str(address))


def ca_path(ware: WareId) -> str:
    """Where a content-addressed mirror keeps a ware: tar as the original does, other packtypes below their name."""
    hash_ = ware.hash
    path = f"{hash_[:3]}/{hash_[3:6]}/{hash_}" if len(hash_) > 6 else f"-/-/{hash_}"
    return path if ware.packtype == "tar" else f"{ware.packtype}/{path}"
