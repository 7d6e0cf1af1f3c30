"""Where a mount goes: a path resolved inside the box's root and nowhere else, with its stubs made.

The wares decide what lies below the root, so every component is looked at by descriptor and symlinks are followed
by hand, from the root of the box, as a process inside would: what points out cannot lead out. Nothing else runs in
the box yet, so what was seen stays true.
"""

from __future__ import annotations

import errno
import os
import stat

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40  # as the kernel


class Refused(Exception):
    """A mount point that cannot be had safely; the text says why."""


class Point:
    """A place to mount on: a name in a directory held open."""

    __slots__ = ("name", "parent_fd")

    def __init__(self, parent_fd: int, name: bytes) -> None:
        self.parent_fd = parent_fd
        self.name = name

    @property
    def path(self) -> bytes:
        """A path for mount(2) that leads here whatever the rest of the tree looks like."""
        return b"/proc/self/fd/%d/%s" % (self.parent_fd, self.name)


class Stubs:
    """What was made in the box only to be mounted on."""

    def __init__(self) -> None:
        self._made: list[tuple[Point, bool]] = []

    def make(self, parent_fd: int, name: bytes, *, directory: bool) -> None:
        """Make one and remember it."""
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent_fd)
        else:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent_fd))
        self._made.append((Point(os.dup(parent_fd), name), directory))

    def remove_untouched(self) -> None:
        """Remove those that nobody put anything into or changed, the deepest first. Nothing may be mounted on them."""
        while self._made:
            point, directory = self._made.pop()
            try:
                _remove_untouched(point, directory=directory)
            except OSError:
                pass  # touched: somebody else's now
            finally:
                os.close(point.parent_fd)


def _remove_untouched(point: Point, *, directory: bool) -> None:
    status = os.stat(point.name, dir_fd=point.parent_fd, follow_symlinks=False)
    if directory:
        if stat.S_ISDIR(status.st_mode) and status.st_mode & 0o7777 == 0o755:
            os.rmdir(point.name, dir_fd=point.parent_fd)
    elif stat.S_ISREG(status.st_mode) and status.st_size == 0 and status.st_mode & 0o7777 == 0o644:
        os.unlink(point.name, dir_fd=point.parent_fd)


def find_place(root_fd: int, at: bytes, stubs: Stubs, *, directory: bool) -> Point:
    """Resolve ``at`` below ``root_fd``, make what is missing, and hand out the point. Raises Refused or OSError.

    Parents that are missing become 0755 directories, a dangling symlink's target likewise.
    """
    stack = [os.dup(root_fd)]
    try:
        return _resolve(stack, at, stubs, directory=directory)
    finally:
        for fd in stack:
            os.close(fd)


def _resolve(stack: list[int], at: bytes, stubs: Stubs, *, directory: bool) -> Point:
    todo = _components(at)
    links = 0
    while todo:
        name = todo.pop()
        if name == b"..":
            if len(stack) > 1:
                os.close(stack.pop())
            continue
        here = stack[-1]
        mode = _mode(here, name)
        if mode is None:
            stubs.make(here, name, directory=directory or bool(todo))
        elif stat.S_ISLNK(mode):
            links += 1
            if links > _MOST_LINKS:
                raise Refused("too many symlinks on the way")
            target = os.readlink(name, dir_fd=here)
            if target.startswith(b"/"):
                while len(stack) > 1:
                    os.close(stack.pop())
            todo += _components(target)
            continue
        elif not todo and stat.S_ISDIR(mode) != directory:
            raise Refused("it is a directory there" if stat.S_ISDIR(mode) else "it is not a directory there")
        if not todo:
            return Point(os.dup(here), name)
        try:
            stack.append(os.open(name, _DIRECTORY, dir_fd=here))
        except NotADirectoryError:
            raise Refused("a file is in the way") from None
    raise Refused("it leads to the root")


def _components(path: bytes) -> list[bytes]:
    """The components of a path, the first one last."""
    return [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]


def _mode(dir_fd: int, name: bytes) -> int | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise


def make_plain_directory(root_fd: int, name: bytes, stubs: Stubs) -> Point:
    """A directory right below the root for the engine's own mounts. A symlink there, as a ware may have, is refused:

    the back-end would follow it by the host's names.
    """
    mode = _mode(root_fd, name)
    if mode is None:
        stubs.make(root_fd, name, directory=True)
    elif not stat.S_ISDIR(mode):
        raise Refused("it must be a directory, for the engine mounts there")
    return Point(os.dup(root_fd), name)
