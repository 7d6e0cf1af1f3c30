"""Mend: what is wrong in the store is set aside, and had anew: from the shelf, a mirror or a peer, or made again.

Nothing is deleted but a tree whose ware lies packed in the warehouse. Each step is one rename, so a repair that was
killed is done by the next one, and a second one finds nothing to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from warpforge.engine.events import Reporter
from warpforge.engine.transfer import Transfer
from warpforge.engine.upkeep import DAMAGED, Upkeep
from warpforge.errors import WarpforgeError
from warpforge.model.atoms import WarehouseAddr, WareId
from warpforge.store.finding import Finding

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.engine.naming import Names
    from warpforge.store.verify import Told


class Mended(NamedTuple):
    """What became of one finding. ``done``: whether nothing is lost. ``how``: in words. ``lost``: a ware, if it is."""

    finding: Finding
    done: bool
    how: str
    lost: WareId | None = None


class Sources(NamedTuple):
    """Where wares may be had beside their mirrors: what a person named is asked ``first``, ``peers`` last."""

    first: Sequence[WarehouseAddr] = ()
    peers: Sequence[WarehouseAddr] = ()


class Mender:
    """Mends the store of an engine."""

    def __init__(self, engine: Engine, names: Names, sources: Sources = Sources()) -> None:  # noqa: B008
        self._engine = engine
        self._sources = sources
        self._upkeep = Upkeep(engine)
        self._store = engine.store
        self._supply = engine.supply
        self._names = names
        self._transfer = Transfer(engine.store, engine.supply, names, engine.reach, Reporter())

    def repair(self, told: Told) -> list[Mended]:
        """Verify deep, and mend what is found; the caller holds the store's exclusive lock."""
        return [self._mend(finding) for finding in self._upkeep.verify(told, deep=True)]

    def make_again(self, mended: Iterable[Mended]) -> list[Mended]:
        """Make what is lost once more, by replays and by what the run log remembers; the caller uses the store."""
        return [self._make(done) if done.lost is not None else done for done in mended]

    def _make(self, done: Mended) -> Mended:
        from warpforge.engine.again import make_again

        assert done.lost is not None
        if self._store.has(done.lost):  # another one was made by what made this one, too
            return done._replace(done=True, how=f"made again; {done.how}", lost=None)
        how = make_again(self._engine, done.lost)
        if not how:
            return done._replace(how=f"{done.how}; nothing here makes it again")
        return done._replace(done=True, how=f"made again by {how}; {done.how}", lost=None)

    def _pull(self, ware: WareId) -> str:
        """Bring a ware from wherever it is; gives the address."""
        addresses = [*self._sources.first, *self._names.mirrors(ware), *self._sources.peers]
        return self._transfer.pull(ware, [*dict.fromkeys(addresses)])[1]

    def _mend(self, finding: Finding) -> Mended:
        try:
            match finding.kind:
                case "ware" if finding.code in DAMAGED:
                    return self._mend_ware(finding, WareId.parse(finding.name))
                case "dual" | "ware":  # a ware whose dual id alone could prove it
                    return self._mend_dual(finding, WareId.parse(finding.name))
                case "memo":
                    return self._set_aside(finding, "the formula runs again when it is asked for")
                case "pin":
                    return self._set_aside(finding, "", done=False)
                case "tree":
                    return self._mend_tree(finding, WareId.parse(finding.name))
                case "index":
                    return self._mend_missing(finding, WareId.parse(finding.name))
        except WarpforgeError as error:
            return _lost(finding, error.message)
        return _lost(finding, "there is nothing that could be done about it here")

    def _mend_ware(self, finding: Finding, ware: WareId) -> Mended:
        store = self._store
        moved = store.set_aside(finding.path, "ware")
        if not moved:
            return _lost(finding, f"{finding.path} cannot be moved away: the warehouse is read-only")
        store.index.forget_ware(ware)
        where = f"the damaged one is kept as {moved}"
        if self._from_shelf(ware):
            return _mended(finding, f"packed again from the shelf; {where}")
        try:
            source = self._pull(ware)
        except WarpforgeError as error:
            return _lost(finding, f"{error.message}; {where}", ware)
        return _mended(finding, f"fetched from {source}; {where}")

    def _mend_missing(self, finding: Finding, ware: WareId) -> Mended:
        """A ware that was here: set aside by a repair that was killed, or deleted by hand."""
        if self._from_shelf(ware):
            return _mended(finding, "packed again from the shelf")
        self._store.index.forget_ware(ware)
        try:
            return _mended(finding, f"fetched from {self._pull(ware)}")
        except WarpforgeError as error:
            return _lost(finding, f"{error.message}; the index forgot it", ware)

    def _from_shelf(self, ware: WareId) -> bool:
        """Whether the tree on the shelf could be packed into the very same ware."""
        from warpforge.engine.keep import keep_tree
        from warpforge.fsx.tree import walk
        from warpforge.pack.filters import INPUT
        from warpforge.pack.packer import pack

        tree = self._store.shelf.find(ware)
        if tree is None:
            return False
        at_rest, expect = self._supply.at_rest(ware)
        name = os.fsencode(tree.name)
        fd = os.open(tree.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            seen = pack(walk(fd, name), at_rest, INPUT, None)
            if seen.ware != expect or self._store.duals.get(ware) not in (None, seen.dual):
                return False
            keep_tree(self._store, walk(fd, name), at_rest, INPUT, ware)
        finally:
            os.close(fd)
        return True

    def _mend_dual(self, finding: Finding, ware: WareId) -> Mended:
        """From a ware that its own id proves, or whose packed bytes are those of its first sight."""
        from warpforge.pack.limits import UNLIMITED
        from warpforge.pack.packer import scan

        store = self._store
        path = store.layout.dual(ware)
        if finding.kind == "dual" and os.path.lexists(path) and not store.set_aside(path, "dual"):
            return _lost(finding, f"{path} cannot be moved away")
        if not store.warehouse.has(ware):
            return _lost(finding, "the ware is not here: its dual id is recorded anew when it comes")
        at_rest, _ = self._supply.at_rest(ware)
        own = at_rest == ware.packtype
        with store.warehouse.open(ware) as packed:
            seen = scan(packed, at_rest, limits=UNLIMITED)
        facts = store.index.ware(ware)
        if own and seen.ware != ware:
            return _lost(finding, "the ware itself is damaged")
        if not own and (facts is None or facts.packed_sha256 != seen.packed_sha256):
            return _lost(finding, "nothing tells whether the ware is the one that it was at first sight")
        store.duals.record(ware, seen.dual)
        return _mended(finding, "recorded anew from the ware")

    def _mend_tree(self, finding: Finding, ware: WareId) -> Mended:
        if not self._store.warehouse.has(ware):  # perhaps the last copy, so it is not deleted
            return self._set_aside(finding, "its packed ware is fetched when it is needed")
        self._store.drop_tree(finding.path)
        return _mended(finding, "dropped: it is unpacked again when it is needed")

    def _set_aside(self, finding: Finding, then: str, *, done: bool = True) -> Mended:
        moved = self._store.set_aside(finding.path, finding.kind)
        if not moved:
            return _lost(finding, f"{finding.path} cannot be moved away")
        return Mended(finding, done, "; ".join(filter(None, (f"set aside as {moved}", then))))


def _mended(finding: Finding, how: str) -> Mended:
    return Mended(finding, done=True, how=how)


def _lost(finding: Finding, how: str, ware: WareId | None = None) -> Mended:
    return Mended(finding, done=False, how=how, lost=ware)
