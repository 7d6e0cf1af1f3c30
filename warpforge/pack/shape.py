"""The shape of a header: what it says beside its name, size and checksum. Many members have it in common."""

from __future__ import annotations

from typing import Final, NamedTuple

from . import faults
from .numbers import parse_number

_KINDS: Final = {
    b"0": "f",
    b"\0": "f",
    b"7": "f",
    b"1": "h",
    b"2": "L",
    b"3": "c",
    b"4": "D",
    b"5": "d",
    b"6": "p",
}


class Shape(NamedTuple):
    """As it is read."""

    mode: int
    uid: int
    gid: int
    mtime: int
    kind: str  # an entry's kind, "h" for a hardlink, or the type itself for a header in front of a member
    link: bytes
    prefix: bytes
    device: tuple[int, int]
    old: bool  # a v7 type: a name that ends in "/" is a directory


def parse_shape(fixed: bytes, *, canonical: bool) -> Shape:
    """``fixed``: mode, uid and gid, then mtime, then all from the type on. Errors: ``ware-invalid``, ``-corrupt``."""
    tail = fixed[36:]
    flag = tail[:1]
    kind = _KINDS.get(flag) or _in_front(flag, canonical=canonical)
    link = tail[1:101].partition(b"\0")[0]
    prefix = b""
    if tail[101:107] == b"ustar\0":  # GNU's magic has blanks, v7 has none: neither knows a prefix
        prefix = tail[189:344].partition(b"\0")[0]
    device = (parse_number(tail[173:181]), parse_number(tail[181:189])) if kind in ("c", "D") else (0, 0)
    mode, uid, gid = parse_number(fixed[:8]) & 0o7777, parse_number(fixed[8:16]), parse_number(fixed[16:24])
    return Shape(mode, uid, gid, parse_number(fixed[24:36]), kind, link, prefix, device, flag == b"\0")


def _in_front(flag: bytes, *, canonical: bool) -> str:
    """The role of a header that is no member."""
    role = {b"x": "pax", b"g": "skip", b"L": "name", b"K": "link"}.get(flag)
    if role is None:
        raise faults.invalid("type", b"", f"a member of type {flag!r}: only files, directories and links are known")
    if canonical and role != "pax":
        raise faults.corrupt(f"a header of type {flag!r} has no place in a ztar")
    return role
