"""Stretches: an archive of ours taken frame by frame, by several takers at once.

A **stretch** is the members from one place in the packed bytes up to the end of a frame, a **place** a frame with an
offset in it. A taker decodes a stretch, hashes its members, and writes them to disk when it was told where; it needs
nothing of what comes before. A content that goes beyond its frame is a work of its own.
What a taker cannot do is no error: whatever is not as we write it **deviates**, and is then read the ordinary way,
which knows the words for it. So here is one short way through the members that we write most, and no mercy.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import adler32

import zstandard

from warpforge.errors import WarpforgeError
from warpforge.fsx.creator import CREATE, create_file, create_other, has_default_acl, settle, stand_in, write_whole
from warpforge.fsx.descent import Descent
from warpforge.fsx.tree import Entry

from .ahead import Ahead
from .fileset import BLAKE3, ContentHash, make_look
from .headers import BLOCK, FILE_REST, PADDING
from .members import MemberReader
from .numbers import parse_number
from .run import Run, RunHash
from .table import WINDOW, decode_frame, read_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from warpforge.fsx.creator import Owner

    from .fileset import Digests, Flavour, Look
    from .filters import Attributes, Filters
    from .limits import Limits
    from .members import Member
    from .table import Frame

DOTS: Final = (b".", b"..")
_KEPT: Final = 4096  # shapes


class Deviation(Exception):
    """The archive is not one of ours, or something failed: read it the ordinary way."""


class Directory(NamedTuple):
    """A directory as it comes."""

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    mtime_ns: int


class Large(NamedTuple):
    """A file whose content begins at a place and goes beyond that frame."""

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    mtime_ns: int
    size: int
    frame: int
    offset: int


class Stretch(NamedTuple):
    """What was found: directories and runs in their order, the file that begins last, whether the end block came."""

    found: list[Directory | Run]
    large: Large | None
    ended: bool


class _Shape(NamedTuple):
    """What files with the same mode, owner and time have in common. ``total``: of a header without name and size."""

    total: int
    look: Look
    mode: int
    times: tuple[int, int]  # nanoseconds, of access and of change
    plain: bool  # created with this mode, a file has it


class Taker:
    """Takes stretches of the packed bytes in ``source_fd``. ``root_fd``: the directory to write into; -1: only hash.

    Raises Deviation. Members must come out of the filters as they are.
    """

    def __init__(
        self,
        source_fd: int,
        table: Sequence[Frame],
        flavour: Flavour,
        filters: Filters,
        limits: Limits,
        root_fd: int = -1,
        owner: Owner = None,
    ) -> None:
        self._source = source_fd
        self._table = table
        self._flavour = flavour
        self._both = not flavour.covers_all
        self._filters = filters
        self._reader = MemberReader(iter(()), limits, canonical=True)
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        self._shapes: dict[bytes, _Shape] = {}
        self._owner = owner
        self._writes = root_fd >= 0
        self._umask = _umask() | (0o7777 if self._writes and has_default_acl(root_fd) else 0)
        self._descent = Descent(os.dup(root_fd)) if self._writes else None
        self._standing: list[bytes] = []
        self._run = RunHash(flavour, b"")
        self._found: list[Directory | Run] = []

    def close(self) -> None:
        """Let go of the directories."""
        if self._descent is not None:
            self._descent.close()

    def stretch(self, frame: int, offset: int) -> Stretch:
        """The members from a place up to the end of its frame."""
        try:
            return self._stretch(frame, offset)
        except (OSError, ValueError, WarpforgeError, zstandard.ZstdError) as error:
            raise Deviation(str(error)) from error

    def large(self, large: Large) -> Digests:
        """The content of a file that goes beyond its frame."""
        try:
            return self._large(large)
        except (OSError, ValueError, WarpforgeError, zstandard.ZstdError) as error:
            raise Deviation(str(error)) from error

    # members

    def _stretch(self, frame: int, offset: int) -> Stretch:
        self._found = []
        self._run = RunHash(self._flavour, b"")
        data = self._decode(frame)
        at, end = offset, len(data)
        large, ended = None, False
        while not ended and large is None:
            at = self._files(data, at)
            if at == end:
                break
            member, at = self._reader.member_at(data, at)
            if member is None:
                ended = True
            else:
                large, at = self._member(member, data, at, frame)
        self._end_run()
        return Stretch(self._found, large, ended)

    def _files(self, data: bytes, at: int) -> int:
        """Take the small files that follow each other, in the spelling that is ours; gives where something else is.

        Most of what is unpacked comes through here: what one file costs here is what unpacking costs.
        """
        new, both, view = self._flavour.new, self._both, memoryview(data)
        shapes, writes, end = self._shapes, self._writes, len(data)
        run = self._run
        prefix, skipped, add = run.prefix, len(run.prefix), run.add_file
        while True:
            body = at + BLOCK
            if not data.startswith(FILE_REST, at + 156):
                return at
            path = data[at : at + 100].rstrip(b"\0")
            octal = data[at + 124 : at + 136]
            fixed = data[at + 100 : at + 124] + data[at + 136 : at + 148]
            shape = shapes.get(fixed)
            if shape is None:
                shape = self._shape(data[at:body], fixed)
            total, look, mode, times, plain = shape
            checksum = b"%06o\0 " % (total + (adler32(path + octal) & 0xFFFF))
            if not data.startswith(checksum, at + 148) or not octal[:11].isdigit():
                return at
            size = int(octal[:11], 8)
            stop = body + size
            if stop > end:
                return at
            name = path[skipped:]
            if b"/" in name or not path.startswith(prefix):
                self._turn(path)
                run = self._run
                prefix, skipped, add = run.prefix, len(run.prefix), run.add_file
                name = path[skipped:]
            padding = PADDING[size % BLOCK]
            at = stop + len(padding)
            if not data.startswith(padding, stop) or (name[:1] == b"." and name in DOTS) or b"\0" in name:
                raise Deviation
            content = view[body:stop]
            digest = new(content).digest()
            add(name, look, size, digest, BLAKE3.new(content).digest() if both else digest)
            if writes:
                fd = os.open(name, CREATE, mode if plain else 0o600, dir_fd=self._descent.fd)  # type: ignore[union-attr]
                try:
                    if size and os.write(fd, content) != size:
                        raise Deviation
                    if not plain:
                        settle(fd, mode, times[0], self._owner)
                    else:
                        os.utime(fd, ns=times)
                finally:
                    os.close(fd)

    def _member(self, member: Member, data: bytes, at: int, frame: int) -> tuple[Large | None, int]:
        """Any other member; ``at``: where it ends, or where its large content begins."""
        entry = member.entry
        attributes = entry.mode, entry.uid, entry.gid, entry.mtime, entry.mtime_ns
        if not self._is_kept(entry, attributes):
            raise Deviation
        if entry.kind == "d" and not entry.xattrs:
            self._end_run()
            self._found.append(Directory(entry.path, *attributes))
            return None, at
        if not entry.path or entry.kind == "d":
            raise Deviation
        content = member.content
        if content is not None and not isinstance(content, bytes):
            stop = at + entry.size
            if stop > len(data):
                if entry.xattrs:
                    raise Deviation
                return Large(entry.path, *attributes, entry.size, frame, at), at
            content, at = data[at:stop], stop + len(PADDING[entry.size % BLOCK])
            if data[stop:at] != PADDING[entry.size % BLOCK]:
                raise Deviation
        self._take(entry, attributes, content)
        return None, at

    def _take(self, entry: Entry, attributes: Attributes, content: bytes | None) -> None:
        """What is no directory, and whole."""
        prefix = entry.path[: entry.path.rfind(b"/") + 1]
        if prefix != self._run.prefix:
            self._turn(entry.path)
        name = entry.path[len(prefix) :]
        look = make_look(entry, attributes)
        if content is None:
            self._run.add_other(name, look)
            if self._descent is not None:
                create_other(self._descent.fd, name, entry, self._owner)
            return
        digest = self._flavour.new(content).digest()
        self._run.add_file(name, look, len(content), digest, BLAKE3.new(content).digest() if self._both else digest)
        if self._descent is not None:
            create_file(self._descent.fd, name, entry.mode, time_of(entry), content, self._owner)

    def _is_kept(self, entry: Entry, attributes: Attributes) -> bool:
        return not self._filters.drops(entry) and self._filters.attributes(entry) == attributes

    def _shape(self, header: bytes, fixed: bytes) -> _Shape:
        mode, uid, gid = (parse_number(header[at : at + 8]) for at in (100, 108, 116))
        attributes = mode & 0o7777, uid, gid, parse_number(header[136:148]), 0
        entry = Entry(b"", "f", *attributes)
        if not self._is_kept(entry, attributes):
            raise Deviation
        # Adler-32's lower half is one more than a sum, and one of name and size is added to this
        total = sum(fixed) + sum(FILE_REST) + 8 * 32 - 1
        plain = self._owner is None and not entry.mode & (0o7000 | self._umask)
        shape = _Shape(total, make_look(entry, attributes), entry.mode, (time_of(entry),) * 2, plain)
        if len(self._shapes) > _KEPT:
            self._shapes.clear()
        self._shapes[fixed] = shape
        return shape

    # where we stand

    def _turn(self, path: bytes) -> None:
        """Begin a run in another directory, that of ``path``."""
        prefix = path[: path.rfind(b"/") + 1]
        parent = prefix[:-1]
        names = parent.split(b"/") if prefix else []
        if not all(names) or any(dots in names for dots in DOTS) or b"\0" in prefix:
            raise Deviation
        self._end_run()
        self._run = RunHash(self._flavour, prefix)
        if self._descent is not None:
            stand_in(self._descent, self._standing, parent, make=True)

    def _end_run(self) -> None:
        run = self._run.finish()
        if run is not None:
            self._found.append(run)
        self._run = RunHash(self._flavour, self._run.prefix)

    # bytes

    def _decode(self, number: int) -> bytes:
        frame = self._table[number]
        return decode_frame(self._decompressor, read_at(self._source, frame.at, frame.packed), frame)

    def _large(self, large: Large) -> Digests:
        digesting = ContentHash(self._flavour)
        fd = -1
        if self._descent is not None:
            path = large.path
            self._turn(path)
            fd = os.open(path[path.rfind(b"/") + 1 :], CREATE, 0o600, dir_fd=self._descent.fd)
        try:
            with closing(Ahead(self._pieces(large), 1)) as pieces:
                for piece in pieces:
                    digesting.update(piece)
                    if fd >= 0:
                        write_whole(fd, piece)
            if fd >= 0:
                settle(fd, large.mode, time_of(large), self._owner)
        finally:
            if fd >= 0:
                os.close(fd)
        return digesting.finish()

    def _pieces(self, large: Large) -> Iterator[bytes]:
        frame, offset, left = large.frame, large.offset, large.size
        while left:
            if offset < self._table[frame].unpacked:
                data = self._decode(frame)
                piece = data[offset : offset + left] if offset or left < len(data) else data
                yield piece
                left -= len(piece)
                behind = offset + len(piece)
                padding = PADDING[large.size % BLOCK]
                if not left and data[behind : behind + len(padding)] != padding:
                    raise Deviation
            frame, offset = frame + 1, 0


def place_after(table: Sequence[Frame], large: Large) -> tuple[int, int]:
    """The place behind a large content and its padding. Raises Deviation when there is none."""
    frame, left = large.frame, large.offset + large.size + len(PADDING[large.size % BLOCK])
    while frame < len(table) and left >= table[frame].unpacked:
        left -= table[frame].unpacked
        frame += 1
    if left and frame == len(table):
        raise Deviation
    return frame, left


def time_of(entry: Entry | Directory | Large) -> int:
    """Nanoseconds since 1970."""
    return entry.mtime * 1_000_000_000 + entry.mtime_ns


def _umask() -> int:
    """What files cannot be created with; everything, where that cannot be known without changing it."""
    try:
        with open("/proc/self/status", "rb") as status:
            return int(status.read().partition(b"\nUmask:")[2].split(None, 1)[0], 8)
    except (OSError, ValueError, IndexError):
        return 0o7777
