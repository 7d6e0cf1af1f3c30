"""Writing: a tree in canonical order is hashed and written as a tar, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from warpforge.model.atoms import WareId

from . import faults
from .fileset import NO_DIGESTS, Fileset, Look, make_look
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


class _Plain:
    """A writer of frames that does not pack: the tar itself, piece by piece."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    def frame(self, pieces: list[bytes]) -> None:
        self._write(b"".join(pieces))


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
        pieces: list[bytes] = []
        add, digest, filtered = self._fileset.add, self._fileset.digest, self._filters.attributes
        shapes = self._shapes
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
                self._writer.frame(pieces)
                pieces, held = [], 0
            header = make_header(entry, template)
            pieces.append(header)
            held += len(header)
            if content is None:
                add(entry, look)
                continue
            unpacked += size
            if size >= LARGE:
                self._writer.frame(pieces)
                digests, pieces = self._large(entry, content)
                held = sum(map(len, pieces))
                add(entry, look, digests)
                continue
            data = content.read(size) if size else b""
            if len(data) != size:
                data = b"".join((data, *_pieces(entry, content, size - len(data))))
            add(entry, look, digest(data))
            if size:
                padding = PADDING[size % BLOCK]
                pieces += (data, padding)
                held += size + len(padding)
        self._writer.frame([*pieces, END])
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

    def _large(self, entry: Entry, content: Content) -> tuple[Digests, list[bytes]]:
        """A large content; returns its hashes, and what begins the next frame."""
        digesting = self._fileset.digesting()
        last = []
        for piece in _pieces(entry, content):
            if len(piece) == LARGE:
                self._writer.frame([piece])
            else:
                last.append(piece)
            digesting.update(piece)
        return digesting.finish(), [*last, PADDING[entry.size % BLOCK]]


def _pieces(entry: Entry, content: Content, left: int | None = None) -> Iterator[bytes]:
    """A content in pieces of LARGE bytes, the last one shorter. Raises OSError when it is too short."""
    left = entry.size if left is None else left
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
