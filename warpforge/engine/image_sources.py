"""Sources of images that do more than give: they count, share layers with other images, or stand for what is kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from warpforge.pack.image import Descriptor, Image, Source
    from warpforge.store.images import KeptImage
    from warpforge.store.store import Store

Moved = Callable[[int, int | None], None]


def read_kept(kept: KeptImage) -> Image:
    """The parts of an image that is kept. Errors: ``ware-corrupt``."""
    from warpforge.pack.image import find_image

    return find_image(_Kept(kept))


class _Kept:
    """A source of what is kept of an image besides its layers."""

    name = "the image"

    def __init__(self, kept: KeptImage) -> None:
        self._kept = kept

    def root(self) -> bytes:
        return self._kept.manifest

    def manifest(self, wanted: Descriptor) -> bytes:
        return self._kept.manifest

    def blob(self, wanted: Descriptor) -> BinaryIO:
        return io.BytesIO(self._kept.config)


class Shared:
    """A source of layers that are brought once, whatever images they belong to."""

    def __init__(self, source: Source, store: Store) -> None:
        self.name = source.name
        self.root = source.root
        self.manifest = source.manifest
        self._source = source
        self._store = store

    def blob(self, wanted: Descriptor) -> BinaryIO:
        opened = self._store.layers.open(wanted.digest, lambda: self._source.blob(wanted))
        return cast("BinaryIO", _Entered(opened))


class _Entered:
    """A stream that there is while it is entered."""

    def __init__(self, opened: AbstractContextManager[BinaryIO]) -> None:
        self._opened = opened

    def __enter__(self) -> _Entered:
        self._stream = self._opened.__enter__()
        return self

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def __exit__(self, *error: Any) -> bool | None:
        return self._opened.__exit__(*error)


class Counting:
    """A source that tells how many bytes of its layers have come."""

    def __init__(self, source: Source, total: int, moved: Moved) -> None:
        self.name = source.name
        self.root = source.root
        self.manifest = source.manifest
        self._source = source
        self._total = total
        self._moved = moved
        self._done = 0

    def blob(self, wanted: Descriptor) -> BinaryIO:
        return cast("BinaryIO", _Counted(self._source.blob(wanted), self._add))

    def _add(self, count: int) -> None:
        self._done += count
        self._moved(self._done, self._total)


class _Counted:
    """A stream that tells how many bytes were read."""

    def __init__(self, stream: BinaryIO, add: Callable[[int], None]) -> None:
        self._stream = stream
        self._add = add

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        if data:
            self._add(len(data))
        return data

    def __enter__(self) -> _Counted:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.__exit__(*error)  # type: ignore[arg-type]
