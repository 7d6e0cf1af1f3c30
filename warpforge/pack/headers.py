"""Tar headers as we write them: ustar, with a PAX header in front only for what ustar cannot hold.

Sources: POSIX.1-2017 pax ("ustar Interchange Format", "pax Extended Header"). The form is canonical: one tree,
one stream of bytes. Names carry no "./"; the root is "./", a root that is a file is "."; directories end in "/".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import adler32

if TYPE_CHECKING:
    from warpforge.fsx.tree import Entry

    from .filters import Attributes

BLOCK: Final = 512
END: Final = bytes(2 * BLOCK)
PADDING: Final = [bytes(-size % BLOCK) for size in range(BLOCK)]  # by size modulo 512

_TYPES: Final = {"f": b"0", "d": b"5", "L": b"2", "p": b"6", "c": b"3", "D": b"4"}
_NAME: Final = 100  # bytes that ustar's name and linkname fields hold
_SMALL: Final = 8**7  # first id that an octal field cannot hold
_LARGE: Final = 8**11  # first size or time that an octal field cannot hold
_PAX_NAME: Final = b"././@PaxHeader"


class Template(NamedTuple):
    """A header's fields around its name, size and checksum."""

    owner: bytes  # mode, uid, gid
    mtime: bytes
    rest: bytes  # type, linkname, magic, devices
    total: int  # sum of these bytes and of eight blanks for the checksum
    records: tuple[tuple[bytes, bytes], ...]  # for a PAX header: numbers that do not fit


def total(data: bytes) -> int:
    """The sum of at most 256 bytes; Adler-32's lower half is one more than it (RFC 1950), and counts in C."""
    return (adler32(data) & 0xFFFF) - 1


def make_template(kind: str, attributes: Attributes, device: tuple[int, int] = (0, 0), link: bytes = b"") -> Template:
    """What all nodes of one kind with the same attributes have in common."""
    mode, uid, gid, mtime, _ = attributes
    records: list[tuple[bytes, bytes]] = []
    uid = _fitting(b"uid", uid, _SMALL, records)
    gid = _fitting(b"gid", gid, _SMALL, records)
    mtime = _fitting(b"mtime", mtime, _LARGE, records)
    owner = b"%07o\0%07o\0%07o\0" % (mode, uid, gid)
    time = b"%011o\0" % mtime
    devices = b"%07o\0%07o\0" % device if kind in "Dc" else bytes(16)
    rest = _TYPES[kind] + link.ljust(_NAME, b"\0") + b"ustar\x0000" + bytes(64) + devices + bytes(155 + 12)
    return Template(owner, time, rest, sum(owner) + sum(time) + sum(rest) + 8 * 32, tuple(records))


def _fitting(key: bytes, value: int, bound: int, records: list[tuple[bytes, bytes]]) -> int:
    if 0 <= value < bound:
        return value
    records.append((key, b"%d" % value))
    return 0


FILE_REST: Final = make_template("f", (0o644, 0, 0, 0, 0)).rest  # the rest of most headers
DIRECTORY_REST: Final = make_template("d", (0o755, 0, 0, 0, 0)).rest
LINK_REST: Final = make_template("L", (0o777, 0, 0, 0, 0)).rest[1 + _NAME :]  # what stands behind the linkname


def make_header(entry: Entry, template: Template) -> bytes:
    """The blocks in front of a node's content."""
    path = entry.path
    name = path + b"/" if entry.kind == "d" else path
    size = entry.size
    if len(name) > _NAME or size >= _LARGE or template.records or not path or len(entry.link) > _NAME:
        return _make_long_header(entry, template)
    owner, mtime, rest, sum_, _ = template
    octal = b"%011o\0" % size
    # the sum of both at once: at most 112 bytes
    checksum = sum_ + (adler32(name + octal) & 0xFFFF) - 1
    return b"%b%b%b%b%06o\0 %b" % (name.ljust(_NAME, b"\0"), owner, octal, mtime, checksum, rest)


def _make_long_header(entry: Entry, template: Template) -> bytes:
    name = (entry.path or b".") + (b"/" if entry.kind == "d" else b"")
    records = []
    if len(name) > _NAME:
        records.append((b"path", name))
    if len(entry.link) > _NAME:
        records.append((b"linkpath", entry.link))
    records += template.records
    size = entry.size
    if size >= _LARGE:
        records.append((b"size", b"%d" % size))
        size = 0
    pax = b"".join(_record(key, value) for key, value in sorted(records))
    header = b""
    if pax:
        form = make_template("f", (0o644, 0, 0, 0, 0))
        rest = b"x" + form.rest[1:]
        header = _join(_PAX_NAME, form._replace(rest=rest, total=form.total - ord("0") + ord("x")), len(pax))
        header += pax + PADDING[len(pax) % BLOCK]
    return header + _join(name[:_NAME], template, size)


def _join(name: bytes, template: Template, size: int) -> bytes:
    octal = b"%011o\0" % size
    checksum = b"%06o\0 " % (template.total + total(name) + total(octal))
    return name.ljust(_NAME, b"\0") + template.owner + octal + template.mtime + checksum + template.rest


def _record(key: bytes, value: bytes) -> bytes:
    """One PAX record: its own length in front, counted with its own digits."""
    body = b" %b=%b\n" % (key, value)
    size = len(body) + 1
    while size != len(body) + len(b"%d" % size):
        size = len(body) + len(b"%d" % size)
    return b"%d%b" % (size, body)
