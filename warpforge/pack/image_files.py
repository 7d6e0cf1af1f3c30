"""The files that images lie in: a directory, or a tar in any compression."""

from __future__ import annotations

import json
import os
import posixpath
import stat
import tempfile
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, Protocol, cast

from warpforge.errors import Missing, Unable, store_error

from . import faults
from .ahead import Ahead
from .decode import Packed, decode
from .image import LARGEST
from .members import MemberReader

if TYPE_CHECKING:
    from .limits import Limits

_PIECE: Final = 1 << 20
_FILES: Final = 100_000  # in one archive
_LINKS: Final = 16


class Files(Protocol):
    """The files of a layout by name. ``name``: what it is called in messages."""

    name: str

    def has(self, path: str) -> bool: ...

    def open(self, path: str) -> BinaryIO: ...


class DirectoryFiles:
    """A layout's directory."""

    def __init__(self, path: str) -> None:
        self.name = path

    def has(self, path: str) -> bool:
        return os.path.isfile(os.path.join(self.name, path))

    def open(self, path: str) -> BinaryIO:
        """Errors: ``missing``, ``io``."""
        full = os.path.join(self.name, path)
        try:
            file = os.fdopen(os.open(full, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
        except FileNotFoundError as error:
            raise Missing("missing", f"{full} is not there: the layout is not whole", cause=error, path=full) from error
        except OSError as error:
            raise Unable("io", f"{full} cannot be read: {error.strerror}", cause=error, path=full) from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise Unable("io", f"{full} is no regular file", path=full)
        return file


class _Stretch(NamedTuple):
    """Where a file of an archive lies in the temporary file; or the file that it is a link to."""

    at: int
    size: int
    link: str = ""


class ArchiveFiles:
    """The files of a tar in any compression, kept in a temporary file, for they may come in any order.

    A context manager. ``packed``: the archive's own bytes, all read. Errors: ``ware-corrupt``, ``ware-invalid``,
    ``ware-limit``, ``store``.
    """

    def __init__(self, stream: BinaryIO, name: str, limits: Limits, scratch: str | None = None) -> None:
        self.name = name
        self.packed = Packed(stream)
        self._found: dict[str, _Stretch] = {}
        self._stack = ExitStack()
        try:
            self._file = self._stack.enter_context(tempfile.TemporaryFile(dir=scratch))
            self._read(limits)
        except OSError as error:
            self._stack.close()
            raise store_error(error, "an image's archive could not be kept for a while") from error
        except BaseException:
            self._stack.close()
            raise

    def _read(self, limits: Limits) -> None:
        with closing(Ahead(decode(self.packed, limits))) as pieces:
            for entry, content, target in MemberReader(pieces, limits, canonical=False):
                path = os.fsdecode(entry.path)
                if len(self._found) >= _FILES:
                    raise faults.over_limit("entries", f"more than {_FILES} files in an image's archive")
                if path in self._found:
                    raise faults.invalid("duplicate", entry.path, "comes twice in the image's archive")
                if target is not None:
                    self._found[path] = _Stretch(0, 0, os.fsdecode(target))
                elif entry.kind == "L":
                    link = posixpath.join(posixpath.dirname(path), os.fsdecode(entry.link))
                    self._found[path] = _Stretch(0, 0, posixpath.normpath(link))
                elif content is not None:
                    self._found[path] = self._keep(content)

    def _keep(self, content: Any) -> _Stretch:
        at = self._file.tell()
        if isinstance(content, bytes):
            self._file.write(content)
        else:
            while piece := content.read(_PIECE):
                self._file.write(piece)
        return _Stretch(at, self._file.tell() - at)

    def has(self, path: str) -> bool:
        return self._find(path) is not None

    def open(self, path: str) -> BinaryIO:
        """Errors: ``ware-corrupt`` for what is not there."""
        found = self._find(path)
        if found is None:
            raise faults.corrupt(f"{self.name} holds no {path}: the image is not whole")
        self._file.flush()
        return cast(BinaryIO, _Window(self._file.fileno(), found.at, found.size))

    def _find(self, path: str) -> _Stretch | None:
        for _ in range(_LINKS):
            found = self._found.get(path)
            if found is None or not found.link:
                return found
            path = found.link
        return None

    def __enter__(self) -> ArchiveFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class _Window:
    """A stretch of a file as a stream."""

    def __init__(self, fd: int, at: int, size: int) -> None:
        self._fd = fd
        self._at = at
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        data = os.pread(self._fd, self._left if size < 0 else min(size, self._left), self._at)
        self._at += len(data)
        self._left -= len(data)
        return data

    def __enter__(self) -> _Window:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def read_small(files: Files, path: str) -> bytes:
    """A file that is no layer. Errors: ``ware-limit``, and those of the files."""
    with files.open(path) as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise faults.over_limit("bytes", f"{files.name}: {path} has more than {LARGEST} bytes")
    return data


def parse_json(data: bytes, what: str) -> Any:
    """Errors: ``ware-corrupt``, saying what it is."""
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise faults.corrupt(f"{what} is no sound JSON: {error}") from error
