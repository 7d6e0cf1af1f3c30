"""What was seen of a ware while it was packed or scanned."""

from __future__ import annotations

from typing import NamedTuple


class WareFacts(NamedTuple):
    """Bytes at rest, bytes and entries of the tree, and the hash of the packed bytes (transport only)."""

    packed_bytes: int = 0
    unpacked_bytes: int = 0
    entries: int = 0
    packed_sha256: str = ""
