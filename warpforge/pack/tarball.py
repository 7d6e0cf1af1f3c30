"""The packer of tarballs: what ``tar`` and ``ztar`` share, and what every ware at rest is."""

from __future__ import annotations

from contextlib import closing, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from warpforge.model.atoms import WareId

from . import faults
from .ahead import Ahead
from .collect import Collected
from .decode import Packed, decode
from .extract import Extractor
from .fileset import Fileset
from .manifest import Line
from .members import MemberReader
from .packer import Place, Sum, Unpacked
from .taking import Tally, collect, take_foreign, take_ordered
from .writing import Writing, hash_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from warpforge.fsx.tree import Content, Entry

    from .abreast import Taken
    from .fileset import Flavour
    from .filters import Filters
    from .limits import Limits
    from .members import Member

    # of packed bytes, within limits; True: in canonical order, and refused where that cannot be
    Opening = Callable[[Packed, Limits, bool], AbstractContextManager[Iterable[Member]]]


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
                unpacked = hash_tree(entries, fileset, filters)
                return self._sum(fileset, unpacked, 0, "")
            from .frames import FrameWriter

            with FrameWriter(sink) as writer:
                unpacked = Writing(fileset, filters, writer).run(entries)
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
            tally = Tally(Fileset(self._flavour), filters)
            if self._canonical:
                take_ordered(members, tally, None)
            else:
                take_foreign(members, tally, None)
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
            tally = Tally(original, filters, original)
            with Extractor(place.parent_fd, place.name, place.owner, ordered=self._canonical) as extractor:
                if self._canonical:
                    take_ordered(members, tally, extractor)
                else:
                    take_foreign(members, tally, extractor)
                found = self._sum(original, tally.unpacked, packed.size, packed.sha256)
                _compare(found, expect)
                if tally.filtered is original:
                    return Unpacked(found, found.ware)
                return Unpacked(found, WareId(self.packtype, tally.filtered.finish()[0]))

    def lines(self, source: BinaryIO, limits: Limits) -> Iterator[Line]:
        with self._reading(source, limits) as (_, members), closing(Collected()) as collected:
            fileset = Fileset(self._flavour)
            for node in collect(members, fileset, collected):
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
