"""The packer of tarballs: what ``tar`` and ``ztar`` share, and what every ware at rest is."""

from __future__ import annotations

from contextlib import closing, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.model.atoms import WareId

from . import faults
from .ahead import Ahead
from .collect import Collected, Node
from .decode import Packed, decode
from .extract import Extractor
from .fileset import NO_DIGESTS, Fileset, Look, make_look
from .headers import BLOCK, END, PADDING, Template, make_header, make_template
from .manifest import Line
from .members import MemberReader
from .packer import Place, Sum, Unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from warpforge.fsx.tree import Content, Entry

    from .abreast import Taken
    from .fileset import Digests, Flavour
    from .filters import Attributes, Filters
    from .frames import FrameWriter
    from .limits import Limits
    from .members import Member

    # of packed bytes, within limits; True: in canonical order, and refused where that cannot be
    Opening = Callable[[Packed, Limits, bool], AbstractContextManager[Iterable[Member]]]

LARGE: Final = 4 << 20  # contents from this size on are packed in frames of their own, and this is the size of those
_KEPT: Final = 4096  # templates


class Tarball:
    """A packtype whose wares are tarballs at rest. ``canonical``: its archives are in our own form, no other is read.

    ``opening``: how the members of its archives are had.
    """

    recomputes = True

    def __init__(self, packtype: str, flavour: Flavour, *, canonical: bool, opening: Opening | None = None) -> None:
        self.packtype = packtype
        self._flavour = flavour
        self._canonical = canonical
        self._open = opening or open_tarball

    def pack(self, entries: Iterable[tuple[Entry, Content | None]], filters: Filters, sink: BinaryIO | None) -> Sum:
        fileset = Fileset(self._flavour)
        try:
            if sink is None:
                unpacked = _hash_tree(entries, fileset, filters)
                return self._sum(fileset, unpacked, 0, "")
            from .frames import FrameWriter

            with FrameWriter(sink) as writer:
                unpacked = _Writing(fileset, filters, writer).run(entries)
                writer.finish()
            return self._sum(fileset, unpacked, writer.size, writer.sha256)
        except OSError as error:
            raise faults.unreadable(error) from error

    def scan(self, source: BinaryIO, filters: Filters, limits: Limits, *, hash_packed: bool = True) -> Sum:
        if self._open is open_tarball:
            from .abreast import scan_abreast

            taken = scan_abreast(source, self._flavour, filters, limits)
            if taken is not None:
                return self._sum_of(taken, source, hash_packed=hash_packed)
        with self._reading(source, limits) as (packed, members):
            tally = _Tally(Fileset(self._flavour), filters)
            if self._canonical:
                _take_ordered(members, tally, None)
            else:
                _take_foreign(members, tally, None)
        return self._sum(tally.filtered, tally.unpacked, packed.size, packed.sha256)

    def unpack(
        self,
        source: BinaryIO,
        place: Place,
        filters: Filters,
        expect: WareId | None,
        limits: Limits,
        *,
        hash_packed: bool = True,
    ) -> Unpacked:
        if self._open is open_tarball:
            from .abreast import unpack_abreast

            with unpack_abreast(source, self._flavour, filters, limits, place) as taken:
                if taken is not None:
                    found = self._sum_of(taken, source, hash_packed=hash_packed)
                    _compare(found, expect)
                    return Unpacked(found, found.ware)
        with self._reading(source, limits) as (packed, members):
            original = Fileset(self._flavour)
            tally = _Tally(original, filters, original)
            with Extractor(place.parent_fd, place.name, place.owner, ordered=self._canonical) as extractor:
                if self._canonical:
                    _take_ordered(members, tally, extractor)
                else:
                    _take_foreign(members, tally, extractor)
                found = self._sum(original, tally.unpacked, packed.size, packed.sha256)
                _compare(found, expect)
                if tally.filtered is original:
                    return Unpacked(found, found.ware)
                return Unpacked(found, WareId(self.packtype, tally.filtered.finish()[0]))

    def lines(self, source: BinaryIO, limits: Limits) -> Iterator[Line]:
        with self._reading(source, limits) as (_, members), closing(Collected()) as collected:
            fileset = Fileset(self._flavour)
            for node in _collect(members, fileset, collected):
                yield Line(node.entry, None if node.digests is None else node.digests[1])

    def repack(self, source: BinaryIO, filters: Filters, sink: BinaryIO, limits: Limits) -> Sum:
        with self.entries(source, limits) as entries:
            return self.pack(entries, filters, sink)

    @contextmanager
    def entries(self, source: BinaryIO, limits: Limits) -> Iterator[Iterator[tuple[Entry, Content | None]]]:
        """The tree of an archive in canonical order. Errors: ``ware-corrupt`` for another order, and as ``scan``."""
        with self._reading(source, limits, canonical=True) as (_, members):
            yield ((e, BytesIO(c) if isinstance(c, bytes) else c) for e, c, _ in members)

    @contextmanager
    def members(self, source: BinaryIO, limits: Limits) -> Iterator[Iterable[Member]]:
        """The members of an archive, as they come. Errors: as ``scan``."""
        with self._reading(source, limits) as (_, members):
            yield members

    @contextmanager
    def _reading(
        self, source: BinaryIO, limits: Limits, *, canonical: bool | None = None
    ) -> Iterator[tuple[Packed, Iterable[Member]]]:
        packed = Packed(source)
        with self._open(packed, limits, self._canonical if canonical is None else canonical) as members:
            yield packed, members

    def _sum_of(self, taken: Taken, source: BinaryIO, *, hash_packed: bool) -> Sum:
        return self._sum(taken.fileset, taken.unpacked, taken.packed, _sha256(source) if hash_packed else "")

    def _sum(self, fileset: Fileset, unpacked: int, packed: int, sha256: str) -> Sum:
        own, dual = fileset.finish()
        return Sum(WareId(self.packtype, own), f"ztar:{dual}", fileset.entries, unpacked, packed, sha256)


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
        unpacked = _Writing(fileset, filters, _Plain(count)).run(entries)
    except OSError as error:
        raise faults.unreadable(error) from error
    own, dual = fileset.finish()
    return Sum(WareId("ztar", own), f"ztar:{dual}", fileset.entries, unpacked, size, "")


