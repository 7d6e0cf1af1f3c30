"""What a process whose threads pack or unpack asks of its interpreter and of its C library, once and for all."""

from __future__ import annotations

import sys
from typing import Final

_TURN: Final = 0.0002  # seconds
_ARENAS: Final = 2
_M_ARENA_MAX: Final = -8  # malloc.h of glibc


def mind_threads() -> None:
    """Let threads change places fast, and take little address space.

    A thread that computes, a system call now and then in between, keeps every other one waiting for a whole turn each
    time that one comes back from work without the interpreter's lock: by default for 5 ms, as long as a frame takes.
    And glibc would give each thread 64 MiB of addresses for its small allocations, more than a tight limit has.
    """
    if sys.getswitchinterval() <= _TURN:
        return  # done already
    sys.setswitchinterval(_TURN)
    import ctypes

    from warpforge.fsx.linux import libc

    try:
        libc.mallopt(ctypes.c_int(_M_ARENA_MAX), ctypes.c_int(_ARENAS))
    except AttributeError:
        pass  # another C library, without arenas
