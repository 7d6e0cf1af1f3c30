"""Scaling: containers that may have several boxes have as many as their use of CPU asks for."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from warpforge.errors import WarpforgeError
from warpforge.polytope.containers.running import Running

EVERY: Final = 2.0  # seconds between two looks
MORE: Final = 0.7  # of what a box may use: above it there is one more
LESS: Final = 0.2  # below it for CALM looks there is one less
CALM: Final = 5
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Scaler:
    """Looks at them, while there are any. ``retarget`` hears of other addresses."""

    def __init__(self, retarget: Callable[[str, Callable[[], Sequence[str]]], None]) -> None:
        self._retarget = retarget
        self._watched: list[Running] = []
        self._calm: dict[str, int] = {}
        self._before: dict[str, tuple[float, float]] = {}
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def watch(self, running: Running) -> None:
        """From now on this one, too."""
        with self._lock:
            self._watched.append(running)
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._look_again_and_again, name="scaling", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """No more."""
        with self._lock:
            self._closed.set()
        if self._thread is not None:
            self._thread.join()

    def _look_again_and_again(self) -> None:
        while not self._closed.wait(EVERY):
            for running in [*self._watched]:
                if running.is_over:
                    self._watched.remove(running)
                else:
                    with suppress(WarpforgeError, OSError):  # one that cannot grow keeps no other from it
                        self._look(running)

    def _look(self, running: Running) -> None:
        boxes = running.boxes
        shares = [share for box in boxes if (share := self._share(box.address, box.resident)) is not None]
        if not shares:
            return
        most = running.spec.resources.cpu_limit or running.spec.resources.cpu_request or 1.0
        step = decide(sum(shares) / len(shares) / most, self._calm.get(running.id, 0))
        self._calm[running.id] = step[1]
        if step[0] > 0 and len(boxes) < running.spec.scaling.max:
            running.grow()
        elif step[0] < 0 and len(boxes) > running.spec.scaling.min:
            self._retarget(running.id, lambda: running.addresses[:-1])
            running.shrink()
        else:
            return
        self._retarget(running.id, lambda: running.addresses)

    def _share(self, address: str, resident: object) -> float | None:
        """How many CPUs a box has used since the last look."""
        from warpforge.sandbox.berth import Resident

        if not isinstance(resident, Resident):
            return None
        now, used = time.monotonic(), measure_cpu(resident.pidfd)
        before = self._before.get(address)
        self._before[address] = now, used
        if before is None or used < before[1]:
            return None
        return (used - before[1]) / max(now - before[0], 0.001)


def decide(share: float, calm: int) -> tuple[int, int]:
    """From a share of what a box may use: boxes more or less, and for how many looks it has been calm."""
    if share > MORE:
        return 1, 0
    calm = calm + 1 if share < LESS else 0
    return (-1, 0) if calm >= CALM else (0, calm)


def measure_cpu(pidfd: int) -> float:
    """Seconds of CPU that the processes of a box have used, those that live."""
    with suppress(OSError, ValueError, StopIteration):
        with open(f"/proc/self/fdinfo/{pidfd}") as lines:
            pid = next(int(line.split()[1]) for line in lines if line.startswith("Pid:"))
        namespace = os.readlink(f"/proc/{pid}/ns/pid")
        total = 0
        for other in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                if os.readlink(f"/proc/{other}/ns/pid") == namespace:
                    with open(f"/proc/{other}/stat", "rb") as file:
                        words = file.read().rpartition(b")")[2].split()
                    total += sum(map(int, words[11:15]))  # its own time and that of children it has waited for
        return total / _TICKS
    return 0.0
