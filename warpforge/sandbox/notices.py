"""Notices of calls that wait for an answer (seccomp_unotify(2)), and the memory of who makes them. Cheap to import."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import select
import struct

from warpforge.fsx.linux import libc
from warpforge.sandbox.creds import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_RECV, _SEND, _VALID = 0xC0502100, 0xC0182101, 0x40082102  # linux/seccomp.h
_NOTICE = struct.Struct("<QIIiIQ6Q")
_ANSWER = struct.Struct("<QqiI")
_CONTINUE = 1
_LONGEST = 4096


class Unknown(Exception):
    """The kernel is to answer."""


class Notice:
    """One call: ``pid`` of the thread that makes it, its name and arguments."""

    __slots__ = ("args", "id", "name", "pid")

    def __init__(self, id: int, pid: int, name: str, args: Sequence[int]) -> None:
        self.id = id
        self.pid = pid
        self.name = name
        self.args = args

    def number(self, index: int) -> int:
        """An argument of 32 bits."""
        return self.args[index] & 0xFFFFFFFF

    def descriptor(self, index: int) -> int:
        """An argument that is a descriptor."""
        value = self.number(index)
        return value - (1 << 32) if value >> 31 else value


class Listener:
    """``fd``: on which is told; ``names``: the calls by their numbers."""

    def __init__(self, fd: int, names: dict[int, str]) -> None:
        self._fd = fd
        self._names = names
        self._poll = select.poll()
        if fd >= 0:
            self._poll.register(fd, select.POLLIN)

    def hear(self) -> Notice | None:
        """The next one; None when nobody is left."""
        while True:
            ((_, event),) = self._poll.poll()
            if not event & select.POLLIN:
                return None
            buffer = bytearray(_NOTICE.size)
            try:
                fcntl.ioctl(self._fd, _RECV, buffer)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):
                    continue  # it was killed before we could hear it
                return None
            id, pid, _, number, _, _, *args = _NOTICE.unpack(buffer)
            return Notice(id, pid, self._names[number], args)

    def answer(self, notice: Notice, value: int) -> None:
        """It returns this."""
        self._send(_ANSWER.pack(notice.id, value, 0, 0))

    def refuse(self, notice: Notice, number: int) -> None:
        """It fails."""
        self._send(_ANSWER.pack(notice.id, 0, -number, 0))

    def pass_on(self, notice: Notice) -> None:
        """The kernel does it."""
        self._send(_ANSWER.pack(notice.id, 0, 0, _CONTINUE))

    def _send(self, answer: bytes) -> None:
        try:
            fcntl.ioctl(self._fd, _SEND, bytearray(answer))
        except OSError:
            pass  # it was killed meanwhile

    def check(self, notice: Notice) -> None:
        """That the call still waits: else its pid may be another's by now."""
        try:
            fcntl.ioctl(self._fd, _VALID, struct.pack("<Q", notice.id))
        except OSError:
            raise Unknown from None

    def text(self, notice: Notice, address: int) -> bytes:
        """A path. Raises Refused, Unknown."""
        data = self.read(notice, address, _LONGEST, whole=False)
        end = data.find(b"\0")
        if end < 0:
            raise Unknown
        return data[:end]

    def read(self, notice: Notice, address: int, size: int, *, whole: bool = True) -> bytes:
        """Bytes of its memory. Raises Refused, Unknown."""
        if not size:
            return b""
        buffer = ctypes.create_string_buffer(size)
        count = _move(libc.process_vm_readv, notice.pid, buffer, address, size)
        if count < 0 or (whole and count < size):
            raise Refused(errno.EFAULT)
        self.check(notice)
        return buffer.raw[:count]

    def write(self, notice: Notice, address: int, data: bytes) -> None:
        """Put bytes there. Raises Refused, Unknown."""
        self.check(notice)
        buffer = ctypes.create_string_buffer(data, len(data))
        if data and _move(libc.process_vm_writev, notice.pid, buffer, address, len(data)) != len(data):
            raise Refused(errno.EFAULT)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


def _move(call: Callable[..., int], pid: int, buffer: ctypes.Array[ctypes.c_char], address: int, size: int) -> int:
    ours, theirs = _Vector(ctypes.addressof(buffer), size), _Vector(address, size)
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    return call(ctypes.c_int(pid), ctypes.byref(ours), one, ctypes.byref(theirs), one, none)
