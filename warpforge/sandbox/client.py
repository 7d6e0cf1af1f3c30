"""The engine's end: starting the zygote, and asking it for helpers.

Cheap to import: whoever will need a box starts the zygote first, and imports the rest while it comes up.
"""

from __future__ import annotations

# the public module costs several milliseconds more, most of it for enumerations
import _socket
import atexit
import os
import sys
import threading
from collections.abc import Sequence

from warpforge.errors import Unable
from warpforge.sandbox.rights import send_rights

_START = "import sys; sys.path.insert(0, sys.argv[1]); from warpforge.sandbox.zygote import main; main()"


class ZygoteClient:
    """One zygote for each engine process, started at the first need and again when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: _socket.socket | None = None
        self._pid = 0  # of the zygote
        self._owner = 0  # the process that started it: a fork has none

    def warm(self) -> None:
        """Start the zygote now, so that it comes up while the engine does other things."""
        with self._lock:
            self._ensure()

    def ask(self, work: bytes, groups: Sequence[str], descriptors: Sequence[int]) -> None:
        """Have a helper forked that owns copies of these descriptors; its work and cgroups are cleared up after it."""
        names = b"\0".join([work, *map(os.fsencode, groups)])
        with self._lock:
            for attempt in (1, 2):
                connection = self._ensure()
                try:
                    send_rights(connection, names, descriptors)
                    return
                except OSError as error:
                    self._drop()
                    if attempt == 2:
                        raise Unable(
                            "sandbox-unavailable", f"the box's helper cannot be started: {error}", reason="helper"
                        ) from error

    def close(self) -> None:
        """Let the zygote go: it ends with its last helper."""
        with self._lock:
            self._drop()

    def _ensure(self) -> _socket.socket:
        if self._socket is not None and self._owner == os.getpid():
            return self._socket
        if self._socket is not None:
            self._socket.close()  # a fork's copy
        elif not self._owner:
            atexit.register(self._leave)
        self._socket, self._pid, self._owner = *_start_zygote(), os.getpid()
        return self._socket

    def _leave(self) -> None:
        """The process ends; nothing is waited for."""
        if self._socket is not None:
            self._socket.close()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._pid and self._owner == os.getpid():
            threading.Thread(target=_reap, args=(self._pid,), daemon=True).start()
        self._pid = 0


zygote = ZygoteClient()  # of this process


def _start_zygote() -> tuple[_socket.socket, int]:
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    engine = os.pidfd_open(os.getpid())
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    argv = [sys.executable, "-I", "-S", "-c", _START, root]
    actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0), (os.POSIX_SPAWN_DUP2, engine, 1)]
    try:
        pid = os.posix_spawn(argv[0], argv, {}, file_actions=actions, setsid=True, setsigmask=[])
    except OSError as error:
        ours.close()
        raise Unable("sandbox-unavailable", f"cannot start {argv[0]}: {error}", reason="helper") from error
    finally:
        theirs.close()
        os.close(engine)
    return ours, pid


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except OSError:
        pass
