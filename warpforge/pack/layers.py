"""Layers as they come: blobs are compared with their digests, unpacked layers with their diff ids, to the last byte."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from warpforge.errors import WarpforgeError

from . import faults
from .decode import Packed, decode
from .image import lie
from .members import MemberReader
from .overlay import Overlay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from .image import Descriptor, Image, Source
    from .limits import Limits

_DECODING: Final = ("ware-corrupt", "ware-invalid")


@contextmanager
def open_layers(source: Source, image: Image, limits: Limits, scratch: str | None = None) -> Iterator[Overlay]:
    """The image's tree, all of it read and verified.

    Errors: ``ware-mismatch`` (a blob that is not what its digest says), ``ware-corrupt``, ``ware-invalid``,
    ``ware-limit``, ``store``, and those of the source.
    """
    with Overlay(limits, scratch) as overlay:
        unpacked = 0
        for layer, diff_id in zip(image.layers, image.diff_ids, strict=True):
            with source.blob(layer) as stream:
                unpacked += _Layer(stream, layer, limits).lay(overlay, diff_id)
            if limits.unpacked is not None and unpacked > limits.unpacked:
                raise faults.over_limit("bytes", f"all layers unpack to more than {limits.unpacked} bytes")
        yield overlay


class _Layer:
    """One layer on its way."""

    def __init__(self, stream: BinaryIO, descriptor: Descriptor, limits: Limits) -> None:
        self._wanted = descriptor
        self._limits = limits
        self._packed = Packed(cast("BinaryIO", _Bounded(stream, descriptor)))
        self._hash = hashlib.sha256()
        self._unpacked = 0

    def lay(self, overlay: Overlay, diff_id: str) -> int:
        """Put it on top; gives its unpacked bytes."""
        try:
            # not ahead in a thread: a stream that stalls could not be let go of before its read ends
            overlay.add(MemberReader(self._pieces(), self._limits, canonical=False, layer=True))
        except WarpforgeError as error:
            if error.code.removeprefix("warpforge-error-") in _DECODING:
                self._blame()
            raise
        self._compare()
        found = f"sha256:{self._hash.hexdigest()}"
        if found != diff_id:
            raise faults.corrupt(
                f"the layer {self._wanted.digest} unpacks to {found}, but the image's config says {diff_id}"
            )
        return self._unpacked

    def _pieces(self) -> Iterator[bytes]:
        for piece in decode(self._packed, self._limits, skippable=True):
            self._hash.update(piece)
            self._unpacked += len(piece)
            yield piece
        while self._packed.some():
            pass

    def _blame(self) -> None:
        """A layer that cannot be read is a lie if its bytes are not those of its digest. Errors: ``ware-mismatch``."""
        while self._packed.some():
            pass
        self._compare()

    def _compare(self) -> None:
        found, size = f"sha256:{self._packed.sha256}", self._packed.size
        if (found, size) != self._wanted[1:3]:
            raise lie(self._wanted, found, size) from None


class _Bounded:
    """A stream that ends after its size and one byte more: nobody's blob is longer than it says."""

    def __init__(self, stream: BinaryIO, descriptor: Descriptor) -> None:
        self._stream = stream
        self._left = descriptor.size + 1

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data
