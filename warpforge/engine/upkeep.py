"""Upkeep: what is woven around the store to verify it, and to know what its garbage is.

The store does not know how wares are packed, nor what catalogs name; this hands it both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from warpforge.errors import Failed, Unable, WarpforgeError
from warpforge.model.atoms import WareId
from warpforge.store.gc import Root, refusal
from warpforge.store.verify import verify

if TYPE_CHECKING:
    from warpforge.catalog.tree import Catalog
    from warpforge.engine.engine import Engine
    from warpforge.pack.manifest import Line
    from warpforge.store.finding import Finding
    from warpforge.store.trees import Tree
    from warpforge.store.verify import Told

ZSTD: Final = b"\x28\xb5\x2f\xfd"
SHOWN: Final = 3  # differences named of a damaged tree
DAMAGED: Final = ("ware-mismatch", "ware-corrupt", "ware-invalid", "ware-limit")


class Upkeep:
    """Looks after the store of an engine and changes nothing; the caller holds the store's lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._store = engine.store
        self._supply = engine.supply

    def roots(self) -> Iterator[Root]:
        """Every ware that a catalog names, here or in a workspace below, and every input of its replays.

        Errors: ``store`` (corrupt) around what cannot be read.
        """
        for catalog in self._catalogs():
            try:
                yield from _roots_of(catalog)
            except WarpforgeError as error:
                raise refusal(f"the catalog {catalog.path}", str(catalog.path), error) from error

    def verify(self, told: Told, *, deep: bool) -> list[Finding]:
        """What is wrong. Not deep: sizes, seek tables and dual ids; deep: everything is read and hashed again."""
        if deep:
            return verify(self._store, self.check_deep, check_tree=self._check_tree, told=told)
        return verify(self._store, self._check_quick, told=told)

    def _check_quick(self, ware: WareId, file: BinaryIO) -> WareId:
        from warpforge.pack.table import claims_table, read_table

        size = os.fstat(file.fileno()).st_size
        facts = self._store.index.ware(ware)
        if facts is not None and facts.packed_bytes not in (0, size):
            raise Unable("ware-corrupt", f"{ware} has {size} bytes, not {facts.packed_bytes} as stored", reason="size")
        if file.read(4) == ZSTD and claims_table(file) and read_table(file) is None:
            raise Unable("ware-corrupt", f"{ware}: its seek table does not fit its size", reason="size")
        self._at_rest(ware)
        return ware

    def check_deep(self, ware: WareId, file: BinaryIO) -> WareId:
        """The id of what is in a packed ware, read whole. Errors: those of reading it; ``ware-mismatch`` (symlinks)."""
        from warpforge.pack.limits import UNLIMITED
        from warpforge.pack.packer import scan

        packtype, expect = self._at_rest(ware)
        seen = scan(file, packtype, limits=UNLIMITED, hash_packed=False)
        if expect is not None and seen.ware != expect:
            return seen.ware
        known = self._dual(ware)
        if known is not None and ware.packtype == packtype and seen.dual != known:
            raise Failed(
                "ware-mismatch",
                f"ware {ware} has another tree than at first sight (its id does not cover symlinks)",
                reason="symlinks",
                expected=known,
                actual=seen.dual,
            )
        return ware

    def _at_rest(self, ware: WareId) -> tuple[str, WareId | None]:
        """As Supply has it; no id to compare with where the dual id is damaged, which is a finding of its own.

        Errors: ``store`` (corrupt) when it is gone and the ware's own id cannot be had from the tree.
        """
        try:
            packtype, expect = self._supply.at_rest(ware)
        except WarpforgeError:
            return "ztar", None
        if expect is None:
            raise _unverifiable(ware)
        return packtype, expect

    def _dual(self, ware: WareId) -> str | None:
        try:
            return self._store.duals.get(ware)
        except WarpforgeError:
            return None

    def _check_tree(self, tree: Tree) -> str:
        """What differs between a tree on the shelf and its packed ware; owners are the shelf's own affair."""
        from warpforge.fsx.tree import walk
        from warpforge.pack.diff import compare
        from warpforge.pack.limits import UNLIMITED
        from warpforge.pack.manifest import make_lines
        from warpforge.pack.packer import manifest

        parent, name = os.path.split(tree.path)
        fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            expected_id, seen = self._hashes_of_tree(tree, fd, name)
            if seen == expected_id:
                return ""  # the usual case: nothing has to be decoded to see that
            if not self._store.warehouse.has(tree.ware):
                return "" if expected_id is None else f"its hash is {seen}, not {expected_id}"
            with self._store.warehouse.open(tree.ware) as packed:
                at_rest = self._supply.at_rest(tree.ware)[0]
                expected = map(_as_unpacked, manifest(packed, at_rest, limits=UNLIMITED))
                found = map(_as_unpacked, make_lines(walk(fd, os.fsencode(name))))
                changes = [str(change) for _, change in zip(range(SHOWN), compare(expected, found), strict=False)]
        except WarpforgeError as error:
            if error.code.removeprefix("warpforge-error-") in DAMAGED:
                return ""  # its packed ware is damaged, which is told of already
            raise
        finally:
            os.close(fd)
        return "; ".join(changes)

    def _hashes_of_tree(self, tree: Tree, fd: int, name: str) -> tuple[str | None, str]:
        """The ``ztar`` id that a tree should have, as far as that is known, and the one that it has.

        They differ for a sound tree, too, when its ware holds what unpacking does not keep.
        """
        from warpforge.fsx.tree import walk
        from warpforge.pack.filters import INPUT
        from warpforge.pack.packer import pack

        expected = str(tree.ware) if tree.ware.packtype == "ztar" else self._store.duals.get(tree.ware)
        try:
            return expected, pack(walk(fd, os.fsencode(name)), "ztar", INPUT.parse("setid=keep"), None).dual
        except WarpforgeError as error:
            return expected, f"none ({error.message})"

    def _catalogs(self) -> Iterator[Catalog]:
        from warpforge.catalog.tree import Catalog
        from warpforge.workspace.below import workspaces_below

        try:
            seen = set()
            for workspace in (*self._engine.stack, *workspaces_below(self._engine.stack.root)):
                for path in workspace.catalogs():
                    if path not in seen:
                        seen.add(path)
                        yield Catalog(path)
        except OSError as error:
            wrapped = Unable("searching-filesystem", f"cannot look for workspaces: {error.strerror}", cause=error)
            raise refusal("a workspace", str(error.filename), wrapped) from error


def _roots_of(catalog: Catalog) -> Iterator[Root]:
    from warpforge.model.plot import every_input

    for module in catalog.modules():
        found = catalog.module(module)
        for name in found.releases if found else ():
            release = catalog.release(found, name) if found else None
            if release is None:
                continue
            for item, ware in release.items.items():
                yield Root(ware, f"{module}:{name}:{item} in the catalog {catalog.path}")
            plot = catalog.replay(module, release.replay) if release.replay else None
            for _, entry in every_input(plot) if plot else ():
                if isinstance(entry.basis, WareId):
                    yield Root(entry.basis, f"input of the replay of {module}:{name} in the catalog {catalog.path}")


def _as_unpacked(line: Line) -> Line:
    """A line without what unpacking does not keep: owners and extended attributes."""
    return line._replace(entry=line.entry.replace(uid=0, gid=0, xattrs={}))


def _unverifiable(ware: WareId) -> Unable:
    return Unable(
        "store",
        f"the dual id of {ware} is gone, and nothing else tells what its tree is: `warpforge store repair`",
        reason="corrupt",
        wareId=ware,
    )
