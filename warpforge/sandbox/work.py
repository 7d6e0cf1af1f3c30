"""The work directory of one run: made by the engine, emptied by the helper, removed by whoever is last.

Cheap to import: engine and zygote both do.
"""

from __future__ import annotations

import os

from warpforge.fsx.remove import remove_tree


def make_work(tmp: bytes, owner: tuple[int, int] | None) -> bytes:
    """A new work directory ``run-<pid>-<start time>-<random>``: debris of a dead process is known by its name."""
    name = b"run-%d-%d-%s" % (os.getpid(), find_start_time(os.getpid()), os.urandom(6).hex().encode())
    work = os.path.join(tmp, name)
    os.mkdir(work, 0o700)
    if owner is not None:
        os.chown(work, *owner)
    return work


def find_start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot: field 22 of proc(5)'s stat."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def keep_work(work: bytes, goal: bytes) -> bool:
    """Move the layers of a failed run to where they are kept; False when that cannot be done."""
    try:
        os.rename(work, goal)
    except OSError:
        return False
    try:
        os.rmdir(goal + b"/m")  # under root the helper could not
    except OSError:
        pass
    return True


def is_running(pid: str, start_time: str) -> bool:
    """Whether the process that a name tells of still runs; a name that makes no sense is taken for a living one's."""
    if not (pid.isdigit() and start_time.isdigit()):
        return True
    try:
        return find_start_time(int(pid)) == int(start_time)
    except OSError:
        return False


def remove_work(work: bytes) -> None:
    """Delete a work directory; that it is gone already, or goes at the same time, is fine."""
    try:
        os.rmdir(work)
        return
    except FileNotFoundError:
        return
    except OSError:
        pass
    parent, name = os.path.split(work)
    try:
        parent_fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        remove_tree(parent_fd, name)
    except OSError:
        pass  # debris: the next start of the engine finds it by its name
    finally:
        os.close(parent_fd)
