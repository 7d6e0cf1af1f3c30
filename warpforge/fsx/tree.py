"""File trees as values: entries in canonical order, and the content of each regular file.

Canonical order: depth first, children sorted bytewise with "/" appended to the names of directories;
the same as sorting whole paths that way. Only descriptors are used and no symlink is followed.
This module is imported inside the box's helper: nothing but os, stat and errno.
"""

from __future__ import annotations

import errno
import os
import stat

from .descent import DIRECTORY, Descent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    class Content(Protocol):
        """The bytes of one regular file, in order."""

        def read(self, size: int, /) -> bytes:
            """At most ``size`` bytes; empty only at the end, after exactly the entry's size."""

    Skip = Callable[[bytes, bool], bool]

KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "L",
    stat.S_IFIFO: "p",
    stat.S_IFBLK: "D",
    stat.S_IFCHR: "c",
    stat.S_IFSOCK: "s",
}
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NO_DEVICE = (0, 0)
_NO_XATTRS: dict[bytes, bytes] = {}


class Entry:
    """One node of a tree.

    ``path``: relative, canonical, b"" for the root. ``kind``: "f" file, "d" directory, "L" symlink, "p" fifo,
    "D" block device, "c" character device, "s" socket. ``mode``: 07777 bits. ``mtime``: seconds, with ``mtime_ns``
    0..999999999 beside it. ``size``: bytes of a regular file, else 0. ``link``: target of a symlink, else b"".
    ``device``: (major, minor). ``xattrs``: normally empty. Never changed once made: copy with ``replace``.
    """

    __slots__ = ("device", "gid", "kind", "link", "mode", "mtime", "mtime_ns", "path", "size", "uid", "xattrs")

    def __init__(
        self,
        path: bytes,
        kind: str,
        mode: int,
        uid: int = 0,
        gid: int = 0,
        mtime: int = 0,
        mtime_ns: int = 0,
        size: int = 0,
        link: bytes = b"",
        device: tuple[int, int] = _NO_DEVICE,
        xattrs: dict[bytes, bytes] = _NO_XATTRS,
    ) -> None:
        self.path = path
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime = mtime
        self.mtime_ns = mtime_ns
        self.size = size
        self.link = link
        self.device = device
        self.xattrs = xattrs

    @property
    def name(self) -> bytes:
        """The last component; b"" for the root."""
        return self.path.rpartition(b"/")[2]

    def replace(self, **changes: object) -> Entry:
        """A copy with some attributes changed."""
        return Entry(**{**{name: getattr(self, name) for name in self.__slots__}, **changes})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Entry({self.kind} {self.mode:04o} {self.uid}:{self.gid} {self.mtime} {self.size} {self.path!r})"


def sort_key(entry: Entry) -> bytes:
    """Sorting whole entries by this gives canonical order."""
    return entry.path + b"/" if entry.kind == "d" and entry.path else entry.path


class FileContent:
    """A regular file opened at the first read, and compared with what was seen of it when all of it is read."""

    __slots__ = ("_dir_fd", "_fd", "_left", "_name", "_path", "_seen")

    def __init__(self, dir_fd: int, name: bytes, path: bytes, seen: os.stat_result) -> None:
        self._dir_fd = dir_fd
        self._name = name
        self._path = path
        self._seen = seen
        self._left = seen.st_size
        self._fd = -1

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes. Raises OSError (ESTALE) when the file is not what it was."""
        left = self._left
        if not left:
            return b""
        fd = self._fd if self._fd >= 0 else self._open()
        data = os.read(fd, size if size < left else left)
        self._left = left = left - len(data)
        if not left or not data:
            self._finish()
        return data

    def readinto(self, room: memoryview, /) -> int:
        """As ``read``, into memory that is there, no larger than the rest; how many bytes."""
        fd = self._fd if self._fd >= 0 else self._open()
        count = os.readv(fd, (room,))
        self._left = left = self._left - count
        if not left or not count:
            self._finish()
        return count

    def _open(self) -> int:
        try:
            self._fd = fd = os.open(self._name, _OPEN_FILE, dir_fd=self._dir_fd)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from None
        return fd

    def _finish(self) -> None:
        """Compare and close; whatever writes to a file changes its ctime."""
        seen, now = self._seen, os.fstat(self._fd)
        os.close(self._fd)
        self._fd = -1
        if (
            self._left
            or now.st_ctime_ns != seen.st_ctime_ns
            or now.st_ino != seen.st_ino
            or now.st_size != seen.st_size
            or now.st_dev != seen.st_dev
        ):
            raise OSError(errno.ESTALE, "changed while it was read", self._path)

    def close(self) -> None:
        """Let go of a file that was not read to its end."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def walk(
    dir_fd: int, name: bytes = b".", *, skip: Skip | None = None, one_device: bool = False
) -> Iterator[tuple[Entry, Content | None]]:
    """The tree at ``name`` below ``dir_fd``, in canonical order, the root first (a root may be a lone file).

    A content is to be read before the next entry is asked for. ``skip(path, is_directory)`` leaves a child out with
    all below it. Raises OSError with the path in the tree: an unreadable directory or file, one that changed while
    it was read, and with ``one_device`` (EXDEV) whatever lies on another file system.
    """
    root = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    if not stat.S_ISDIR(root.st_mode):
        yield from _leaf(dir_fd, name, b"", root)
        return
    descent = Descent(_open(name, DIRECTORY, dir_fd, b"."))
    try:
        yield from _walk_directories(descent, skip, root.st_dev if one_device else None)
    finally:
        descent.close()


