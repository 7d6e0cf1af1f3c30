"""RUN --mount=type=ssh: a socket in the box of a RUN, behind which the ssh agent of whoever builds is asked.

The agent's own socket would not do: under root boxes are somebody else, whom an agent does not answer. Keys never come
into a box, only what the agent says; and only as long as the command runs.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from warpforge.errors import Missing
from warpforge.polytope.dockerfile.beside import give_to_box
from warpforge.sandbox.spec import Mount

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.polytope.dockerfile.run_mounts import RunMount

VARIABLE: Final = "SSH_AUTH_SOCK"
_ADVICE: Final = "have one answer there (`eval $(ssh-agent)`, `ssh-add`)"
_NAME: Final = "agent"
_QUEUE: Final = 16
_PIECE: Final = 1 << 16


@contextmanager
def open_agent(engine: Engine, mounts: Sequence[RunMount]) -> Iterator[tuple[list[Mount], dict[str, str]]]:
    """The sockets, and the variable that names the first; nothing where no agent answers and none is required.

    Errors: ``missing`` (ssh-agent), ``store``.
    """
    agent = engine.reach.access.ssh_agent
    if not mounts or not _answers(agent):
        if any(mount.is_required for mount in mounts):
            where = f" at {agent}, as {VARIABLE} says" if agent else f", for {VARIABLE} names none"
            what = f"RUN --mount=type=ssh: there is no ssh agent{where}: {_ADVICE}"
            raise Missing("missing", what, reason="ssh-agent")
        yield [], {}
        return
    with engine.store.scratched("ssh") as directory:
        sockets = []
        try:
            for number, mount in enumerate(mounts):
                path = directory / f"{_NAME}-{number}"
                sockets.append(AgentSocket(path, agent))
                path.chmod(mount.number("mode", 0o600, 8))
                give_to_box(engine, path, mount)
            made = [
                Mount(os.fsencode(mount.target), "volume", os.fsencode(own.path))
                for mount, own in zip(mounts, sockets, strict=True)
            ]
            yield made, {VARIABLE: mounts[0].target}
        finally:
            for own in sockets:
                own.close()


def _answers(agent: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(agent)
        return True
    return False


class AgentSocket:
    """Whoever connects to ``path`` talks to ``agent``, until it is closed. Raises OSError."""

    def __init__(self, path: Path, agent: str) -> None:
        self.path: Final = path
        self._agent = agent
        self._listener = socket.socket(socket.AF_UNIX)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._listener.bind(f"/proc/self/fd/{directory}/{path.name}")  # an address is short, however deep it lies
        finally:
            os.close(directory)
        self._listener.listen(_QUEUE)
        self._thread = threading.Thread(target=self._serve, name="ssh agent", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Nobody is let in any more; who is in ends with the box."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                asker, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(asker,), name="ssh agent's asker", daemon=True).start()

    def _talk(self, asker: socket.socket) -> None:
        with asker, socket.socket(socket.AF_UNIX) as agent, suppress(OSError):
            agent.connect(self._agent)
            other = {asker.fileno(): (asker, agent), agent.fileno(): (agent, asker)}
            poll = select.poll()
            for fd in other:
                poll.register(fd, select.POLLIN)
            while True:
                for fd, _ in poll.poll():
                    source, sink = other[fd]
                    data = source.recv(_PIECE)
                    if not data:
                        return
                    sink.sendall(data)
