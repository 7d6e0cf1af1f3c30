"""Lazy reading: one file, or the names, of a packed ware without decoding the rest.

The seek table behind the frames tells where each begins and what it unpacks to (facebook/zstd,
contrib/seekable_format). Headers are walked from the first frame on; frames that hold nothing but the inside of a large
content are passed over unread, and where the order is canonical the walk ends as soon as the path cannot come any more.

What is read so is not hashed: it is for wares that were verified on their way in. Every frame's own checksum is
compared. A ware without a seek table (made by others) is decoded from its beginning, as far as needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from warpforge.errors import Invalid, Missing

from . import faults
from .limits import DEFAULT, Limits
from .members import MemberReader
from .table import WINDOW, decode_frame, read_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import BinaryIO

    from warpforge.fsx.tree import Content, Entry

    from .members import Member
    from .table import Frame

_HOPS: Final = 40  # symlinks followed, as the kernel does
_PIECE: Final = 1 << 20


class Lazy:
    """The tree of a packed ware. ``source`` is a seekable file at its beginning; the caller closes it.

    ``packtype``: how it lies there (a git ware, for one, lies there as ztar). ``frames``: how many there are, 0 without
    a table; ``decoded``: how many of them were decoded so far.
    """

    def __init__(self, source: BinaryIO, packtype: str, limits: Limits = DEFAULT) -> None:
        self._source = source
        self._packtype = packtype
        self._ordered = packtype == "ztar"
        self._limits = limits
        self._table = read_table(source)
        self.frames = len(self._table or ())
        self.decoded = 0

    def entries(self, below: bytes = b"") -> Iterator[Entry]:
        """The entry at a path and all below it, in canonical order; symlinks in the path are followed.

        Errors: ``missing``, ``ware-corrupt``, ``ware-invalid``, ``ware-limit``.
        """
        wanted = normal(below)
        for _ in range(_HOPS):
            found = 0
            links: dict[bytes, bytes] = {}
            for entry in self._sorted_entries(wanted):
                if entry.kind == "L" and _is_at_or_below(wanted, entry.path) and wanted != entry.path:
                    links[entry.path] = entry.link
                if _is_at_or_below(entry.path, wanted):
                    found += 1
                    yield entry
            if found:
                return
            turned = _turn(wanted, links)
            if turned is None:
                raise _missing(below)
            wanted = turned
        raise _loop(below)

    def open(self, path: bytes) -> Iterator[bytes]:
        """The content of a file in pieces; symlinks are followed, and never leave the ware.

        Errors: as ``entries``; ``invalid-argument`` for what is no file.
        """
        wanted = normal(path)
        for _ in range(_HOPS):
            found = self._find(wanted, path)
            if not isinstance(found, bytes):
                yield from found
                return
            wanted = found
        raise _loop(path)

    def contents(self, paths: Collection[bytes], largest: int) -> Iterator[tuple[bytes, bytes | None]]:
        """Several files in one pass, by their exact paths; None for one of more than ``largest`` bytes."""
        wanted = set(paths)
        origins: dict[bytes, list[bytes]] = {}
        for member in self._members():
            path = member.entry.path
            if path in wanted and member.target is not None:
                origins.setdefault(member.target, []).append(path)
                wanted.discard(path)
            elif path in wanted and member.content is not None:
                yield path, None if member.entry.size > largest else b"".join(_pieces(member.content))
                wanted.discard(path)
            if not wanted:
                break
        if origins:  # hardlinks of a foreign archive: their content came before them
            for path, data in self.contents(list(origins), largest):
                for link in origins[path]:
                    yield link, data

    def _find(self, wanted: bytes, path: bytes) -> Iterator[bytes] | bytes:
        """The pieces of the file at ``wanted``; or where a symlink says to look instead."""
        members = self._members()
        for member in members:
            entry = member.entry
            if entry.kind == "L" and _is_at_or_below(wanted, entry.path):
                turned = _turn(wanted, {entry.path: entry.link})
                assert turned is not None
                return turned
            if entry.path == wanted:
                if entry.kind != "f":
                    raise _no_file(path, entry.kind)
                return member.target if member.target is not None else _whole(member, members)
            if _is_at_or_below(entry.path, wanted):
                raise _no_file(path, "d")  # a directory that a foreign archive does not name
            if self._ordered and _key(entry) > wanted + b"/":
                break
        raise _missing(path)

    def _sorted_entries(self, wanted: bytes) -> Iterator[Entry]:
        if self._ordered:
            for member in self._members():
                if wanted and _key(member.entry) > wanted + b"/" and not _is_at_or_below(member.entry.path, wanted):
                    return
                yield member.entry
            return
        from contextlib import closing

        from .collect import Collected, Node

        with closing(Collected()) as collected:
            for member in self._members():
                collected.place(member.entry)
                if member.target is not None:
                    member.entry.size = collected.link(member.entry, member.target).entry.size
                collected.put(Node(member.entry, None))
            for node in collected.sorted():
                yield node.entry

    def _members(self) -> Iterator[Member]:
        """The members in the archive's order; what of a content was not read is passed over."""
        self._source.seek(0)
        if self._table is None and self._packtype == "zip":
            from .decode import Packed
            from .zip import open_zip

            with open_zip(Packed(self._source), self._limits, False) as members:  # noqa: FBT003
                yield from members
            return
        if self._table is None:
            from .decode import Packed, decode

            yield from MemberReader(decode(Packed(self._source), self._limits), self._limits, canonical=self._ordered)
            return
        reader = _Skipping(_Frames(self, self._source, self._table), self._limits, canonical=self._ordered)
        for member in reader:
            yield member
            if member.content is not None and not isinstance(member.content, bytes):
                reader.skip(member.content)


