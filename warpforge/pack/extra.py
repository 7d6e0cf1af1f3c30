"""Extra: what the headers in front of a member say of it, for which its own has no room.

PAX records (path linkpath size mtime uid gid SCHILY.xattr.*; other keys are ignored) and GNU's long names.
"""

from __future__ import annotations

from typing import Final

from . import faults
from .numbers import parse_decimal, parse_records, parse_time

LONGEST: Final = 1 << 20  # bytes that all headers in front of one member may hold
_CHAIN: Final = 16  # headers that may stand there
_XATTR: Final = b"SCHILY.xattr."


class Extra:
    """Of one member: each header is announced, then taken; then asked for what it says in place of the member's own.

    Errors: ``ware-limit``, ``ware-invalid``, ``ware-corrupt``.
    """

    __slots__ = ("_chained", "_link", "_name", "_records", "_size")

    def __init__(self) -> None:
        self._records: dict[bytes, bytes] = {}
        self._name: bytes | None = None
        self._link: bytes | None = None
        self._chained = 0
        self._size = 0

    def announce(self, size: int) -> None:
        """One more header, of this size."""
        self._chained += 1
        self._size += size
        if self._chained > _CHAIN or self._size > LONGEST:
            raise faults.over_limit("header", "too much in front of one member")

    def take(self, role: str, data: bytes) -> None:
        """What it holds; ``role``: pax, name or link."""
        if role == "pax":
            records = parse_records(data)
            for key in records:
                if key.startswith(b"GNU.sparse."):
                    raise faults.invalid("type", records.get(b"path", b""), "sparse files are not read: pack it dense")
            for key in (b"path", b"linkpath"):
                if key in records and (not records[key] or b"\0" in records[key]):
                    raise faults.invalid("name", records[key], f"an impossible {key.decode()}")
            self._records.update(records)
        elif role == "name":
            self._name = data.partition(b"\0")[0]
        else:
            self._link = data.partition(b"\0")[0]

    def names(self, name: bytes, link: bytes) -> tuple[bytes, bytes]:
        """Name and target, where the member's own header has these."""
        name = name if self._name is None else self._name
        link = link if self._link is None else self._link
        return self._records.get(b"path", name), self._records.get(b"linkpath", link)

    def numbers(self, name: bytes, size: int, uid: int, gid: int, mtime: int) -> tuple[int, int, int, int, int]:
        """Size, uid, gid, mtime and its nanoseconds, where the member's own header has these."""
        records = self._records
        mtime_ns = 0
        if b"size" in records:
            size = parse_decimal(records[b"size"], name)
        if b"uid" in records:
            uid = parse_decimal(records[b"uid"], name)
        if b"gid" in records:
            gid = parse_decimal(records[b"gid"], name)
        if b"mtime" in records:
            mtime, mtime_ns = parse_time(records[b"mtime"], name)
        return size, uid, gid, mtime, mtime_ns

    def xattrs(self) -> dict[bytes, bytes]:
        """Extended attributes, by their names."""
        return {key.removeprefix(_XATTR): value for key, value in self._records.items() if key.startswith(_XATTR)}
