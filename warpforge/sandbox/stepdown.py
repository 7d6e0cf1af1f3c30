"""A program of a few instructions that becomes a user, or takes a terminal, and executes a command: the last step of a
box with many uids, and of one with a person at it.

bwrap executes the command as uid 0 of a box with many uids, knows no way to be somebody else there, and leaves the
descriptor of the box's user namespace open. It makes a session for the command, but leaves that without a terminal: one
of a session that bwrap is in, too, is no way out, for keys such as Ctrl-C reach all in the foreground, and it dies of
them. No program of the image can be relied on, and none of the host's runs in it. So this one is put together for each
run, as an ELF file of one segment, and given to bwrap as a descriptor. Its arguments are the path of the command, then
its argv. Pure. The ABI is that of Linux on x86_64; the form of the file is in elf(5).
"""

from __future__ import annotations

import struct

from warpforge.sandbox.kernel import TIOCSCTTY

BASE = 0x400000
_HEADERS = 64 + 56
_CLOSE, _IOCTL, _EXECVE, _SETGROUPS, _SETRESUID, _SETRESGID, _EXIT_GROUP = 3, 16, 59, 116, 117, 119, 231
_CANNOT = 126  # what a shell says when a command cannot be executed
_SYSCALL = b"\x0f\x05"
_EAX, _EDI, _ESI, _EDX = b"\xb8", b"\xbf", b"\xbe", b"\xba"  # mov register, imm32
_RSI_GROUPS = b"\x48\xbe"  # mov rsi, imm64


def make_program(
    person: tuple[int, int, tuple[int, ...]] | None, closes: tuple[int, ...], *, takes_terminal: bool
) -> bytes:
    """The file. ``person``: uid, gid and further gids to become; ``closes``: descriptors that it closes, such as the
    one that it is given by; ``takes_terminal``: stdin becomes the controlling terminal of its session."""
    groups = person[2] if person else ()
    code = _make_code(person, closes, 0, takes_terminal=takes_terminal)
    code = _make_code(person, closes, BASE + _HEADERS + len(code), takes_terminal=takes_terminal)
    data = struct.pack(f"<{len(groups)}I", *groups)
    size = _HEADERS + len(code) + len(data)
    ident = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    load, read_execute = 1, 5
    segment = struct.pack("<IIQQQQQQ", load, read_execute, 0, BASE, BASE, size, size, 0x1000)
    return head + segment + code + data


def _make_code(
    person: tuple[int, int, tuple[int, ...]] | None, closes: tuple[int, ...], groups_at: int, *, takes_terminal: bool
) -> bytes:
    calls = _become(*person, groups_at) if person else []
    execute = (
        b"\x48\x8b\x7c\x24\x10"  # mov rdi, [rsp + 16]: the path
        b"\x48\x8d\x74\x24\x18"  # lea rsi, [rsp + 24]: its argv
        b"\x48\x8b\x04\x24"  # mov rax, [rsp]: argc
        b"\x48\x8d\x54\xc4\x10"  # lea rdx, [rsp + 8 * rax + 16]: the environment
    )
    close = b"".join(_load(_EDI, fd) + _load(_EAX, _CLOSE) + _SYSCALL for fd in closes)
    tail = close + execute + _load(_EAX, _EXECVE) + _SYSCALL
    leave = _load(_EDI, _CANNOT) + _load(_EAX, _EXIT_GROUP) + _SYSCALL
    for call in reversed(calls):
        tail = call + b"\x85\xc0\x0f\x85" + struct.pack("<i", len(tail)) + tail  # test eax, eax; jnz leave
    take = _load(_EDI, 0) + _load(_ESI, TIOCSCTTY) + _load(_EDX, 0) + _load(_EAX, _IOCTL) + _SYSCALL
    return (take if takes_terminal else b"") + tail + leave


def _become(uid: int, gid: int, groups: tuple[int, ...], groups_at: int) -> list[bytes]:
    return [
        _load(_EDI, len(groups)) + _RSI_GROUPS + struct.pack("<Q", groups_at) + _load(_EAX, _SETGROUPS) + _SYSCALL,
        *(
            _load(_EDI, number) + _load(_ESI, number) + _load(_EDX, number) + _load(_EAX, call) + _SYSCALL
            for number, call in ((gid, _SETRESGID), (uid, _SETRESUID))
        ),
    ]


def _load(register: bytes, number: int) -> bytes:
    return register + struct.pack("<I", number)
