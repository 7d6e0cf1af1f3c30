"""Capabilities of a process: capset(2), and the bounding set. Numbers are from linux/capability.h."""

from __future__ import annotations

import ctypes
import struct

from warpforge.fsx.linux import check, libc
from warpforge.sandbox.kernel import prctl

NUMBERS = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_FSETID": 4,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
}
_VERSION = 0x20080522
_PR_CAPBSET_DROP = 24
_LAST = 40


def make_mask(names: tuple[str, ...]) -> int:
    """A set as a number."""
    return sum(1 << NUMBERS[name] for name in names)


def drop_capabilities(kept: int, *, bounding: int) -> None:
    """Keep only these, and be able to have no others than ``bounding`` again. Raises OSError."""
    for number in range(_LAST + 1):
        if not bounding >> number & 1:
            try:
                prctl(_PR_CAPBSET_DROP, number)
            except OSError:
                pass  # a kernel that has fewer
    # those needed to become somebody else go with it; see capabilities(7)
    head = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION, 0))
    low = kept & 0xFFFFFFFF
    data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, 0, 0, 0))
    check(libc.capset(head, data))
