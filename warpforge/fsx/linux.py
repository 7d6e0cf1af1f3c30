"""System calls that the standard library does not offer, as thin functions that raise OSError.

Numbers are those of x86_64 and aarch64, from the kernel's unistd tables.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False  # the helper of a box imports this: typing and platform cost milliseconds
if TYPE_CHECKING:
    from typing import Final

AT_FDCWD: Final = -100
RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2
RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

# name -> (x86_64, aarch64)
_NUMBERS: Final = {
    "renameat2": (316, 276),
    "openat2": (437, 437),
    "keyctl": (250, 219),
    "mount_setattr": (442, 442),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "seccomp": (317, 277),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
}
_TRIES: Final = 1000  # of openat2: one in eight fails beside a process that does nothing but rename
_COLUMN: Final = 1 if os.uname().machine in ("aarch64", "arm64") else 0

libc: Final = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def syscall(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | ctypes.Structure | None) -> int:
    """Make one system call by name; integers are passed as longs, structures by reference."""
    passed = [
        ctypes.byref(a) if isinstance(a, ctypes.Structure) else ctypes.c_long(a) if isinstance(a, int) else a
        for a in arguments
    ]
    result: int = libc.syscall(ctypes.c_long(_NUMBERS[name][_COLUMN]), *passed)
    return check(result)


def check(result: int, path: str | bytes | None = None) -> int:
    """Turn libc's -1 into an OSError; hand any other result through."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def openat2(dir_fd: int, path: bytes | str, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open relative to ``dir_fd`` under the given RESOLVE_ rules; the descriptor is close-on-exec.

    Beneath a root the kernel follows ``..`` only while nobody renames or mounts anything, anywhere, and otherwise
    answers EAGAIN, which openat2(2) says to try again.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(_TRIES):
        try:
            return syscall("openat2", dir_fd, os.fsencode(path), how, ctypes.sizeof(how))
        except OSError as error:
            if error.errno != errno.EAGAIN or not resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH):
                raise
    raise OSError(errno.EAGAIN, "the way was changed again and again while it was followed", path)


def renameat2(
    old: str | bytes, new: str | bytes, flags: int, *, old_dir: int = AT_FDCWD, new_dir: int = AT_FDCWD
) -> None:
    """Rename under RENAME_NOREPLACE or RENAME_EXCHANGE."""
    try:
        syscall("renameat2", old_dir, os.fsencode(old), new_dir, os.fsencode(new), flags)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(new)) from None


def syncfs(path: str | os.PathLike[str]) -> None:
    """Make all that was written to a directory's file system durable: for many files quicker than one by one."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        check(libc.syncfs(fd), os.fspath(path))
    finally:
        os.close(fd)
