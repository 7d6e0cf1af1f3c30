"""The visitor: a process that enters a running box and does one thing there; see ``visit`` for what there is to ask.

It comes by the pidfd of the box's command. It is of the box's namespaces then, and under its filter when it executes
something; whatever it starts ends with the box.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import marshal
import os
import select
import stat

from warpforge.fsx.linux import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from warpforge.sandbox.capabilities import drop_capabilities
from warpforge.sandbox.identity import become
from warpforge.sandbox.kernel import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    PR_SET_PDEATHSIG,
    install_filter,
    prctl,
    reset_signals,
    setns,
)
from warpforge.sandbox.people import Impossible, find_named
from warpforge.sandbox.rights import receive_rights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIGKILL = 9
_TIOCSCTTY = 0x540E
_LONGEST = 1 << 22
_CHUNK = 1 << 16
_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_NEW = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP


def run(descriptors: list[int], guards: tuple[int, int]) -> None:
    """Serve one visit and exit."""
    status = 1
    try:
        os.setsid()
        _visit(descriptors, guards)
        status = 0
    finally:
        os._exit(status)


def _visit(descriptors: list[int], guards: tuple[int, int]) -> None:
    channel_fd, pidfd, userns, netns, stdin, out, err = descriptors
    channel = _socket.socket(fileno=channel_fd)
    data, _ = receive_rights(channel, _LONGEST, 1)
    order: dict[str, Any] = marshal.loads(data)
    try:
        if order["owner"]:
            become(*order["owner"])
        setns(userns, CLONE_NEWUSER)
        setns(netns, CLONE_NEWNET)
        # the user namespace last: some of the others belong to ones around it
        setns(pidfd, _NEW)
        setns(pidfd, CLONE_NEWUSER)
        answer = _DEEDS[order["do"]](order, (stdin, out, err), (channel_fd, *guards))
    except OSError as error:
        answer = b"error %d %s" % (error.errno or 0, (error.strerror or str(error)).encode())
    except Impossible as error:
        answer = f"impossible {error.what} {error}".encode(errors="surrogateescape")
    try:
        channel.send(answer)
    except OSError:
        pass  # nobody waits for it


def _execute(order: dict[str, Any], stdio: tuple[int, int, int], lifelines: tuple[int, ...]) -> bytes:
    """``lifelines``: the channel, on which numbers of signals may come, and what we end with."""
    if order["user"]:
        _choose_person(order)
    _check_directory(order)
    trouble, tell = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise OSError(errno.ESRCH, os.strerror(errno.ESRCH)) from None  # what a box that is just ending says
    if pid == 0:
        try:
            _become_command(order, stdio, tell)
        except OSError as error:
            os.write(tell, b"%d" % (error.errno or 0))
        finally:
            os._exit(126)
    os.close(tell)
    for fd in stdio:
        os.close(fd)
    if number := os.read(trouble, 16):
        os.waitpid(pid, 0)
        return b"error %d %s" % (int(number), os.strerror(int(number)).encode())
    _guard(pid, lifelines)
    return b"exit %d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _choose_person(order: dict[str, Any]) -> None:
    """Somebody else than who the box's command began as, by what its files say now. Raises Impossible."""
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    found = find_named(root, order["user"])
    os.close(root)
    uid, gid, _ = order["person"]
    if not order["many"] and (found.uid, found.gid) != (uid, gid):
        raise Impossible("one-uid", f"the box has one uid, which is {uid} with the group {gid}, not {found.uid}")
    order["person"] = found.uid, found.gid, found.groups
    if order["home"]:
        order["home"] = found.home


def _check_directory(order: dict[str, Any]) -> None:
    """One that was asked for is there; the box's own may have gone. Raises Impossible."""
    if order["workdir"]:
        order["cwd"] = os.path.join(order["cwd"], order["workdir"])
        if not os.path.isdir(order["cwd"]):
            raise Impossible("cwd", f"the box has no directory {os.fsdecode(order['cwd'])}")


