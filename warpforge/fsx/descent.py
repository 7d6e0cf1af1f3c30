"""A way down a directory tree by descriptors: any depth, few descriptors open, no symlink followed.

Deep trees outrun the limit of open files, so only the nearest directories stay open.
One that was closed is opened again through ``..`` of its child and must still be the same directory.
"""

from __future__ import annotations

import errno
import os

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
HELD = 48  # directories kept open at a time, beside the first


class Descent:
    """A stack of directories; ``fd`` is the one we stand in. Owns every descriptor it holds, the first included."""

    __slots__ = ("_above", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._above: list[tuple[int, tuple[int, int]]] = []  # (descriptor or -1, device and inode)

    @property
    def depth(self) -> int:
        """How many directories lie above the current one, up to the first."""
        return len(self._above)

    def enter(self, name: bytes) -> int:
        """Step into a child directory; returns its descriptor. Raises OSError, also for a symlink."""
        return self.adopt(os.open(name, DIRECTORY, dir_fd=self.fd))

    def adopt(self, fd: int) -> int:
        """Step into a child directory that is open already."""
        status = os.fstat(self.fd)
        self._above.append((self.fd, (status.st_dev, status.st_ino)))
        self.fd = fd
        far = len(self._above) - HELD
        if far > 0:
            held, identity = self._above[far]
            if held >= 0:
                os.close(held)
                self._above[far] = (-1, identity)
        return fd

    def leave(self) -> int:
        """Step back to the parent; returns the child's descriptor, which the caller closes."""
        child = self.fd
        fd, identity = self._above[-1]
        if fd < 0:
            fd = os.open("..", DIRECTORY, dir_fd=child)
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != identity:
                os.close(fd)
                raise OSError(errno.ESTALE, "a directory was moved while it was used")
        self._above.pop()
        self.fd = fd
        return child

    def close(self) -> None:
        """Close every descriptor; may be called again."""
        for fd, _ in self._above:
            if fd >= 0:
                os.close(fd)
        self._above.clear()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
