"""``oci``: images. An id names one platform's manifest, so it cannot be had again from a tree: at rest an image's tree
is a ``ztar``, and its dual id says which. Archives of images are read here: tars of an OCI layout, and those of
``docker save``.

What is packed is an image of one layer, uncompressed, for then the same tree has the same id wherever it is made.
Through filters that change something an image is a tree like others, and its id that of a ``ztar``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from warpforge.errors import store_error
from warpforge.model.atoms import WareId

from . import faults
from .fileset import BLAKE3
from .filters import INPUT, SCAN
from .image import find_image
from .image_files import ArchiveFiles
from .layers import open_layers
from .layout import open_source
from .members import SMALL, Member
from .packer import Unpacked
from .tarball import Tarball
from .ztar import PACKER as ZTAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from warpforge.fsx.tree import Content, Entry

    from .decode import Packed
    from .filters import Filters
    from .image import Image, Platform, Source
    from .limits import Limits
    from .manifest import Line
    from .overlay import Overlay
    from .packer import Place, Sum


class Oci:
    """The packer. ``tag`` and ``platform``: which image of an archive, where it holds several."""

    packtype = "oci"
    recomputes = False

    def __init__(self, tag: str = "", platform: Platform | None = None) -> None:
        self._tag = tag
        self._platform = platform

    def pack(self, entries: Iterable[tuple[Entry, Content | None]], filters: Filters, sink: BinaryIO | None) -> Sum:
        from .image_writer import Making, make_image, write_archive

        with make_image(entries, filters, Making(compression="none"), keep=sink is not None) as made:
            try:
                size, sha256 = (0, "") if sink is None else write_archive(made, sink)
            except OSError as error:
                raise store_error(error, "an image's archive could not be written") from error
            return made.sum._replace(packed_bytes=size, packed_sha256=sha256)

    def scan(self, source: BinaryIO, filters: Filters, limits: Limits, *, hash_packed: bool = True) -> Sum:
        with self._opened(source, limits) as (image, overlay, packed):
            whole = _tree(overlay).scan(source, SCAN, limits)
            found = whole if filters == SCAN else _tree(overlay).scan(source, filters, limits)
            return _named(found, whole, image, packed)

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
        with self._opened(source, limits) as (image, overlay, packed):
            if expect is not None and expect != WareId("oci", image.id):
                raise faults.mismatch(str(expect), f"oci:{image.id}")
            done = _tree(overlay).unpack(source, place, filters, None, limits)
            found = _named(done.source, done.source, image, packed)
            return Unpacked(found, found.ware if done.ware == done.source.ware else done.ware)

    def lines(self, source: BinaryIO, limits: Limits) -> Iterator[Line]:
        with self._opened(source, limits) as (_, overlay, _):
            yield from _tree(overlay).lines(source, limits)

    def repack(self, source: BinaryIO, filters: Filters, sink: BinaryIO, limits: Limits) -> Sum:
        with self._opened(source, limits) as (_, overlay, _):
            return self.pack(overlay.entries(), filters, sink)

    @contextmanager
    def _opened(self, source: BinaryIO, limits: Limits) -> Iterator[tuple[Image, Overlay, Packed]]:
        with ArchiveFiles(source, "the archive", limits) as files:
            found = open_source(files, self._tag, limits)
            image = find_image(found, self._platform)
            with open_layers(found, image, limits) as overlay:
                yield image, overlay, files.packed


def write_at_rest(
    source: Source,
    image: Image,
    filters: Filters,
    limits: Limits,
    sink: BinaryIO,
    scratch: str | None,
    place: Place | None = None,
) -> Sum:
    """Write an image's tree as the ``ztar`` that it is at rest; the sum's ware is the image.

    ``place``: where the tree is written as well, as ``unpack`` would from these bytes. Errors: as ``scan``, ``unpack``.
    """
    with open_layers(source, image, limits, scratch) as overlay, _placed(overlay, place) as entries:
        return ZTAR.pack(entries, filters, sink)._replace(ware=WareId("oci", image.id))


@contextmanager
def _placed(overlay: Overlay, place: Place | None) -> Iterator[Iterable[tuple[Entry, Content | None]]]:
    if place is None:
        yield overlay.entries()
        return
    from .alongside import write_alongside

    with write_alongside(overlay.entries(), place, INPUT) as entries:
        yield entries


def _tree(overlay: Overlay) -> Tarball:
    """The merged tree, read as a ztar would be."""

    @contextmanager
    def opening(_: Packed, __: Limits, ___: bool, /) -> Iterator[Iterable[Member]]:  # noqa: FBT001
        yield _members(overlay)

    return Tarball("ztar", BLAKE3, canonical=True, opening=opening)


def _members(overlay: Overlay) -> Iterator[Member]:
    for entry, content in overlay.entries():
        yield Member(entry, content.read(entry.size) if content is not None and entry.size <= SMALL else content)


def _named(found: Sum, whole: Sum, image: Image, packed: Packed) -> Sum:
    """A sum of the tree as one of the image, while it still is that tree."""
    ware = WareId("oci", image.id) if found.ware == whole.ware else found.ware
    return found._replace(ware=ware, packed_bytes=packed.size, packed_sha256=packed.sha256)


PACKER: Final = Oci()
