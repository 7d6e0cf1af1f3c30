"""Keep: packed bytes become a ware of the warehouse, under the id that was found in them, with their dual id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO

from warpforge.errors import Failed
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content, Entry
    from warpforge.pack.filters import Filters
    from warpforge.pack.limits import Limits
    from warpforge.pack.packer import Sum
    from warpforge.store.store import Store
    from warpforge.store.warehouse import Staged

BLOCK = 1 << 20


def keep(
    store: Store, write: Callable[[BinaryIO], Sum], ware: WareId | None = None, staged: Staged | None = None
) -> WareId:
    """Have a ware written, and give it its name: ``ware``, for an id that the tree alone cannot give, else its own.

    ``staged``: what it is written to, when that has begun already. What is here already is not stored again.
    Errors: those of ``write``; ``ware-mismatch`` (symlinks), ``store``.
    """
    from warpforge.store.facts import WareFacts

    with staged or store.warehouse.stage() as staged:
        seen = write(staged.file)
        name = ware or seen.ware
        store.duals.record(name, seen.dual)
        if not store.warehouse.has(name):
            staged.commit(name, WareFacts(seen.packed_bytes, seen.unpacked_bytes, seen.entries, seen.packed_sha256))
        return name


def keep_tree(
    store: Store,
    entries: Iterable[tuple[Entry, Content | None]],
    packtype: str,
    filters: Filters,
    ware: WareId | None = None,
) -> WareId:
    """Pack a tree into the warehouse. Errors: as ``pack`` and ``keep``."""
    from warpforge.pack.packer import pack

    return keep(store, lambda sink: pack(entries, packtype, filters, sink), ware)


def keep_archive(
    store: Store,
    stream: BinaryIO,
    packtype: str,
    *,
    ware: WareId | None = None,
    expect: WareId | None = None,
    moved: Callable[[int], None] | None = None,
    staged: Staged | None = None,
    limits: Limits | None = None,
) -> WareId:
    """Copy an archive into the warehouse if its tree is ``expect``; ``moved`` is told the bytes so far.

    ``staged``: what holds the bytes before those of ``stream`` already. ``limits``: of what it may unpack to, and of
    its own size; None: those for everybody.

    Errors: as ``scan`` and ``keep``; ``ware-mismatch`` (hash).
    """
    from warpforge.pack.limits import DEFAULT
    from warpforge.pack.packer import scan

    bounds = limits or DEFAULT

    def copy(sink: BinaryIO) -> Sum:
        with store.away():  # what comes from elsewhere may take hours, and touches nothing but its staging
            copy_whole(stream, sink, bounds, moved)
        sink.seek(0)
        seen = scan(sink, packtype, limits=bounds)
        if expect is not None and seen.ware != expect:
            raise Failed(
                "ware-mismatch",
                f"what came as {ware or expect} is {seen.ware}",
                expected=expect,
                actual=seen.ware,
                reason="hash",
            )
        return seen

    return keep(store, copy, ware, staged)


def copy_whole(stream: BinaryIO, sink: BinaryIO, limits: Limits, moved: Callable[[int], None] | None = None) -> None:
    """Copy all that comes behind what ``sink`` holds; ``moved`` is told the bytes so far. Errors: ``ware-limit``."""
    done = sink.tell()
    read = getattr(stream, "read1", stream.read)  # whatever has come, for what is here counts if it breaks off
    while block := read(BLOCK):
        sink.write(block)
        done += len(block)
        limits.check_size(done)
        if moved:
            moved(done)
