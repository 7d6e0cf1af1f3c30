"""Changing bytes at random, but so that readers get behind their first check: checksums of tar headers are mended."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence
from typing import Final

from .forge import BLOCK

INTERESTING: Final = (
    b"\0",
    b"\xff",
    b"/",
    b"../",
    b"./",
    b"..",
    b"\x80\0\0\0\0\0\0\0\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"00000000000\0",
    b"77777777777\0",
    b"ustar\0",
    b"20 path=../x\n",
    b"9 size=1\n",
    b"12 mtime=nan\n",
    b"22 GNU.sparse.name=x\n",
    b"PK\1\2",
    b"PK\3\4",
    b"PK\5\6",
    b"\x28\xb5\x2f\xfd",
    b"\x5e\x2a\x4d\x18",
    b'"',
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"null",
    b"1e400",
    b"\\ud800",
    b"pipe:",
    b"catalog:",
    b'"plot.v1"',
)


def mutate(data: bytes, rng: random.Random, others: Sequence[bytes] = ()) -> bytes:
    """A few changes: bits, bytes, stretches moved, repeated or cut, parts of other inputs put in."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(9):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(changed):
                changed[at] = rng.randrange(256)
            case 2:
                word = rng.choice(INTERESTING)
                changed[at : at + len(word)] = word
            case 3:
                changed[at:at] = rng.choice(INTERESTING)
            case 4:
                del changed[at : at + rng.choice((1, 4, 30, BLOCK, 2 * BLOCK))]
            case 5:  # whole blocks change places
                block = at // BLOCK * BLOCK
                other = rng.randrange(len(changed) + 1) // BLOCK * BLOCK
                changed[other:other] = changed[block : block + BLOCK]
            case 6 if others:
                donor = rng.choice(others)
                begin = rng.randrange(len(donor) + 1) // BLOCK * BLOCK
                changed[at // BLOCK * BLOCK : at // BLOCK * BLOCK] = donor[begin : begin + rng.choice((BLOCK, 1024))]
            case 7 if len(changed) >= 4:
                at = rng.randrange(len(changed) - 3)
                (number,) = struct.unpack_from("<I", changed, at)
                struct.pack_into("<I", changed, at, (number + rng.choice((-1, 1, 512, 1 << 31))) & 0xFFFFFFFF)
            case _:
                del changed[at:]
    return bytes(changed[: 1 << 16])


def mend(data: bytes, rng: random.Random) -> bytes:
    """Most of the time with the checksums that a reader wants to see."""
    if rng.random() < 0.1:
        return data
    if data[:2] == b"PK":
        return mend_zip(data)
    return mend_tar(data)


def mend_tar(data: bytes) -> bytes:
    """Every block that has ustar's magic, or stands first, gets the checksum of a header."""
    mended = bytearray(data)
    for at in range(0, len(mended) - BLOCK + 1, BLOCK):
        if mended[at + 257 : at + 262] == b"ustar":
            total = sum(mended[at : at + 148]) + sum(mended[at + 156 : at + BLOCK]) + 8 * 32
            mended[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(mended)


def mend_zip(data: bytes) -> bytes:
    """The checksum of stored members, where the directory says where they are."""
    mended = bytearray(data)
    at = mended.find(b"PK\1\2")
    while at >= 0 and at + 46 <= len(mended):
        method, size, names = (
            struct.unpack_from(form, mended, at + where)[0] for form, where in (("<H", 10), ("<I", 20), ("<H", 28))
        )
        (offset,) = struct.unpack_from("<I", mended, at + 42)
        begin = offset + 30 + names
        if method == 0 and begin + size <= len(mended):
            struct.pack_into("<I", mended, at + 16, zlib.crc32(mended[begin : begin + size]))
        at = mended.find(b"PK\1\2", at + 1)
    return bytes(mended)
