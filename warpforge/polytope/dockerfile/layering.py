"""The one layer that a build puts on top of its base's: what is new or other in it, and what is gone.

The layers of the base stay as they came, so registries and stores have them once for all images that begin with it.
Times do not count: every RUN sets those of all files, and what is the same otherwise keeps the base's.
"""

from __future__ import annotations

import io
import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from warpforge.errors import WarpforgeError
from warpforge.fsx.tree import Entry, sort_key
from warpforge.pack.overlay import WHITEOUT
from warpforge.polytope.dockerfile.context import Files
from warpforge.polytope.dockerfile.merging import Opened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warpforge.engine.engine import Engine
    from warpforge.fsx.tree import Content
    from warpforge.model.atoms import WareId
    from warpforge.pack.image import Descriptor, Image, Source
    from warpforge.pack.manifest import Line

    Member = tuple[Entry, Content | None]

_TIME = ("time",)
_PIECE = 1 << 20


class Base(NamedTuple):
    """``name``: what the Dockerfile calls it; ``ware``: its image."""

    name: str
    ware: WareId


def read_image(engine: Engine, ware: WareId) -> Image | None:
    """The parts of an image that is here. Errors: ``store``."""
    from warpforge.engine.image_sources import read_kept

    kept = engine.store.images.find(ware)
    return None if kept is None else read_kept(kept)


def bring_layers(engine: Engine, base: Base, image: Image) -> bool:
    """Have the layers of a base here, from where its name says if they were not kept; whether they are."""
    wanted = {layer.digest for layer in image.layers}
    missing = wanted - {digest for digest, _, _ in engine.store.layers.all()}
    if not missing:
        return True
    with _opened(engine, base) as source:
        if source is None:
            return False
        try:
            for layer in image.layers:
                if layer.digest in missing:
                    _bring(engine, layer, source)
        except WarpforgeError:
            return False
    return wanted <= {digest for digest, _, _ in engine.store.layers.all()}


def _bring(engine: Engine, layer: Descriptor, source: Source) -> None:
    with engine.store.layers.open(layer.digest, lambda: source.blob(layer)) as stream:
        while stream.read(_PIECE):
            pass


@contextmanager
def _opened(engine: Engine, base: Base) -> Iterator[Source | None]:
    """Where the registry that a base is called by has it; None for any other name."""
    from warpforge.engine.images import REGISTRY, Called, parse_called
    from warpforge.mirror.reference import parse_reference

    try:
        if parse_called(base.name, engine.store.internal).kind != REGISTRY:
            yield None
            return
        repository = parse_reference(base.name).repository.address
    except WarpforgeError:
        yield None
        return
    with engine.images.open(Called(REGISTRY, f"{repository}@sha256:{base.ware.hash}", "", None)) as source:
        yield source


def list_changes(olds: Iterable[Line], news: Iterable[Line], files: Files) -> list[Member]:
    """A layer from one tree to another, in canonical order. ``files``: the contents of the new one."""
    from warpforge.pack.diff import compare

    old_directories: dict[bytes, Entry] = {}
    new_directories: dict[bytes, Entry] = {}
    found: dict[bytes, Entry] = {}
    gone = b"\0"  # the latest that was taken away whole
    for change in compare(_noting(olds, old_directories), _noting(news, new_directories)):
        if change.new is None:
            if not change.path.startswith(gone + b"/"):
                parent, name = posixpath.split(change.path)
                mark = posixpath.join(parent, WHITEOUT + name)
                found[mark] = Entry(mark, "f", 0o644)
                gone = change.path
        elif change.aspects != _TIME:
            found[change.path] = change.new.entry
            if change.old is not None and change.old.entry.kind == "d" != change.new.entry.kind:
                gone = change.path  # whatever was in it goes by itself
    for path in [*found, b"."]:
        while path:
            path = posixpath.dirname(path)
            if path not in found:
                before, after = old_directories.get(path), new_directories[path]
                found[path] = after if before is None else after.replace(mtime=before.mtime, mtime_ns=before.mtime_ns)
    return [_member(entry, files) for entry in sorted(found.values(), key=sort_key)]


def _noting(lines: Iterable[Line], directories: dict[bytes, Entry]) -> Iterator[Line]:
    for line in lines:
        if line.entry.kind == "d":
            directories[line.entry.path] = line.entry
        yield line


def _member(entry: Entry, files: Files) -> Member:
    if entry.kind != "f":
        return entry, None
    node = files.nodes.get(os.fsdecode(entry.path))
    return entry, io.BytesIO() if node is None else Opened(node)
