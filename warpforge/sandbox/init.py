"""The box's init: pid 1 of the namespace in which the action runs, whatever back-end runs it.

The action is an ordinary process then, in both back-ends alike: signals end it, and what it leaves behind is reaped.
Init belongs to the user namespace around the box, so the action can neither trace it, nor kill it, nor read it. Before
it serves it mounts the box's /proc, which only a process in that pid namespace can, and covers what would tell of the
machine or let it be changed. The covers are made in the outer namespace, so the box cannot take them away.
"""

from __future__ import annotations

import errno
import os

from warpforge.sandbox.kernel import (
    CLONE_NEWPID,
    MOUNT_ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    PR_SET_PDEATHSIG,
    mount,
    prctl,
    rename_process,
    set_mount,
    setns,
    unshare,
)

SIGKILL = 9
TITLE = b"init"
# What the helper writes into the tmpfs of mount points to cover things with: names below m/
EMPTY_FILE = b"nothing"
BOOT_ID_FILE = b"boot_id"
BOOT_ID = b"00000000-0000-4000-8000-000000000000\n"
# A sysctl of the host must not be writable even for a uid that could.
_READ_ONLY = (b"sys",)
# Keys of whoever is uid 0 in the box, in every user namespace; the kernel's memory and timers; how and from which disk
# the machine was started, what it has and does. Some exist only on some kernels.
_HIDDEN_FILES = b"keys key-users kcore timer_list latency_stats cmdline partitions diskstats modules".split()
_HIDDEN_DIRECTORIES = b"acpi asound scsi".split()
_BOOT_ID_AT = b"sys/kernel/random/boot_id"


class InitFailed(OSError):
    """The box's /proc cannot be had; ``errno`` says why."""


def start_init(points: bytes, root: bytes) -> int:
    """Fork it into a new pid namespace; gives its pid. Its /proc is at ``root``/proc then. Raises InitFailed.

    ``points``: where the helper's m/ can be named. Children of the caller are of the caller's namespace again.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    told, tell = os.pipe()
    try:
        unshare(CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            try:
                _serve(points, root, tell)
            finally:
                os._exit(1)
        setns(own, CLONE_NEWPID)
        os.close(tell)
        tell = -1
        said = os.read(told, 16)
    finally:
        for fd in (own, told, tell):
            if fd >= 0:
                os.close(fd)
    if said != b"0":
        number = int(said or b"%d" % errno.ECHILD)
        raise InitFailed(number, os.strerror(number))
    return pid


def _serve(points: bytes, root: bytes, tell: int) -> None:
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    try:
        _mount_proc(points, root + b"/proc")
    except OSError as error:
        os.write(tell, b"%d" % (error.errno or errno.EINVAL))
        return
    rename_process(TITLE)
    os.chdir("/")
    os.write(tell, b"0")
    os.closerange(0, 1 << 20)
    while True:
        _reap()


def _reap() -> None:
    """Wait for the end of whatever comes to belong to us."""
    import _signal  # type: ignore[import-not-found]  # the public module makes enumerations: milliseconds

    _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGCHLD])
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        _signal.sigwait([_signal.SIGCHLD])


def _mount_proc(points: bytes, proc: bytes) -> None:
    mount(b"proc", proc, b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in _READ_ONLY:
        _cover(proc + b"/" + name, proc + b"/" + name)
    _cover(points + b"/" + BOOT_ID_FILE, proc + b"/" + _BOOT_ID_AT)
    for name in _HIDDEN_FILES:
        _cover(points + b"/" + EMPTY_FILE, proc + b"/" + name)
    for name in _HIDDEN_DIRECTORIES:
        _cover(points + b"/empty", proc + b"/" + name)


def _cover(source: bytes, target: bytes) -> None:
    """Bind, read-only; what this kernel does not have needs no cover."""
    try:
        mount(source, target, None, MS_BIND | MS_REC)
    except FileNotFoundError:
        return
    set_mount(-100, target, MOUNT_ATTR_RDONLY)
