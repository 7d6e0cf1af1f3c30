"""A taker of stretches: it decodes one, hashes its members, and writes them to disk when it was told where.

It needs nothing of what comes before. Here is one short way through the members that we write most, and no mercy.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final
from zlib import adler32

import zstandard

from warpforge.errors import WarpforgeError
from warpforge.fsx.tree import Entry

from .ahead import Ahead
from .fileset import BLAKE3, ContentHash, make_look
from .ground import NO_FORM, Ground
from .headers import BLOCK, FILE_REST, PADDING
from .members import MemberReader
from .numbers import parse_number
from .run import Run, RunHash
from .spelling import FIELDS, FILE_SUM, is_plain, read_directory, read_link
from .stretch import Deviation, Directory, Large, Stretch, time_of
from .table import WINDOW, decode_frame, read_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from warpforge.fsx.creator import Owner

    from .fileset import Digests, Flavour, Look
    from .filters import Attributes, Filters
    from .ground import Form
    from .limits import Limits
    from .members import Member
    from .table import Frame

DOTS: Final = (b".", b"..")
_KEPT: Final = 4096  # shapes


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
        self._attributes: dict[tuple[str, bytes, bytes], Attributes] = {}
        self._shapes: dict[tuple[bytes, bytes], tuple[Look, Form]] = {}
        self._ground = Ground(root_fd, owner) if root_fd >= 0 else None
        self._run = RunHash(flavour, b"")
        self._found: list[Directory | Run] = []

    def close(self) -> None:
        """Let go of the directories."""
        if self._ground is not None:
            self._ground.close()

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
            if self._directory(data, at) or self._link(data, at):
                at += BLOCK
                continue
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
        new, both, view, shapes, end = self._flavour.new, self._both, memoryview(data), self._shapes, len(data)
        write = None if self._ground is None else self._ground.file
        run = self._run
        prefix, skipped, names, looks, digests = run.prefix, len(run.prefix), run.names, run.looks, run.own
        while data.startswith(FILE_REST, at + 156):
            raw, owner, digits, time, check = FIELDS(data, at)
            # Adler-32's lower half is one more than the sum of these bytes; those of the rest are known
            if check != b"%06o\0 " % (FILE_SUM + (adler32(data[at : at + 148]) & 0xFFFF)) or not digits.isdigit():
                break
            size = int(digits, 8)
            body = at + BLOCK
            stop = body + size
            if stop > end:
                break
            look, form = shapes.get((owner, time)) or self._shape(owner, time)
            path = raw.rstrip(b"\0")
            name = path[skipped:]
            if b"/" in name or not path.startswith(prefix):
                self._turn(path)
                run = self._run
                prefix, skipped, names, looks, digests = run.prefix, len(run.prefix), run.names, run.looks, run.own
                name = path[skipped:]
            padding = PADDING[size % BLOCK]
            at = stop + len(padding)
            if not data.startswith(padding, stop) or name in DOTS or b"\0" in name:
                raise Deviation
            content = view[body:stop]
            names.append(name)
            looks.append(look)
            digests.append(new(content).digest())
            run.unpacked += size
            if both:
                run.dual.append(BLAKE3.new(content).digest())
            if write is not None:
                write(name, content, form)
        return at

    def _directory(self, data: bytes, at: int) -> bool:
        """Take a directory, if one stands here in our spelling."""
        spelled = read_directory(data, at)
        if spelled is None:
            return False
        path, owner, time = spelled
        self._end_run()
        self._found.append(Directory(path, *self._kept("d", owner, time)))
        return True

    def _link(self, data: bytes, at: int) -> bool:
        """Take a symlink, if one stands here in our spelling."""
        spelled = read_link(data, at)
        if spelled is None:
            return False
        path, owner, time, link = spelled
        attributes = self._kept("L", owner, time)
        self._take(Entry(path, "L", *attributes, 0, link), attributes, None)
        return True

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
        self._run.add(name, look, content)
        if self._ground is not None:
            if content is None:
                self._ground.other(name, entry)
            else:
                self._ground.file(name, content, self._ground.form(entry.mode, time_of(entry)))

    def _is_kept(self, entry: Entry, attributes: Attributes) -> bool:
        return not self._filters.drops(entry) and self._filters.attributes(entry) == attributes

    def _kept(self, kind: str, owner: bytes, time: bytes) -> Attributes:
        """What these fields of a header say, which the filters leave as it is."""
        key = kind, owner, time
        attributes = self._attributes.get(key)
        if attributes is None:
            mode, uid, gid = (parse_number(owner[at : at + 8]) for at in (0, 8, 16))
            attributes = mode & 0o7777, uid, gid, parse_number(time), 0
            if not self._is_kept(Entry(b"", kind, *attributes), attributes):
                raise Deviation
            if len(self._attributes) > _KEPT:
                self._attributes.clear()
            self._attributes[key] = attributes
        return attributes

    def _shape(self, owner: bytes, time: bytes) -> tuple[Look, Form]:
        """What files with the same fields of mode, owner and time have in common."""
        attributes = self._kept("f", owner, time)
        entry = Entry(b"", "f", *attributes)
        form = NO_FORM if self._ground is None else self._ground.form(entry.mode, time_of(entry))
        if len(self._shapes) > _KEPT:
            self._shapes.clear()
        shape = self._shapes[owner, time] = make_look(entry, attributes), form
        return shape

    # where we stand

    def _turn(self, path: bytes) -> None:
        """Begin a run in another directory, that of ``path``."""
        prefix = path[: path.rfind(b"/") + 1]
        parent = prefix[:-1]
        if prefix and not is_plain(parent):
            raise Deviation
        self._end_run()
        self._run = RunHash(self._flavour, prefix)
        if self._ground is not None:
            self._ground.stand(parent)

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
        with closing(Ahead(self._pieces(large), 1)) as pieces:
            if self._ground is None:
                for piece in pieces:
                    digesting.update(piece)
            else:
                path = large.path
                self._turn(path)
                self._ground.large(path[path.rfind(b"/") + 1 :], large, _heard(pieces, digesting))
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


def _heard(pieces: Iterable[bytes], digesting: ContentHash) -> Iterator[bytes]:
    """The same pieces, hashed on the way."""
    for piece in pieces:
        digesting.update(piece)
        yield piece
