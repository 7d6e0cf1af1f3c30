"""The compression methods of zips, each decoded in steps whose output is bounded, to its very end.

Sources: PKWARE APPNOTE 6.3.10, 4.4.5 and 5.8 (LZMA); XZ Utils, doc/lzma-file-format.txt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .decode import Decompressor

_STEP: Final = 1 << 20  # bytes that one step may give
_MEMORY: Final = 192 << 20  # what LZMA may ask for
_LZMA_HEAD: Final = 9  # version, length of the properties, properties
_CUT: Final = "its compressed bytes end too early"
_MORE: Final = "something follows the end of its compressed bytes"


def find_method(number: int) -> Callable[[Iterator[bytes], int], Iterator[bytes]] | None:
    """Packed pieces, and the unpacked size (-1: the bytes tell their own end), to unpacked pieces."""
    return {0: _stored, 8: _deflated, 12: _bzip2, 14: _lzma}.get(number)


def _stored(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    return pieces


def _deflated(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    import zlib

    inflater = zlib.decompressobj(wbits=-15)
    data = b""
    try:
        while not inflater.eof:
            data = data or next(pieces, b"")
            unpacked = inflater.decompress(data, _STEP)
            # without input there may still be output that the step before had no room for
            if not (data or unpacked or inflater.eof):
                raise faults.corrupt(_CUT)
            yield unpacked
            data = inflater.unconsumed_tail
    except zlib.error as error:
        raise faults.corrupt(f"not soundly deflated: {error}") from error
    if inflater.unused_data or next(pieces, b""):
        raise faults.corrupt(_MORE)


def _bzip2(pieces: Iterator[bytes], _: int) -> Iterator[bytes]:
    import bz2

    return _decompress(bz2.BZ2Decompressor(), pieces, (OSError, ValueError))


def _lzma(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    import lzma

    def relabelled() -> Iterator[bytes]:
        """With the head of an .lzma file in place of the zip's."""
        first = next(pieces, b"")
        if len(first) < _LZMA_HEAD or first[2:4] != b"\5\0":
            raise faults.corrupt("its LZMA properties are not what they should be")
        yield first[4:_LZMA_HEAD] + size.to_bytes(8, "little", signed=True) + first[_LZMA_HEAD:]
        yield from pieces

    return _decompress(lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MEMORY), relabelled(), (lzma.LZMAError,))


def _decompress(
    decompressor: Decompressor, pieces: Iterator[bytes], errors: tuple[type[Exception], ...]
) -> Iterator[bytes]:
    try:
        while not decompressor.eof:
            data = next(pieces, b"") if decompressor.needs_input else b""
            if not data and decompressor.needs_input:
                raise faults.corrupt(_CUT)
            yield decompressor.decompress(data, _STEP)
    except errors as error:
        raise faults.corrupt(f"not soundly compressed: {error}") from error
    if decompressor.unused_data or next(pieces, b""):
        raise faults.corrupt(_MORE)
