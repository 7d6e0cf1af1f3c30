"""Packing, scanning and unpacking: one protocol for all packtypes, and the functions that everybody calls.

pack     entries -> packed bytes, and their sum
scan     packed bytes -> their sum
unpack   packed bytes -> a tree on disk, verified in the same pass
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from warpforge.errors import Invalid
from warpforge.model.atoms import WareId

from . import filters as rows
from .limits import DEFAULT, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from warpforge.fsx.tree import Content, Entry

    from .filters import Filters
    from .manifest import Line


class Sum(NamedTuple):
    """What was found of a tree.

    ``dual``: the ``ztar:...`` id of the same tree. ``unpacked_bytes``: of all contents. ``packed_bytes`` and
    ``packed_sha256``: of the packed bytes as written or read; 0 and "" when there were none, or when nobody wanted it.
    """

    ware: WareId
    dual: str
    entries: int
    unpacked_bytes: int
    packed_bytes: int
    packed_sha256: str


class Unpacked(NamedTuple):
    """What was unpacked: the ware as it came, and the id of the tree that the filters made of it."""

    source: Sum
    ware: WareId


class Packer(Protocol):
    """One packtype. ``recomputes``: its ids can be recomputed from the packed bytes at rest.

    Where they cannot, those bytes are a ``ztar``, sums and ``expect`` speak of that, and no tree can be packed.
    """

    packtype: str
    recomputes: bool

    def pack(self, entries: Iterable[tuple[Entry, Content | None]], filters: Filters, sink: BinaryIO | None) -> Sum: ...

    def scan(self, source: BinaryIO, filters: Filters, limits: Limits, *, hash_packed: bool = True) -> Sum: ...

    def unpack(
        self,
        source: BinaryIO,
        place: Place,
        filters: Filters,
        expect: WareId | None,
        limits: Limits,
        *,
        hash_packed: bool = True,
    ) -> Unpacked: ...

    def lines(self, source: BinaryIO, limits: Limits) -> Iterator[Line]: ...

    def repack(self, source: BinaryIO, filters: Filters, sink: BinaryIO, limits: Limits) -> Sum: ...


class Place(NamedTuple):
    """Where a tree is unpacked: a name that must not exist yet, and the owner of everything (None: the caller)."""

    parent_fd: int
    name: bytes
    owner: tuple[int, int] | None = None


def find_packer(packtype: str) -> Packer | None:
    """The packer of a packtype; imported when it is asked for."""
    if packtype == "ztar":
        from .ztar import PACKER as ztar

        return ztar
    if packtype == "tar":
        from .tar import PACKER as tar

        return tar
    if packtype == "zip":
        from .zip import PACKER as zip_

        return zip_
    if packtype == "git":
        from .git import PACKER as git

        return git
    if packtype == "oci":
        from .oci import PACKER as oci

        return oci
    return None


def get_packer(packtype: str) -> Packer:
    """Errors: ``invalid-argument`` for a packtype that nobody knows."""
    packer = find_packer(packtype)
    if packer is None:
        raise Invalid("invalid-argument", f"packtype {packtype}: there is {', '.join(PACKTYPES)}", packtype=packtype)
    return packer


PACKTYPES = ("tar", "ztar", "zip", "git", "oci")


def pack(
    entries: Iterable[tuple[Entry, Content | None]],
    packtype: str,
    filters: Filters = rows.OUTPUT,
    sink: BinaryIO | None = None,
) -> Sum:
    """Hash a tree given in canonical order, and write it to ``sink`` as a zstd tarball (None: only hash).

    Errors: ``ware-invalid`` (metadata, type, name), ``store`` (a tree that cannot be read, a sink that fails).
    """
    return get_packer(packtype).pack(entries, filters, sink)


def scan(
    source: BinaryIO,
    packtype: str,
    filters: Filters = rows.SCAN,
    *,
    limits: Limits = DEFAULT,
    hash_packed: bool = True,
) -> Sum:
    """Hash an archive in any compression; the sum's ware is that of the filtered tree.

    ``hash_packed``: whether the packed bytes, too, have to be hashed; otherwise they may not be.
    Errors: ``ware-corrupt``, ``ware-invalid``, ``ware-limit``.
    """
    return get_packer(packtype).scan(source, filters, limits, hash_packed=hash_packed)


def unpack(
    source: BinaryIO,
    packtype: str,
    parent_fd: int,
    name: bytes,
    *,
    filters: Filters = rows.INPUT,
    expect: WareId | None = None,
    owner: tuple[int, int] | None = None,
    limits: Limits = DEFAULT,
    hash_packed: bool = True,
) -> Unpacked:
    """Write an archive's tree as ``name`` below ``parent_fd``: a directory, or a file when the ware is one.

    ``expect``: the id that the unfiltered tree must have. ``hash_packed``: as for ``scan``.
    On any error nothing is left under that name.
    Errors: ``ware-mismatch``, ``ware-corrupt``, ``ware-invalid``, ``ware-limit``, ``already-exists``, ``store``.
    """
    place = Place(parent_fd, name, owner)
    return get_packer(packtype).unpack(source, place, filters, expect, limits, hash_packed=hash_packed)


def repack(source: BinaryIO, packtype: str, filters: Filters, sink: BinaryIO, *, limits: Limits = DEFAULT) -> Sum:
    """Pack an archive of ours again through filters. Errors: as ``scan``; ``ware-corrupt`` also for a foreign order."""
    return get_packer(packtype).repack(source, filters, sink, limits)


def manifest(source: BinaryIO, packtype: str, *, limits: Limits = DEFAULT) -> Iterator[Line]:
    """The lines of an archive's tree, in canonical order. Errors: as ``scan``."""
    return get_packer(packtype).lines(source, limits)
