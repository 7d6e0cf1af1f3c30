"""The trees of stages: what is in them, files laid over them, and the image that one becomes."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Failed
from warpforge.model.atoms import WareId
from warpforge.polytope.containers.image import read_entries
from warpforge.polytope.dockerfile.context import Files, Node, read_files
from warpforge.polytope.dockerfile.copy import tell
from warpforge.polytope.dockerfile.layering import bring_layers, list_changes, read_image
from warpforge.polytope.dockerfile.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from warpforge.engine.engine import Engine
    from warpforge.fsx.tree import Content, Entry
    from warpforge.pack.image_writer import Making

_TREE: Final = {"setid": "ignore", "dev": "ignore"}
_PIECE: Final = 1 << 20
_KINDS: Final = ("f", "d", "L")


class Trees:
    """Those of one engine; the caller uses its store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[WareId, Files] = {}

    def tree(self, ware: WareId | None, name: str = "the image") -> Files:
        """What is in a tree (None: nothing), its owners too. Errors: those of supply."""
        from warpforge.pack.filters import INPUT

        if ware is None:
            return read_files({}, name)
        if ware not in self._seen:
            top = self._engine.supply.tree(ware, INPUT.replace(_TREE))
            nodes = {}
            for entry in read_entries(self._engine, ware):
                path = os.fsdecode(entry.path)
                if entry.kind in _KINDS:
                    place = os.path.join(top, path) if path else str(top)
                    nodes[path] = Node(
                        entry.kind, entry.mode & 0o777, place, os.fsdecode(entry.link), None, entry.uid, entry.gid
                    )
            self._seen[ware] = Files(nodes, name)
        return Files(self._seen[ware].nodes, name)

    def pick(self, files: Files, path: str) -> WareId:
        """A ware of what lies at a path of some files: a directory, or a single file."""
        node = files.nodes[path]
        if node.kind == "d":
            return self.lay(None, dict(files.below(path)))
        return self.keep_file(node)

    def keep_file(self, node: Node) -> WareId:
        """A ware of one file. Errors: ``store``."""
        from warpforge.engine.keep import keep_tree
        from warpforge.fsx.tree import Entry
        from warpforge.pack.filters import EPOCH, SCAN

        entry = Entry(b"", "f", node.mode, node.uid, node.gid, mtime=EPOCH, size=node.size())
        with node.open() as content:
            return keep_tree(self._engine.store, [(entry, content)], "ztar", SCAN)

    def lay(self, ware: WareId | None, added: dict[str, Node]) -> WareId:
        """A new ware: the old one with these files; which one it became is noted under all that it is made of."""
        from blake3 import blake3

        index = self._engine.store.index
        hasher = blake3(repr((str(ware), tell(added))).encode())
        for _, node in sorted(added.items()):
            if node.kind == "f":
                hasher.update(_digest(node))
        note = f"lay {hasher.hexdigest()}"
        known = index.ingest_get(note, b"1")
        if known is None or not self._engine.store.has(known):
            known = self._pack(ware, added)
            index.ingest_put(note, b"1", known)
        return known

    def _pack(self, ware: WareId | None, added: dict[str, Node]) -> WareId:
        from warpforge.engine.keep import keep_tree
        from warpforge.fsx.tree import Entry
        from warpforge.pack.filters import EPOCH, SCAN
        from warpforge.pack.open_tree import open_tree
        from warpforge.polytope.dockerfile.merging import lay

        engine = self._engine
        if ware is None:
            empty = [(Entry(b"", "d", 0o755, mtime=EPOCH), None)]
            return keep_tree(engine.store, lay(empty, added), "ztar", SCAN)
        at_rest, _ = engine.supply.at_rest(ware)
        with (
            engine.supply.packed(ware) as packed,
            open_tree(packed, at_rest, scratch=engine.store.staging.directory()) as entries,
        ):
            return keep_tree(engine.store, lay(entries, added), "ztar", SCAN)

    def image(self, state: State) -> WareId:
        """The image that a stage has come to, kept; which one that is, is noted. It has the layers of its base and one
        more, or one in all where the base's are not to be had.

        Errors: as ``Exporter.image`` and ``Images.keep``.
        """
        from blake3 import blake3

        from warpforge.pack.image import Platform
        from warpforge.pack.image_writer import Making

        store = self._engine.store
        ware = state.ware or self._pack(None, {})
        start = tuple(sorted((key, value) for key, value in state.config.items() if value))
        making = Making(Platform.here(), start, "zstd")
        base = read_image(self._engine, state.base.ware) if state.base else None
        if base is not None and state.base is not None and bring_layers(self._engine, state.base, base):
            making = making._replace(below=base.layers, diff_ids=base.diff_ids)
        note = f"image {blake3(repr((str(ware), making)).encode()).hexdigest()}"
        known = store.index.ingest_get(note, b"1")
        if known is None or not store.warehouse.has(known) or store.images.find(known) is None:
            known = self._make(ware, making, state.base.ware if making.below and state.base else None)
            store.index.ingest_put(note, b"1", known)
        return known

    def _make(self, ware: WareId, making: Making, base: WareId | None) -> WareId:
        from warpforge.engine.images import parse_called
        from warpforge.pack.filters import SCAN
        from warpforge.pack.image_writer import make_image, write_directory

        layers, staging = self._engine.store.layers, self._engine.store.staging.directory()
        with (
            tempfile.TemporaryDirectory(dir=staging) as layout,
            self._entries(ware, base) as entries,
            make_image(entries, SCAN, making, scratch=staging) as made,
        ):
            write_directory(made, layout)
            blobs = os.path.join(layout, "blobs", "sha256")
            for layer in making.below:
                os.symlink(layers.path(layer.digest), os.path.join(blobs, layer.digest.partition(":")[2]))
            kept, _ = self._engine.images.keep(parse_called(layout, Path("/")), unpacked=True)
        if kept.hash != made.id:
            raise Failed("ware-mismatch", f"the image {made.id} was kept as {kept}", expected=made.id, actual=kept)
        return kept

    @contextmanager
    def _entries(self, ware: WareId, base: WareId | None) -> Iterator[Iterable[tuple[Entry, Content | None]]]:
        """The whole tree, or what differs in it from a base's."""
        from warpforge.pack.limits import UNLIMITED
        from warpforge.pack.open_tree import open_tree
        from warpforge.pack.packer import manifest

        supply = self._engine.supply
        with supply.packed(ware) as packed:
            at_rest, _ = supply.at_rest(ware)
            if base is None:
                with open_tree(packed, at_rest, scratch=self._engine.store.staging.directory()) as entries:
                    yield entries
                return
            with supply.packed(base) as below:
                olds = manifest(below, supply.at_rest(base)[0], limits=UNLIMITED)
                news = manifest(packed, at_rest, limits=UNLIMITED)
                yield list_changes(olds, news, self.tree(ware))


def _digest(node: Node) -> bytes:
    from blake3 import blake3

    hasher = blake3()
    with node.open() as content:
        while piece := content.read(_PIECE):
            hasher.update(piece)
    return hasher.digest()
