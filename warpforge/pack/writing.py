"""Writing: a tree in canonical order is hashed and written as a tar, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from warpforge.fsx.tree import FileContent
from warpforge.model.atoms import WareId

from . import faults
from .fileset import NO_DIGESTS, Fileset, Look, make_look
from .frames import PAGE, make_page
from .headers import BLOCK, END, PADDING, Template, make_header, make_template
from .packer import Sum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from warpforge.fsx.tree import Content, Entry

    from .fileset import Digests
    from .filters import Attributes, Filters
    from .frames import FrameWriter

LARGE: Final = 4 << 20  # contents from this size on are packed in frames of their own, and this is the size of those
_KEPT: Final = 4096  # templates
_FIRST: Final = 16 << 10  # bytes of the page that we begin with: many outputs of steps need no more


class _Plain:
    """A writer of frames that does not pack: the tar itself, piece by piece."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.frame = write

    def turn(self, page: memoryview, size: int) -> memoryview:
        self.hand(page, size)
        return page

    def hand(self, page: memoryview, size: int) -> None:
        self.frame(bytes(page[:size]))


def write_tree(
    entries: Iterable[tuple[Entry, Content | None]], filters: Filters, write: Callable[[bytes], object]
) -> Sum:
    """Write a tree given in canonical order as a plain tar; the sum's ware is a ``ztar``. Errors: as ``pack``."""
    from .fileset import BLAKE3

    fileset = Fileset(BLAKE3)
    size = 0

    def count(data: bytes) -> None:
        nonlocal size
        size += len(data)
        write(data)

    try:
        unpacked = Writing(fileset, filters, _Plain(count)).run(entries)
    except OSError as error:
        raise faults.unreadable(error) from error
    own, dual = fileset.finish()
    return Sum(WareId("ztar", own), f"ztar:{dual}", fileset.entries, unpacked, size, "")


def hash_tree(entries: Iterable[tuple[Entry, Content | None]], fileset: Fileset, filters: Filters) -> int:
    """Hash a tree without writing it; returns the bytes of its contents."""
    unpacked = 0
    for entry, content in entries:
        if filters.drops(entry):
            continue
        look = make_look(entry, (*filters.attributes(entry)[:4], 0))
        digests = NO_DIGESTS
        if content is not None:
            digesting = fileset.digesting()
            for piece in _pieces(entry, content):
                digesting.update(piece)
            digests = digesting.finish()
            unpacked += entry.size
        fileset.add(entry, look, digests)
    return unpacked


class Writing:
    """Hash a tree and write it, in one pass; a small file costs as few steps as possible.

    A frame ends before the member that it could not hold whole. Large contents have frames of their own,
    so that what stands around them can be read without them.
    """

    def __init__(self, fileset: Fileset, filters: Filters, writer: FrameWriter | _Plain) -> None:
        self._fileset = fileset
        self._filters = filters
        self._writer = writer
        self._shapes: dict[tuple[str, Attributes], tuple[Look, Template]] = {}

    def run(self, entries: Iterable[tuple[Entry, Content | None]]) -> int:
        """Returns the bytes of all contents."""
        unpacked = held = 0
        add, digest, filtered = self._fileset.add, self._fileset.digest, self._filters.attributes
        shapes, turn = self._shapes, self._writer.turn
        page = memoryview(bytearray(_FIRST))
        for entry, content in entries:
            kind = entry.kind
            if kind in "Dcs" and self._filters.drops(entry):
                continue
            attributes = filtered(entry)
            if attributes[4]:
                attributes = (*attributes[:4], 0)
            look, template = shapes.get((kind, attributes)) or self._shape(entry, attributes)
            size = entry.size
            if held + size > LARGE and held:
                page, held = turn(page, held), 0
            header = make_header(entry, template)
            body = held + len(header)
            stop = body + (size if size < LARGE else 0)
            padding = PADDING[size % BLOCK]
            if stop + BLOCK > len(page):
                page = _widened(page, held, stop + BLOCK)
            page[held:body] = header
            held = body
            if content is None:
                add(entry, look)
                continue
            unpacked += size
            if size >= LARGE:
                page = turn(page, held)
                digests, held = self._large(entry, content, page)
                add(entry, look, digests)
                continue
            data = page[body:stop]
            if size:
                count = content.readinto(data) if type(content) is FileContent else 0
                if count != size:
                    _fill(data, entry, content, count)
                held = stop + len(padding)
                page[stop:held] = padding
            add(entry, look, digest(data))
        page = _widened(page, held, held + len(END)) if held + len(END) > len(page) else page
        page[held : held + len(END)] = END
        self._writer.hand(page, held + len(END))
        return unpacked

    def _shape(self, entry: Entry, attributes: Attributes) -> tuple[Look, Template]:
        """What nodes of one kind with the same attributes have in common; symlinks and devices have more."""
        template = make_template(entry.kind, attributes, entry.device, entry.link[:100])
        shape = make_look(entry, attributes), template
        if entry.kind in "fdp":
            if len(self._shapes) > _KEPT:
                self._shapes.clear()
            self._shapes[entry.kind, attributes] = shape
        return shape

    def _large(self, entry: Entry, content: Content, page: memoryview) -> tuple[Digests, int]:
        """A large content; returns its hashes, and how much of the next frame's page its end takes."""
        digesting = self._fileset.digesting()
        held = 0
        for piece in _pieces(entry, content):
            if len(piece) == LARGE:
                self._writer.frame(piece)
            else:
                page[: len(piece)] = piece
                held = len(piece)
            digesting.update(piece)
        padding = PADDING[entry.size % BLOCK]
        page[held : held + len(padding)] = padding
        return digesting.finish(), held + len(padding)


def _widened(page: memoryview, held: int, size: int) -> memoryview:
    """With what another page holds, and room for ``size`` bytes; headers without measure have one of their own."""
    wider = make_page(max(size, PAGE))
    wider[:held] = page[:held]
    return wider


def _fill(room: memoryview, entry: Entry, content: Content, at: int) -> None:
    """The rest of a small content. Raises OSError when it is too short."""
    while at < len(room):
        data = content.read(len(room) - at)
        if not data:
            raise OSError(0, "is shorter than it said", entry.path)
        room[at : at + len(data)] = data
        at += len(data)


def _pieces(entry: Entry, content: Content) -> Iterator[bytes]:
    """A content in pieces of LARGE bytes, the last one shorter. Raises OSError when it is too short."""
    left = entry.size
    while left:
        want = min(LARGE, left)
        piece = content.read(want)
        if len(piece) < want:
            parts = [piece]
            while piece and (missing := want - sum(map(len, parts))):
                piece = content.read(missing)
                parts.append(piece)
            piece = b"".join(parts)
            if len(piece) < want:
                raise OSError(0, "is shorter than it said", entry.path)
        left -= want
        yield piece
