"""A tree as a stream of bytes between two of our own processes: entries with their contents, then an end mark.

Private framing, no promise to anybody else. A stream without its end mark was cut, and that is an error.
A sender that fails says so in the stream, inside a content too (they go in chunks with their lengths in front),
so the receiver raises the same OSError. Extended attributes do not travel.
This module is imported inside the box's helper: nothing but os, struct and errno.
"""

from __future__ import annotations

import errno
import os
import struct

from .tree import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .tree import Content

# kind, mode, uid, gid, mtime, mtime_ns, size, device major and minor, length of path, length of link
_RECORD = struct.Struct("!cIIIqIQIIII")
_CHUNK = struct.Struct("!I")  # bytes that follow; 0: an error record follows
_END = b"."
_ERROR = b"!"
_BATCH = 1 << 18
_LONGEST = 1 << 20  # of a path or a link


def send(fd: int, entries: Iterable[tuple[Entry, Content | None]]) -> int:
    """Write a whole tree; returns the number of entries. An OSError of the tree is sent, then raised."""
    batch = _Batch(fd)
    count = 0
    try:
        for entry, content in entries:
            batch.add(_record(entry))
            if content is not None:
                _send_content(batch, entry, content)
            count += 1
    except OSError as error:
        batch.add(_error_record(error))
        batch.flush()
        raise
    batch.add(_RECORD.pack(_END, 0, 0, 0, 0, 0, count, 0, 0, 0, 0))
    batch.flush()
    return count


def receive(fd: int) -> Iterator[tuple[Entry, Content | None]]:
    """Read a whole tree. A content is to be read before the next entry is asked for.

    Raises OSError: the sender's, or EPROTO when the stream was cut or is not one.
    """
    source = _Source(fd)
    count = 0
    while True:
        entry = _read_record(source)
        if entry.kind == ".":
            if entry.size != count:
                raise _broken("counts do not agree")
            return
        count += 1
        if entry.kind != "f":
            yield entry, None
            continue
        content = _Content(source, entry.size)
        yield entry, content
        while content.read(_BATCH):
            pass


def _record(entry: Entry) -> bytes:
    return (
        _RECORD.pack(
            entry.kind.encode("ascii"),
            entry.mode,
            entry.uid,
            entry.gid,
            entry.mtime,
            entry.mtime_ns,
            entry.size,
            *entry.device,
            len(entry.path),
            len(entry.link),
        )
        + entry.path
        + entry.link
    )


def _error_record(error: OSError) -> bytes:
    text = (error.strerror or str(error)).encode()
    name = os.fsencode(error.filename) if isinstance(error.filename, (str, bytes)) else b""
    return _RECORD.pack(_ERROR, error.errno or errno.EIO, 0, 0, 0, 0, 0, 0, 0, len(name), len(text)) + name + text


def _read_record(source: _Source) -> Entry:
    kind, mode, uid, gid, mtime, mtime_ns, size, major, minor, path_size, link_size = _RECORD.unpack(
        source.take(_RECORD.size)
    )
    if path_size > _LONGEST or link_size > _LONGEST:
        raise _broken("a name is too long")
    path, link = source.take(path_size), source.take(link_size)
    if kind == _ERROR:
        raise OSError(mode, link.decode(errors="replace"), path or None)
    return Entry(path, kind.decode("latin-1"), mode, uid, gid, mtime, mtime_ns, size, link, (major, minor))


def _send_content(batch: _Batch, entry: Entry, content: Content) -> None:
    left = entry.size
    try:
        while left:
            data = content.read(min(left, _BATCH))
            if not data:
                raise OSError(errno.ESTALE, "shorter than it said", entry.path)
            left -= len(data)
            batch.add(_CHUNK.pack(len(data)))
            batch.add(data)
    except OSError:
        batch.add(_CHUNK.pack(0))
        raise


class _Batch:
    """Gathers small writes into large ones."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= _BATCH:
            self.flush()

    def flush(self) -> None:
        view = memoryview(b"".join(self._pieces))
        self._pieces, self._size = [], 0
        while view:
            view = view[os.write(self._fd, view) :]


class _Source:
    """Reads large pieces and hands out small ones."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._held = b""
        self._at = 0

    def some(self, size: int) -> bytes:
        """Between 1 and ``size`` bytes."""
        if self._at == len(self._held):
            self._held, self._at = os.read(self._fd, max(size, _BATCH)), 0
            if not self._held:
                raise _broken("it was cut")
        data = self._held[self._at : self._at + size]
        self._at += len(data)
        return data

    def take(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        pieces = []
        while size:
            pieces.append(self.some(size))
            size -= len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Content:
    def __init__(self, source: _Source, size: int) -> None:
        self._source = source
        self._left = size
        self._chunk = 0

    def read(self, size: int, /) -> bytes:
        if not self._left:
            return b""
        if not self._chunk:
            (self._chunk,) = _CHUNK.unpack(self._source.take(_CHUNK.size))
            if not self._chunk:
                _read_record(self._source)
                raise _broken("an error was announced and did not come")
            if self._chunk > self._left:
                raise _broken("a content is longer than it said")
        data = self._source.some(min(size, self._chunk))
        self._chunk -= len(data)
        self._left -= len(data)
        return data


def _broken(why: str) -> OSError:
    return OSError(errno.EPROTO, f"the stream of a tree is broken: {why}")