@contextmanager
def open_tarball(packed: Packed, limits: Limits, canonical: bool, /) -> Iterator[Iterable[Member]]:  # noqa: FBT001
    """The members of a tarball in any compression."""
    with closing(Ahead(decode(packed, limits))) as pieces:
        yield MemberReader(pieces, limits, canonical=canonical)


def _compare(found: Sum, expect: WareId | None) -> None:
    if expect is not None and found.ware != expect:
        raise faults.mismatch(str(expect), str(found.ware))


def _sha256(source: BinaryIO) -> str:
    """Of all of a seekable file."""
    import hashlib

    hasher = hashlib.sha256()
    source.seek(0)
    while data := source.read(1 << 20):
        hasher.update(data)
    return hasher.hexdigest()


# packing


def _hash_tree(entries: Iterable[tuple[Entry, Content | None]], fileset: Fileset, filters: Filters) -> int:
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


class _Writing:
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


# reading


class _Shape(NamedTuple):
    """What nodes of one kind with the same attributes have in common: before the filters, and after."""

    look: Look
    kept: Attributes | None  # None: the filters leave it out
    kept_look: Look


class _Tally:
    """The hashes of a tree as it comes and as the filters leave it; the second begins where they first differ.

    Without an ``original`` only the filtered tree is hashed.
    """

    def __init__(self, filtered: Fileset, filters: Filters, original: Fileset | None = None) -> None:
        self.filtered = filtered
        self.filters = filters
        self.original = original
        self.unpacked = 0
        self._shapes: dict[tuple[str, Attributes], _Shape] = {}

    def add(self, entry: Entry, digests: Digests = NO_DIGESTS) -> Entry | None:
        """One node in canonical order; returns what the filters leave of it."""
        attributes = entry.mode, entry.uid, entry.gid, entry.mtime, entry.mtime_ns
        shape = self._shapes.get((entry.kind, attributes))
        if shape is None or entry.xattrs:
            shape = self._shape(entry, attributes)
        look, kept, kept_look = shape
        self.unpacked += entry.size
        if kept == attributes and (self.original is None or self.filtered is self.original):
            self.filtered.add(entry, look, digests)
            return entry
        if self.filtered is self.original:
            self.filtered = self.original.fork()
        if self.original is not None:
            self.original.add(entry, look, digests)
        if kept is None:
            return None
        self.filtered.add(entry, kept_look, digests)
        return entry if kept == attributes else self.filters.apply(entry)

    def _shape(self, entry: Entry, attributes: Attributes) -> _Shape:
        look = kept_look = make_look(entry, attributes)
        kept = None if self.filters.drops(entry) else self.filters.attributes(entry)
        if kept is not None and kept != attributes:
            kept_look = make_look(entry, kept)
        shape = _Shape(look, kept, kept_look)
        if entry.kind in "fdp" and not entry.xattrs:
            if len(self._shapes) > _KEPT:
                self._shapes.clear()
            self._shapes[entry.kind, attributes] = shape
        return shape


