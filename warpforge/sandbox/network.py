"""A network for several boxes, as the engine sees it: made, asked, and gone with its keeper.

Everything in it has IPv4 addresses of its own (``addresses``). Out of it leads a user-mode stack, slirp4netns, where
it is installed: it needs no privilege of anybody, reaches what this machine reaches, and never the machine's own
loopback. Into it leads what is carried (``carry``) from sockets that the engine opened on the host.
"""

from __future__ import annotations

import array
import itertools
import json
import os
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from warpforge.errors import Unable
from warpforge.fsx.companion import Companion
from warpforge.sandbox.ids import Ids

STACK: Final = "slirp4netns"
_LONGEST: Final = 1 << 20
_USUAL: Final = "/usr/bin:/usr/local/bin:/bin"
_TUN: Final = "/dev/net/tun"
Target = tuple[str, int]


class Link:
    """One box's place in a network: its address, and its network namespace, held open."""

    def __init__(self, address: str, netns_fd: int) -> None:
        self.address: Final = address
        self.netns_fd = netns_fd

    def close(self) -> None:
        """Give the descriptor back; may be called again."""
        if self.netns_fd >= 0:
            os.close(self.netns_fd)
            self.netns_fd = -1


class Network:
    """Made when it is; close it. ``owner`` and ``ids``: as for the boxes in it. May be used from many threads.

    Errors of all calls: ``sandbox-unavailable`` (network).
    """

    def __init__(self, owner: tuple[int, int] | None, ids: Ids | None, *, stack: str | None = None) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = find_stack() if stack is None else stack
        config = {
            "owner": owner,
            "stack": program,
            "tools": ids.tools if ids else (),
            "uids": ids.uids if ids else (),
            "gids": ids.gids if ids else (),
        }
        self._ours.send(json.dumps(config).encode())
        try:
            self._keeper = Companion("warpforge.sandbox.keeper", [theirs.fileno()])
        except OSError as error:
            self._ours.close()
            raise _unavailable(str(error)) from error
        finally:
            theirs.close()
        try:
            self._keeper.wait()
        except OSError as error:
            self._ours.close()
            raise _unavailable("no network namespace can be made and wired here; see warpforge healthcheck") from error
        self.userns_fd = -1
        try:
            self.userns_fd = os.open(f"/proc/{self._keeper.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            trouble = self._ask({"do": "begin"})[0]["trouble"]
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise _unavailable("its keeper is gone") from error
            raise
        self.trouble: Final[str] = _say(trouble)

    def link(self) -> Link:
        """A place for one box."""
        answer, fds = self._ask({"do": "link"})
        return Link(answer["address"], fds[0])

    def unlink(self, link: Link) -> None:
        """A box's place is needed no more."""
        link.close()
        self._ask({"do": "unlink", "address": link.address})

    def add_address(self) -> str:
        """An address that is no box's, for what is carried within the network."""
        address: str = self._ask({"do": "virtual"})[0]["address"]
        return address

    def name(self, names: Mapping[str, str]) -> None:
        """From now on these names, and no others, mean these addresses."""
        self._ask({"do": "names", "names": dict(names)})

    def open_socket(self, protocol: str = "tcp") -> socket.socket:
        """A socket of the network."""
        _, fds = self._ask({"do": "socket", "protocol": protocol})
        return socket.socket(fileno=fds[0])

    def carry(self, protocol: str, source: socket.socket | Target, targets: Sequence[Target]) -> int:
        """Carry what comes to a socket of the host's (which is closed here), or to an address of the network, to one
        of the targets in turn; a number to speak of it by. Errors: also when nothing can listen there."""
        number = next(self._numbers)
        request: dict[str, Any] = {"do": "carry", "id": number, "protocol": protocol, "targets": list(targets)}
        if isinstance(source, tuple):
            self._ask({**request, "address": source[0], "port": source[1]})
        else:
            with source:
                self._ask({**request, "address": ""}, source.fileno())
        return number

    def retarget(self, number: int, targets: Sequence[Target]) -> None:
        """Other targets for what is carried."""
        self._ask({"do": "targets", "id": number, "targets": list(targets)})

    def drop(self, number: int) -> None:
        """Carry it no more."""
        self._ask({"do": "drop", "id": number})

    def close(self) -> None:
        """End it; boxes in it should have ended. May be called again."""
        with self._lock:
            if self._ours.fileno() < 0:
                return
            self._ours.close()
            if self.userns_fd >= 0:
                os.close(self.userns_fd)
        self._keeper.close()

    def _ask(self, request: dict[str, Any], fd: int = -1) -> tuple[dict[str, Any], list[int]]:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
        with self._lock:
            try:
                self._ours.sendmsg([json.dumps(request).encode()], rights)
                data, ancillary, _, _ = self._ours.recvmsg(_LONGEST, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
            except OSError as error:
                raise _unavailable("its keeper is gone") from error
        if not data:
            raise _unavailable("its keeper is gone")
        answer = json.loads(data)
        if "error" in answer:
            raise _unavailable(answer["text"], errno=answer["error"])
        return answer, array.array("i", ancillary[0][2]).tolist() if ancillary else []


def find_stack(search: str = _USUAL) -> str:
    """The program of the user-mode stack; empty when it is not installed."""
    for directory in search.split(":"):
        if os.access(path := f"{directory}/{STACK}", os.X_OK):
            return path
    return ""


def _say(trouble: str) -> str:
    if not trouble:
        return ""
    if trouble == "no-stack":
        what, advice = f"{STACK} is not installed", f"install it (Debian: apt-get install {STACK})"
    elif not os.access(_TUN, os.R_OK | os.W_OK):
        what, advice = f"{_TUN} may not be opened", f"have an administrator allow it (chmod 666 {_TUN})"
    else:
        what, advice = f"{STACK} did not start", "see warpforge healthcheck"
    return f"boxes reach each other, and nothing beyond this machine: {what}; {advice}"


def _unavailable(text: str, errno: int | None = None) -> Unable:
    return Unable("sandbox-unavailable", f"the network of the job: {text}", reason="network", errno=errno)
