"""The box's /dev: bounded, with the few devices that programs expect. For a back-end whose own has no bound."""

from __future__ import annotations

import os

from warpforge.sandbox.kernel import MS_BIND, MS_NOEXEC, MS_NOSUID, mount

DEV_BYTES = 64 << 20  # as runc's default
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def make_devices(dev: bytes) -> None:
    """Mount it at an empty directory. Raises OSError."""
    mount(b"tmpfs", dev, b"tmpfs", MS_NOSUID, b"mode=0755,size=%d" % DEV_BYTES)
    place = os.fsdecode(dev)
    for name in _DEVICES:
        os.close(os.open(f"{place}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        mount(b"/dev/" + name.encode(), f"{place}/{name}".encode(), None, MS_BIND)
    for name, target in _LINKS.items():
        os.symlink(target, f"{place}/{name}")
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"{place}/{name}", 0o755)
    options = b"newinstance,ptmxmode=0666,mode=0620"
    mount(b"devpts", dev + b"/pts", b"devpts", MS_NOSUID | MS_NOEXEC, options)
