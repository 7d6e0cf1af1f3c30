"""Packed bytes as they arrive: zstd, gzip, bzip2, xz or plain, told apart by their first bytes, decoded with bounds.

Every format is decoded in steps whose output is bounded, to its very end, and nothing may follow that end.
zstd (RFC 8878): the frames' headers and blocks are walked here, so that the window and the output of each step are
known before zstd is asked; behind the frames only a seek table may come, and it must tell the truth.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Protocol

from warpforge.errors import store_error

from . import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from .limits import Limits

_READ: Final = 1 << 20
_STEP: Final = 1 << 20  # bytes that one step of gzip, bzip2 or xz may give
_XZ_MEMORY: Final = 192 << 20


class Packed:
    """The packed bytes: counted and hashed as they are read."""

    def __init__(self, source: BinaryIO) -> None:
        self.source: Final = source
        self._hash = hashlib.sha256()
        self._held = b""
        self._at = 0
        self.size = 0

    @property
    def sha256(self) -> str:
        """Of all bytes read so far, hexadecimal."""
        return self._hash.hexdigest()

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer only at the end; they stay."""
        self._fill(size)
        return self._held[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """Exactly the next bytes. Errors: ``ware-corrupt`` when the source ends before."""
        if len(self._held) - self._at < size and not self._fill(size):
            raise faults.corrupt("the packed bytes end too early: they were cut")
        data = self._held[self._at : self._at + size]
        self._at += size
        return data

    def some(self) -> bytes:
        """Whatever is at hand; empty only at the end."""
        self._fill(1)
        data = self._held[self._at :] if self._at else self._held
        self._held, self._at = b"", 0
        return data

    def _fill(self, size: int) -> bool:
        while len(self._held) - self._at < size:
            try:
                more = self.source.read(_READ)
            except OSError as error:
                raise store_error(error, "the packed ware could not be read") from error
            if not more:
                return False
            self._hash.update(more)
            self.size += len(more)
            self._held, self._at = self._held[self._at :] + more, 0
        return True


def decode(packed: Packed, limits: Limits, *, skippable: bool = False) -> Iterator[bytes]:
    """The unpacked bytes in pieces of a few MiB at most, none of them empty: no reader takes one for the end.

    ``skippable``: pass over any skippable zstd frame, not over a seek table alone; for bytes whose digest is known.
    Errors: ``ware-corrupt``, and ``ware-limit`` (bytes, ratio) as soon as a bound is passed.
    """
    unpacked = 0
    for piece in _choose(packed.peek(6), skippable=skippable)(packed):
        unpacked += len(piece)
        limits.check_bytes(packed.size, unpacked)
        if piece:
            yield piece


def is_zstd(magic: bytes) -> bool:
    """Whether bytes that begin so are zstd frames, a skippable one perhaps first."""
    return magic[:4] == b"\x28\xb5\x2f\xfd" or (magic[1:4] == b"\x2a\x4d\x18" and 0x50 <= magic[0] <= 0x5F)


def _choose(magic: bytes, *, skippable: bool) -> Callable[[Packed], Iterator[bytes]]:
    if is_zstd(magic):
        from .zstd import decode_zstd, decode_zstd_leniently

        return decode_zstd_leniently if skippable else decode_zstd
    if magic[:2] == b"\x1f\x8b":
        return _gzip
    if magic[:3] == b"BZh":
        return _bzip2
    if magic == b"\xfd7zXZ\x00":
        return _xz
    return _plain


def _plain(packed: Packed) -> Iterator[bytes]:
    while piece := packed.some():
        yield piece


class Decompressor(Protocol):
    """What bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


def _gzip(packed: Packed) -> Iterator[bytes]:
    import zlib

    data = packed.some()
    while data:
        inflater = zlib.decompressobj(wbits=31)
        try:
            while not inflater.eof:
                data = data or packed.some()
                if not data:
                    raise faults.corrupt("the gzip stream ends too early: it was cut")
                yield inflater.decompress(data, _STEP)
                data = inflater.unconsumed_tail
        except zlib.error as error:
            raise faults.corrupt(f"not a sound gzip stream: {error}") from error
        data = inflater.unused_data or packed.some()
        if data and data[:1] != b"\x1f":
            raise faults.corrupt("something follows the end of the gzip stream")


def _bzip2(packed: Packed) -> Iterator[bytes]:
    import bz2

    return _streams(packed, bz2.BZ2Decompressor, b"BZ", (OSError, ValueError))


def _xz(packed: Packed) -> Iterator[bytes]:
    import lzma

    def new() -> Decompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    return _streams(packed, new, b"\xfd7", (lzma.LZMAError,))


def _streams(
    packed: Packed, new: Callable[[], Decompressor], magic: bytes, errors: tuple[type[Exception], ...]
) -> Iterator[bytes]:
    data = packed.some()
    while data:
        decompressor = new()
        try:
            while not decompressor.eof:
                if decompressor.needs_input and not data:
                    data = packed.some()
                    if not data:
                        raise faults.corrupt("the compressed stream ends too early: it was cut")
                yield decompressor.decompress(data, _STEP)
                data = b""
        except errors as error:
            raise faults.corrupt(f"not a sound compressed stream: {error}") from error
        data = decompressor.unused_data or packed.some()
        if data and not magic.startswith(data[: len(magic)]):
            raise faults.corrupt("something follows the end of the compressed stream")
