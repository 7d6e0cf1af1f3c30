"""Forging archives byte by byte: whatever a tar or zstd reader must survive, no library would write.

``member`` makes one header with its content, ``tar`` joins members and ends them. Every field can be said verbatim.
"""

from __future__ import annotations

import struct

import zstandard

BLOCK = 512


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def base256(value: int, width: int) -> bytes:
    """GNU's binary numbers: the first bit set, two's complement."""
    raw = bytearray(value.to_bytes(width, "big", signed=True))
    raw[0] |= 0x80
    return bytes(raw)


def header(
    name: bytes,
    kind: bytes = b"0",
    *,
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    size: int | bytes = 0,
    mtime: int | bytes = 1262304000,
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    device: tuple[int, int] = (0, 0),
    prefix: bytes = b"",
    checksum: bytes | None = None,
    signed: bool = False,
) -> bytes:
    """One header block; numbers given as bytes are put in as they are."""

    def number(value: int | bytes, width: int) -> bytes:
        return value.ljust(width, b"\0") if isinstance(value, bytes) else octal(value, width)

    before = name.ljust(100, b"\0") + number(mode, 8) + number(uid, 8) + number(gid, 8)
    before += number(size, 12) + number(mtime, 12)
    after = kind + link.ljust(100, b"\0") + magic.ljust(8, b"\0") + bytes(64)
    after += octal(device[0], 8) + octal(device[1], 8) + prefix.ljust(155, b"\0") + bytes(12)
    if checksum is None:
        total = sum(b - 256 if signed and b > 127 else b for b in before + after) + 8 * 32
        checksum = b"%06o\0 " % total
    block = before + checksum + after
    assert len(block) == BLOCK, len(block)
    return block


def padded(content: bytes, pad: bytes = b"\0") -> bytes:
    return content + pad * (-len(content) % BLOCK)


def member(name: bytes, content: bytes = b"", kind: bytes = b"0", **fields: object) -> bytes:
    """A member with its content; its size is the content's unless said."""
    fields.setdefault("size", len(content))
    return header(name, kind, **fields) + padded(content)  # type: ignore[arg-type]


def directory(name: bytes, **fields: object) -> bytes:
    return member(name, b"", b"5", **{"mode": 0o755, **fields})


def symlink(name: bytes, target: bytes, **fields: object) -> bytes:
    return member(name, b"", b"2", **{"mode": 0o777, "link": target, **fields})


def hardlink(name: bytes, target: bytes) -> bytes:
    return member(name, b"", b"1", link=target)


def record(key: bytes, value: bytes) -> bytes:
    """One PAX record."""
    body = b" %b=%b\n" % (key, value)
    size = len(body)
    while len(b"%d" % size) + len(body) != size:
        size = len(b"%d" % size) + len(body)
    return b"%d%b" % (size, body)


def pax(records: dict[bytes, bytes], kind: bytes = b"x") -> bytes:
    """A PAX header for the member behind it."""
    return member(b"././@PaxHeader", b"".join(record(key, value) for key, value in records.items()), kind)


def gnu(kind: bytes, name: bytes) -> bytes:
    """A GNU long name (L) or long link (K)."""
    return member(b"././@LongLink", name + b"\0", kind)


def tar(*members: bytes, end: bytes = bytes(2 * BLOCK)) -> bytes:
    return b"".join(members) + end


ROOT = directory(b"./")
ROOT_AND_FILE = (ROOT, member(b"a", b"hello"))


def zstd(*contents: bytes) -> bytes:
    """Each content in a frame of its own."""
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    return b"".join(compressor.compress(content) for content in contents)


def skippable(payload: bytes, magic: int = 0x184D2A5E) -> bytes:
    return struct.pack("<II", magic, len(payload)) + payload


def seek_table(sizes: list[tuple[int, int]], *, frames: int | None = None, magic: int = 0x8F92EAB1) -> bytes:
    """The seek table of the published format, true or not."""
    entries = b"".join(struct.pack("<II", *pair) for pair in sizes)
    return skippable(entries + struct.pack("<IBI", len(sizes) if frames is None else frames, 0, magic))


def rle_bomb(size: int) -> bytes:
    """One zstd frame of run-length blocks: 4 bytes for every 128 KiB of zeros."""
    block = 128 << 10
    count = size // block
    head = b"\x28\xb5\x2f\xfd" + bytes((0x00, 0x58))  # no content size, a window of 2 MiB
    middle = struct.pack("<I", block << 3 | 1 << 1)[:3] + b"\0"
    last = struct.pack("<I", block << 3 | 1 << 1 | 1)[:3] + b"\0"
    return head + middle * (count - 1) + last


def bomb(size: int) -> bytes:
    """A tar with one file of zeros, a few kilobytes packed."""
    head = zstd(ROOT + header(b"zeros", size=base256(size, 12)))
    return head + rle_bomb(size) + zstd(bytes(1024))
