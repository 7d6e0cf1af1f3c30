"""The meter: what the processes of a box use, read from /proc, where no cgroup counts it.

The watcher looks a few times a second at the processes of its own pid namespace, of which the action's are a part.
A burst between two looks is held by the kernel's own limits of a single process.
"""

from __future__ import annotations

import os
import time

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SHORTEST = 0.02  # seconds between two looks
_LONGEST = 1.0
_SHARE = 20  # a look may cost a twentieth of the time
ENGINES_OWN = 3  # processes that are not the action's: watcher, init, back-end


class Meter:
    """``memory``: bytes, ``pids``: processes and threads; 0: not looked after here."""

    def __init__(self, memory: int, pids: int) -> None:
        self._memory = memory
        self._pids = pids
        self._pause = _SHORTEST

    def wait(self) -> int | None:
        """Milliseconds until the next look; None: never."""
        return int(self._pause * 1000) if self._memory or self._pids else None

    def look(self) -> bytes:
        """The name of the limit that is passed, or nothing."""
        began = time.thread_time()  # not the clock's: among thousands a short look takes long
        tasks, pages, found = 0, 0, []
        # of thousands that want the processors this one gets little: it looks at no more of them than it must
        with os.scandir("/proc") as entries:
            for entry in entries:
                if not (name := entry.name).isdigit():
                    continue
                try:
                    with open(f"/proc/{name}/stat", "rb") as file:
                        words = file.read().rpartition(b")")[2].split()
                except OSError:
                    continue
                tasks += int(words[17])
                if self._pids and tasks > self._pids + ENGINES_OWN:
                    return b"pids"
                if int(words[1]) != 0 or name != "1":
                    pages += int(words[21])
                found.append(name)
        over = b""
        if self._memory and pages * _PAGE > self._memory and measure(found) > self._memory:
            over = b"memory"
        self._pause = min(_LONGEST, max(_SHORTEST, (time.thread_time() - began) * _SHARE))
        return over


def measure(pids: list[str]) -> int:
    """Bytes that these processes use, what they share counted once."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
                text = file.read()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.split(b"\n") if line.startswith((b"Pss:", b"SwapPss:")))
    return total << 10
