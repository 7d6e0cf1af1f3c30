"""A run: successive children of one directory, none of them a directory, hashed without the rest of their tree.

So the parts of a tree can be hashed in different places: each place gives runs, and whoever has all of them in order
puts the tree hash together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
    """One run in the making: add nodes in order, then ``finish``. All are hashed in the end, one like the other.

    The lists are for whoever adds many: of each node its name, its look, and the hashes of its content by the flavour
    and by the dual's (b"" where there is no content; ``dual`` stays empty where the flavour covers all).
    """

    __slots__ = ("_flavour", "dual", "looks", "names", "own", "prefix", "unpacked")

    def __init__(self, flavour: Flavour, prefix: bytes) -> None:
        self.prefix = prefix
        self.unpacked = 0
        self.names: list[bytes] = []
        self.looks: list[Look] = []
        self.own: list[bytes] = []
        self.dual: list[bytes] = []
        self._flavour = flavour

    def add(self, name: bytes, look: Look, content: bytes | memoryview | None) -> None:
        """One node; ``content``: None for a symlink or fifo."""
        self.names.append(name)
        self.looks.append(look)
        self.own.append(b"" if content is None else self._flavour.new(content).digest())
        if not self._flavour.covers_all:
            self.dual.append(b"" if content is None else BLAKE3.new(content).digest())
        self.unpacked += len(content or b"")

    def finish(self) -> Run | None:
        """What was added; None when it was nothing. Errors: ``ware-corrupt`` when it was not in order."""
        names = self.names
        if not names:
            return None
        known = set(names)
        if names != sorted(known) or not names[0]:
            raise faults.corrupt("not in canonical order, or twice", self.prefix + names[0])
        last = names[-1]
        shadows = tuple(last[:size] for size in range(1, len(last) + 1) if last[:size] in known)
        own, dual = self._digests(self._flavour, self.own), b""
        if not self._flavour.covers_all:
            dual = self._digests(BLAKE3, self.dual)
        return Run(self.prefix, names[0], last, shadows, len(names), self.unpacked, own, dual)

    def _digests(self, flavour: Flavour, contents: list[bytes]) -> bytes:
        """The nodes' digests as CBOR; a flavour that does not cover all leaves out what has no content."""
        new, head, heads, join = flavour.new, flavour.head, TEXT_HEADS, b"".join
        content = b"\x61h" + head
        digests = [
            new(
                join((before, heads[len(name)], name, after, content, of))
                if of
                else join((before, heads[len(name)], name, after))
            ).digest()
            for name, (before, after), of in zip(self.names, self.looks, contents, strict=True)
            if of or flavour.covers_all
        ]
        return join([head + digest for digest in digests])
