"""The central directory of a zip: what its members are, and where.

Found from the end of the file, and strict, for what two readers could take for two trees is refused: the end record
is the file's last, its comment ends with the file, the directory lies right before it, and no two members share bytes.
Times and owners are read as the original's, for its ids depend on them: times as Go's archive/zip, the last extended
timestamp of any kind, else the MS-DOS one as UTC; owners from the Info-ZIP extras, else 1000.
Sources: PKWARE APPNOTE 6.3.10; Info-ZIP, proginfo/extrafld.txt.
"""

from __future__ import annotations

import os
import struct
from array import array
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import store_error

from . import faults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HEADER: Final = struct.Struct("<4sBBHHHHHIIIHHHHHII")
LOCAL_SIZE: Final = 30  # bytes of a member's own header, without its name
_END: Final = struct.Struct("<4sHHHHIIH")
_END_MAGIC: Final = b"PK\5\6"
_LOCATOR: Final = struct.Struct("<4sIQI")
_END64: Final = struct.Struct("<4sQHHIIQQQQ")
_COMMENT: Final = 0xFFFF  # bytes, at most
_ELSEWHERE: Final = 0xFFFFFFFF  # a number that stands in the ZIP64 extra
_PIECE: Final = 1 << 20
_TICKS: Final = 10_000_000  # of Windows, a second
OWNER: Final = 1000  # uid and gid where the archive does not say
_WINDOWS: Final = 11_644_473_600  # seconds from 1601 to 1970


class Record(NamedTuple):
    """What the directory says of one member; ``offset``: of its own header."""

    name: bytes
    creator: int
    attributes: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    uid: int
    gid: int
    mtime: int
    mtime_ns: int


