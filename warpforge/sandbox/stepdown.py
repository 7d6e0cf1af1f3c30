"""A program of a few instructions that becomes a user, or takes a terminal, and executes a command: the last step of a
box with many uids, and of one with a person at it.

bwrap executes the command as uid 0 of a box with many uids, knows no way to be somebody else there, and leaves the
descriptor of the box's user namespace open. It makes a session for the command, but leaves that without a terminal: one
of a session that bwrap is in, too, is no way out, for keys such as Ctrl-C reach all in the foreground, and it dies of
them. No program of the image can be relied on, and none of the host's runs in it. So this one is put together for each
run, as an ELF file of one segment, and given to bwrap as a descriptor. Its arguments are the path of the command, then
its argv. Pure. The ABI is that of Linux, the numbers of calls are from the kernel's unistd tables; the form of the file
is in elf(5), that of instructions in the manuals of both processors.
"""

from __future__ import annotations

import os
import struct

from warpforge.sandbox.kernel import TIOCSCTTY

BASE = 0x400000
_HEADERS = 64 + 56
_CANNOT = 126  # what a shell says when a command cannot be executed
# name -> (x86_64, aarch64)
_NUMBERS = {
    "close": (3, 57),
    "ioctl": (16, 29),
    "execve": (59, 221),
    "setgroups": (116, 159),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "exit_group": (231, 94),
}
Person = tuple[int, int, tuple[int, ...]]


class _X86_64:
    """Arguments of a call are in edi, esi, edx, its number in eax; the result is in eax."""

    elf_machine = 62
    execute_arguments = (
        b"\x48\x8b\x7c\x24\x10"  # mov rdi, [rsp + 16]: the path
        b"\x48\x8d\x74\x24\x18"  # lea rsi, [rsp + 24]: its argv
        b"\x48\x8b\x04\x24"  # mov rax, [rsp]: argc
        b"\x48\x8d\x54\xc4\x10"  # lea rdx, [rsp + 8 * rax + 16]: the environment
    )
    _registers = (b"\xbf", b"\xbe", b"\xba")  # mov edi, esi, edx, imm32

    def call(self, name: str, *arguments: int) -> bytes:
        """A system call."""
        loads = b"".join(load + struct.pack("<I", one) for load, one in zip(self._registers, arguments, strict=False))
        return loads + b"\xb8" + struct.pack("<I", _NUMBERS[name][0]) + b"\x0f\x05"

    def skip_if_failed(self, size: int) -> bytes:
        """Pass over so many bytes when the call before gave something else than 0."""
        return b"\x85\xc0\x0f\x85" + struct.pack("<i", size)  # test eax, eax; jnz


class _Aarch64:
    """Arguments of a call are in x0, x1, x2, its number in x8; the result is in x0."""

    elf_machine = 183
    execute_arguments = struct.pack(
        "<5I",
        0xF9400BE0,  # ldr x0, [sp, #16]: the path
        0x910063E1,  # add x1, sp, #24: its argv
        0xF94003E9,  # ldr x9, [sp]: argc
        0x910043E2,  # add x2, sp, #16
        0x8B090C42,  # add x2, x2, x9, lsl #3: the environment
    )

    def call(self, name: str, *arguments: int) -> bytes:
        """A system call."""
        loads = b"".join(self._load(register, number) for register, number in enumerate(arguments))
        return loads + self._load(8, _NUMBERS[name][1]) + struct.pack("<I", 0xD4000001)  # svc #0

    def skip_if_failed(self, size: int) -> bytes:
        """Pass over so many bytes when the call before gave something else than 0."""
        return struct.pack("<I", 0xB5000000 | (size // 4 + 1) << 5)  # cbnz x0

    def _load(self, register: int, number: int) -> bytes:
        """32 bits: movz, movk."""
        low, high = number & 0xFFFF, number >> 16
        return struct.pack("<2I", 0xD2800000 | low << 5 | register, 0xF2A00000 | high << 5 | register)


_MACHINES: dict[str, _X86_64 | _Aarch64] = {"x86_64": _X86_64(), "aarch64": _Aarch64()}


def can_step_down() -> bool:
    """Whether there is such a program for this machine."""
    return os.uname().machine in _MACHINES


def make_program(person: Person | None, closes: tuple[int, ...], *, takes_terminal: bool, machine: str = "") -> bytes:
    """The file. ``person``: uid, gid and further gids to become; ``closes``: descriptors that it closes, such as the
    one that it is given by; ``takes_terminal``: stdin becomes the controlling terminal of its session. ``machine``:
    another than this one."""
    cpu = _MACHINES[machine or os.uname().machine]
    groups = person[2] if person else ()
    code = _make_code(cpu, person, closes, 0, takes_terminal=takes_terminal)
    code = _make_code(cpu, person, closes, BASE + _HEADERS + len(code), takes_terminal=takes_terminal)
    data = struct.pack(f"<{len(groups)}I", *groups)
    size = _HEADERS + len(code) + len(data)
    ident = b"\x7fELF" + bytes((2, 1, 1, 0)) + bytes(8)
    head = ident + struct.pack("<HHIQQQIHHHHHH", 2, cpu.elf_machine, 1, BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    load, read_execute = 1, 5
    segment = struct.pack("<IIQQQQQQ", load, read_execute, 0, BASE, BASE, size, size, 0x10000)
    return head + segment + code + data


def _make_code(
    cpu: _X86_64 | _Aarch64, person: Person | None, closes: tuple[int, ...], groups_at: int, *, takes_terminal: bool
) -> bytes:
    close = b"".join(cpu.call("close", fd) for fd in closes)
    tail = close + cpu.execute_arguments + cpu.call("execve")
    leave = cpu.call("exit_group", _CANNOT)
    if person is not None:
        uid, gid, groups = person
        calls = (
            cpu.call("setgroups", len(groups), groups_at),
            cpu.call("setresgid", gid, gid, gid),
            cpu.call("setresuid", uid, uid, uid),
        )
        for call in reversed(calls):
            tail = call + cpu.skip_if_failed(len(tail)) + tail
    take = cpu.call("ioctl", 0, TIOCSCTTY, 0)
    return (take if takes_terminal else b"") + tail + leave
