"""A process of our own beside this one: a fresh interpreter that runs one function of ours, and two pipes to it.

Fresh, not forked: a forked child would hold whatever threads and files its parent had. It starts fast, for it reads
neither site nor environment, and imports only what its function needs. It ends with its stdin.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_VECTORS = 1000  # what one writev takes, with some room
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_STANDARD = 3  # descriptors below it are stdin, stdout and stderr


class Companion:
    """Runs ``main(*fds)`` of a module, the descriptors under their numbers here; ``imports``: where it imports from.

    ``main`` writes "+" to its stdout when it is ready: ``wait`` for that. It has a session of its own: what the
    terminal, or ``timeout``, sends to all of a command's processes is for us to hear, who may need it for the end.
    Raises OSError when it cannot be started.
    """

    def __init__(self, module: str, fds: Sequence[int], imports: Sequence[str] = ()) -> None:
        theirs, self.sink = map(_beyond_standard, os.pipe())
        self.source, answers = map(_beyond_standard, os.pipe())
        # a descriptor that is duplicated onto itself is inherited
        actions = [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in fds]
        actions += [(os.POSIX_SPAWN_DUP2, theirs, 0), (os.POSIX_SPAWN_DUP2, answers, 1)]
        # it ends at once: somebody waits for that, and the interpreter would take its time to take itself apart
        body = f"from {module} import main; main{(*fds,)}; os._exit(0)"
        start = f"import os, sys; sys.path[:0] = sys.argv[1:]; {body}"
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", start, _HOME, *imports],
                {},
                file_actions=actions,
                setsid=True,
            )
        except OSError:
            os.close(self.sink)
            os.close(self.source)
            raise
        finally:
            os.close(theirs)
            os.close(answers)
        _widen(self.sink)

    def wait(self) -> None:
        """Until it is ready. Raises OSError, and then it is closed, when it never will be."""
        if os.read(self.source, 1) != b"+":
            self.close()
            raise OSError(errno.ECHILD, "a companion process did not start")

    def write(self, parts: list[bytes]) -> None:
        """To its stdin. Raises OSError (EPIPE) when it is gone."""
        for at in range(0, len(parts), _VECTORS):
            _write_all(self.sink, parts[at : at + _VECTORS])

    def kill(self) -> None:
        """End it at once; ``close`` it still."""
        os.kill(self.pid, 9)

    def close(self) -> None:
        """End it when it is done, and wait for it."""
        os.close(self.sink)
        os.close(self.source)
        os.waitpid(self.pid, 0)


def _beyond_standard(fd: int) -> int:
    """The same pipe under a number that is not stdin's, stdout's or stderr's: these may be closed here."""
    if fd >= _STANDARD:
        return fd
    import fcntl

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _STANDARD)
    os.close(fd)
    return moved


def _widen(fd: int) -> None:
    """Let a pipe hold a whole batch, where that is allowed."""
    import fcntl

    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 1 << 20)
    except OSError:
        pass


def _write_all(fd: int, parts: list[bytes]) -> None:
    written = os.writev(fd, parts)
    left = sum(map(len, parts)) - written
    if left:
        view = memoryview(b"".join(parts))[written:]
        while view:
            view = view[os.write(fd, view) :]


def read_exactly(buffer: bytearray, size: int, fd: int = 0) -> memoryview:
    """The next ``size`` bytes of a pipe, in the buffer; empty at the end of it, whoever died there."""
    if size > len(buffer):
        buffer.extend(bytes(size - len(buffer)))
    view = memoryview(buffer)[:size]
    at = 0
    while at < size:
        count = os.readv(fd, [view[at:]])
        if not count:
            return view[:0]
        at += count
    return view
