"""The packer of packtypes whose ids are not made from trees: their wares are ``ztar`` at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from warpforge.errors import Invalid

from .ztar import PACKER as ZTAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from warpforge.fsx.tree import Content, Entry
    from warpforge.model.atoms import WareId

    from .filters import Filters
    from .limits import Limits
    from .manifest import Line
    from .packer import Place, Sum, Unpacked


class AtRest:
    """What is found in the packed bytes has the id of a ``ztar``, and that is what ``expect`` names: the dual id.

    ``advice``: what to do instead of packing a tree.
    """

    recomputes = False

    def __init__(self, packtype: str, advice: str) -> None:
        self.packtype = packtype
        self._advice = advice

    def pack(
        self, entries: Iterable[tuple[Entry, Content | None]], filters: Filters, sink: BinaryIO | None
    ) -> NoReturn:
        """Errors: ``invalid-argument``, always."""
        raise Invalid(
            "invalid-argument", f"no tree can be packed as {self.packtype}: {self._advice}", packtype=self.packtype
        )

    def scan(self, source: BinaryIO, filters: Filters, limits: Limits, *, hash_packed: bool = True) -> Sum:
        return ZTAR.scan(source, filters, limits, hash_packed=hash_packed)

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
        return ZTAR.unpack(source, place, filters, expect, limits, hash_packed=hash_packed)

    def lines(self, source: BinaryIO, limits: Limits) -> Iterator[Line]:
        return ZTAR.lines(source, limits)

    def repack(self, source: BinaryIO, filters: Filters, sink: BinaryIO, limits: Limits) -> Sum:
        return ZTAR.repack(source, filters, sink, limits)
