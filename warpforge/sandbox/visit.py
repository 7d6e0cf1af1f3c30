"""Visits: another command in a running box, or a look at its files."""

from __future__ import annotations

import _socket
import errno
import marshal
import os
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from warpforge.errors import Failed, Missing, Unable, WarpforgeError
from warpforge.sandbox.berth import Resident
from warpforge.sandbox.capabilities import make_mask
from warpforge.sandbox.client import zygote
from warpforge.sandbox.seccomp import make_filter
from warpforge.sandbox.wire import VISIT

_CHUNK: Final = 1 << 16
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR)


class Visit(NamedTuple):
    """Another command for a box. ``env``: besides the box's; ``workdir``, ``user`` (NAME or UID, perhaps with :GROUP):
    else the box's. ``stdio``: descriptors of somebody for stdin, stdout and stderr, which are copied, if it is not its
    output that is wanted; ``is_terminal``: they are one terminal, which becomes its controlling one."""

    argv: Sequence[str]
    env: Mapping[str, str] = MappingProxyType({})
    workdir: str = ""
    user: str = ""
    stdio: Sequence[int] = ()
    is_terminal: bool = False


def execute(resident: Resident, visit: Visit, on_output: Callable[[str, bytes], None]) -> int:
    """Run another command in a box; the exit status, 128 + n for signal n.

    Errors: ``missing`` (reason ``command``, ``user``, ``workdir``), ``io`` (reason ``command``: it cannot be executed),
    ``sandbox-unavailable`` (reason ``ended``; ``one-uid``: the box has no such user).
    """
    return _status(_visit(resident, _make_order(resident, visit), on_output=on_output), visit)


def _make_order(resident: Resident, visit: Visit) -> dict[str, Any]:
    about = resident.about
    return {
        "do": "execute",
        "argv": [os.fsencode(word) for word in visit.argv],
        "env": {**dict(about.env), **{os.fsencode(name): os.fsencode(value) for name, value in visit.env.items()}},
        "home": about.home,
        "cwd": about.cwd,
        "workdir": os.fsencode(visit.workdir),
        "user": os.fsencode(visit.user),
        "terminal": visit.is_terminal,
        "filter": make_filter(os.uname().machine, about.unfiltered, pretending=not about.has_many),
        "capabilities": make_mask(about.capabilities),
    }


class Company:
    """Another command in a box, at somebody's own descriptors. Errors: ``sandbox-unavailable`` (the box has ended)."""

    def __init__(self, resident: Resident, visit: Visit) -> None:
        self._visit = visit
        self._channel = _begin(resident, _make_order(resident, visit), visit.stdio)
        self._lock = threading.Lock()
        self._has_ended = False

    def signal(self, number: int) -> None:
        """Give it, and what it began, a signal; that it has just ended is fine."""
        with self._lock, suppress(OSError):
            if not self._has_ended:
                self._channel.send(b"%d" % number)

    def kill(self) -> None:
        """SIGKILL."""
        with self._lock, suppress(OSError):
            if not self._has_ended:
                self._channel.shutdown(_socket.SHUT_WR)

    def wait(self) -> int:
        """Its exit status, 128 + n for signal n. Once. Errors: as ``execute``."""
        try:
            answer = _hear(self._channel)
        finally:
            with self._lock:
                self._has_ended = True
                self._channel.close()
        return _status(answer, self._visit)


def _hear(channel: _socket.socket) -> bytes:
    """What a visitor says in the end; nothing when it ended without a word."""
    for _ in range(2):
        try:
            return channel.recv(4096)
        except ConnectionResetError:
            pass  # told first, when it ended without having read all: what it said is still there
    return b""


def _status(answer: bytes, visit: Visit) -> int:
    kind, _, rest = answer.decode(errors="surrogateescape").partition(" ")
    number, _, text = rest.partition(" ")
    if kind == "error":
        raise _not_executed(int(number), text, visit.argv[0])
    if kind == "impossible":
        raise _impossible(number, text, visit)
    status = _read_answer(answer, visit.argv[0])
    return status if status >= 0 else 128 - status


def _not_executed(number: int, text: str, name: str) -> WarpforgeError:
    if number in _NOT_THERE:
        why = ", or not what it is to be run by" if "/" in name else ""
        return Missing("missing", f"{name}: there is no such command in the container{why}", reason="command")
    if number == errno.ESRCH:
        return _ended(name)
    return Failed("io", f"{name} cannot be executed: {text}", reason="command")


def _impossible(why: str, text: str, visit: Visit) -> WarpforgeError:
    if why == "one-uid":
        what = f"user {visit.user}: {text}; `pt debug doctor` tells how containers get many"
        return Unable("sandbox-unavailable", what, reason=why)
    return Missing("missing", text, reason="workdir" if why == "cwd" else "user")


