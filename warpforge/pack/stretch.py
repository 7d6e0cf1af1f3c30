"""Stretches: an archive of ours taken frame by frame, by several takers at once.

A **stretch** is the members from one place in the packed bytes up to the end of a frame, a **place** a frame with an
offset in it. A content that goes beyond its frame is a work of its own.
What a taker cannot do is no error: whatever is not as we write it **deviates**, and is then read the ordinary way,
which knows the words for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .headers import BLOCK, PADDING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warpforge.fsx.tree import Entry

    from .run import Run
    from .table import Frame


class Deviation(Exception):
    """The archive is not one of ours, or something failed: read it the ordinary way."""


class Directory(NamedTuple):
    """A directory as it comes."""

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    mtime_ns: int


class Large(NamedTuple):
    """A file whose content begins at a place and goes beyond that frame."""

    path: bytes
    mode: int
    uid: int
    gid: int
    mtime: int
    mtime_ns: int
    size: int
    frame: int
    offset: int


class Stretch(NamedTuple):
    """What was found: directories and runs in their order, the file that begins last, whether the end block came."""

    found: list[Directory | Run]
    large: Large | None
    ended: bool


def place_after(table: Sequence[Frame], large: Large) -> tuple[int, int]:
    """The place behind a large content and its padding. Raises Deviation when there is none."""
    frame, left = large.frame, large.offset + large.size + len(PADDING[large.size % BLOCK])
    while frame < len(table) and left >= table[frame].unpacked:
        left -= table[frame].unpacked
        frame += 1
    if left and frame == len(table):
        raise Deviation
    return frame, left


def time_of(entry: Entry | Directory | Large) -> int:
    """Nanoseconds since 1970."""
    return entry.mtime * 1_000_000_000 + entry.mtime_ns
