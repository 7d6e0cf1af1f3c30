"""Filters: what becomes of owners, times and modes on the way in or out of a ware.

A filtered tree has its own id. Four rows of defaults, one for each way:
OUTPUT (packing an output), INGEST (packing a directory as a source),
INPUT (unpacking) and SCAN (naming an archive). Spelled ``uid=0,mtime=@1262304000``; keep and follow mean the same.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from warpforge.errors import Invalid
from warpforge.fsx.tree import Entry

from . import faults

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH: Final = 1262304000  # 2010-01-01T00:00:00Z, the original's choice
_LARGEST_ID: Final = 0xFFFFFFFF
_WORDS: Final = {
    "sticky": ("keep", "ignore"),
    "setid": ("keep", "ignore", "reject"),
    "dev": ("keep", "ignore", "reject"),
    "mode": ("keep", "canonical"),
}
KEYS: Final = ("uid", "gid", "mtime", "sticky", "setid", "dev", "mode")

Attributes = tuple[int, int, int, int, int]  # mode, uid, gid, mtime, mtime_ns


class Filters:
    """One set of filters: a row of defaults with some values changed. Immutable."""

    __slots__ = ("_canonical", "_clear", "_gid", "_mtime", "_reject", "_row", "_uid", "values")

    def __init__(self, values: Mapping[str, str], row: Filters | None = None) -> None:
        """``values`` are normalised texts, one for each of KEYS."""
        self.values: Final = dict(values)
        self._row = self if row is None else row
        self._uid = None if values["uid"] == "keep" else int(values["uid"])
        self._gid = None if values["gid"] == "keep" else int(values["gid"])
        self._mtime = None if values["mtime"] == "keep" else int(values["mtime"][1:])
        self._clear = (0o1000 if values["sticky"] == "ignore" else 0) | (0o6000 if values["setid"] == "ignore" else 0)
        self._reject = 0o6000 if values["setid"] == "reject" else 0
        self._canonical = values["mode"] == "canonical"

    def parse(self, text: str) -> Filters:
        """This row with the changes spelled ``k=v,...``. Errors: ``invalid-argument``."""
        changes: dict[str, str] = {}
        for part in filter(None, text.split(",")):
            key, equals, value = part.partition("=")
            if not equals:
                raise _wrong(part, "a filter looks like uid=0")
            if key in changes:
                raise _wrong(key, "is given twice")
            changes[key] = value
        return self.replace(changes)

    def replace(self, changes: Mapping[str, str]) -> Filters:
        """This row with some values changed. Errors: ``invalid-argument`` for an unknown key or value."""
        if not changes:
            return self
        return Filters({**self.values, **{key: _normal(key, value) for key, value in changes.items()}}, self._row)

    def key(self) -> str:
        """The canonical text of what differs from the row's defaults; empty when nothing does."""
        base = self._row.values
        return ",".join(f"{key}={self.values[key]}" for key in KEYS if self.values[key] != base[key])

    def __str__(self) -> str:
        return ",".join(f"{key}={self.values[key]}" for key in KEYS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filters) and self.values == other.values

    def __hash__(self) -> int:
        return hash(str(self))

    def attributes(self, entry: Entry) -> Attributes:
        """Mode, uid, gid, mtime and its nanoseconds after the filters. Errors: ``ware-invalid``, reason metadata."""
        mode = entry.mode
        if mode & 0o7000 or self._canonical:
            mode = self._mode(entry)
        uid = entry.uid if self._uid is None else self._uid
        gid = entry.gid if self._gid is None else self._gid
        if self._mtime is None:
            return mode, uid, gid, entry.mtime, entry.mtime_ns
        return mode, uid, gid, self._mtime, 0

    def apply(self, entry: Entry) -> Entry:
        """The entry as the filters leave it. Errors: ``ware-invalid``, reason metadata."""
        attributes = self.attributes(entry)
        if attributes == (entry.mode, entry.uid, entry.gid, entry.mtime, entry.mtime_ns):
            return entry
        return Entry(entry.path, entry.kind, *attributes, entry.size, entry.link, entry.device, entry.xattrs)

    def drops(self, entry: Entry) -> bool:
        """Whether the filters leave this entry out. Errors: ``ware-invalid``, reason type, for a device or socket."""
        if entry.kind not in "Dcs":
            return False
        if entry.kind == "s":
            raise faults.invalid("type", entry.path, "a socket cannot be in a ware: remove it")
        if self.values["dev"] == "reject":
            raise faults.invalid("type", entry.path, "a device is refused here: remove it, or filter with dev=ignore")
        return self.values["dev"] == "ignore"

    def _mode(self, entry: Entry) -> int:
        mode = entry.mode
        if mode & self._reject:
            raise faults.invalid(
                "metadata", entry.path, "setuid and setgid are refused here: clear them, or filter with setid=ignore"
            )
        mode &= ~self._clear
        if self._canonical and entry.kind != "L":
            executable = entry.kind == "d" or (entry.kind == "f" and mode & 0o100)
            mode = mode & 0o7000 | (0o755 if executable else 0o644)
        return mode


def _normal(key: str, value: str) -> str:
    """One value as it is compared and kept."""
    if value == "follow":
        value = "keep"
    if key in ("uid", "gid"):
        return _normal_id(key, value)
    if key == "mtime":
        return _normal_time(value)
    if key not in _WORDS:
        raise _wrong(key, f"there is no such filter; there are {', '.join(KEYS)}")
    if value not in _WORDS[key]:
        raise _wrong(f"{key}={value}", f"{key} is one of follow, {', '.join(_WORDS[key])}")
    return value


def _normal_id(key: str, value: str) -> str:
    if value == "keep":
        return value
    if value == "mine":
        return str(os.getuid() if key == "uid" else os.getgid())
    if not (value.isascii() and value.isdigit() and len(value) < 11 and int(value) <= _LARGEST_ID):
        raise _wrong(f"{key}={value}", f"{key} is keep, follow, mine or a number up to {_LARGEST_ID}")
    return str(int(value))


def _normal_time(value: str) -> str:
    if value == "keep":
        return value
    if value.startswith("@"):
        digits = value[1:].removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) < 13:
            return f"@{int(value[1:])}"
    else:
        from datetime import datetime

        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None and not moment.microsecond:
            return f"@{int(moment.timestamp())}"
    raise _wrong(f"mtime={value}", "mtime is keep, follow, @UNIX or a time like 2010-01-01T00:00:00Z")


def _wrong(what: str, why: str) -> Invalid:
    return Invalid("invalid-argument", f"filter {what}: {why}", filter=what)


def _row(uid: str, mtime: str, sticky: str, mode: str) -> Filters:
    setid = dev = "reject"
    return Filters({"uid": uid, "gid": uid, "mtime": mtime, "sticky": sticky, "setid": setid, "dev": dev, "mode": mode})


OUTPUT: Final = _row("0", f"@{EPOCH}", "keep", "keep")
INGEST: Final = _row("0", f"@{EPOCH}", "ignore", "canonical")
INPUT: Final = _row("0", "keep", "keep", "keep")
SCAN: Final = _row("keep", "keep", "keep", "keep")