def _guard(pid: int, lifelines: tuple[int, ...]) -> None:
    """Until it has ended, or until it is to end with those who asked for it."""
    child = os.pidfd_open(pid)
    poll = select.poll()
    for fd in (child, *lifelines):
        poll.register(fd, select.POLLIN)
    while child not in (ready := {fd for fd, _ in poll.poll()}):
        said = os.read(lifelines[0], 16) if ready == {lifelines[0]} else b""
        try:
            os.kill(-pid, int(said) if said else _SIGKILL)
        except ProcessLookupError:
            pass
        if not said:
            return


def _become_command(order: dict[str, Any], stdio: tuple[int, int, int], tell: int) -> None:
    prctl(PR_SET_PDEATHSIG, _SIGKILL)
    os.setsid()
    for number, fd in enumerate(stdio):
        os.dup2(fd, number)
    if order["terminal"]:
        fcntl.ioctl(0, _TIOCSCTTY, 0)
    os.closerange(3, tell)
    os.closerange(tell + 1, 1 << 16)
    os.umask(0o022)
    try:
        os.chdir(order["cwd"])
    except OSError:
        os.chdir("/")
    if order["many"]:
        uid, gid, groups = order["person"]
        os.setgroups(groups)
        os.setresgid(gid, gid, gid)
        # a uid that is not 0 loses the rest by becoming itself
        drop_capabilities(order["capabilities"], bounding=order["capabilities"])
        os.setresuid(uid, uid, uid)
    else:
        drop_capabilities(0, bounding=0)
    reset_signals()
    install_filter(order["filter"])
    _search(order["argv"], {b"HOME": order["home"], **order["env"]})


def _search(argv: list[bytes], env: dict[bytes, bytes]) -> None:
    """As execvp(3); the standard library's imports things that are not in the box."""
    name = argv[0]
    directories = [b""] if b"/" in name else env.get(b"PATH", b"/bin:/usr/bin").split(b":")
    denied: OSError | None = None
    for directory in directories:
        try:
            os.execve(os.path.join(directory, name), argv, env)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                denied = error
    raise denied or OSError(errno.ENOENT, os.strerror(errno.ENOENT))


def _read(order: dict[str, Any], stdio: tuple[int, int, int], lifelines: tuple[int, ...]) -> bytes:
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with os.fdopen(openat2(root, order["path"], os.O_RDONLY | os.O_NONBLOCK, resolve=_INSIDE), "rb") as file:
        while data := file.read(_CHUNK):
            _write_all(stdio[1], data)
    return b"exit 0"


def _write(order: dict[str, Any], stdio: tuple[int, int, int], lifelines: tuple[int, ...]) -> bytes:
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    fd = openat2(root, order["path"], flags, 0o644, resolve=_INSIDE)
    while data := os.read(stdio[0], _CHUNK):
        _write_all(fd, data)
    os.close(fd)
    return b"exit 0"


def _list(order: dict[str, Any], stdio: tuple[int, int, int], lifelines: tuple[int, ...]) -> bytes:
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if stat.S_ISDIR(os.fstat(openat2(root, order["path"], os.O_PATH, resolve=_INSIDE)).st_mode):
        directory = openat2(root, order["path"], os.O_RDONLY | os.O_DIRECTORY, resolve=_INSIDE)
        found = [_look(directory, os.fsencode(name)) for name in sorted(os.listdir(directory))]
    else:
        found = [_look(root, order["path"].strip(b"/"))]
    _write_all(stdio[1], marshal.dumps(found))
    return b"exit 0"


def _look(dir_fd: int, path: bytes) -> tuple[object, ...]:
    status = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
    target = os.readlink(path, dir_fd=dir_fd) if stat.S_ISLNK(status.st_mode) else b""
    facts = status.st_mode, status.st_uid, status.st_gid, status.st_size
    times = status.st_atime, status.st_ctime, status.st_mtime
    return (os.path.basename(path), target, *facts, *times)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


_DEEDS = {"execute": _execute, "read": _read, "write": _write, "list": _list}
