"""Our own spelling of headers, recognised at a glance: what is spelled in any other way is left to ``members``.

Of a header that is spelled so, all but a few fields is known, its part of the checksum, too.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import adler32

from .headers import DIRECTORY_REST, FILE_REST, LINK_REST

FIELDS: Final = Struct("100s24s11sx12s8s").unpack_from  # name; mode, uid, gid; size; mtime; checksum
# of a checksum what is always the same: eight blanks in its own place are among it; less what Adler-32 adds to a sum
FILE_SUM: Final = sum(FILE_REST) + 8 * 32 - 1
_DIRECTORY_SUM: Final = sum(DIRECTORY_REST) + 8 * 32 - 1
_LINK_SUM: Final = ord("2") + sum(LINK_REST) + 8 * 32 - 2
_NO_SIZE: Final = b"0" * 11


def read_directory(data: bytes, at: int) -> tuple[bytes, bytes, bytes] | None:
    """Path, fields of mode and owner, and of the time; None: something else stands there."""
    if not data.startswith(DIRECTORY_REST, at + 156):
        return None
    raw, owner, digits, time, check = FIELDS(data, at)
    name = raw.rstrip(b"\0")
    path = name[:-1]
    total = _DIRECTORY_SUM + (adler32(data[at : at + 148]) & 0xFFFF)
    if check != b"%06o\0 " % total or digits != _NO_SIZE or name[-1:] != b"/" or not is_plain(path):
        return None
    return path, owner, time


def read_link(data: bytes, at: int) -> tuple[bytes, bytes, bytes, bytes] | None:
    """As ``read_directory`` for a symlink, and what it points at."""
    if data[at + 156 : at + 157] != b"2" or not data.startswith(LINK_REST, at + 257):
        return None
    raw, owner, digits, time, check = FIELDS(data, at)
    path, target = raw.rstrip(b"\0"), data[at + 157 : at + 257]
    link = target.rstrip(b"\0")
    total = _LINK_SUM + (adler32(data[at : at + 148]) & 0xFFFF) + (adler32(target) & 0xFFFF)
    if check != b"%06o\0 " % total or digits != _NO_SIZE or not is_plain(path) or not link or b"\0" in link:
        return None
    return path, owner, time, link


def is_plain(path: bytes) -> bool:
    """Whether a path is below the root, and spelled in the one way."""
    names = path.split(b"/")
    return all(names) and b"." not in names and b".." not in names and b"\0" not in path