class _Frames:
    """The frames of an archive, decoded one by one; those that nobody needs can be passed over."""

    def __init__(self, counter: Lazy, source: BinaryIO, table: list[Frame]) -> None:
        import zstandard

        self._counter = counter
        self._source = source
        self._waiting = table[::-1]
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)

    def __iter__(self) -> _Frames:
        return self

    def __next__(self) -> bytes:
        while self._waiting:
            frame = self._waiting.pop()
            content = self._decode(frame)
            if content:
                return content
        raise StopIteration

    def pass_over(self, size: int) -> int:
        """Leave out the frames that lie wholly within the next ``size`` bytes; gives how many bytes these are."""
        passed = 0
        while self._waiting and passed + self._waiting[-1].unpacked <= size:
            passed += self._waiting.pop().unpacked
        return passed

    def _decode(self, frame: Frame) -> bytes:
        self._counter.decoded += 1
        self._source.seek(frame.at)
        return decode_frame(self._decompressor, self._source.read(frame.packed), frame)


class _Skipping(MemberReader):
    """Reads members from frames, and passes over contents without decoding them."""

    def __init__(self, frames: _Frames, limits: Limits, *, canonical: bool) -> None:
        super().__init__(frames, limits, canonical=canonical)
        self._frames = frames

    def skip(self, content: Content) -> None:
        """Leave what was not read of the latest content to nobody."""
        left: int = content._left  # type: ignore[attr-defined]
        at_hand = min(len(self._held) - self._at, left)
        self._at += at_hand
        left -= at_hand
        content._left = left - self._frames.pass_over(left)  # type: ignore[attr-defined]


def normal(path: bytes) -> bytes:
    """A path as people write it, as the tree has it. Errors: ``invalid-argument`` for one that leaves the tree."""
    names = [name for name in path.split(b"/") if name not in (b"", b".")]
    if b".." in names:
        raise Invalid("invalid-argument", f"{faults.printable(path)}: a path in a ware has no ..")
    return b"/".join(names)


def _key(entry: Entry) -> bytes:
    return entry.path + b"/" if entry.kind == "d" and entry.path else entry.path


def _is_at_or_below(path: bytes, top: bytes) -> bool:
    return not top or path == top or path.startswith(top + b"/")


def _turn(wanted: bytes, links: dict[bytes, bytes]) -> bytes | None:
    """Where the first symlink on the way to ``wanted`` leads, the ware's root being ``/``; None when there is none."""
    for path, link in links.items():
        rest = wanted[len(path) :].lstrip(b"/")
        above = [] if link.startswith(b"/") else path.split(b"/")[:-1]
        for name in (*link.split(b"/"), *rest.split(b"/")):
            if name == b"..":
                above = above[:-1]
            elif name not in (b"", b"."):
                above.append(name)
        return b"/".join(above)
    return None


def _whole(member: Member, members: Iterator[Member]) -> Iterator[bytes]:
    """The content of a member, which is there for as long as nobody asks ``members`` for the next."""
    assert member.content is not None
    yield from _pieces(member.content)
    del members


def _pieces(content: bytes | Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    while data := content.read(_PIECE):
        yield data


def _missing(path: bytes) -> Missing:
    shown = faults.printable(path) or "."
    return Missing("missing", f"the ware holds no {shown}: `warpforge ware ls` lists what it holds", path=shown)


def _no_file(path: bytes, kind: str) -> Invalid:
    what = {"d": "a directory", "p": "a fifo", "D": "a device", "c": "a device", "s": "a socket"}[kind]
    shown = faults.printable(path) or "."
    return Invalid("invalid-argument", f"{shown} is {what}, not a file", path=shown)


def _loop(path: bytes) -> Invalid:
    shown = faults.printable(path)
    return Invalid("invalid-argument", f"{shown}: too many symlinks", path=shown)
