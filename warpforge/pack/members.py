"""Reading tar: the members of an archive, in its own order, as entries with their contents.

Read are v7, ustar, PAX (path linkpath size mtime uid gid SCHILY.xattr.*; other keys ignored) and GNU long names and
base-256 numbers. Strict on checksums, padding and the end: a zero block, then zeros only. ``canonical`` (ztar) also
refuses every spelling but ours. Sources: POSIX.1-2017 pax; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import adler32

from warpforge.fsx.tree import Entry

from . import faults
from .extra import LONGEST, Extra
from .headers import BLOCK, PADDING
from .limits import COMPONENT
from .names import check_name, fold, parse_path
from .numbers import parse_number
from .shape import Shape, parse_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warpforge.fsx.tree import Content

    from .limits import Limits

SMALL: Final = 2 << 20  # contents up to this size come as one piece
_CACHED: Final = 4096
_ZEROS: Final = bytes(BLOCK)


class Member(NamedTuple):
    """One member: its entry, its content (a small one whole), and for a hardlink the path of its target."""

    entry: Entry
    content: bytes | Content | None
    target: bytes | None = None


class MemberReader:
    """Iterates the members of a tar stream. A content is to be read before the next member is asked for.

    ``layer``: of an image, whose digest tells whether it is whole. A "/" in front of a name stands for the image's own
    root, and the end may be missing: tools that everybody uses write both.
    """

    def __init__(self, pieces: Iterator[bytes], limits: Limits, *, canonical: bool, layer: bool = False) -> None:
        self._pieces = pieces
        self._limits = limits
        self._canonical = canonical
        self._layer = layer
        self._held = b""
        self._at = 0
        self._shapes: dict[bytes, Shape] = {}
        self._plain = min(COMPONENT, limits.path or COMPONENT, limits.depth or COMPONENT)

    def __iter__(self) -> Iterator[Member]:
        """Errors: ``ware-corrupt``, ``ware-invalid``, ``ware-limit``."""
        count = 0
        entries_limit = self._limits.entries
        while (member := self._next()) is not None:
            count += 1
            if entries_limit is not None and count > entries_limit:
                self._limits.check_entries(count)
            yield member
            if type(member.content) is _Content:
                member.content.finish()

    def member_at(self, data: bytes, at: int) -> tuple[Member | None, int]:
        """The member whose first header begins at ``at``, and where it ends (a large content: where that begins).

        None at the end block: then nothing but zeros follows in ``data``. For a reader whose pieces are empty: what is
        not whole in ``data`` is ``ware-corrupt``.
        """
        self._held, self._at = data, at
        return self._next(), self._at

    def _next(self) -> Member | None:
        extra: Extra | None = None
        while True:
            header = self._header()
            if header is None:
                if extra is not None:
                    raise faults.corrupt("ends after a header that announces a member")
                return None
            fixed = header[100:124] + header[136:148] + header[156:]
            shape = self._shapes.get(fixed) or self._read_shape(fixed)
            if len(shape.kind) == 1:
                return self._member(header, shape, extra)
            if shape.kind == "skip":
                self._extra_data(parse_number(header[124:136]))
                continue
            extra = extra or Extra()
            size = parse_number(header[124:136])
            extra.announce(size)
            extra.take(shape.kind, self._extra_data(size))

    def _header(self) -> bytes | None:
        """The next header, its checksum verified; None at the end."""
        at = self._at
        header = self._held[at : at + BLOCK]
        if len(header) == BLOCK:
            self._at = at + BLOCK
        elif self._layer and self._is_over():
            return None
        else:
            header = self._take(BLOCK, b"the archive ends without its end block: it may be cut")
        checksum = header[148:156]
        # Adler-32's lower half is one more than the sum of up to 256 bytes; the checksum counts itself as blanks
        total = (
            (adler32(header[:148]) & 0xFFFF) + (adler32(header[156:412]) & 0xFFFF) + (adler32(header[412:]) & 0xFFFF)
        )
        if checksum == b"%06o\0 " % (total + 253):
            return header
        if header == _ZEROS:
            self._end()
            return None
        signed = sum(b - 256 if b > 127 else b for b in header[:148] + header[156:]) + 256
        if parse_number(checksum) not in (total + 253, signed):
            raise faults.corrupt("a header's checksum is wrong: not a tar, or damaged")
        return header

    def _is_over(self) -> bool:
        """Whether nothing follows."""
        if self._at == len(self._held):
            self._held, self._at = next(self._pieces, b""), 0
        return not self._held

    def _end(self) -> None:
        """Behind the zero block: nothing but zeros."""
        rest = self._held[self._at :]
        while True:
            if rest.strip(b"\0"):
                raise faults.corrupt("something follows the end of the archive")
            rest = next(self._pieces, b"")
            if not rest:
                return

    def _take(self, size: int, why: bytes = b"") -> bytes:
        """Exactly the next bytes; they are bounded by the caller."""
        while len(self._held) - self._at < size:
            more = next(self._pieces, b"")
            if not more:
                raise faults.corrupt(why.decode() or "the archive ends inside a member: it was cut")
            self._held, self._at = self._held[self._at :] + more, 0
        data = self._held[self._at : self._at + size]
        self._at += size
        return data

    def some(self, size: int) -> bytes:
        """Between 1 and ``size`` bytes of a content."""
        if self._at == len(self._held):
            self._held, self._at = next(self._pieces, b""), 0
            if not self._held:
                raise faults.corrupt("the archive ends inside a member: it was cut")
        whole = not self._at and len(self._held) <= size
        data = self._held if whole else self._held[self._at : self._at + size]
        self._at += len(data)
        return data

    def pad(self, size: int) -> None:
        """Pass over the zeros behind a content of this size."""
        padding = PADDING[size % BLOCK]
        if padding and self._layer and self._is_over():
            return
        if padding and self._take(len(padding)) != padding:
            raise faults.corrupt("the padding of a member is not zeros")

    def _member(self, header: bytes, shape: Shape, extra: Extra | None) -> Member:
        mode, uid, gid, mtime, kind, link, prefix, device, old = shape
        raw = header[:100].rstrip(b"\0")
        if b"\0" in raw:
            raw = raw[: raw.index(b"\0")]
        if prefix:
            raw = prefix + b"/" + raw
        size = parse_number(header[124:136])
        mtime_ns = 0
        xattrs: dict[bytes, bytes] = {}
        if extra is not None:
            raw, link = extra.names(raw, link)
            size, uid, gid, mtime, mtime_ns = extra.numbers(raw, size, uid, gid, mtime)
            xattrs = extra.xattrs()
        if old and raw[-1:] == b"/":
            kind = "d"
        path = self._path(raw, kind)
        if kind != "f":
            return self._no_file(Entry(path, kind, mode, uid, gid, mtime, mtime_ns, 0, link, device, xattrs))
        if size < 0:
            raise faults.invalid("metadata", path, "a negative size")
        entry = Entry(path, "f", mode, uid, gid, mtime, mtime_ns, size)
        if xattrs:
            entry.xattrs = xattrs
        if size > SMALL:
            self._limits.check_size(size)
            return Member(entry, _Content(self, size))
        if not size:
            return Member(entry, b"")
        at = self._at
        end = at + size
        padded = end + -size % BLOCK
        if padded <= len(self._held):
            content = self._held[at:end]
            if self._held[end:padded] != PADDING[size % BLOCK]:
                raise faults.corrupt("the padding of a member is not zeros", path)
            self._at = padded
        else:
            content = self._take(size)
            self.pad(size)
        return Member(entry, content)

    def _no_file(self, entry: Entry) -> Member:
        """A member without content, whatever its size field says."""
        if entry.kind == "h":
            if self._canonical:
                raise faults.corrupt("a hardlink has no place in a ztar", entry.path)
            check_name(entry.path, entry.link)
            try:
                target = fold(entry.link.lstrip(b"/") if self._layer else entry.link)
            except ValueError:
                raise faults.invalid("link", entry.path, "a hardlink to outside of the ware") from None
            entry.kind, entry.link = "f", b""
            return Member(entry, None, target)
        if entry.kind == "L":
            if not entry.link:
                raise faults.invalid("name", entry.path, "a symlink to nothing")
            check_name(entry.path, entry.link)
        else:
            entry.link = b""
        return Member(entry, None)

    def _path(self, raw: bytes, kind: str) -> bytes:
        """A member's name as a canonical path."""
        if (
            kind == "f"
            and len(raw) <= self._plain
            and not (raw[:1] in b"./" or b"//" in raw or b"/." in raw or raw[-1:] == b"/" or b"\0" in raw)
        ):
            return raw
        if self._layer and raw[:1] == b"/":
            raw = raw.lstrip(b"/") or b"./"
        path = parse_path(raw, kind, self._limits)
        if self._canonical and raw != (path or b".") + (b"/" if kind == "d" else b""):
            raise faults.corrupt("not spelled as in a ztar", raw)
        return path

    def _read_shape(self, fixed: bytes) -> Shape:
        """Of a header that came for the first time."""
        shape = parse_shape(fixed, canonical=self._canonical)
        if len(self._shapes) > _CACHED:
            self._shapes.clear()
        self._shapes[fixed] = shape
        return shape

    def _extra_data(self, size: int) -> bytes:
        if not 0 <= size <= LONGEST:
            raise faults.over_limit("header", f"a header of {size} bytes")
        data = self._take(size)
        self.pad(size)
        return data


class _Content:
    """A large content, read piece by piece."""

    __slots__ = ("_left", "_reader", "_size")

    def __init__(self, reader: MemberReader, size: int) -> None:
        self._reader = reader
        self._size = self._left = size

    def read(self, size: int, /) -> bytes:
        if not self._left:
            return b""
        data = self._reader.some(min(size, self._left))
        self._left -= len(data)
        return data

    def finish(self) -> None:
        """Pass over what was not read, and the padding."""
        while self.read(SMALL):
            pass
        self._reader.pad(self._size)
