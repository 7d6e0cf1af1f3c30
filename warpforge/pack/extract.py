"""Writing a tree to disk: by descriptors of directories, never through a symlink, a few files at a time in threads.

A directory is made 0700 and gets its mode and time when nothing more can come into it: in an ordered archive when it
is left, otherwise at the end. Files are written by a crew beside the reading.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from warpforge.errors import Failed, WarpforgeError, store_error
from warpforge.fsx.creator import CREATE, create_other
from warpforge.fsx.descent import DIRECTORY, HELD, Descent
from warpforge.fsx.remove import remove_tree

from . import faults
from .crew import Closing, Crew, LateError, Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from warpforge.fsx.tree import Content, Entry

    from .fileset import ContentHash

_PIECE: Final = 1 << 20


class Extractor:
    """Writes one tree as ``name`` below ``parent_fd``; a context manager: on any error nothing is left there.

    ``owner``: (uid, gid) that everything is given to, for root. ``ordered``: entries come in canonical order.
    Errors: ``already-exists``, ``ware-invalid`` (duplicate, link, path, name), ``store``.
    """

    def __init__(self, parent_fd: int, name: bytes, owner: tuple[int, int] | None, *, ordered: bool) -> None:
        self._parent_fd = parent_fd
        self._name = name
        self._owner = owner
        self._ordered = ordered
        self._descent: Descent | None = None
        self._paths: list[bytes] = []  # of the directories we stand in, the root left out
        self._last: list[tuple[int, int]] = []  # their mode and time, the root's too
        self._current: bytes | None = None
        self._made = False
        self._crew = Crew(owner)

    def __enter__(self) -> Extractor:
        self._crew.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._crew.stop()
        if self._descent is not None:
            self._descent.close()
        if kind is not None and self._made:
            remove_tree(self._parent_fd, self._name, missing_ok=True)

    # what an archive holds

    def directory(self, entry: Entry, *, again: bool = False) -> None:
        """A directory; ``again``: it may be there already."""
        try:
            if not entry.path:
                if not again or self._descent is None:
                    self._root()
                    self._last.append((entry.mode, _time(entry)))
                return
            self._stand_in(entry.path.rpartition(b"/")[0], entry.path)
            self._make(entry.path, again=again)
            if self._ordered:
                self._enter(entry.path)
                self._last.append((entry.mode, _time(entry)))
        except OSError as error:
            raise self._fault(error, entry.path) from error

    def file(self, entry: Entry, data: bytes) -> None:
        """A file that is small enough to be handed over whole."""
        if not entry.path:
            self._lone_file(entry, data)
            return
        parent, _, name = entry.path.rpartition(b"/")
        if parent != self._current:
            self._go(parent, entry.path)
        assert self._descent is not None
        file = (parent, name, entry.mode, entry.mtime * 1_000_000_000 + entry.mtime_ns, len(data))
        try:
            self._crew.file(file, data, self._descent.fd)
        except OSError as error:
            raise self._fault(error, entry.path) from error

    def large_file(self, entry: Entry, content: Content, digesting: ContentHash) -> None:
        """A file that comes in pieces, hashed on the way. The caller checks that its size is right."""
        with self.writing(entry) as write:
            while data := content.read(_PIECE):
                write(data)
                digesting.update(data)

    @contextmanager
    def writing(self, entry: Entry) -> Iterator[Callable[[bytes], None]]:
        """A large file, whose pieces are given one after the other."""
        try:
            fd = self._create(entry)
        except OSError as error:
            raise self._fault(error, entry.path) from error
        offset = 0

        def write(data: bytes) -> None:
            nonlocal offset
            self._crew.piece(Piece(fd, offset, data))
            offset += len(data)

        try:
            yield write
        except OSError as error:
            raise self._fault(error, entry.path) from error
        finally:
            self._crew.close(Closing(fd, entry.mode, _time(entry)))

    def copy(self, entry: Entry, source: bytes) -> None:
        """A file with the content of one that was written before."""
        self._crew.drain()
        try:
            origin = self._reopen(source)
            try:
                fd = self._create(entry)
                self._crew.close(Closing(fd, entry.mode, _time(entry)))
                while os.sendfile(fd, origin, None, 1 << 24):
                    pass
            finally:
                os.close(origin)
        except OSError as error:
            raise self._fault(error, entry.path) from error
        self._crew.submit()

    def other(self, entry: Entry) -> None:
        """A symlink or a fifo. Errors: ``ware-invalid``, reason type, for a device."""
        if entry.kind not in "Lp":
            raise faults.invalid("type", entry.path, "a device is never created")
        parent, _, name = entry.path.rpartition(b"/")
        if parent != self._current:
            self._go(parent, entry.path)
        assert self._descent is not None
        try:
            create_other(self._descent.fd, name, entry, self._owner)
        except OSError as error:
            raise self._fault(error, entry.path) from error

    def finish(self, directories: Iterable[Entry] = ()) -> None:
        """Wait for everything, then finish the directories: in an unordered archive those given, in canonical order."""
        try:
            if self._descent is not None:
                self._climb(0)
                self._crew.drain()
                if self._ordered:
                    fd = self._descent.fd
                    self._crew.settle(Closing(fd, *self._last.pop()))
                    self._descent.fd = -1
            else:
                self._crew.drain()
            for entry in directories:
                self._finish_directory(entry)
            if self._descent is not None and self._descent.fd >= 0:
                self._climb(0)
                self._crew.drain()
                self._crew.settle(Closing(self._descent.fd, *self._last.pop()))
                self._descent.fd = -1
        except OSError as error:
            raise self._fault(error, b"") from error

    # where we stand

    def _root(self) -> None:
        try:
            os.mkdir(self._name, 0o700, dir_fd=self._parent_fd)
        except FileExistsError:
            raise self._exists() from None
        self._made = True
        self._crew.root_fd = os.open(self._name, DIRECTORY, dir_fd=self._parent_fd)
        self._descent = Descent(self._crew.root_fd)
        self._current = b""

    def _go(self, parent: bytes, path: bytes) -> None:
        try:
            self._stand_in(parent, path)
        except OSError as error:
            raise self._fault(error, path) from error

    def _stand_in(self, parent: bytes, path: bytes) -> None:
        """Make ``parent`` the current directory; in an unordered archive it may have to be made."""
        if self._descent is None:
            if self._ordered:
                raise faults.corrupt("the root does not come first", path)
            self._root()
            self._last.append((0o755, 0))
        if parent == self._current:
            return
        level = len(self._paths)
        while level and parent != (standing := self._paths[level - 1]) and not parent.startswith(standing + b"/"):
            level -= 1
        self._climb(level)
        at = self._paths[-1] if self._paths else b""
        rest = parent[len(at) :].lstrip(b"/")
        if rest and self._ordered:
            raise faults.corrupt("its parent directory is missing or out of order", path)
        for name in rest.split(b"/") if rest else ():
            at = at + b"/" + name if at else name
            self._make(at, again=True)
            self._enter(at)

    def _make(self, path: bytes, *, again: bool) -> None:
        assert self._descent is not None
        name = path.rpartition(b"/")[2]
        try:
            os.mkdir(name, 0o700, dir_fd=self._descent.fd)
        except FileExistsError:
            if not again:
                raise

    def _enter(self, path: bytes) -> None:
        assert self._descent is not None
        if self._descent.depth >= HELD - 2:
            self._crew.drain()  # a far directory is about to be closed: nothing may be on its way to it
        self._descent.enter(path.rpartition(b"/")[2])
        self._paths.append(path)
        self._current = path

    def _climb(self, level: int) -> None:
        """Go up until ``level`` directories lie between us and the root."""
        assert self._descent is not None
        while len(self._paths) > level:
            if self._descent.depth >= HELD - 2:
                self._crew.drain()
            fd = self._descent.leave()
            mode, time = self._last.pop() if self._ordered else (None, 0)
            self._crew.close(Closing(fd, mode, time))
            self._paths.pop()
        self._current = self._paths[-1] if self._paths else b""

    def _finish_directory(self, entry: Entry) -> None:
        """One directory of an unordered archive, when all is written: go there, and remember what it shall be."""
        if not entry.path:
            self._last[0] = (entry.mode, _time(entry))
            self._ordered = True  # from here on directories come in order and are finished when they are left
            return
        self._stand_in(entry.path.rpartition(b"/")[0], entry.path)
        self._enter(entry.path)
        self._last.append((entry.mode, _time(entry)))

    # files

    def _create(self, entry: Entry) -> int:
        if not entry.path:
            try:
                fd = os.open(self._name, CREATE, 0o600, dir_fd=self._parent_fd)
            except FileExistsError:
                raise self._exists() from None
            self._made = True
            return fd
        parent, _, name = entry.path.rpartition(b"/")
        if parent != self._current:
            self._stand_in(parent, entry.path)
        assert self._descent is not None
        return os.open(name, CREATE, 0o600, dir_fd=self._descent.fd)

    def _lone_file(self, entry: Entry, data: bytes) -> None:
        try:
            fd = self._create(entry)
            self._crew.close(Closing(fd, entry.mode, _time(entry)))
        except OSError as error:
            raise self._fault(error, entry.path) from error
        self._crew.piece(Piece(fd, 0, data))
        self._crew.submit()

    def _reopen(self, path: bytes) -> int:
        """Open a file that we wrote, for reading."""
        if not path:
            return os.open(self._name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._parent_fd)
        *parents, name = path.split(b"/")
        descent = Descent(os.open(self._name, DIRECTORY, dir_fd=self._parent_fd))
        try:
            for parent in parents:
                descent.enter(parent)
            try:
                return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descent.fd)
            except PermissionError:
                mode = os.stat(name, dir_fd=descent.fd, follow_symlinks=False).st_mode & 0o7777
                os.chmod(name, 0o600, dir_fd=descent.fd)
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descent.fd)
                os.fchmod(fd, mode)
                return fd
        finally:
            descent.close()

    # faults

    def _exists(self) -> Failed:
        shown = faults.printable(self._name)
        return Failed("already-exists", f"{shown} is there already: unpack elsewhere, or remove it", path=shown)

    def _fault(self, error: OSError, path: bytes) -> WarpforgeError:
        if isinstance(error, LateError):
            path = error.filename or b""
        if error.errno == errno.EEXIST:
            return faults.invalid("duplicate", path, "comes twice")
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return faults.invalid("path", path, "lies below something that is no directory")
        if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
            return faults.invalid("name", path, f"this file system cannot hold the name ({error.strerror})")
        return store_error(error, f"{faults.printable(path) or '.'} could not be unpacked")


def _time(entry: Entry) -> int:
    return entry.mtime * 1_000_000_000 + entry.mtime_ns
