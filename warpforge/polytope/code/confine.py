"""What a worker gives up before it runs code: everything but computing, and its two pipes.

The limits hold by themselves. The filter of system calls is for the day on which somebody finds a hole in the
interpreter: what is not on the list is refused, in all threads. Where the kernel has no such filters, or the machine is
another one than x86_64 and aarch64, the limits are what there is.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
from typing import Final

# name -> (x86_64, aarch64)
_ALLOWED: Final = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "poll": (7, -1),
    "ppoll": (271, 73),
    "select": (23, -1),
    "pselect6": (270, 72),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "gettimeofday": (96, 169),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "prlimit64": (302, 261),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_ARCHES: Final = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}  # column, audit name, seccomp(2)

_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # refused with EPERM
_NO_NEW_PRIVS: Final = 38
_SET_FILTER, _ALL_THREADS = 1, 1


def limit(memory: int) -> None:
    """No files, no core; ``memory`` bytes more than now."""
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    for what, bound in (
        (resource.RLIMIT_AS, now + memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 1),  # no more than are open; 1, for poll(2) looks at it, too
    ):
        resource.setrlimit(what, (bound, bound))


def make_filter(machine: str) -> bytes:
    """A classic BPF program (linux/filter.h); empty for a machine that is not known."""
    if machine not in _ARCHES:
        return b""
    column, arch, _ = _ARCHES[machine]
    numbers = [row[column] for row in _ALLOWED.values() if row[column] >= 0]
    lines = [(_LOAD, 0, 0, 4), (_JUMP_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, 0)]
    for at, number in enumerate(numbers):
        lines.append((_JUMP_EQUAL, len(numbers) - at, 0, number))
    lines += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)


def filter_calls() -> bool:
    """Refuse all other system calls from now on, in all threads; false where that cannot be."""
    machine = os.uname().machine
    program = make_filter(machine)
    if not program:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    number = ctypes.c_long(_ARCHES[machine][2])
    return bool(libc.syscall(number, ctypes.c_long(_SET_FILTER), ctypes.c_long(_ALL_THREADS), header) == 0)
