"""Reading zip: the members of an archive, as its central directory has them, as entries with their contents.

Types and modes are those of Go's FileHeader.Mode, for the original's ids depend on them; names are raw bytes.
A symlink's content is its target. Each member's own header must tell the same name and method; sizes and checksums are
compared; nothing may follow the end of the compressed bytes.
"""

from __future__ import annotations

import stat
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Final
from zlib import crc32

from warpforge.fsx.tree import Entry

from . import faults
from .central import LOCAL_SIZE, CentralDirectory
from .collect import Collected, Node
from .members import SMALL, Member
from .methods import find_method
from .names import check_name, parse_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from .central import Record
    from .limits import Limits

_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_PIECE: Final = 1 << 20
_LONGEST_LINK: Final = 4095  # bytes: what the kernel takes
_ENCRYPTED: Final = 0x2041  # by itself, strongly, or with its header masked
_PATCH: Final = 0x20
_ENDS_ITSELF: Final = 0x02  # an LZMA stream with a mark at its end
_UNIX: Final = (3, 19)
_DOS: Final = (0, 11, 14)
_KINDS: Final = {
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "L",
    stat.S_IFIFO: "p",
    stat.S_IFBLK: "D",
    stat.S_IFCHR: "c",
    stat.S_IFSOCK: "s",
}


class ZipReader:
    """Iterates the members of a zip. ``canonical``: in canonical order, missing parents inferred."""

    def __init__(self, file: BinaryIO, packed: int, limits: Limits, *, canonical: bool) -> None:
        """``packed``: the bytes of the whole archive, by which its ratio is judged."""
        self._directory = CentralDirectory(file)
        self._packed = packed
        self._unpacked = 0
        self._limits = limits
        self._canonical = canonical
        limits.check_entries(self._directory.count)

    def __iter__(self) -> Iterator[Member]:
        """Errors: ``ware-corrupt``, ``ware-invalid``, ``ware-limit``."""
        if self._canonical:
            return self._ordered()
        return (self._member(self._entry(record), record) for record in self._directory)

    def _ordered(self) -> Iterator[Member]:
        records: dict[bytes, Record] = {}
        with closing(Collected()) as collected:
            for record in self._directory:
                entry = self._entry(record)
                collected.place(entry)
                collected.put(Node(entry, None))
                records[entry.path] = record
            for node in collected.sorted():
                found = records.get(node.entry.path)
                yield Member(node.entry, None) if found is None else self._member(node.entry, found)

    def _entry(self, record: Record) -> Entry:
        kind, mode = _kind_and_mode(record)
        path = parse_path(record.name, kind, self._limits)
        if kind == "s":
            raise faults.invalid("type", path, "a socket cannot be in a ware")
        if record.flags & _ENCRYPTED:
            raise faults.invalid("type", path, "is encrypted: unpack it, and pack it in the clear")
        if kind not in "fL" and record.size:
            raise faults.corrupt("has a content, and is no file", path)
        owner = record.uid, record.gid
        return Entry(path, kind, mode, *owner, record.mtime, record.mtime_ns, record.size if kind == "f" else 0)

    def _member(self, entry: Entry, record: Record) -> Member:
        self._compare_header(entry, record)
        if entry.kind not in "fL":
            return Member(entry, None)
        self._unpacked += record.size
        self._limits.check_bytes(self._packed, self._unpacked)
        pieces = self._pieces(entry, record)
        if entry.kind == "f":
            return Member(entry, b"".join(pieces) if record.size <= SMALL else _Content(pieces, record.size))
        if not 0 < record.size <= _LONGEST_LINK:
            raise faults.invalid("name", entry.path, f"a symlink to {record.size} bytes: 1 to {_LONGEST_LINK} are read")
        entry.link = b"".join(pieces)
        check_name(entry.path, entry.link)
        return Member(entry, None)

    def _compare_header(self, entry: Entry, record: Record) -> None:
        """The member's own header must not tell another tree than the directory does."""
        head = self._directory.read(record.offset, LOCAL_SIZE + len(record.name))
        magic, _, flags, method, _, _, _, _, _, names, _ = _LOCAL.unpack(head[:LOCAL_SIZE])
        same = names == len(record.name) and head[LOCAL_SIZE:] == record.name and method == record.method
        if magic != b"PK\3\4" or not same or (flags ^ record.flags) & _ENCRYPTED:
            raise faults.corrupt("its own header and the central directory do not agree", entry.path)

    def _pieces(self, entry: Entry, record: Record) -> Iterator[bytes]:
        """The content, whose size and checksum are compared at its end."""
        method = find_method(record.method)
        if method is None or record.flags & _PATCH:
            raise faults.invalid(
                "type", entry.path, f"compression method {record.method} is not read: only 0, 8, 12 and 14 are"
            )
        try:
            crc, left = 0, record.size
            for piece in method(self._packed_pieces(record), -1 if record.flags & _ENDS_ITSELF else record.size):
                crc = crc32(piece, crc)
                left -= len(piece)
                if left < 0:
                    break
                yield piece
        except MemoryError as error:
            raise faults.over_limit("bytes", "asks for more memory than a reader gives") from error
        if left or crc != record.crc:
            raise faults.corrupt("its content is not what the checksum and the size say", entry.path)

    def _packed_pieces(self, record: Record) -> Iterator[bytes]:
        sizes = self._directory.read(record.offset + LOCAL_SIZE - 4, 4)
        at = record.offset + LOCAL_SIZE + sum(struct.unpack("<HH", sizes))
        end = at + record.packed
        if end > self._directory.begin:
            raise faults.corrupt("a member reaches into the central directory", record.name)
        while at < end:
            size = min(_PIECE, end - at)
            yield self._directory.read(at, size)
            at += size


class _Content:
    """A large content, read piece by piece; with its last byte it has been compared."""

    __slots__ = ("_held", "_left", "_pieces")

    def __init__(self, pieces: Iterator[bytes], size: int) -> None:
        self._pieces = pieces
        self._held = b""
        self._left = size

    def read(self, size: int, /) -> bytes:
        """Between 1 and ``size`` bytes; none only at the end."""
        while self._left and not self._held:
            self._held = next(self._pieces)
        data, self._held = self._held[:size], self._held[size:]
        self._left -= len(data)
        if not self._left:
            for _ in self._pieces:
                pass
        return data


def _kind_and_mode(record: Record) -> tuple[str, int]:
    """As Go's FileHeader.Mode."""
    kind, mode = "f", 0
    if record.creator in _UNIX:
        unix = record.attributes >> 16
        kind, mode = _KINDS.get(stat.S_IFMT(unix), "f"), stat.S_IMODE(unix)
    elif record.creator in _DOS:
        kind, mode = ("d", 0o777) if record.attributes & 0x10 else ("f", 0o666)
        if record.attributes & 0x01:
            mode &= ~0o222
    if kind == "f" and record.name[-1:] == b"/":
        kind = "d"
    return kind, mode