def _take_ordered(members: Iterable[Member], tally: _Tally, extractor: Extractor | None) -> None:
    """An archive in canonical order: every node is hashed and written as it comes."""
    fileset = tally.filtered
    for entry, content, _ in members:
        if entry.kind == "f":
            if isinstance(content, bytes):
                kept = tally.add(entry, fileset.digest(content))
                if extractor is not None and kept is not None:
                    extractor.file(kept, content)
                continue
            assert content is not None
            kept = tally.filters.apply(entry)
            digesting = fileset.digesting()
            _take_large(kept, content, digesting, extractor)
            tally.add(entry, digesting.finish())
            continue
        kept = tally.add(entry)
        if extractor is not None and kept is not None:
            _take_other(kept, extractor, again=False)
    if extractor is not None:
        extractor.finish()


def _take_large(entry: Entry, content: Content, digesting: object, extractor: Extractor | None) -> None:
    from .fileset import ContentHash

    assert isinstance(digesting, ContentHash)
    if extractor is not None:
        extractor.large_file(entry, content, digesting)
        return
    while data := content.read(1 << 20):
        digesting.update(data)


def _take_other(entry: Entry, extractor: Extractor, *, again: bool) -> None:
    if entry.kind == "d":
        extractor.directory(entry, again=again)
    else:
        extractor.other(entry)


def _take_foreign(members: Iterable[Member], tally: _Tally, extractor: Extractor | None) -> None:
    """An archive in any order: nodes are written as they come, and hashed when all are there."""
    filters = tally.filters
    with closing(Collected()) as collected:
        for node in _collect(members, tally.filtered, collected, filters, extractor):
            tally.add(node.entry, node.digests or NO_DIGESTS)
        if extractor is not None:
            directories = (node.entry for node in collected.sorted() if node.entry.kind == "d")
            extractor.finish(filters.apply(entry) for entry in directories)


def _collect(
    members: Iterable[Member],
    fileset: Fileset,
    collected: Collected,
    filters: Filters | None = None,
    extractor: Extractor | None = None,
) -> Iterator[Node]:
    """Take all members in, writing them to disk on the way, then give them back in canonical order."""
    for entry, content, target in members:
        kept = None
        if filters is not None:
            kept = None if filters.drops(entry) else filters.apply(entry)
        collected.place(entry)
        digests: Digests | None = None
        if target is not None:
            origin = collected.link(entry, target)
            entry.size, digests = origin.entry.size, origin.digests
            if extractor is not None and kept is not None:
                extractor.copy(kept, target)
        elif isinstance(content, bytes):
            digests = fileset.digest(content)
            if extractor is not None and kept is not None:
                extractor.file(kept, content)
        elif content is not None:
            digesting = fileset.digesting()
            _take_large(kept or entry, content, digesting, extractor)
            digests = digesting.finish()
        elif extractor is not None and kept is not None:
            _take_other(kept, extractor, again=True)
        collected.put(Node(entry, digests))
    yield from collected.sorted()
