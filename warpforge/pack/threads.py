"""What a process whose threads pack or unpack asks of its interpreter and of its C library, once and for all."""

from __future__ import annotations

import sys
from typing import Final

_TURN: Final = 0.0002  # seconds
# options of mallopt(3), from glibc's malloc.h, and what is asked for
_ARENA_MAX: Final = (-8, 2)
_MMAP_THRESHOLD: Final = (-3, 8 << 20)
_TRIM_THRESHOLD: Final = (-1, 12 << 20)


def mind_threads() -> None:
    """Let threads change places fast, take little address space, and keep what they used.

    A thread that computes, a system call now and then in between, keeps every other one waiting for a whole turn each
    time that one comes back from work without the interpreter's lock: by default for 5 ms, as long as a frame takes.
    glibc would give each thread 64 MiB of addresses for its small allocations, more than tight limits have. It would
    give every frame back to the kernel and have it anew, page by page, which takes half as long as hashing it.
    """
    if sys.getswitchinterval() <= _TURN:
        return  # done already
    sys.setswitchinterval(_TURN)
    import ctypes

    from warpforge.fsx.linux import libc

    try:
        for option, value in (_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD):
            libc.mallopt(ctypes.c_int(option), ctypes.c_int(value))
    except AttributeError:
        pass  # another C library, with other ways
