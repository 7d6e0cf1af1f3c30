"""The system calls that make a box, as thin functions that raise OSError.

Constants are from linux/mount.h, linux/sched.h, linux/prctl.h and linux/keyctl.h.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

from warpforge.fsx.linux import check, libc, syscall

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_IDMAP = 0x00100000
OPEN_TREE_CLONE = 1
AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000
MOVE_MOUNT_F_EMPTY_PATH = 0x4

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
TIOCSCTTY = 0x540E
ADDR_NO_RANDOMIZE = 0x0040000
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_NEW_LISTENER = 1 << 3
SECCOMP_WAIT_KILLABLE = 1 << 5
KEYCTL_JOIN_SESSION_KEYRING = 1


# linux/pidfd.h, since 6.15: an ioctl of a pidfd tells how its process ended, whoever reaped it
_PIDFD_INFO = struct.Struct("QQ11Ii")
_PIDFD_GET_INFO = 3 << 30 | _PIDFD_INFO.size << 16 | 0xFF << 8 | 11
_PIDFD_INFO_EXIT = 1 << 3


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int, options: bytes | None = None) -> None:
    """mount(2)."""
    check(libc.mount(source, target, kind, ctypes.c_ulong(flags), options), target)


def unmount(target: bytes) -> None:
    """umount2(2), lazily: the whole tree below goes with it."""
    check(libc.umount2(target, MNT_DETACH), target)


def unshare(flags: int) -> None:
    """unshare(2)."""
    check(libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, kind: int) -> None:
    """setns(2)."""
    check(libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)))


def send_signal(pidfd: int, number: int) -> None:
    """pidfd_send_signal(2)."""
    syscall("pidfd_send_signal", pidfd, number, None, 0)


def read_end(pidfd: int) -> int | None:
    """The wait status of a process that was reaped by somebody else; None where the kernel does not tell."""
    buffer = bytearray(_PIDFD_INFO.pack(_PIDFD_INFO_EXIT, *[0] * 13))
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
    except OSError:
        return None
    found = _PIDFD_INFO.unpack(buffer)
    return int(found[-1]) if found[0] & _PIDFD_INFO_EXIT else None


def install_filter(program: bytes) -> None:
    """Put this process, and whatever it becomes, under a seccomp program."""
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))  # struct sock_fprog
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    mode = ctypes.c_ulong(SECCOMP_MODE_FILTER)
    check(libc.prctl(ctypes.c_int(PR_SET_SECCOMP), mode, ctypes.create_string_buffer(head, len(head))))


def install_listener(program: bytes) -> int:
    """As ``install_filter``, with a descriptor on which is told what the program has told. Raises OSError where the
    kernel cannot, or somebody around us listens already."""
    code = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    try:
        return syscall("seccomp", SECCOMP_SET_MODE_FILTER, SECCOMP_NEW_LISTENER | SECCOMP_WAIT_KILLABLE, head)
    except OSError:  # before 5.19 a signal may interrupt a call that is being answered
        return syscall("seccomp", SECCOMP_SET_MODE_FILTER, SECCOMP_NEW_LISTENER, head)


def rename_process(title: bytes) -> None:
    """Give this process another name and command line: others see them in /proc, and a fork has its parent's."""
    libc.prctl(ctypes.c_int(PR_SET_NAME), ctypes.create_string_buffer(title[:15]))
    with open("/proc/self/stat", "rb") as file:
        words = file.read().rpartition(b")")[2].split()
    start, end = int(words[45]), int(words[46])  # fields 48 and 49 of proc(5)'s stat: arg_start, arg_end
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, title, min(len(title), end - start - 1))


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument."""
    zero = ctypes.c_ulong(0)
    check(libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero))


def control_terminal(fd: int) -> None:
    """Make a terminal the controlling one of our session, which we lead: ioctl_tty(2)."""
    check(libc.ioctl(ctypes.c_int(fd), ctypes.c_ulong(TIOCSCTTY), ctypes.c_int(0)))


def fix_addresses() -> None:
    """personality(2): what we execute from now on has its memory at the same addresses every time."""
    check(libc.personality(ctypes.c_ulong(ADDR_NO_RANDOMIZE)))


def reset_signals() -> None:
    """Every signal at its default and none blocked: libc refuses to touch two of them, which posix_spawn(3) ignores."""
    action, restore = (13, 14) if os.uname().machine == "x86_64" else (134, 135)
    default = ctypes.create_string_buffer(32)  # SIG_DFL, no flags, empty mask
    for number in range(1, 65):
        libc.syscall(ctypes.c_long(action), ctypes.c_long(number), default, None, ctypes.c_long(8))
    set_mask = 2
    libc.syscall(ctypes.c_long(restore), ctypes.c_long(set_mask), default, None, ctypes.c_long(8))


def join_session_keyring() -> None:
    """Leave the caller's session keyring for a new, empty one. A kernel without keys has nothing to hide."""
    try:
        syscall("keyctl", KEYCTL_JOIN_SESSION_KEYRING, None)
    except OSError:
        pass


def open_tree(path: bytes) -> int:
    """A detached copy of the mounts at ``path``, with those below it; the descriptor is close-on-exec."""
    at_fdcwd = -100
    return syscall("open_tree", at_fdcwd, path, OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC)


def move_mount(tree_fd: int, target: bytes) -> None:
    """Attach a detached mount at ``target``."""
    syscall("move_mount", tree_fd, b"", -100, target, MOVE_MOUNT_F_EMPTY_PATH)


def set_mount(dir_fd: int, path: bytes, attributes: int, *, userns_fd: int = 0) -> None:
    """mount_setattr(2) on the mount at ``path`` (or on ``dir_fd`` itself when it is empty) and all below it.

    Attributes are only ever added, so flags that the mount already has stay.
    """
    attr = _MountAttr(attributes, 0, 0, userns_fd)
    syscall("mount_setattr", dir_fd, path, AT_RECURSIVE | (0 if path else AT_EMPTY_PATH), attr, ctypes.sizeof(attr))
