"""The seek table of packed bytes, made and read, and single frames decoded by it.

The published zstd seekable format (facebook/zstd, contrib/seekable_format, version 0.1.0).
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from . import faults

if TYPE_CHECKING:
    from typing import BinaryIO

    import zstandard

FRAME: Final = 4 << 20  # bytes of content in a frame of ours, at most
WINDOW: Final = 128 << 20
TABLE_MAGIC: Final = 0x184D2A5E
FOOTER_MAGIC: Final = 0x8F92EAB1
TABLE_HEAD: Final = struct.Struct("<II")  # magic, bytes that follow
TABLE_ENTRY: Final = struct.Struct("<II")  # packed size, unpacked size
TABLE_FOOTER: Final = struct.Struct("<IBI")  # frames, descriptor (0: no checksums in the table), magic
_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_LARGEST_FRAME: Final = 64 << 20  # what may be held at once; larger ones are decoded in pieces


class Frame(NamedTuple):
    """Where a frame begins in the packed bytes, and how long it is there and unpacked."""

    at: int
    packed: int
    unpacked: int


def make_table(sizes: list[tuple[int, int]]) -> bytes:
    """The seek table for frames of these packed and unpacked sizes."""
    body = b"".join(TABLE_ENTRY.pack(*pair) for pair in sizes) + TABLE_FOOTER.pack(len(sizes), 0, FOOTER_MAGIC)
    return TABLE_HEAD.pack(TABLE_MAGIC, len(body)) + body


def read_table(source: BinaryIO) -> list[Frame] | None:
    """The frames that the seek table at the end lists; None when there is none that fits the file."""
    end = source.seek(0, os.SEEK_END)
    if end < TABLE_HEAD.size + TABLE_FOOTER.size:
        return None
    source.seek(end - TABLE_FOOTER.size)
    count, descriptor, magic = TABLE_FOOTER.unpack(source.read(TABLE_FOOTER.size))
    width = TABLE_ENTRY.size + (4 if descriptor & 0x80 else 0)
    begin = end - TABLE_FOOTER.size - count * width - TABLE_HEAD.size
    if magic != FOOTER_MAGIC or begin < 0:
        return None
    source.seek(begin)
    if TABLE_HEAD.unpack(source.read(TABLE_HEAD.size)) != (TABLE_MAGIC, count * width + TABLE_FOOTER.size):
        return None
    body = source.read(count * width)
    frames, at = [], 0
    for number in range(count):
        packed, unpacked = TABLE_ENTRY.unpack_from(body, number * width)
        frames.append(Frame(at, packed, unpacked))
        at += packed
        if unpacked > _LARGEST_FRAME:
            return None
    return frames if at == begin else None


def claims_table(source: BinaryIO) -> bool:
    """Whether a file ends as one with a seek table does."""
    end = source.seek(0, os.SEEK_END)
    source.seek(max(0, end - 4))
    return source.read(4) == FOOTER_MAGIC.to_bytes(4, "little")


def decode_frame(decompressor: zstandard.ZstdDecompressor, packed: bytes, frame: Frame) -> bytes:
    """The content of one frame, which is all that the bytes hold. Errors: ``ware-corrupt``."""
    import zstandard

    try:
        # asked first, for zstd would make room for whatever the frame says
        if zstandard.frame_content_size(packed) not in (frame.unpacked, -1):
            raise faults.corrupt("the seek table does not agree with its frames")
        content = decompressor.decompress(packed, max_output_size=max(1, frame.unpacked), allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise faults.corrupt(f"not a sound zstd frame: {error}") from error
    if len(content) != frame.unpacked or packed[:4] != _MAGIC:
        raise faults.corrupt("the seek table does not agree with its frames")
    return content


def read_at(fd: int, at: int, size: int) -> bytes:
    """Bytes of a file wherever its position is; fewer only at its end. Raises OSError."""
    parts = [os.pread(fd, size, at)]
    missing = size - len(parts[0])
    while missing and parts[-1]:
        parts.append(os.pread(fd, missing, at + size - missing))
        missing -= len(parts[-1])
    return parts[0] if len(parts) == 1 else b"".join(parts)
