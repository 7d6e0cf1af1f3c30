"""How much an archive may ask for before it is believed."""

from __future__ import annotations

from typing import Final, NamedTuple

from . import faults

HEADER: Final = 512  # bytes that an entry of a tar takes at least
ALLOW: Final = "--max-unpacked SIZE allows more"
GIB: Final = 1 << 30
COMPONENT: Final = 255  # bytes of one name: what the kernel takes


class Limits(NamedTuple):
    """Bounds on an archive whose id is not verified; None: no bound. ``unpacked``: bytes of the tar stream."""

    entries: int | None = 1_000_000
    path: int | None = 4096
    depth: int | None = 1024
    unpacked: int | None = 64 * GIB
    ratio: int | None = 1000  # unpacked : packed, once more than 1 GiB came out

    def allowing(self, unpacked: int) -> Limits:
        """With another bound on unpacked bytes, said by a person: no ratio counts, nor entries that fit within it."""
        entries = None if self.entries is None else max(self.entries, unpacked // HEADER)
        return self._replace(unpacked=unpacked, ratio=None, entries=entries)

    def check_bytes(self, packed: int, unpacked: int) -> None:
        """Errors: ``ware-limit``, reasons bytes and ratio."""
        if self.unpacked is not None and unpacked > self.unpacked:
            raise faults.over_limit("bytes", f"unpacks to more than {self.unpacked} bytes: {ALLOW}")
        if self.ratio is not None and unpacked > GIB and unpacked > self.ratio * packed:
            raise faults.over_limit(
                "ratio", f"unpacks to more than {self.ratio} times its size, as a bomb does: {ALLOW}"
            )

    def check_entries(self, count: int) -> None:
        """Errors: ``ware-limit``, reason entries."""
        if self.entries is not None and count > self.entries:
            raise faults.over_limit("entries", f"more than {self.entries} entries: {ALLOW}")

    def check_size(self, size: int) -> None:
        """A size that one member, or the packed bytes, claim. Errors: ``ware-limit``, reason bytes."""
        if self.unpacked is not None and size > self.unpacked:
            raise faults.over_limit("bytes", f"holds {size} bytes or more, over {self.unpacked}: {ALLOW}")

    def check_path(self, path: bytes) -> None:
        """Errors: ``ware-limit``, reason depth."""
        if self.path is not None and len(path) > self.path:
            raise faults.over_limit("depth", f"a path of {len(path)} bytes: more than {self.path}")
        if self.depth is not None and path.count(b"/") >= self.depth:
            raise faults.over_limit("depth", f"a path of more than {self.depth} levels")


DEFAULT: Final = Limits()
UNLIMITED: Final = Limits(None, None, None, None, None)  # for wares whose id is verified already