class CentralDirectory:
    """Iterates the records of a zip, in its own order. ``file``: seekable, its first byte the archive's."""

    def __init__(self, file: BinaryIO) -> None:
        """Errors: ``ware-corrupt``."""
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        self.count, self._bytes, self.begin = self._find()

    def __iter__(self) -> Iterator[Record]:
        """Errors: ``ware-corrupt``, once more at the end, when all members are known."""
        starts, ends = array("Q"), array("Q")
        shared = self.begin
        reader = _Window(self, self.begin, self._bytes)
        for _ in range(self.count):
            record = _read_record(reader)
            starts.append(record.offset)
            ends.append(record.offset + LOCAL_SIZE + len(record.name) + record.packed)
            shared -= ends[-1] - starts[-1]
            if shared < 0:
                raise faults.corrupt("members share bytes, or are longer than the archive", record.name)
            yield record
        if reader.left:
            raise faults.corrupt("the central directory is longer than its members")
        first, bounds = sorted(starts), sorted(ends)
        bounds[:0] = [0]
        if first and (first[0] or any(map(int.__lt__, [*first, self.begin], bounds))):
            raise faults.corrupt("members share bytes, or something precedes the first one")

    def read(self, at: int, size: int) -> bytes:
        """Exactly these bytes of the file. Errors: ``ware-corrupt`` when they are not there, ``store``."""
        if at + size > self._size:
            raise faults.corrupt("the zip points behind its own end: it was cut")
        try:
            self._file.seek(at)
            data = self._file.read(size)
        except OSError as error:
            raise store_error(error, "the packed ware could not be read") from error
        if len(data) != size:
            raise faults.corrupt("the zip was cut while it was read")
        return data

    def _find(self) -> tuple[int, int, int]:
        """How many records there are, how long they are together, and where they begin."""
        tail = self.read(begin := max(0, self._size - _END.size - _COMMENT), self._size - begin)
        ends = [at for at in _find_all(tail, _END_MAGIC) if _ends_there(tail, at)]
        if len(ends) != 1:
            raise faults.corrupt(
                "not a zip, or cut: it does not end with the record that ends one"
                if not ends
                else "two ends: which of them counts is not for a reader to choose"
            )
        end = begin + ends[0]
        _, disk, first_disk, here, count, size, offset, _ = _END.unpack_from(tail, ends[0])
        numbers: tuple[int, ...] = (disk, first_disk, here, count, size, offset)
        if end >= _LOCATOR.size and self.read(end - _LOCATOR.size, 4) == b"PK\6\7":
            numbers, end = self._read_end64(end - _LOCATOR.size, numbers)
        disk, first_disk, here, count, size, offset = numbers
        if disk or first_disk or here != count:
            raise faults.corrupt("one of several volumes: join them first")
        if offset + size != end:
            raise faults.corrupt("something lies before the zip, or behind its central directory")
        return count, size, offset

    def _read_end64(self, at: int, numbers: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
        """The numbers of the ZIP64 end record that the locator names, and where it begins."""
        _, disk, begin, disks = _LOCATOR.unpack(self.read(at, _LOCATOR.size))
        if disk or disks != 1:
            raise faults.corrupt("one of several volumes: join them first")
        magic, size, _, _, *large = _END64.unpack(self.read(begin, _END64.size))
        if magic != b"PK\6\6" or begin + 12 + size != at:
            raise faults.corrupt("its ZIP64 end record is not where it should be")
        for small, number, width in zip(numbers, large, (16, 16, 16, 16, 32, 32), strict=True):
            if small not in (number, (1 << width) - 1):
                raise faults.corrupt("its two end records do not agree")
        return tuple(large), begin


class _Window:
    """The directory's bytes, read piece by piece."""

    def __init__(self, directory: CentralDirectory, begin: int, size: int) -> None:
        self._directory = directory
        self._next = begin
        self.left = size
        self._held = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """Exactly the next bytes. Errors: ``ware-corrupt``."""
        if size > self.left:
            raise faults.corrupt("the central directory is shorter than its members")
        if self._at + size > len(self._held):
            rest = self._held[self._at :]
            more = min(max(_PIECE, size), self.left - len(rest))
            self._held, self._at = rest + self._directory.read(self._next, more), 0
            self._next += more
        data = self._held[self._at : self._at + size]
        self._at += size
        self.left -= size
        return data


def _find_all(data: bytes, what: bytes) -> Iterator[int]:
    at = data.find(what)
    while at >= 0:
        yield at
        at = data.find(what, at + 1)


def _ends_there(tail: bytes, at: int) -> bool:
    """Whether an end record at this place has its comment end with the file."""
    size = len(tail) - at - _END.size
    return size >= 0 and int.from_bytes(tail[at + _END.size - 2 : at + _END.size], "little") == size


def _read_record(reader: _Window) -> Record:
    fields = HEADER.unpack(reader.take(HEADER.size))
    magic, _, creator, _, flags, method, time, date, crc, packed, size = fields[:11]
    names, extras, comments, disk, _, attributes, offset = fields[11:]
    if magic != b"PK\1\2":
        raise faults.corrupt("the central directory is not sound")
    name = reader.take(names)
    extra = list(_read_extra(reader.take(extras)))
    reader.take(comments)
    if disk not in (0, 0xFFFF):
        raise faults.corrupt("one of several volumes: join them first", name)
    packed, size, offset = _read_large(extra, name, packed, size, offset)
    mtime, mtime_ns = _read_time(extra) or (_dos_time(date, time), 0)
    owner = _read_owner(extra, name)
    return Record(name, creator, attributes, flags, method, crc, packed, size, offset, *owner, mtime, mtime_ns)


def _read_extra(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """The tagged fields; what is cut at the end is nobody's."""
    at = 0
    while at + 4 <= len(extra):
        tag, size = struct.unpack_from("<HH", extra, at)
        at += 4 + size
        if at > len(extra):
            return
        yield tag, extra[at - size : at]


def _read_large(extra: list[tuple[int, bytes]], name: bytes, packed: int, size: int, offset: int) -> tuple[int, ...]:
    """Packed size, size and offset, those from the ZIP64 extra that their own fields cannot hold."""
    data = next((data for tag, data in extra if tag == 1), b"")
    large = []
    for number in (size, packed, offset):
        if number != _ELSEWHERE:
            large.append(number)
            continue
        if len(data) < 8:
            raise faults.corrupt("its ZIP64 numbers are missing", name)
        large.append(int.from_bytes(data[:8], "little"))
        data = data[8:]
    size, packed, offset = large
    return packed, size, offset


def _read_time(extra: list[tuple[int, bytes]]) -> tuple[int, int] | None:
    """Seconds and nanoseconds of the last extended timestamp."""
    found = None
    for tag, data in extra:
        if tag == 0x5455 and len(data) >= 5 and data[0] & 1:
            found = int.from_bytes(data[1:5], "little"), 0
        elif tag in (0x000D, 0x5855) and len(data) >= 8:
            found = int.from_bytes(data[4:8], "little"), 0
        elif tag == 0x000A:
            for inner, times in _read_extra(data[4:]):
                if inner == 1 and len(times) == 24:
                    seconds, ticks = divmod(int.from_bytes(times[:8], "little"), _TICKS)
                    found = seconds - _WINDOWS, ticks * (1_000_000_000 // _TICKS)
    return found


def _read_owner(extra: list[tuple[int, bytes]], name: bytes) -> tuple[int, int]:
    """Uid and gid: of the newer extra with numbers of any width, else of the older one, where it is not empty."""
    fields = dict(extra)
    if 0x7875 in fields:
        data = fields[0x7875]
        width = data[1] if len(data) > 2 else 0
        uid, gid = data[2 : 2 + width], data[3 + width :]
        if data[:1] != b"\1" or not uid or not gid or data[2 + width] != len(gid):
            raise faults.corrupt("its owner is not told soundly", name)
        return int.from_bytes(uid, "little"), int.from_bytes(gid, "little")
    if len(fields.get(0x7855, b"")) == 4:
        uid, gid = struct.unpack("<HH", fields[0x7855])
        return uid, gid
    return OWNER, OWNER


def _dos_time(date: int, time: int) -> int:
    """An MS-DOS time as UTC; months and days that are none carry over, as they do in Go's time.Date."""
    from datetime import date as day

    year, month = divmod((date >> 9) * 12 + (date >> 5 & 15) - 1, 12)
    days = day(1980 + year, month + 1, 1).toordinal() - day(1970, 1, 1).toordinal() + (date & 31) - 1
    return days * 86400 + (time >> 11) * 3600 + (time >> 5 & 63) * 60 + (time & 31) * 2
