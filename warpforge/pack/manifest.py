"""A tree told line by line: what ``ware show`` prints and what two wares are compared by."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from warpforge.fsx.tree import Content, Entry


class Line(NamedTuple):
    """One entry and the BLAKE3 hash of its content, if it is a file."""

    entry: Entry
    digest: bytes | None

    def __str__(self) -> str:
        """Type, mode, owner, time, size, hash and path, a symlink's target behind it; names are escaped."""
        entry = self.entry
        time = f"{entry.mtime}.{entry.mtime_ns:09d}" if entry.mtime_ns else str(entry.mtime)
        digest = "-" if self.digest is None else self.digest.hex()
        path = faults.printable(entry.path) or "."
        target = f" -> {faults.printable(entry.link)}" if entry.kind == "L" else ""
        owner = f"{entry.uid}:{entry.gid}"
        return f"{entry.kind} {entry.mode:04o} {owner} {time} {entry.size} {digest} {path}{target}"


def make_lines(entries: Iterable[tuple[Entry, Content | None]]) -> Iterator[Line]:
    """The lines of a tree on disk. Errors: ``store`` for what cannot be read."""
    from .fileset import BLAKE3

    try:
        for entry, content in entries:
            if content is None:
                yield Line(entry, None)
                continue
            hasher = BLAKE3.new()
            while data := content.read(1 << 20):
                hasher.update(data)
            yield Line(entry, hasher.digest())
    except OSError as error:
        raise faults.unreadable(error) from error
