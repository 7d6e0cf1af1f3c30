"""Supply: from a WareId to its tree on the shelf, or to its packed bytes.

Asked in order: the shelf, the warehouse, every mirror, and, where that is wanted, replays of releases that name it.
What a mirror gives is verified on its way into the warehouse and verified again on its way to the shelf, but for an
image that comes for its tree: that is written to both in one pass. Bytes in the warehouse that turn out to be wrong are
quarantined, and the mirrors are asked instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO, Final

from warpforge.engine.events import Notice, Reporter, WareMoving, WareSupplied
from warpforge.errors import Missing, Unable, WarpforgeError
from warpforge.model.atoms import WarehouseAddr, WareId

if TYPE_CHECKING:
    from warpforge.mirror.policy import Access
    from warpforge.mirror.protocol import Upstream
    from warpforge.pack.filters import Filters
    from warpforge.pack.limits import Limits
    from warpforge.store.partials import Partial
    from warpforge.store.store import Store
    from warpforge.store.warehouse import Staged

BLOCK: Final = 1 << 20
REMAKE: Final = "`run -r` also asks replays"
MOST_MIRRORS: Final = 64  # that are asked for one ware
MirrorsOf = Callable[[WareId], Sequence[WarehouseAddr]]


class Supply:
    """Where the trees of wares come from. ``mirrors`` tells the addresses of a ware, best first."""

    def __init__(
        self,
        store: Store,
        mirrors: MirrorsOf,
        reporter: Reporter,
        owner: tuple[int, int] | None = None,
        access: Callable[[], Access] | None = None,
        limits: Callable[[], Limits] | None = None,
        remake: Callable[[WareId], str] | None = None,
    ) -> None:
        self._store = store
        self._mirrors = mirrors
        self._owner = owner
        self._reporter = reporter
        self._access = access
        self._remake = remake  # makes a ware again that no mirror has; says how, or nothing
        self._limits = limits
        self._bad: set[WarehouseAddr] = set()  # mirrors that could not be reached, or gave wrong bytes: asked last

    def has(self, ware: WareId) -> bool:
        """Whether the ware is here: on the shelf or in the warehouse."""
        return self._store.has(ware)

    def tree(self, ware: WareId, filters: Filters | None = None) -> Path:
        """The ware's tree on the shelf, unpacked through filters.

        Errors: ``missing``, ``fetch``, ``ware-mismatch``, ``ware-corrupt``, ``ware-invalid``, ``store``.
        """
        key = filters.key() if filters else ""
        shelf = self._store.shelf
        found = shelf.find(ware, key)
        if found:
            return found
        with self._store.turn(ware):
            found = shelf.find(ware, key)
            if found:
                return found
            since = monotonic()
            source, tree = self._unpack_from_somewhere(ware, filters, key)
            self._reporter.tell(WareSupplied(ware, source, monotonic() - since))
            return tree

    def packed(self, ware: WareId) -> BinaryIO:
        """The packed bytes, fetched if need be. Errors: as ``tree``."""
        if not self._store.warehouse.has(ware):
            with self._store.turn(ware):
                if not self._store.warehouse.has(ware):
                    self.fetch(ware)
        return self._store.warehouse.open(ware)

    def _unpack_from_somewhere(self, ware: WareId, filters: Filters | None, key: str) -> tuple[str, Path]:
        if self._store.warehouse.has(ware):
            try:
                with self._store.warehouse.open(ware) as packed:
                    return "the warehouse", self._unpack(ware, packed, filters, key)
            except WarpforgeError as error:
                if not _is_bad(error):
                    raise
                self._store.warehouse.quarantine(ware, error.message)
                self._reporter.tell(Notice("warning", f"{ware} in the warehouse is damaged and was set aside"))
                if not self._mirrors(ware) and self._remake is None:
                    raise
        source = self.fetch(ware, unpacked=not key)
        found = self._store.shelf.find(ware, key)
        if found:
            return source, found
        with self._store.warehouse.open(ware) as packed:
            return source, self._unpack(ware, packed, filters, key)

    def _unpack(self, ware: WareId, packed: BinaryIO, filters: Filters | None, key: str) -> Path:
        from warpforge.pack.filters import INPUT
        from warpforge.pack.packer import unpack

        at_rest, expect = self.at_rest(ware)
        with self._store.shelf.stage() as staged:
            done = unpack(
                packed,
                at_rest,
                staged.fd,
                staged.name,
                filters=filters or INPUT,
                expect=expect,
                owner=self._owner,
                limits=self.limits_of(ware),
                hash_packed=False,
            )
            self._store.duals.record(ware, done.source.dual)
            return self._store.shelf.commit(staged, ware, key)

    def at_rest(self, ware: WareId) -> tuple[str, WareId | None]:
        """How the bytes in the warehouse are packed, and what they must hash to."""
        from warpforge.pack.packer import find_packer

        packer = find_packer(ware.packtype)
        if packer is not None and packer.recomputes:
            return ware.packtype, ware
        # an id that the tree cannot give again: the stored tree is a ztar, and its dual id says which
        dual = self._store.duals.get(ware)
        return "ztar", WareId.parse(dual) if dual else None

    def fetch(self, ware: WareId, addresses: Sequence[WarehouseAddr] | None = None, *, unpacked: bool = False) -> str:
        """Bring the packed ware into the warehouse from the first mirror that has it right; gives its address.

        ``addresses``: these mirrors, instead of those that are known for the ware. ``unpacked``: its tree may be put
        on the shelf at once, where both come in one pass. Errors: ``fetch``, ``missing``,
        ``store``.
        """
        from warpforge.mirror.protocol import shown

        failed: list[tuple[WarehouseAddr, WarpforgeError]] = []
        known = self._mirrors(ware) if addresses is None else addresses
        order = sorted(known, key=self._bad.__contains__)[:MOST_MIRRORS]
        for number, address in enumerate(order, 1):
            try:
                self._fetch_from(ware, address, unpacked=unpacked)
                return shown(address)
            except WarpforgeError as error:
                if error.code == "warpforge-error-store":
                    raise
                if error.reason != "not-found":
                    self._bad.add(address)
                failed.append((address, error))
                if number < len(order):  # of the last one the error tells
                    self._reporter.tell(Notice("warning", _said(address, error)))
        if left := known[MOST_MIRRORS:]:
            failed.append((left[0], _too_many(len(left))))
        if addresses is None and self._remake is not None and (how := self._remake(ware)):
            return how
        raise _nowhere(ware, failed, advice="" if self._remake else REMAKE)

    def _fetch_from(self, ware: WareId, address: WarehouseAddr, *, unpacked: bool) -> None:
        from warpforge.mirror.download import Mark
        from warpforge.mirror.policy import DEFAULT
        from warpforge.mirror.protocol import Resuming, connect, find_upstream

        access = self._access() if self._access else DEFAULT
        upstream = find_upstream(address, ware.packtype, access)
        if upstream is not None:
            self._make(ware, upstream, unpacked=unpacked)
            return
        mirror = connect(address, access)
        partial = self._store.partials.find(ware, address) if isinstance(mirror, Resuming) else None
        if partial is not None and isinstance(mirror, Resuming):
            with partial:
                try:
                    with mirror.open_from(ware, Mark(*partial.mark)) as stream:
                        self._take(ware, address, stream, partial)
                    return
                except WarpforgeError as error:
                    if not _is_bad(error) or not partial.mark.at:
                        raise
            self._reporter.tell(Notice("info", f"what was here of {ware} was no good: fetching it from its start"))
        with mirror.open(ware) as stream:
            self._take(ware, address, stream)

    def _make(self, ware: WareId, upstream: Upstream, *, unpacked: bool) -> None:
        from warpforge.engine.upstream import keep_from

        def moved(done: int, total: int | None) -> None:
            self._reporter.tell(WareMoving(ware, upstream.name, done, total))

        keep_from(self._store, ware, upstream, moved, self._unverified(), unpacked=unpacked)

    def _take(self, ware: WareId, address: WarehouseAddr, stream: BinaryIO, partial: Partial | None = None) -> None:
        """Read a mirror's stream. ``partial``: what is here of it already."""
        from warpforge.mirror.download import begin_of, size_of
        from warpforge.mirror.protocol import shown

        total, name, begin = size_of(stream), shown(address), begin_of(stream)
        if partial is not None:
            partial.go_on(*begin or (0, "", None))
        elif begin is not None:
            partial = self._store.partials.begin(ware, address, begin.tag, begin.size)
        self.admit(ware, stream, lambda done: self._reporter.tell(WareMoving(ware, name, done, total)), partial)

    def admit(
        self,
        ware: WareId,
        stream: BinaryIO,
        moved: Callable[[int], None] | None = None,
        staged: Staged | None = None,
    ) -> None:
        """Copy packed bytes into the warehouse if they are this ware. Errors: ``ware-mismatch``, ``ware-corrupt``..."""
        from warpforge.engine.keep import copy_whole, keep_archive

        at_rest, expect = self.at_rest(ware)
        limits = self._unverified()
        if ware.packtype == "oci" and not _is_packed(stream, expect):
            from warpforge.engine.images import keep_archive_of_image

            with staged or self._store.warehouse.stage() as staged:
                copy_whole(stream, staged.file, limits, moved)
                staged.file.seek(0)
                keep_archive_of_image(self._store, staged.file, str(ware), ware, limits)
            return
        if expect is None:
            raise Unable(
                "fetch",
                f"nothing tells whether packed bytes are {ware}: name a place where {ware.packtype} wares come from, "
                "or a release whose metadata has their ztar hash",
                reason="policy",
            )
        keep_archive(self._store, stream, at_rest, ware=ware, expect=expect, moved=moved, staged=staged, limits=limits)

    def limits_of(self, ware: WareId) -> Limits:
        """For the packed bytes of the warehouse: none on what was verified when it came in."""
        from warpforge.pack.limits import UNLIMITED

        return UNLIMITED if self._store.was_verified(ware) else self._unverified()

    def _unverified(self) -> Limits:
        from warpforge.pack.limits import DEFAULT

        return self._limits() if self._limits else DEFAULT


