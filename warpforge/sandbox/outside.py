"""A child from before new namespaces were made, which does outside what cannot be done inside.

Cheap to import: the helper of a box does.
"""

from __future__ import annotations

import _socket  # the public module costs several milliseconds more
import marshal
import os

from warpforge.sandbox.identity import make_map, write_file
from warpforge.sandbox.kernel import PR_SET_PDEATHSIG, prctl
from warpforge.sandbox.rights import send_rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

SIGTERM = 15
_LONGEST = 4096


class Outside:
    """The child, and a socket to it."""

    def __init__(self, pid: int, link: _socket.socket) -> None:
        self._pid = pid
        self._link = link

    @classmethod
    def fork(cls, body: Callable[..., None], *arguments: Any) -> Outside:
        """Have it do this; ``body`` gets its end of the socket first."""
        ours, theirs = _socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                prctl(PR_SET_PDEATHSIG, SIGTERM)
                ours.close()
                body(theirs, *arguments)
            finally:
                os._exit(1)
        theirs.close()
        return cls(pid, ours)

    def map(self, uids: Sequence[Sequence[int]], gids: Sequence[Sequence[int]]) -> None:
        """``run_mapper``: have our maps of many uids written. Raises OSError."""
        self._link.sendall(marshal.dumps((os.getpid(), [[*line] for line in uids], [[*line] for line in gids])))
        said = self._link.recv(_LONGEST)
        self._link.close()
        os.waitpid(self._pid, 0)
        if said != b"+":
            raise OSError(1, f"the uids of the box cannot be mapped: {said.decode(errors='replace')}")

    def tell(self, data: bytes, fds: Sequence[int]) -> None:
        """Hand it something, the last time."""
        send_rights(self._link, data, fds)
        self._link.close()


def run_mapper(link: _socket.socket, tools: Sequence[str]) -> None:
    """Write the maps of a process: ourselves, or as an ordinary user by newuidmap and newgidmap."""
    pid, *maps = marshal.loads(link.recv(_LONGEST))
    try:
        if not tools:
            for name, lines in zip(("uid_map", "gid_map"), maps, strict=True):
                write_file(f"/proc/{pid}/{name}", make_map(lines))
        for tool, lines in zip(tools, maps, strict=False):
            words = [str(number) for line in lines for number in line]
            status = os.waitpid(os.posix_spawn(tool, [tool, str(pid), *words], {}), 0)[1]
            if status:
                raise OSError(1, f"{tool} {pid} {' '.join(words)}: status {os.waitstatus_to_exitcode(status)}")
    except OSError as error:
        link.sendall((error.strerror or "refused").encode())
        return
    link.sendall(b"+")
