"""The registrar of a box with one uid: who is said to own what, and who says to be whom.

Where the kernel gives a box but one uid, changes of owner and user cannot be done; but they can be remembered. The
box's processes are under a seccomp program that asks here (seccomp_unotify(2)) about the calls that change owners and
users and those that look at them:

    an owner     is written beside the file, in its attribute ``user.warpforge.owner``; what has none belongs to root,
                 or to whoever asks, if it was made since the box began
    a user       belongs to a process: its soft limit of file locks, which Linux has not looked at since 2.4, is a
                 number in our table; so it is handed on by fork and execve, and ends with its process

Nothing is permitted by it that was not before: to the kernel everything is the one uid's. Files of the host keep their
owners. Whatever cannot be found out is answered by the kernel, as if nobody had asked; a change is said to be done.
The registrar is a process beside the box's first, in its outer pid namespace: no process of the box can see it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import resource
import stat
import struct
import time

from warpforge.fsx.linux import RESOLVE_NO_MAGICLINKS, libc, openat2
from warpforge.sandbox.creds import NOBODY, Creds, Refused, change_ids, count_ids
from warpforge.sandbox.kernel import CLONE_NEWNS, PR_SET_PDEATHSIG, prctl, setns
from warpforge.sandbox.notices import Listener, Notice, Unknown
from warpforge.sandbox.said import read_owner, write_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LOCKS = 10  # RLIMIT_LOCKS
_HERE = -100  # AT_FDCWD
_NO_FOLLOW, _EMPTY = 0x100, 0x1000  # AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH
_SIGKILL = 9
_GROUPS = 65536
_MANY = 65536  # that a box may say to be
_OWN = re.compile(rb"/proc/(?:thread-)?self/(fd/\d+|cwd|root|exe)/?")  # what is a process's own for sure
_X86 = os.uname().machine == "x86_64"
_STAT_SIZE, _STAT_UID = (144, 28) if _X86 else (128, 24)
_STATX_SIZE, _STATX_UID = 256, 20
_FSTATAT, _STATX = (262, 332) if _X86 else (79, 291)


class Registrar:
    """``person``: uid, gid and further gids that the box's command begins with.
    ``foreign``: the paths at which directories of the host lie. ``has_owners``: whether files have owners already."""

    def __init__(
        self,
        listener: Listener,
        person: tuple[int, int, tuple[int, ...]],
        foreign: Sequence[bytes],
        *,
        has_owners: bool,
    ) -> None:
        self._listener = listener
        uid, gid, groups = person
        self._first = Creds((uid, uid, uid), (gid, gid, gid), groups, keeps=False)
        self._table: list[Creds] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._foreign = foreign
        self._has_owners = has_owners
        self._began = time.time_ns()
        self._proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._inside = False

    def serve(self) -> None:
        """Until no process is left that could ask."""
        while (notice := self._listener.hear()) is not None:
            try:
                self._listener.answer(notice, _CALLS[notice.name](self, notice))
            except Refused as error:
                self._listener.refuse(notice, error.number)
            except (Unknown, OSError):
                self._listener.pass_on(notice)

    # users

    def _said(self, notice: Notice) -> Creds | None:
        """What its process has said to be, if anything."""
        if not self._table:
            return None
        soft, _ = resource.prlimit(notice.pid, _LOCKS)
        return self._table[soft] if 0 <= soft < len(self._table) else None

    def _creds(self, notice: Notice) -> Creds:
        return self._said(notice) or self._first

    def _say(self, notice: Notice, creds: Creds) -> int:
        index = self._known.get(creds.key)
        if index is None:
            if len(self._table) >= _MANY:
                raise Refused(errno.EAGAIN)
            index = self._known[creds.key] = len(self._table)
            self._table.append(creds)
        _, hard = resource.prlimit(notice.pid, _LOCKS)
        resource.prlimit(notice.pid, _LOCKS, (index, hard))
        return 0

    def _get(self, notice: Notice) -> int:
        creds = self._said(notice)
        if creds is None:
            raise Unknown
        ids = creds.uids if notice.name.endswith("uid") else creds.gids
        if "res" in notice.name:
            for address, one in zip(notice.args, ids, strict=False):
                self._listener.write(notice, address, struct.pack("<I", one))
            return 0
        return ids["e" in notice.name[3]]

    def _get_groups(self, notice: Notice) -> int:
        creds = self._said(notice)
        if creds is None:
            raise Unknown
        count = len(creds.groups)
        if room := notice.number(0):
            if room < count:
                raise Refused(errno.EINVAL)
            self._listener.write(notice, notice.args[1], struct.pack(f"<{count}I", *creds.groups))
        return count

    def _set_groups(self, notice: Notice) -> int:
        creds = self._creds(notice)
        count = notice.number(0)
        if not creds.may_change_gids:
            raise Refused(errno.EPERM)
        if count > _GROUPS:
            raise Refused(errno.EINVAL)
        groups = struct.unpack(f"<{count}I", self._listener.read(notice, notice.args[1], 4 * count))
        return self._say(notice, Creds(creds.uids, creds.gids, groups, keeps=creds.keeps))

    def _set(self, notice: Notice) -> int:
        creds = self._creds(notice)
        wanted = [notice.number(index) for index in range(count_ids(notice.name))]
        return self._say(notice, change_ids(creds, notice.name, wanted))

    def _keep(self, notice: Notice) -> int:
        creds = self._creds(notice)
        keeps = bool(notice.number(1)) and 0 in creds.uids
        self._say(notice, Creds(creds.uids, creds.gids, creds.groups, keeps=keeps))
        raise Unknown

    def _set_fs(self, notice: Notice) -> int:
        creds = self._creds(notice)
        return (creds.uids if notice.name.endswith("uid") else creds.gids)[1]

    # owners

    def _chown(self, notice: Notice) -> int:
        if notice.name == "fchownat":
            fd, path, follows = notice.descriptor(0), notice.args[1], not notice.number(4) & _NO_FOLLOW
            uid, gid = notice.number(2), notice.number(3)
        elif notice.name == "fchown":
            fd, path, follows, uid, gid = notice.descriptor(0), 0, True, notice.number(1), notice.number(2)
        else:
            fd, path, follows = _HERE, notice.args[0], notice.name == "chown"
            uid, gid = notice.number(1), notice.number(2)
        try:
            opened = self._open(notice, fd, path, follows=follows)
        except Unknown:
            return 0
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.EBADF):
                raise Refused(error.errno) from None
            if error.errno == errno.ENOENT and not self._listener.text(notice, path).startswith((b"/proc/", b"/dev/")):
                raise Refused(error.errno) from None
            return 0  # such as /dev/stdout, which leads to what is only its own
        try:
            self._give(notice, opened, uid, gid)
        finally:
            os.close(opened)
        return 0

    def _give(self, notice: Notice, opened: int, uid: int, gid: int) -> None:
        creds, place = self._creds(notice), b"self/fd/%d" % opened
        old = self._find_owner(opened, creds) or (0, 0)
        new = (old[0] if uid == NOBODY else uid, old[1] if gid == NOBODY else gid)
        if creds.uids[1] and (old[0] != creds.uids[1] or new[0] != old[0]):
            raise Refused(errno.EPERM)
        where = os.readlink(place)
        if any(where == top or where.startswith(top + b"/") for top in self._foreign):
            return
        try:
            write_owner(place, *new)
            self._has_owners = True
        except OSError:
            pass  # a symlink, or a file system without attributes

    def _stat(self, notice: Notice) -> int:
        said = self._said(notice)
        if not self._has_owners and said is None:
            raise Unknown
        is_statx = notice.name == "statx"
        if notice.name == "fstat":
            fd, path, address, flags = notice.descriptor(0), 0, notice.args[1], _EMPTY
        elif notice.name in ("stat", "lstat"):
            fd, path, address = _HERE, notice.args[0], notice.args[1]
            flags = 0 if notice.name == "stat" else _NO_FOLLOW
        else:
            fd, path, flags = notice.descriptor(0), notice.args[1], notice.number(2 if is_statx else 3)
            address = notice.args[4 if is_statx else 2]
        opened = self._open(notice, fd, path, follows=not flags & _NO_FOLLOW)
        try:
            owner = self._find_owner(opened, said)
            if owner is None:
                raise Unknown
            size, at = (_STATX_SIZE, _STATX_UID) if is_statx else (_STAT_SIZE, _STAT_UID)
            buffer = ctypes.create_string_buffer(size)
            long = ctypes.c_long
            if is_statx:
                rest = (long(flags & 0x6000 | _EMPTY), long(notice.number(3)), buffer)
                result = libc.syscall(long(_STATX), long(opened), b"", *rest)
            else:
                result = libc.syscall(long(_FSTATAT), long(opened), b"", buffer, long(_EMPTY))
            if result:
                raise Unknown
        finally:
            os.close(opened)
        data = bytearray(buffer.raw)
        struct.pack_into("<2I", data, at, *owner)
        self._listener.write(notice, address, bytes(data))
        return 0

    def _find_owner(self, opened: int, said: Creds | None) -> tuple[int, int] | None:
        """None: as the kernel has it."""
        owner = read_owner(b"self/fd/%d" % opened)
        if owner is not None or said is None:
            return owner
        seen = os.fstat(opened)
        kinds = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFSOCK, stat.S_IFIFO)
        if seen.st_uid or seen.st_ctime_ns < self._began or stat.S_IFMT(seen.st_mode) not in kinds:
            return None
        return said.uids[1], said.gids[1]

    def _open(self, notice: Notice, fd: int, address: int, *, follows: bool) -> int:
        """What a call means, as a descriptor that only names it. Raises OSError, Unknown."""
        self._enter(notice)
        text = self._listener.text(notice, address) if address else b""
        own = _OWN.fullmatch(text)
        base = b"%d/" % notice.pid
        if own:
            base, text = base + own[1], b""
        elif text.startswith(b"/"):
            base, text = base + b"root", text.lstrip(b"/") or b"."
        else:
            base += b"cwd" if fd == _HERE else b"fd/%d" % fd
        opened = os.open(base, os.O_PATH | os.O_CLOEXEC)
        if text:
            around, flags = opened, os.O_PATH | (0 if follows else os.O_NOFOLLOW)
            try:
                # no link of /proc: we may follow those of processes that the box may not look at
                opened = openat2(around, text, flags, resolve=RESOLVE_NO_MAGICLINKS)
            finally:
                os.close(around)
        self._listener.check(notice)
        return opened

    def _enter(self, notice: Notice) -> None:
        """Into the box's mounts, so that its paths mean to us what they mean to it, and lead nowhere else. Our
        directory is the /proc in which the box's processes have the pids that we are told."""
        if self._inside:
            return
        namespace = os.open(b"/proc/%d/ns/mnt" % notice.pid, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.path.samestat(os.fstat(namespace), os.stat("/proc/self/ns/mnt")):
                raise Unknown  # it is only on its way into the box
            setns(namespace, CLONE_NEWNS)
        finally:
            os.close(namespace)
        os.fchdir(self._proc)
        self._inside = True


_CALLS = {
    **dict.fromkeys(("chown", "fchown", "lchown", "fchownat"), Registrar._chown),
    **dict.fromkeys(("stat", "fstat", "lstat", "newfstatat", "statx"), Registrar._stat),
    **dict.fromkeys(("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid"), Registrar._set),
    **dict.fromkeys(("setfsuid", "setfsgid"), Registrar._set_fs),
    **dict.fromkeys(("getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid"), Registrar._get),
    "prctl": Registrar._keep,
    "getgroups": Registrar._get_groups,
    "setgroups": Registrar._set_groups,
}
CALLS = tuple(_CALLS)


def start(registrar: Registrar) -> None:
    """Fork it. It ends with the caller, or with its box."""
    if os.fork():
        return
    try:
        prctl(PR_SET_PDEATHSIG, _SIGKILL)
        registrar.serve()
    finally:
        os._exit(0)