def _is_packed(stream: BinaryIO, expect: WareId | None) -> bool:
    """Whether what comes is a packed ware of ours, and can be proved to be one; else it is an archive of an image."""
    from warpforge.pack.decode import is_zstd

    peek = getattr(stream, "peek", None)
    return expect is not None and (peek is None or is_zstd(peek(4)[:4]))


def _is_bad(error: WarpforgeError) -> bool:
    return error.code.removeprefix("warpforge-error-") in (
        "ware-mismatch",
        "ware-corrupt",
        "ware-invalid",
        "ware-limit",
    )


def _is_telling(error: WarpforgeError) -> bool:
    """Whether an error says more than that a mirror has not the ware: of the ware itself."""
    return error.code == "warpforge-error-git" or error.reason == "symlinks"


def _said(address: WarehouseAddr, error: WarpforgeError) -> str:
    """The reason that one mirror failed, with its name."""
    from warpforge.mirror.protocol import shown

    name = shown(address)
    return error.message if name in error.message else f"{name}: {error.message}"


def _too_many(count: int) -> Unable:
    return Unable(
        "fetch",
        f"this one and {count - 1} more were not asked: at most {MOST_MIRRORS} are for one ware",
        reason="policy",
    )


def _nowhere(ware: WareId, failed: Iterable[tuple[WarehouseAddr, WarpforgeError]], *, advice: str) -> WarpforgeError:
    failed = [*failed]
    if not failed:
        return Missing(
            "missing",
            f"ware {ware} is not here and no mirror is known for it: "
            "set WARPFORGE_WAREHOUSE, add a mirror to its catalog entry, or a warehouse to the formula's context"
            + (f"; {advice}" if advice else ""),
            wareId=ware,
        )
    lines = "".join(f"\n  {_said(address, error)}" for address, error in failed)
    gone = all(error.reason == "not-found" for _, error in failed)
    return Unable(
        "fetch",
        f"ware {ware} could not be had from any mirror{f' ({advice})' if advice else ''}:{lines}",
        cause=next((error for _, error in failed if _is_telling(error)), None),
        reason="not-found" if gone else "all-failed",
        wareId=ware,
    )
