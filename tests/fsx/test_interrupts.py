"""An interrupt waits while something is begun and noted, and while things are put away."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from types import FrameType
from typing import Any

import pytest

from warpforge.fsx import interrupts
from warpforge.fsx.interrupts import may_interrupt
from warpforge.fsx.locks import Busy, Lock
from warpforge.fsx.whole import whole

seen: list[bool] = []


def look() -> None:
    look_at(sys._getframe())


def look_at(frame: FrameType) -> None:
    seen.append(may_interrupt(frame))


class Held:
    def __enter__(self) -> None:
        look()

    def __exit__(self, *_: object) -> None:
        look()


@whole
def begin() -> None:
    look()


@contextmanager
def room() -> Iterator[None]:
    look()
    try:
        yield
    finally:
        look()


def test_what_is_marked_and_what_is_left_wait() -> None:
    seen.clear()
    look()
    begin()
    with Held():
        look()
    assert seen == [True, False, True, True, False]


def test_who_waits_for_a_lock_is_interrupted_wherever_it_does(tmp_path: Path) -> None:
    """As one that comes back to the store while somebody collects there."""
    seen.clear()

    class Wants:
        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None:
            with pytest.raises(Busy):
                Lock(tmp_path / "lock", timeout=0.02).acquire()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_name == "_wait" and event == "line":
            sys.settrace(None)
            look_at(frame)
        return trace

    with Lock(tmp_path / "lock"), Wants():
        sys.settrace(trace)
    sys.settrace(None)
    assert seen == [True]


def test_what_puts_away_is_found_in_the_source() -> None:
    source = (
        "def tidy(look):\n    try:\n        look()\n        raise OSError\n    except OSError:\n        look()\n"
        "    except BaseException:\n        look()\n    finally:\n        look()\n    look()\n"
        "def fall(look):\n    try:\n        raise OSError\n    except BaseException:\n        look()\n"
    )
    blocks = {*interrupts._walk(compile(source, "x", "exec", interrupts._ONLY_PARSED))}
    assert blocks == {range(8, 9), range(10, 11), range(16, 17)}


def test_a_room_is_entered_whole_and_left_whole() -> None:
    """The lines of ``contextlib`` and ``threading`` between having something and giving it to whoever asked."""
    found: dict[str, set[bool]] = {}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename.rpartition("/")[2]
        if name in ("contextlib.py", "threading.py") and event == "line":
            sys.settrace(None)
            found.setdefault(f"{name} {frame.f_code.co_name}", set()).add(may_interrupt(frame))
            sys.settrace(trace)
        return trace

    condition = threading.Condition()
    sys.settrace(trace)
    try:
        with condition, room():
            condition.wait(0.0)
        Queue[int]().put(1)
        threading.Thread(target=int).start()
    finally:
        sys.settrace(None)
    for place in ("contextlib.py __enter__", "threading.py __enter__", "threading.py __exit__", "threading.py start"):
        assert found[place] == {False}, place
    assert found["threading.py wait"] == {
        True,
        False,
    }  # it is interrupted while it waits, not as it takes the lock again