def _walk_directories(
    descent: Descent, skip: Skip | None, device: int | None
) -> Iterator[tuple[Entry, Content | None]]:
    fd = descent.fd
    yield _entry(b"", os.fstat(fd), b""), None
    prefix = b""
    names = _children(fd, prefix, skip)
    above: list[tuple[bytes, list[bytes]]] = []
    while True:
        if not names:
            if not above:
                return
            prefix, names = above.pop()
            os.close(descent.leave())
            fd = descent.fd
            continue
        name = names.pop()
        if name[-1:] != b"/":
            path = prefix + name
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError as error:
                raise OSError(error.errno, error.strerror, path) from None
            if device is not None and status.st_dev != device:
                raise OSError(errno.EXDEV, "another file system is mounted here", path)
            mode = status.st_mode
            if mode & 0o170000 == stat.S_IFREG:
                content = FileContent(fd, name, path, status)
                mtime = status.st_mtime_ns
                seconds = mtime // 1_000_000_000
                ns = mtime - seconds * 1_000_000_000
                yield (
                    Entry(path, "f", mode & 0o7777, status.st_uid, status.st_gid, seconds, ns, status.st_size),
                    content,
                )
                if content._fd >= 0:
                    content.close()
            else:
                yield from _leaf(fd, name, path, status)
            continue
        above.append((prefix, names))
        prefix += name
        path = prefix[:-1]
        fd = descent.adopt(_open(name[:-1], DIRECTORY, fd, path))
        status = os.fstat(fd)
        if device is not None and status.st_dev != device:
            raise OSError(errno.EXDEV, "another file system is mounted here", path)
        yield _entry(path, status, b""), None
        names = _children(fd, prefix, skip)


def _leaf(fd: int, name: bytes, path: bytes, status: os.stat_result) -> Iterator[tuple[Entry, Content | None]]:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        content = FileContent(fd, name, path, status)
        try:
            yield _entry(path, status, b""), content
        finally:
            content.close()
    elif kind == stat.S_IFLNK:
        yield _entry(path, status, os.readlink(name, dir_fd=fd)), None
    elif kind == stat.S_IFDIR:
        raise OSError(errno.ESTALE, "became a directory while the tree was read", path)
    else:
        yield _entry(path, status, b""), None


def _children(fd: int, prefix: bytes, skip: Skip | None) -> list[bytes]:
    """Names of a directory, directories with a "/" at the end, last first."""
    encode = os.fsencode
    with os.scandir(fd) as found:
        names = [encode(e.name) + b"/" if e.is_dir(follow_symlinks=False) else encode(e.name) for e in found]
    if skip is not None:
        names = [name for name in names if not skip(prefix + name.rstrip(b"/"), name[-1:] == b"/")]
    names.sort(reverse=True)
    return names


def _entry(path: bytes, status: os.stat_result, link: bytes) -> Entry:
    mode = status.st_mode
    kind = KINDS[mode & 0o170000]
    seconds, nanoseconds = divmod(status.st_mtime_ns, 1_000_000_000)
    if kind == "f":
        return Entry(path, kind, mode & 0o7777, status.st_uid, status.st_gid, seconds, nanoseconds, status.st_size)
    return Entry(
        path,
        kind,
        mode & 0o7777,
        status.st_uid,
        status.st_gid,
        seconds,
        nanoseconds,
        0,
        link,
        (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in "Dc" else _NO_DEVICE,
    )


def _open(name: bytes, flags: int, dir_fd: int, path: bytes) -> int:
    try:
        return os.open(name, flags, dir_fd=dir_fd)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
