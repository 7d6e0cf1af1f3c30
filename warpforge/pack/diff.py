"""What differs between two trees: their lines, merged in canonical order, path by path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.fsx.tree import sort_key

from . import faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from warpforge.fsx.tree import Entry

    from .manifest import Line

ASPECTS: Final = ("type", "mode", "owner", "time", "link", "device", "content")


class Change(NamedTuple):
    """One path that differs. ``aspects``: which of ASPECTS, or ``added`` or ``removed`` alone."""

    path: bytes
    aspects: tuple[str, ...]
    old: Line | None
    new: Line | None

    def __str__(self) -> str:
        """``+`` added, ``-`` removed, ``~`` changed, then the path and what changed from what to what."""
        shown = faults.printable(self.path) or "."
        if self.old is None:
            return f"+ {shown}"
        if self.new is None:
            return f"- {shown}"
        return f"~ {shown}  " + ", ".join(_describe(aspect, self.old, self.new) for aspect in self.aspects)


def compare(old: Iterable[Line], new: Iterable[Line], *, owners: bool = True) -> Iterator[Change]:
    """Every change from one tree to another, both given in canonical order. ``owners``: whether uid and gid count."""
    olds, news = iter(old), iter(new)
    left, right = next(olds, None), next(news, None)
    while left is not None or right is not None:
        if right is None or (left is not None and sort_key(left.entry) < sort_key(right.entry)):
            assert left is not None
            yield Change(left.entry.path, ("removed",), left, None)
            left = next(olds, None)
        elif left is None or sort_key(right.entry) < sort_key(left.entry):
            yield Change(right.entry.path, ("added",), None, right)
            right = next(news, None)
        else:
            aspects = tuple(_aspects(left, right, owners=owners))
            if aspects:
                yield Change(left.entry.path, aspects, left, right)
            left, right = next(olds, None), next(news, None)


def _aspects(old: Line, new: Line, *, owners: bool) -> Iterator[str]:
    one, other = old.entry, new.entry
    if one.kind != other.kind:
        yield "type"
    if one.mode != other.mode and not one.kind == other.kind == "L":
        yield "mode"
    if owners and (one.uid, one.gid) != (other.uid, other.gid):
        yield "owner"
    if (one.mtime, one.mtime_ns) != (other.mtime, other.mtime_ns):
        yield "time"
    if one.link != other.link:
        yield "link"
    if one.device != other.device:
        yield "device"
    if old.digest != new.digest:
        yield "content"


def _describe(aspect: str, old: Line, new: Line) -> str:
    if aspect == "content":
        sizes = (old.entry.size, new.entry.size)
        return f"content ({sizes[0]} bytes)" if sizes[0] == sizes[1] else f"content ({sizes[0]} -> {sizes[1]} bytes)"
    return f"{aspect} {_value(aspect, old.entry)} -> {_value(aspect, new.entry)}"


def _value(aspect: str, entry: Entry) -> str:
    match aspect:
        case "type":
            return entry.kind
        case "mode":
            return f"{entry.mode:04o}"
        case "owner":
            return f"{entry.uid}:{entry.gid}"
        case "time":
            return f"{entry.mtime}.{entry.mtime_ns:09d}" if entry.mtime_ns else str(entry.mtime)
        case "link":
            return faults.printable(entry.link) or "-"
    return f"{entry.device[0]}:{entry.device[1]}"
