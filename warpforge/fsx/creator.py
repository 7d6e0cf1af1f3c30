"""Creating many small files in a process of its own, beside one that has other work for its interpreter.

The process reads batches from its stdin and answers each on its stdout; it stands in descriptor 3, the directory that
all paths start from, and follows no symlink below it. It ends with its stdin. Nothing but os, marshal, struct and
errno is imported, so that it starts fast; a ``Creator`` is the handle on it.
"""

from __future__ import annotations

import errno
import marshal
import os
import struct
import sys

from .descent import Descent

TYPE_CHECKING = False
if TYPE_CHECKING:
    Owner = tuple[int, int] | None
    File = tuple[bytes, bytes, int, int, int]  # parent's path, name, mode, mtime in nanoseconds, size

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HEAD = struct.Struct("=QQ")  # bytes of description, bytes of content
_VECTORS = 1000  # what one writev takes, with some room
_START = "import sys; sys.path.insert(0, sys.argv[1]); from warpforge.fsx.creator import main; main()"
_ROOT = 3


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
        if content and (written := os.write(fd, content)) != len(content):
            view = memoryview(content)
            while written < len(content):  # a full disk says so by itself
                written += os.write(fd, view[written:])
        if owner is not None:
            os.fchown(fd, *owner)
        if not plain:
            os.fchmod(fd, mode)
        os.utime(fd, ns=(mtime, mtime))
    finally:
        os.close(fd)


class Creator:
    """A process that creates files below ``root_fd``. Raises OSError when it cannot be started."""

    def __init__(self, root_fd: int) -> None:
        source, self._sink = os.pipe()
        self._source, sink = os.pipe()
        home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        try:
            moves = [(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((source, sink))]
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", _START, home],
                {},
                file_actions=[*moves, (os.POSIX_SPAWN_DUP2, root_fd, _ROOT)],
            )
        except OSError:
            os.close(self._sink)
            os.close(self._source)
            raise
        finally:
            os.close(source)
            os.close(sink)
        _widen(self._sink)
        if os.read(self._source, 1) != b"+":
            self.close()
            raise OSError(errno.ECHILD, "the creating process did not start")

    def create(self, files: list[File], contents: list[bytes], owner: Owner) -> None:
        """Create all of them. Raises OSError with the path of the first that failed."""
        description = marshal.dumps((owner, files))
        parts = [_HEAD.pack(len(description), sum(map(len, contents))), description, *contents]
        for at in range(0, len(parts), _VECTORS):
            _write_all(self._sink, parts[at : at + _VECTORS])
        answer = os.read(self._source, 1 << 16)
        if not answer:
            raise OSError(errno.ECHILD, "the creating process died")
        number, path = marshal.loads(answer)
        if number:
            raise OSError(number, os.strerror(number), path)

    def close(self) -> None:
        """End the process and wait for it."""
        os.close(self._sink)
        os.close(self._source)
        os.waitpid(self._pid, 0)


def main() -> None:
    """The process itself."""
    os.umask(0)
    plain = not _has_default_acl(_ROOT)
    os.write(1, b"+")
    descent = Descent(_ROOT)
    standing: list[bytes] = []
    buffer = bytearray(1 << 20)
    while head := bytes(_read(buffer, _HEAD.size)):
        description, size = _HEAD.unpack(head)
        owner, files = marshal.loads(_read(buffer, description))
        contents = _read(buffer, size)
        number, path = 0, b""
        try:
            at = 0
            for parent, name, mode, mtime, length in files:
                if parent != (standing[-1] if standing else b""):
                    _stand_in(descent, standing, parent)
                create_file(descent.fd, name, mode, mtime, contents[at : at + length], owner, plain=plain)
                at += length
        except OSError as error:
            number, path = error.errno or errno.EIO, parent + b"/" + name if parent else name
        contents.release()
        os.write(1, marshal.dumps((number, path)))


def _has_default_acl(fd: int) -> bool:
    """Whether what is created in a directory takes its mode from there; directories inherit it."""
    try:
        os.getxattr(fd, "system.posix_acl_default")
    except OSError:
        return False
    return True


def _stand_in(descent: Descent, standing: list[bytes], parent: bytes) -> None:
    """Go to a directory that exists."""
    while standing and parent != standing[-1] and not parent.startswith(standing[-1] + b"/"):
        os.close(descent.leave())
        standing.pop()
    at = standing[-1] if standing else b""
    rest = parent[len(at) :].lstrip(b"/")
    for name in rest.split(b"/") if rest else ():
        descent.enter(name)
        at = at + b"/" + name if at else name
        standing.append(at)


def _read(buffer: bytearray, size: int) -> memoryview:
    """Exactly ``size`` bytes of stdin, in the buffer; empty at the end of it, whoever died there."""
    if size > len(buffer):
        buffer.extend(bytes(size - len(buffer)))
    view = memoryview(buffer)[:size]
    at = 0
    while at < size:
        count = os.readv(0, [view[at:]])
        if not count:
            return view[:0]
        at += count
    return view


def _write_all(fd: int, parts: list[bytes]) -> None:
    written = os.writev(fd, parts)
    left = sum(map(len, parts)) - written
    if left:
        view = memoryview(b"".join(parts))[written:]
        while view:
            view = view[os.write(fd, view) :]


def _widen(fd: int) -> None:
    """Let a pipe hold a whole batch, where that is allowed."""
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20)
    except OSError:
        pass
