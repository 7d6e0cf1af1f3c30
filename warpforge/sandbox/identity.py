"""Becoming somebody, and the maps of user namespaces: user_namespaces(7)."""

from __future__ import annotations

import os

from warpforge.sandbox.kernel import PR_SET_DUMPABLE, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.sandbox.ids import Lines


def become(uid: int, gid: int) -> None:
    """Leave root for ever."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    prctl(PR_SET_DUMPABLE, 1)  # else /proc/self/uid_map belongs to root


def map_one(uid: int, gid: int) -> None:
    """In a new user namespace: its uid 0 is who we were, and there is nobody else."""
    write_file("/proc/self/setgroups", b"deny")
    write_file("/proc/self/uid_map", b"0 %d 1" % uid)
    write_file("/proc/self/gid_map", b"0 %d 1" % gid)


def make_inner(lines: Lines) -> Lines:
    """The map of a user namespace below one that has these uids already: each range has to lie within one of its."""
    return tuple((inside, inside, count) for inside, _, count in lines)


def make_map(lines: Lines) -> bytes:
    """What such a file takes."""
    return b"\n".join(b"%d %d %d" % (*line,) for line in lines) + b"\n"


def write_file(path: str, data: bytes) -> None:
    """Write one of the kernel's files, in one go."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
