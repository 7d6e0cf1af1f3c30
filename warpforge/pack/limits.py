"""How much an archive may ask for before it is believed."""

from __future__ import annotations

from typing import Final, NamedTuple

from . import faults

GIB: Final = 1 << 30
COMPONENT: Final = 255  # bytes of one name: what the kernel takes


class Limits(NamedTuple):
    """Bounds on an archive whose id is not verified; None: no bound.

    ``unpacked``: bytes of the tar stream; when given by hand it also lifts the rule on ratios.
    """

    entries: int | None = 1_000_000
    path: int | None = 4096
    depth: int | None = 1024
    unpacked: int | None = 64 * GIB
    ratio: int | None = 1000  # unpacked : packed, once more than 1 GiB came out

    def allowing(self, unpacked: int) -> Limits:
        """With another bound on unpacked bytes, said by a person."""
        return self._replace(unpacked=unpacked, ratio=None)

    def check_bytes(self, packed: int, unpacked: int) -> None:
        """Errors: ``ware-limit``, reasons bytes and ratio."""
        if self.unpacked is not None and unpacked > self.unpacked:
            raise faults.over_limit("bytes", f"unpacks to more than {self.unpacked} bytes: allow more, or leave it")
        if self.ratio is not None and unpacked > GIB and unpacked > self.ratio * packed:
            raise faults.over_limit(
                "ratio", f"unpacks to more than {self.ratio} times its size: a bomb, unless a larger size is allowed"
            )

    def check_path(self, path: bytes) -> None:
        """Errors: ``ware-limit``, reason depth."""
        if self.path is not None and len(path) > self.path:
            raise faults.over_limit("depth", f"a path of {len(path)} bytes: more than {self.path}")
        if self.depth is not None and path.count(b"/") >= self.depth:
            raise faults.over_limit("depth", f"a path of more than {self.depth} levels")


DEFAULT: Final = Limits()
UNLIMITED: Final = Limits(None, None, None, None, None)  # for wares whose id is verified already
