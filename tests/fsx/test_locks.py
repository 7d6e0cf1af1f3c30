"""Locks between real processes."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from warpforge.fsx.locks import Busy, Lock, holders, locked_open

HOLD = """
import sys
from warpforge.fsx.locks import Lock
Lock(sys.argv[1]).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    with process:
        process.kill()


def test_a_held_lock_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = hold(path)
    try:
        told: list[list[int]] = []
        with pytest.raises(Busy) as caught:
            Lock(path, timeout=0.05, on_wait=told.append).acquire()
        assert caught.value.pids == [holder.pid]
        assert told == [[holder.pid]]
        assert path.read_text() == f"{holder.pid}\n"
    finally:
        end(holder)


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    """X07."""
    holder = hold(tmp_path / "lock")
    holder.send_signal(signal.SIGKILL)
    end(holder)
    with Lock(tmp_path / "lock", timeout=0) as lock:
        assert lock.held
        assert holders(lock.path) == [os.getpid()]


def test_a_lock_that_a_child_inherited_is_not_robbed_and_names_the_child(tmp_path: Path) -> None:
    """X07: a program that was started with our descriptors keeps our locks: that one is named, not the dead."""
    code = (
        "import os, subprocess, sys, time; from warpforge.fsx.locks import Lock\n"
        "lock = Lock(sys.argv[1]); lock.acquire(); os.set_inheritable(lock._fd, True)\n"
        "print(subprocess.Popen(['sleep', '60'], close_fds=False, stdout=subprocess.DEVNULL).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    path = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        holder.kill()
    try:
        with pytest.raises(Busy) as caught:
            Lock(path, timeout=0.05).acquire()
        assert caught.value.pids == [child]
    finally:
        os.kill(child, signal.SIGKILL)
    with Lock(path, timeout=10):
        pass


def test_a_stopped_holder_is_not_robbed(tmp_path: Path) -> None:
    """X07."""
    holder = hold(tmp_path / "lock")
    try:
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(Busy):
            Lock(tmp_path / "lock", timeout=0.05).acquire()
    finally:
        end(holder)


def test_a_lock_on_an_unlinked_file_is_not_believed(tmp_path: Path) -> None:
    """X08: somebody unlinks the file while we wait: what we then get is a lock on nothing, so we start over."""
    path = tmp_path / "lock"
    first = Lock(path)
    first.acquire()
    late = Lock(path, timeout=10)
    waiter = threading.Thread(target=late.acquire)
    waiting = threading.Event()
    late._on_wait = lambda pids: waiting.set()
    waiter.start()
    assert waiting.wait(10)
    path.unlink()
    with Lock(path, timeout=0):  # the file that bears the name now
        first.release()
        waiter.join(0.1)
        assert waiter.is_alive()
    waiter.join(10)
    assert late.held
    late.release()


def test_shared_locks_share_and_shut_out_the_exclusive(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with Lock(path, shared=True), Lock(path, shared=True):
        with pytest.raises(Busy) as caught:
            Lock(path, timeout=0).acquire()
        assert caught.value.pids == [os.getpid()]
    with Lock(path, timeout=0):
        pass


def test_threads_shut_each_other_out(tmp_path: Path) -> None:
    inside = 0
    worst = 0

    def work() -> None:
        nonlocal inside, worst
        for _ in range(50):
            with Lock(tmp_path / "lock"):
                inside += 1
                worst = max(worst, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1


def test_no_child_keeps_a_lock(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    lock.acquire()
    assert fcntl.fcntl(lock._fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        lock.release()
        with Lock(tmp_path / "lock", timeout=0):
            pass
    finally:
        child.kill()
        child.wait()


def test_an_optional_shared_lock_does_without_a_directory(tmp_path: Path) -> None:
    with Lock(tmp_path / "missing" / "lock", shared=True, optional=True) as lock:
        assert not lock.held
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "missing" / "lock").acquire()


def test_locked_open_is_alone_or_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    with locked_open(path, os.O_RDONLY) as fd:
        assert fd is None
    Path(path).touch()
    with locked_open(path, os.O_RDONLY) as one, locked_open(path, os.O_RDONLY) as two:
        assert one is not None
        assert two is None