def _begin(resident: Resident, order: dict[str, Any], stdio: Sequence[int]) -> _socket.socket:
    """Have a visitor do something with these descriptors; gives the channel to it."""
    try:
        where = resident.copy()
    except ProcessLookupError:
        raise _ended(os.fsdecode(order["argv"][0] if "argv" in order else order["path"])) from None
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    about = resident.about
    try:
        zygote.ask(VISIT, (), [theirs.fileno(), *where, *stdio])
        order |= {"owner": about.owner, "many": about.has_many, "person": about.person}
        with suppress(ConnectionError):  # it has ended already, and that is what will be heard
            ours.send(marshal.dumps(order))
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        for fd in where:
            os.close(fd)
    return ours


def read_file(resident: Resident, path: str) -> bytes:
    """A file of a box as it is now. Errors: ``missing``, ``io``, ``sandbox-unavailable``."""
    found: list[bytes] = []
    answer = _visit(resident, {"do": "read", "path": os.fsencode(path)}, on_output=lambda _, data: found.append(data))
    _read_answer(answer, path)
    return b"".join(found)


def write_file(resident: Resident, path: str, data: bytes) -> None:
    """Make or replace a file of a box. Errors: as ``read_file``."""
    _read_answer(_visit(resident, {"do": "write", "path": os.fsencode(path)}, given=data), path)


def list_files(resident: Resident, path: str) -> list[dict[str, Any]]:
    """The entries of a directory of a box, or one file: name, type, mode, user, group, size-b, and when it was read
    and changed. Errors: as ``read_file``."""
    found: list[bytes] = []
    order = {"do": "list", "path": os.fsencode(path)}
    _read_answer(_visit(resident, order, on_output=lambda _, data: found.append(data)), path)
    return [_describe(*entry) for entry in marshal.loads(b"".join(found))]


def _describe(name: bytes, target: bytes, mode: int, uid: int, gid: int, size: int, *times: float) -> dict[str, Any]:
    kinds = {stat.S_IFIFO: "fifo", stat.S_IFDIR: "dir", stat.S_IFSOCK: "socket", stat.S_IFREG: "file"}
    kinds[stat.S_IFLNK] = "symlink"
    accessed, changed, modified = (
        datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") for when in times
    )
    return {
        "name": os.fsdecode(name),
        "type": kinds.get(stat.S_IFMT(mode), "unknown"),
        "mode": mode & 0o7777,
        "user": uid,
        "group": gid,
        "size-b": size,
        **({"target": os.fsdecode(target)} if target else {}),
        "accessed-ts": accessed,
        "changed-ts": changed,
        "modified-ts": modified,
    }


def _visit(
    resident: Resident,
    order: dict[str, Any],
    *,
    given: bytes = b"",
    on_output: Callable[[str, bytes], None] = lambda name, data: None,
) -> bytes:
    """Have a visitor do something; what it says in the end."""
    stdin, give = os.pipe()
    out, out_write = os.pipe()
    err, err_write = os.pipe()
    try:
        ours = _begin(resident, order, (stdin, out_write, err_write))
    except BaseException:
        for fd in (give, out, err):
            os.close(fd)
        raise
    finally:
        for fd in (stdin, out_write, err_write):
            os.close(fd)
    threads = [
        threading.Thread(target=_pump, args=(fd, name, on_output), daemon=True)
        for fd, name in ((out, "out"), (err, "err"))
    ]
    try:
        for thread in threads:
            thread.start()
        _give(give, given)
        answer = _hear(ours)
        for thread in threads:
            thread.join()
        return answer
    finally:
        ours.close()


def _pump(fd: int, name: str, on_output: Callable[[str, bytes], None]) -> None:
    while data := os.read(fd, _CHUNK):
        on_output(name, data)
    os.close(fd)


def _give(fd: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except BrokenPipeError:
        pass
    finally:
        os.close(fd)


def _read_answer(answer: bytes, what: str) -> int:
    kind, _, rest = answer.decode(errors="replace").partition(" ")
    if kind == "exit":
        return int(rest)
    if kind == "error":
        number, _, text = rest.partition(" ")
        raise _refused(int(number), text, what)
    raise _ended(what)


def _ended(what: str) -> WarpforgeError:
    return Unable("sandbox-unavailable", f"{what}: the box has ended", reason="ended")


def _refused(number: int, text: str, what: str) -> WarpforgeError:
    if number in _NOT_THERE:
        return Missing("missing", f"{what}: there is no such file in the container", path=what)
    if number == errno.ESRCH:
        return _ended(what)
    return Failed("io", f"{what}: {text}", path=what)
