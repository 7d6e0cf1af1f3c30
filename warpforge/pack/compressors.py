"""Packing a stream for others, the same bytes every time: no names and no times in any header."""

from __future__ import annotations

from typing import Final, Protocol, cast

COMPRESSIONS: Final = ("none", "gzip", "zstd", "xz", "bzip2")
SUFFIXES: Final = {
    ".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd", ".tzst": "zstd",
    ".tar.xz": "xz", ".txz": "xz", ".tar.bz2": "bzip2", ".tbz2": "bzip2", ".tbz": "bzip2",
}  # fmt: skip
_GZIP_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 3


class Compressor(Protocol):
    """What all of them have in common."""

    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def make_compressor(name: str) -> Compressor:
    """One of COMPRESSIONS."""
    if name == "gzip":
        import zlib

        return cast("Compressor", zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31))
    if name == "zstd":
        import zstandard

        return cast(
            "Compressor", zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True, threads=-1).compressobj()
        )
    if name == "xz":
        import lzma

        return lzma.LZMACompressor(check=lzma.CHECK_CRC64)
    if name == "bzip2":
        import bz2

        return bz2.BZ2Compressor()
    return _Plain()


def guess_compression(path: str) -> str:
    """By the name of a file."""
    return next((kind for suffix, kind in SUFFIXES.items() if path.endswith(suffix)), "none")
