"""The names of members in foreign archives, as canonical paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import faults
from .limits import COMPONENT

if TYPE_CHECKING:
    from .limits import Limits


def parse_path(raw: bytes, kind: str, limits: Limits) -> bytes:
    """A member's name as a canonical path; ``kind``: an entry's, or "h" for a hardlink.

    Errors: ``ware-invalid`` (name, path), ``ware-limit`` (depth).
    """
    slash = raw[-1:] == b"/"
    path = raw[:-1] if slash else raw
    if not raw:
        raise faults.invalid("name", raw, "a member without a name")
    if b"//" in path or b"/." in path or path[:1] in b"./" or path[-1:] == b"/" or b"\0" in path:
        try:
            path = fold(raw)
        except ValueError:
            raise faults.invalid("path", raw, "a member outside of the ware") from None
        check_name(path, b"")
    if slash and kind != "d":
        raise faults.invalid("name", raw, "the name of a directory on something else")
    if len(path) > COMPONENT and max(map(len, path.split(b"/"))) > COMPONENT:
        raise faults.invalid("name", path, f"a name of more than {COMPONENT} bytes")
    limits.check_path(path)
    return path


def check_name(path: bytes, link: bytes) -> None:
    """Errors: ``ware-invalid``, reason name."""
    if b"\0" in path or b"\0" in link:
        raise faults.invalid("name", path, "a name cannot hold a NUL")


def fold(raw: bytes) -> bytes:
    """A path without empty and "." components. Raises ValueError for one that leaves the tree."""
    names = [name for name in raw.split(b"/") if name not in (b"", b".")]
    if raw[:1] == b"/" or b".." in names:
        raise ValueError(raw)
    return b"/".join(names)
