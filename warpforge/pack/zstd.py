"""Reading zstd: frame by frame, block by block, never more output than was foreseen (RFC 8878, 3.1.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import zstandard

from . import faults
from .table import FOOTER_MAGIC, TABLE_ENTRY, TABLE_FOOTER, TABLE_HEAD, TABLE_MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .decode import Packed

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_WINDOW: Final = 128 << 20
_BLOCK: Final = 128 << 10  # the most that one block can give
_GROUP: Final = 16  # blocks decoded in one step
_WHOLE: Final = 8 << 20  # frames that say they are no larger are decoded in one step
_LARGEST_TABLE: Final = 64 << 20


class _Header(NamedTuple):
    raw: bytes
    content: int | None  # bytes, where the frame says so
    checksum: bool
    window: int


def decode_zstd_leniently(packed: Packed) -> Iterator[bytes]:
    """All frames; skippable ones, wherever they stand, are passed over."""
    return decode_zstd(packed, skippable=True)


def decode_zstd(packed: Packed, *, skippable: bool = False) -> Iterator[bytes]:
    """All frames, and the seek table if there is one."""
    sizes: list[tuple[int, int]] = []
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
    while magic := packed.peek(4):
        if skippable and is_skippable(magic):
            _skip(packed)
            continue
        if magic != _MAGIC:
            _check_table(packed, sizes)
            return
        header = _read_header(packed)
        frame = _Frame(packed, header)
        try:
            # a frame that says it is empty goes the long way: the short one would believe it without looking
            if header.content and header.content <= _WHOLE:
                content = decompressor.decompress(frame.whole(), max_output_size=header.content)
                if len(content) != header.content:
                    raise faults.corrupt("a zstd frame is not as long as it says")
                unpacked = len(content)
                yield content
            else:
                unpacked = 0
                for piece in _decode_by_blocks(decompressor, frame):
                    unpacked += len(piece)
                    yield piece
        except zstandard.ZstdError as error:
            raise faults.corrupt(f"not a sound zstd frame: {error}") from error
        sizes.append((frame.size, unpacked))


def _read_header(packed: Packed) -> _Header:
    raw = packed.take(5)
    descriptor = raw[4]
    single = bool(descriptor & 0x20)
    if descriptor & 0x08:
        raise faults.corrupt("a zstd frame of an unknown kind")
    if descriptor & 0x03:
        raise faults.corrupt("a zstd frame that needs a dictionary")
    content_size = (int(single), 2, 4, 8)[descriptor >> 6]
    rest = packed.take((0 if single else 1) + content_size)
    content: int | None = None
    if content_size:
        content = int.from_bytes(rest[-content_size:], "little") + (256 if content_size == 2 else 0)
    if single:
        window = content or 0
    else:
        base = 1 << (10 + (rest[0] >> 3))
        window = base + base // 8 * (rest[0] & 7)
    if window > _WINDOW:
        raise faults.over_limit("header", f"a zstd window of {window} bytes: more than {_WINDOW}")
    return _Header(raw + rest, content, bool(descriptor & 0x04), window)


class _Frame:
    """The packed bytes of one frame, a group of blocks at a time."""

    def __init__(self, packed: Packed, header: _Header) -> None:
        self._packed = packed
        self._header = header
        self._largest = min(max(header.window, 1), _BLOCK)
        self.size = 0
        self.ended = False

    def whole(self) -> bytes:
        """All of it; refused when its blocks are more than its content needs."""
        assert self._header.content is not None
        groups = []
        while not self.ended:
            groups.append(self.group())
            if self.size > 2 * self._header.content + 4096:
                raise faults.corrupt("a zstd frame is larger than its content explains")
        return b"".join(groups)

    def group(self) -> bytes:
        """The next blocks; the first group begins with the header, the last ends with the checksum."""
        take = self._packed.take
        parts = [] if self.size else [self._header.raw]
        for _ in range(_GROUP):
            head = take(3)
            value = int.from_bytes(head, "little")
            kind, size = value >> 1 & 3, value >> 3
            # one of kind 2 holds at least two headers; zstd passes over an empty one, or refuses it, as it is called
            if kind == 3 or size > self._largest or (kind == 2 and size < 2):
                raise faults.corrupt("a zstd block of an impossible kind or size")
            parts += (head, take(1 if kind == 1 else size))
            if value & 1:
                self.ended = True
                if self._header.checksum:
                    parts.append(take(4))
                break
        data = b"".join(parts)
        self.size += len(data)
        return data


def _decode_by_blocks(decompressor: zstandard.ZstdDecompressor, frame: _Frame) -> Iterator[bytes]:
    decoder = decompressor.decompressobj()
    while not frame.ended:
        piece = decoder.decompress(frame.group())
        if piece:
            yield piece
    if not decoder.eof or decoder.unused_data:
        raise faults.corrupt("a zstd frame does not end where its blocks do")


def is_skippable(magic: bytes) -> bool:
    """Whether a frame that begins so is passed over by any reader (RFC 8878, 3.1.2)."""
    return magic[1:4] == b"\x2a\x4d\x18" and 0x50 <= magic[0] <= 0x5F


def _skip(packed: Packed) -> None:
    left = TABLE_HEAD.unpack(packed.take(TABLE_HEAD.size))[1]
    while left:
        size = min(left, 1 << 20)
        packed.take(size)
        left -= size


def _check_table(packed: Packed, sizes: list[tuple[int, int]]) -> None:
    """The seek table, and nothing behind it."""
    magic, size = TABLE_HEAD.unpack(packed.take(TABLE_HEAD.size))
    if magic != TABLE_MAGIC or not TABLE_FOOTER.size <= size <= _LARGEST_TABLE:
        raise faults.corrupt("something follows the zstd frames that is no seek table")
    body = packed.take(size)
    frames, descriptor, footer_magic = TABLE_FOOTER.unpack(body[-TABLE_FOOTER.size :])
    width = TABLE_ENTRY.size + (4 if descriptor & 0x80 else 0)
    if footer_magic != FOOTER_MAGIC or descriptor & 0x7F or size != frames * width + TABLE_FOOTER.size:
        raise faults.corrupt("the seek table is broken")
    listed = [TABLE_ENTRY.unpack_from(body, at * width) for at in range(frames)]
    if listed != sizes:
        raise faults.corrupt("the seek table does not agree with its frames")
    if packed.peek(1):
        raise faults.corrupt("something follows the seek table")
