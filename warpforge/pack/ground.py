"""The ground: a tree on disk that several takers write at once, each a directory at a time.

Always by the descriptor of a directory, and never through a symlink; nothing that is there already is written to.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.fsx.creator import CREATE, create_other, has_default_acl, settle, stand_in, write_whole
from warpforge.fsx.descent import Descent

from .stretch import time_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warpforge.fsx.creator import Owner
    from warpforge.fsx.tree import Entry

    from .stretch import Large


class Form(NamedTuple):
    """What files have in common beside their name and content. ``plain``: created with this mode, a file has it."""

    mode: int
    times: tuple[int, int]  # nanoseconds, of access and of change
    plain: bool


NO_FORM: Final = Form(0, (0, 0), plain=False)


class Ground:
    """Where we stand below ``root_fd``; everything there is given to ``owner``. Raises OSError."""

    def __init__(self, root_fd: int, owner: Owner) -> None:
        self._owner = owner
        self._masked = 0o7777 if has_default_acl(root_fd) else 0o7000 | _umask()
        self._descent = Descent(os.dup(root_fd))
        self._standing: list[bytes] = []
        self._fd = self._descent.fd

    def close(self) -> None:
        """Let go of the directories."""
        self._descent.close()

    def stand(self, parent: bytes) -> None:
        """Go to a directory, and make what is missing on the way."""
        stand_in(self._descent, self._standing, parent, make=True)
        self._fd = self._descent.fd

    def form(self, mode: int, mtime: int) -> Form:
        """``mtime``: nanoseconds since 1970."""
        return Form(mode, (mtime, mtime), self._owner is None and not mode & self._masked)

    def file(self, name: bytes, content: bytes | memoryview, form: Form) -> None:
        """A new file."""
        mode, times, plain = form
        fd = os.open(name, CREATE, mode if plain else 0o600, dir_fd=self._fd)
        try:
            if content:
                write_whole(fd, content)
            if plain:
                os.utime(fd, ns=times)
            else:
                settle(fd, mode, times[0], self._owner)
        finally:
            os.close(fd)

    def large(self, name: bytes, large: Large, pieces: Iterable[bytes]) -> None:
        """A new file, its content in pieces."""
        fd = os.open(name, CREATE, 0o600, dir_fd=self._fd)
        try:
            for piece in pieces:
                write_whole(fd, piece)
            settle(fd, large.mode, time_of(large), self._owner)
        finally:
            os.close(fd)

    def other(self, name: bytes, entry: Entry) -> None:
        """A new symlink or fifo."""
        create_other(self._fd, name, entry, self._owner)


def _umask() -> int:
    """What files cannot be created with; everything, where that cannot be known without changing it."""
    try:
        with open("/proc/self/status", "rb") as status:
            return int(status.read().partition(b"\nUmask:")[2].split(None, 1)[0], 8)
    except (OSError, ValueError, IndexError):
        return 0o7777
