"""A tree that is being packed is written to disk alongside: nobody unpacks what was read just now."""

from __future__ import annotations

from contextlib import closing, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from .extract import Extractor
from .members import SMALL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from warpforge.fsx.tree import Content, Entry

    from .filters import Filters
    from .packer import Place


@contextmanager
def write_alongside(
    entries: Iterable[tuple[Entry, Content | None]], place: Place, filters: Filters
) -> Iterator[Iterator[tuple[Entry, Content | None]]]:
    """The same tree, in canonical order; whoever reads it to its end has it at the place, through filters, too.

    Every content has to be read whole before the next entry. On any error nothing is left at the place.
    Errors, also while it is read: ``already-exists``, ``ware-invalid``, ``store``.
    """
    with Extractor(place.parent_fd, place.name, place.owner, ordered=True) as extractor:
        with closing(_write(entries, extractor, filters)) as both:
            yield both
        extractor.finish()


def _write(
    entries: Iterable[tuple[Entry, Content | None]], extractor: Extractor, filters: Filters
) -> Generator[tuple[Entry, Content | None], None, None]:
    for entry, content in entries:
        kept = None if filters.drops(entry) else filters.apply(entry)
        if kept is None or content is None:
            if kept is not None and kept.kind == "d":
                extractor.directory(kept)
            elif kept is not None:
                extractor.other(kept)
            yield entry, content
        elif entry.size <= SMALL:
            data = _read(content, entry.size)
            extractor.file(kept, data)
            yield entry, BytesIO(data)
        else:
            with extractor.writing(kept) as write:
                yield entry, _Heard(content, write)


def _read(content: Content, size: int) -> bytes:
    """All of a small content. Raises OSError when it is too short."""
    data = content.read(size)
    while len(data) < size:
        piece = content.read(size - len(data))
        if not piece:
            raise OSError(0, "is shorter than it said")
        data += piece
    return data


class _Heard:
    """A content; what is read of it is told."""

    __slots__ = ("_content", "_tell")

    def __init__(self, content: Content, tell: Callable[[bytes], None]) -> None:
        self._content = content
        self._tell = tell

    def read(self, size: int, /) -> bytes:
        data = self._content.read(size)
        if data:
            self._tell(data)
        return data
