"""A run: successive children of one directory, none of them a directory, hashed without the rest of their tree.

So the parts of a tree can be hashed in different places: each place gives runs, and whoever has all of them in order
puts the tree hash together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from blake3 import blake3

from . import faults
from .fileset import BLAKE3, TEXT_HEADS

if TYPE_CHECKING:
    from .fileset import Flavour, Look


class Run(NamedTuple):
    """What a run adds to the hash of its directory.

    ``prefix``: the directory's path with a "/" behind it, b"" for the root. ``shadows``: those names that ``last``
    begins with, ``last`` included. ``own``, ``dual``: the children's digests as CBOR. ``unpacked``: bytes of contents.
    """

    prefix: bytes
    first: bytes
    last: bytes
    shadows: tuple[bytes, ...]
    nodes: int
    unpacked: int
    own: bytes
    dual: bytes


class RunHash:
    """One run in the making: ``add`` nodes in order, then ``finish``."""

    __slots__ = (
        "_both",
        "_content",
        "_dual",
        "_dual_content",
        "_flavour",
        "_names",
        "_new",
        "_own",
        "prefix",
        "unpacked",
    )

    def __init__(self, flavour: Flavour, prefix: bytes) -> None:
        self.prefix = prefix
        self.unpacked = 0
        self._new = flavour.new
        self._both = not flavour.covers_all
        self._flavour = flavour
        self._content = b"\x61h" + flavour.head
        self._dual_content = b"\x61h" + BLAKE3.head
        self._names = [b""]  # which comes before every name
        self._own: list[bytes] = []
        self._dual: list[bytes] = []

    def add_file(self, name: bytes, look: Look, size: int, own: bytes, dual: bytes) -> None:
        """A file, by its content's hashes. Errors: ``ware-corrupt``."""
        names = self._names
        if not names[-1] < name:
            raise faults.corrupt("not in canonical order, or twice", self.prefix + name)
        names.append(name)
        self.unpacked += size
        before, after = look
        head = TEXT_HEADS[len(name)]
        self._own.append(self._new(b"".join((before, head, name, after, self._content, own))).digest())
        if self._both:
            self._dual.append(blake3(b"".join((before, head, name, after, self._dual_content, dual))).digest())

    def add_other(self, name: bytes, look: Look) -> None:
        """A symlink or fifo; the flavours that do not hand these to their parents leave it out."""
        names = self._names
        if not names[-1] < name:
            raise faults.corrupt("not in canonical order, or twice", self.prefix + name)
        names.append(name)
        before, after = look
        digest = blake3(b"".join((before, TEXT_HEADS[len(name)], name, after))).digest()
        (self._dual if self._both else self._own).append(digest)

    def finish(self) -> Run | None:
        """What was added; None when it was nothing."""
        names = self._names[1:]
        if not names:
            return None
        known, last = set(names), names[-1]
        shadows = tuple(last[:size] for size in range(1, len(last) + 1) if last[:size] in known)
        head, dual_head = self._flavour.head, BLAKE3.head
        own = b"".join([head + digest for digest in self._own])
        dual = b"".join([dual_head + digest for digest in self._dual])
        return Run(self.prefix, names[0], last, shadows, len(names), self.unpacked, own, dual)
