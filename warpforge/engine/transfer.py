"""Transfer: wares go to mirrors and come from them, because somebody asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from warpforge.engine.events import Notice, Reporter, WareMoving
from warpforge.errors import Failed, Unable, WarpforgeError
from warpforge.mirror.policy import Access
from warpforge.mirror.protocol import Mirror, connect, find_upstream, shown
from warpforge.model.atoms import WarehouseAddr, WareId

if TYPE_CHECKING:
    from warpforge.engine.naming import Names
    from warpforge.engine.reach import Reach
    from warpforge.engine.supply import Supply
    from warpforge.mirror.protocol import Upstream
    from warpforge.mirror.registry import Wanted
    from warpforge.store.store import Store

PUSHED: Final = "pushed"
THERE: Final = "there"  # already, on the mirror
FETCHED: Final = "fetched"
HERE: Final = "here"  # already, in the warehouse


class Transfer:
    """Moves packed wares between this store and mirrors."""

    def __init__(self, store: Store, supply: Supply, names: Names, reach: Reach, reporter: Reporter) -> None:
        self._store = store
        self._supply = supply
        self._names = names
        self._reach = reach
        self._reporter = reporter

    @property
    def access(self) -> Access:
        """What reaching mirrors takes here."""
        return self._reach.access

    def push(self, ware: WareId, address: WarehouseAddr, *, force: bool = False) -> str:
        """Put a ware on a mirror, its bytes checked before. A place of many that has it is left alone, unless forced.

        A ``tar`` ware goes as the gzip tar that the original's clients read. Gives PUSHED or THERE.
        Errors: ``fetch``, ``store``, ``missing``, ``ware-mismatch``, ``ware-corrupt``.
        """
        upstream = find_upstream(address, ware.packtype, self.access)
        if ware.packtype == "oci" and upstream is not None:
            return self._push_image(ware, upstream, force=force)
        if upstream is not None:
            raise Unable(
                "fetch",
                f"{shown(address)} holds no packed wares: push to it by its own means, or name a place that does",
                reason="policy",
                address=shown(address),
            )
        mirror = connect(address, self.access)
        if address.is_content_addressed and not force and mirror.has(ware):
            return THERE
        with self._supply.packed(ware) as packed:
            self._check(ware, packed)
            with outer_form(self._store, ware, packed) as (stream, size):
                self._push(mirror, ware, stream, shown(address), size)
        return PUSHED

    def pull(self, ware: WareId, addresses: Sequence[WarehouseAddr] | None = None) -> tuple[str, str]:
        """Bring a ware into the warehouse: gives FETCHED and the mirror's address, or HERE and nothing.

        Errors: ``fetch``, ``missing``, ``store``.
        """
        if self._store.warehouse.has(ware):
            return HERE, ""
        with self._store.turn(ware):
            if self._store.warehouse.has(ware):
                return HERE, ""
            known = self._names.mirrors(ware) if addresses is None else addresses
            self._names.claim(ware)
            return FETCHED, self._supply.fetch(ware, known)

    def pushes(self) -> list[WarehouseAddr]:
        """Where this workspace pushes to."""
        return [address for address in self._reach.pushes if address.is_content_addressed]

    def _check(self, ware: WareId, packed: BinaryIO) -> None:
        """What we give to others is what it says."""
        from warpforge.pack.limits import UNLIMITED
        from warpforge.pack.packer import scan

        at_rest, expect = self._supply.at_rest(ware)
        try:
            found = scan(packed, at_rest, limits=UNLIMITED).ware
            if expect is not None and found != expect:
                raise Failed("ware-mismatch", f"{ware} in the warehouse is {found}", expected=ware, actual=found)
        except WarpforgeError as error:
            self._store.warehouse.quarantine(ware, error.message)
            self._reporter.tell(Notice("warning", f"{ware} in the warehouse is damaged and was set aside"))
            raise
        packed.seek(0)

    def _push_image(self, ware: WareId, upstream: Upstream, *, force: bool) -> str:
        """An image to a registry, as the layers that it came as, or was made of."""
        from warpforge.engine.image_sources import read_kept
        from warpforge.mirror.oci import OciMirror

        assert isinstance(upstream, OciMirror)
        if not (force or upstream.has_tag) and upstream.has(ware):
            return THERE
        kept = self._store.images.find(ware)
        image = read_kept(kept) if kept is not None else None
        here = {digest for digest, _, _ in self._store.layers.all()}
        if kept is None or image is None or not {layer.digest for layer in image.layers} <= here:
            raise upstream.refuse_tree(ware)
        total, done = sum(layer.size for layer in image.layers), 0

        def open_layer(layer: Wanted) -> BinaryIO:
            nonlocal done
            done += layer.size
            self._reporter.tell(WareMoving(ware, upstream.name, done, total))
            return open(self._store.layers.path(layer.digest), "rb")

        upstream.push_image(kept.manifest, kept.config, image.layers, open_layer)
        return PUSHED

    def _push(self, mirror: Mirror, ware: WareId, stream: BinaryIO, name: str, size: int) -> None:
        counted: Any = _Counted(stream, lambda done: self._reporter.tell(WareMoving(ware, name, done, size)))
        mirror.push(ware, counted)


@contextmanager
def outer_form(store: Store, ware: WareId, packed: BinaryIO) -> Iterator[tuple[BinaryIO, int]]:
    """A ware's packed bytes as others get them, and how many: ``tar`` as a gzip tar, the rest as it is."""
    if ware.packtype != "tar":
        yield packed, os.fstat(packed.fileno()).st_size
        return
    from warpforge.pack.gzip_form import write_gzip_form

    path = store.staging.new("gzip")
    try:
        with open(path, "x+b") as file:
            write_gzip_form(packed, file)
            file.flush()
            size = file.tell()
            file.seek(0)
            yield file, size
    finally:
        if os.path.lexists(path):
            os.unlink(path)


class _Counted:
    """A file that tells how far it was read."""

    def __init__(self, file: BinaryIO, moved: Callable[[int], None]) -> None:
        self._file = file
        self._moved = moved
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if data:
            self._moved(self._file.tell())
        return data
