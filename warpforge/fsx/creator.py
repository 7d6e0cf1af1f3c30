"""Creating many small files in a process of its own, beside one that has other work for its interpreter.

The process reads batches from its stdin and answers each on its stdout; all paths start from one directory, and no
symlink below it is followed. It imports little, so that it starts fast; a ``Creator`` is the handle on it.
"""

from __future__ import annotations

import errno
import marshal
import os
import struct

from .companion import Companion, read_exactly
from .descent import Descent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .tree import Entry

    Owner = tuple[int, int] | None
    File = tuple[bytes, bytes, int, int, int]  # parent's path, name, mode, mtime in nanoseconds, size

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HEAD = struct.Struct("=QQ")  # bytes of description, bytes of content


def create_file(
    dir_fd: int,
    name: bytes,
    mode: int,
    mtime: int,
    content: bytes | memoryview,
    owner: Owner = None,
    *,
    plain: bool = False,
) -> None:
    """One new file with exactly this mode and time (nanoseconds). Raises OSError with the name.

    ``plain``: nothing here changes the mode that a file is created with: no umask, no default ACL.
    """
    plain = plain and owner is None and mode < 0o1000
    fd = os.open(name, CREATE, mode if plain else 0o600, dir_fd=dir_fd)
    try:
        if content:
            write_whole(fd, content)
        if plain:
            os.utime(fd, ns=(mtime, mtime))
        else:
            settle(fd, mode, mtime, owner)
    finally:
        os.close(fd)


def create_other(dir_fd: int, name: bytes, entry: Entry, owner: Owner) -> None:
    """One new symlink or fifo. Raises OSError."""
    if entry.kind == "L":
        os.symlink(entry.link, name, dir_fd=dir_fd)
    else:
        os.mkfifo(name, 0o600, dir_fd=dir_fd)
        # fresh and ours: it cannot be a symlink
        os.chmod(name, entry.mode, dir_fd=dir_fd)
    if owner is not None:
        os.chown(name, *owner, dir_fd=dir_fd, follow_symlinks=False)
    time = entry.mtime * 1_000_000_000 + entry.mtime_ns
    os.utime(name, ns=(time, time), dir_fd=dir_fd, follow_symlinks=False)


def settle(fd: int, mode: int, mtime: int, owner: Owner) -> None:
    """Give what is written its owner, then its mode, then its time (nanoseconds). Raises OSError."""
    if owner is not None:
        os.fchown(fd, *owner)
    os.fchmod(fd, mode)
    os.utime(fd, ns=(mtime, mtime))


def write_whole(fd: int, content: bytes | memoryview) -> None:
    """All of it. Raises OSError."""
    written = os.write(fd, content)
    if written != len(content):
        view = memoryview(content)
        while written < len(content):  # a full disk says so by itself
            written += os.write(fd, view[written:])


class Creator:
    """A process that creates files below ``root_fd``. Raises OSError when it cannot be started."""

    def __init__(self, root_fd: int) -> None:
        self._process = Companion(__name__, [root_fd])
        self._process.wait()
        self.pid = self._process.pid

    def create(self, files: list[File], contents: list[bytes], owner: Owner) -> None:
        """Create all of them. Raises OSError with the path of the first that failed."""
        description = marshal.dumps((owner, files))
        parts = [_HEAD.pack(len(description), sum(map(len, contents))), description, *contents]
        self._process.write(parts)
        answer = os.read(self._process.source, 1 << 16)
        if not answer:
            raise OSError(errno.ECHILD, "the creating process died")
        number, path = marshal.loads(answer)
        if number:
            raise OSError(number, os.strerror(number), path)

    def close(self) -> None:
        """End the process and wait for it."""
        self._process.close()


def main(root_fd: int) -> None:
    """The process itself."""
    os.umask(0)
    plain = not has_default_acl(root_fd)
    os.write(1, b"+")
    descent = Descent(root_fd)
    standing: list[bytes] = []
    buffer = bytearray(1 << 20)
    while head := bytes(read_exactly(buffer, _HEAD.size)):
        description, size = _HEAD.unpack(head)
        owner, files = marshal.loads(read_exactly(buffer, description))
        contents = read_exactly(buffer, size)
        number, path = 0, b""
        try:
            at = 0
            for parent, name, mode, mtime, length in files:
                if parent != (standing[-1] if standing else b""):
                    stand_in(descent, standing, parent)
                create_file(descent.fd, name, mode, mtime, contents[at : at + length], owner, plain=plain)
                at += length
        except OSError as error:
            number, path = error.errno or errno.EIO, parent + b"/" + name if parent else name
        contents.release()
        os.write(1, marshal.dumps((number, path)))


def has_default_acl(fd: int) -> bool:
    """Whether what is created in a directory takes its mode from there; directories inherit it."""
    try:
        os.getxattr(fd, "system.posix_acl_default")
    except OSError:
        return False
    return True


def stand_in(descent: Descent, standing: list[bytes], parent: bytes, *, make: bool = False) -> None:
    """Go to a directory; ``standing``: the paths of those that we stand in, the first left out.

    ``make``: make what is missing on the way, 0700. Raises OSError.
    """
    while standing and parent != standing[-1] and not parent.startswith(standing[-1] + b"/"):
        os.close(descent.leave())
        standing.pop()
    at = standing[-1] if standing else b""
    rest = parent[len(at) :].lstrip(b"/")
    for name in rest.split(b"/") if rest else ():
        try:
            descent.enter(name)
        except FileNotFoundError:
            if not make:
                raise
            try:
                os.mkdir(name, 0o700, dir_fd=descent.fd)
            except FileExistsError:
                pass  # somebody beside us makes it, too
            descent.enter(name)
        at = at + b"/" + name if at else name
        standing.append(at)
