"""Why a command could not be executed, looked up before the box starts, inside the box's root.

A back-end says only "exit status 1" for a missing interpreter, which is also what a failing action says.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
import struct

from warpforge.fsx.linux import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_UNSEEN = (b"/proc/", b"/dev/", b"/sys/")  # mounted later, by the back-end
_MACHINES = {"x86_64": 62, "aarch64": 183}  # e_machine of the ELF header
_PT_INTERP = 3
_MOST_INTERPRETERS = 5  # as the kernel
_LONGEST_STRING = 32 * 4096
_LONGEST_TOGETHER = 6 << 20


class NotExecutable(Exception):
    """``reason``: missing, denied, format or too-long; the text names the file."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


def check_sizes(strings: list[bytes]) -> None:
    """Raise NotExecutable if the kernel would not take these arguments and variables; execve(2) has the limits."""
    most = resource.getrlimit(resource.RLIMIT_STACK)[0]
    together = _LONGEST_TOGETHER if most == resource.RLIM_INFINITY else min(most // 4, _LONGEST_TOGETHER)
    if max(map(len, strings)) >= _LONGEST_STRING or sum(len(s) + 9 for s in strings) > together:
        raise NotExecutable("too-long", "argument list too long")


def check_command(root_fd: int, name: bytes, search: bytes, cwd: bytes) -> bytes:
    """The path of ``name``, searched as execvp(3) does. Raises NotExecutable if executing it is bound to fail."""
    if b"/" in name:
        _check_file(root_fd, _absolute(name, cwd))
        return name
    refused: NotExecutable | None = None
    for directory in search.split(b":"):
        path = _absolute((directory or b".") + b"/" + name, cwd)
        try:
            _check_file(root_fd, path)
            return path
        except NotExecutable as error:
            if error.reason == "format":
                raise
            refused = error if error.reason == "denied" or refused is None else refused
    if refused is None or refused.reason == "missing":
        raise NotExecutable("missing", f"{_show(name)}: not found in PATH")
    raise refused


def _check_file(root_fd: int, path: bytes, depth: int = 0) -> None:
    if path.startswith(_UNSEEN):
        return
    if depth > _MOST_INTERPRETERS:
        raise NotExecutable("denied", f"{_show(path)}: too many interpreters of interpreters")
    head = _read_head(root_fd, path)
    if head[:2] == b"#!":
        words = head[2:].split(b"\n", 1)[0].split()
        if not words:
            raise NotExecutable("format", f"{_show(path)}: names no interpreter")
        _check_present(root_fd, path, words[0], "interpreter")
        if words[0].startswith(b"/"):
            _check_file(root_fd, words[0], depth + 1)
    elif head[:4] == b"\x7fELF":
        _check_elf(root_fd, path, head)
    else:
        raise NotExecutable("format", f"{_show(path)}: exec format error, neither a program nor a script with #!")


def _read_head(root_fd: int, path: bytes) -> bytes:
    """The first bytes of an executable regular file."""
    try:
        place = openat2(root_fd, path, os.O_PATH, resolve=_INSIDE)
    except OSError as error:
        reason = "missing" if error.errno in (errno.ENOENT, errno.ENOTDIR) else "denied"
        raise NotExecutable(reason, f"{_show(path)}: {_lower(error)}") from None
    try:
        mode = os.fstat(place).st_mode
        if not stat.S_ISREG(mode) or not mode & 0o111:
            raise NotExecutable("denied", f"{_show(path)}: permission denied, not an executable file")
        fd = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise NotExecutable("denied", f"{_show(path)}: {_lower(error)}") from None
    finally:
        os.close(place)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def _check_elf(root_fd: int, path: bytes, head: bytes) -> None:
    """The machine and the loader; whatever is unusual is left to the kernel."""
    if len(head) < 64 or head[4:6] != b"\x02\x01":
        raise NotExecutable("format", f"{_show(path)}: exec format error, not a 64-bit program of this machine")
    machine = struct.unpack_from("<H", head, 18)[0]
    if machine != _MACHINES.get(os.uname().machine, machine):
        raise NotExecutable("format", f"{_show(path)}: exec format error, made for another machine")
    start, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
    for number in range(count):
        at = start + number * size
        if at + 56 > len(head):
            return
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", head, at)
        if kind == _PT_INTERP and offset + length <= len(head):
            _check_present(root_fd, path, head[offset : offset + length].rstrip(b"\0"), "loader")


def _check_present(root_fd: int, path: bytes, needed: bytes, role: str) -> None:
    if needed.startswith(_UNSEEN) or not needed.startswith(b"/"):
        return
    try:
        os.close(openat2(root_fd, needed, os.O_PATH, resolve=_INSIDE))
    except OSError as error:
        raise NotExecutable("missing", f"{_show(path)}: its {role} {_show(needed)}: {_lower(error)}") from None


def _absolute(path: bytes, cwd: bytes) -> bytes:
    return path if path.startswith(b"/") else cwd.rstrip(b"/") + b"/" + path


def _show(path: bytes) -> str:
    return os.fsdecode(path)


def _lower(error: OSError) -> str:
    return (error.strerror or "refused").lower()
