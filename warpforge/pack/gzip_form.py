"""A stored ``tar`` ware as the original packs one: a gzip tar that its own clients read, and the same bytes every time.

Canonical order, names that begin with "./", headers as Go's archive/tar writes them when no format is asked for
(ustar while everything fits, a name split at a "/" included; else PAX), no time in the gzip header.
A ware that is gzip already is taken as it is; one that came from elsewhere in another order or compression keeps its
members, and only the compression changes.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

from warpforge.errors import WarpforgeError, store_error

from .decode import Packed, decode
from .headers import BLOCK, END, PADDING
from .limits import UNLIMITED
from .members import MemberReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from warpforge.fsx.tree import Content, Entry

GZIP: Final = b"\x1f\x8b"
_HEADER: Final = GZIP + b"\x08\0\0\0\0\0\0\xff"  # deflate, no name, no time, unknown system
_LEVEL: Final = 6
_TYPES: Final = {"f": b"0", "d": b"5", "L": b"2", "p": b"6", "c": b"3", "D": b"4"}
_NAME: Final = 100
_PREFIX: Final = 155
_OWNER_BOUND: Final = 8**7
_BOUND: Final = 8**11  # of sizes and times


def write_gzip_form(source: BinaryIO, sink: BinaryIO) -> None:
    """Write the ware's gzip form to ``sink``, an empty file. ``source`` is the stored ware, seekable.

    Errors: ``ware-corrupt``, ``ware-invalid``, ``store``.
    """
    begin = source.tell()
    magic = source.read(2)
    source.seek(begin)
    try:
        if magic == GZIP:
            while block := source.read(1 << 20):
                sink.write(block)
            return
        try:
            _deflate(_own_form(source), sink)
        except WarpforgeError as error:
            if error.code != "warpforge-error-ware-corrupt":
                raise
            # not in our order: a foreign archive
            source.seek(begin)
            sink.seek(0)
            sink.truncate()
            _deflate(decode(Packed(source), UNLIMITED), sink)
    except OSError as error:
        raise store_error(error, "the gzip form of a ware could not be written") from error


def _deflate(pieces: Iterator[bytes], sink: BinaryIO) -> None:
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    checksum = size = 0
    sink.write(_HEADER)
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
        size += len(piece)
        sink.write(deflater.compress(piece))
    sink.write(deflater.flush() + struct.pack("<II", checksum, size & 0xFFFFFFFF))


def _own_form(source: BinaryIO) -> Iterator[bytes]:
    for entry, content, _ in MemberReader(decode(Packed(source), UNLIMITED), UNLIMITED, canonical=True):
        yield make_go_header(entry)
        if isinstance(content, bytes):
            yield content
        elif content is not None:
            yield from _pieces(content)
        yield PADDING[entry.size % BLOCK]
    yield END


def _pieces(content: Content) -> Iterator[bytes]:
    while piece := content.read(1 << 20):
        yield piece


def make_go_header(entry: Entry) -> bytes:
    """The blocks in front of a node's content. Source: Go, archive/tar, ``Writer.WriteHeader``."""
    name = b"./" + entry.path + b"/" if entry.path else b"./"
    if entry.kind != "d":
        name = b"./" + entry.path if entry.path else b"."
    records = {}
    split = _split(name)
    if len(name) > _NAME or not name.isascii():
        records[b"path"] = name
    if len(entry.link) > _NAME or not entry.link.isascii():
        records[b"linkpath"] = entry.link
    for key, value, bound in (
        (b"uid", entry.uid, _OWNER_BOUND),
        (b"gid", entry.gid, _OWNER_BOUND),
        (b"size", entry.size, _BOUND),
        (b"mtime", entry.mtime, _BOUND),
    ):
        if not 0 <= value < bound:
            records[key] = b"%d" % value
    if entry.mtime_ns:
        records[b"mtime"] = _fraction(entry.mtime, entry.mtime_ns)
    if records.keys() <= {b"path"} and (split or not records):
        prefix, rest = split or (b"", name)
        return _header(entry, rest, prefix)
    data = b"".join(_record(key, value) for key, value in sorted(records.items()))
    return _pax(name, data) + _header(entry, name, b"")


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """A long name as ustar's prefix and name, if it can be."""
    if len(name) <= _NAME or not name.isascii():
        return None
    length = min(len(name), _PREFIX + 1)
    if length == len(name) and name.endswith(b"/"):
        length -= 1
    at = name.rfind(b"/", 0, length)
    if at <= 0 or not 0 < len(name) - at - 1 <= _NAME:
        return None
    return name[:at], name[at + 1 :]


def _fraction(mtime: int, nanoseconds: int) -> bytes:
    if mtime < 0:
        mtime, nanoseconds = mtime + 1, 1_000_000_000 - nanoseconds
        text = b"-%d.%09d" % (-mtime, nanoseconds)
    else:
        text = b"%d.%09d" % (mtime, nanoseconds)
    return text.rstrip(b"0")


def _record(key: bytes, value: bytes) -> bytes:
    """``LENGTH key=value\\n``, the length counting itself."""
    size = len(key) + len(value) + 3
    total = size + len(str(size))
    if len(str(total)) != len(str(size)):
        total = size + len(str(total))
    return b"%d %b=%b\n" % (total, key, value)


def _pax(name: bytes, data: bytes) -> bytes:
    directory, slash, last = name.rpartition(b"/")
    parts = [part for part in (directory + slash).split(b"/") if part not in (b"", b".")]
    short = b"/".join([*parts, b"PaxHeaders.0", *([last] if last else [])])
    short = bytes(b for b in short if b < 128)[:_NAME].rstrip(b"/")
    fields = [short, _octal(0, 8), _octal(0, 8), _octal(0, 8), _octal(len(data), 12), _octal(0, 12), b"x", b"", b""]
    return _block(fields, bytes(16)) + data + PADDING[len(data) % BLOCK]


def _header(entry: Entry, name: bytes, prefix: bytes) -> bytes:
    device = entry.device if entry.kind in "Dc" else (0, 0)
    short = bytes(b for b in name if b < 128)
    if len(short) > _NAME:
        short = short[:_NAME].rstrip(b"/")
    fields = [
        short,
        _octal(entry.mode, 8),
        _octal(entry.uid if entry.uid < _OWNER_BOUND else 0, 8),
        _octal(entry.gid if entry.gid < _OWNER_BOUND else 0, 8),
        _octal(entry.size if entry.size < _BOUND else 0, 12),
        _octal(entry.mtime if 0 <= entry.mtime < _BOUND else 0, 12),
        _TYPES[entry.kind],
        bytes(b for b in entry.link if b < 128)[:_NAME],
        prefix,
    ]
    return _block(fields, _octal(device[0], 8) + _octal(device[1], 8))


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _block(fields: list[bytes], devices: bytes) -> bytes:
    name, mode, uid, gid, size, mtime, kind, link, prefix = fields
    front = name.ljust(_NAME, b"\0") + mode + uid + gid + size + mtime
    rest = kind + link.ljust(_NAME, b"\0") + b"ustar\x0000" + bytes(64) + devices + prefix.ljust(_PREFIX + 12, b"\0")
    checksum = sum(front) + sum(rest) + 8 * 32
    return front + b"%06o\0 " % checksum + rest
