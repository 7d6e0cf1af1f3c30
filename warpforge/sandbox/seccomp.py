"""The system calls an action may not make, as a classic BPF program for x86_64 and aarch64. Pure.

Assembled here rather than by libseccomp: it is two dozen rules, and the library would be one more system package on
the path of every user. Numbers are from the kernel's unistd tables, the program's form from linux/filter.h and
linux/seccomp.h. What a user namespace without capabilities refuses anyway is listed where the kernel has had holes.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

EPERM: Final = 1
ENOSYS: Final = 38
EAFNOSUPPORT: Final = 97

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_KILL_PROCESS: Final = 0x80000000
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JEQ: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JGE: Final = 0x35
_JSET: Final = 0x45
_AND: Final = 0x54  # BPF_ALU | BPF_AND | BPF_K
_RET: Final = 0x06
_NR: Final = 0
_ARCH: Final = 4
_ARGUMENTS: Final = 16

_ARCHES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32: Final = 0x40000000

_CLONE_NEWUSER: Final = 0x10000000
_SETID: Final = 0o6000
_CREATES: Final = 0o100 | 0o20000000  # O_CREAT | __O_TMPFILE
_FAMILIES: Final = (1, 2, 10, 16)  # unix, inet, inet6, netlink
_TIOCSTI: Final = 0x5412
_TIOCLINUX: Final = 0x541C
_PERSONALITIES: Final = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # as runc's default: native, 32 bits, old release, query

# name -> (x86_64, aarch64); -1: not there
_NUMBERS: Final = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "setns": (308, 268),
    "unshare": (272, 97),
    "clone": (56, 220),
    "clone3": (435, 435),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "open_by_handle_at": (304, 265),
    "syslog": (103, 116),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "socket": (41, 198),
    "ioctl": (16, 29),
    "personality": (135, 92),
    "ptrace": (101, 117),
    "chmod": (90, -1),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "open": (2, -1),
    "creat": (85, -1),
    "openat": (257, 56),
    "openat2": (437, 437),
    "mknod": (133, -1),
    "mknodat": (259, 33),
}

_REFUSED: Final = (
    # mounts and namespaces
    "mount umount2 pivot_root move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr setns "
    # keys, kernel programs, asynchronous calls that pass this filter by, handles that pass paths by
    "keyctl add_key request_key bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register "
    "open_by_handle_at "
    # the machine itself
    "syslog swapon swapoff kexec_load kexec_file_load init_module finit_module delete_module quotactl quotactl_fd acct"
)
# Their arguments lie in memory where a filter cannot look; programs fall back to clone and openat.
_UNKNOWN: Final = ("clone3", "openat2")

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


@lru_cache
def make_filter(machine: str) -> bytes:
    """The program for one machine (as ``os.uname().machine``). Raises LookupError for an unknown one."""
    column = list(_ARCHES).index(machine) if machine in _ARCHES else None
    if column is None:
        raise LookupError(f"no seccomp filter for {machine}")
    program: list[_Instruction] = [_load(_ARCH), (_JEQ, 1, 0, _ARCHES[machine]), (_RET, 0, 0, _KILL_PROCESS)]
    program.append(_load(_NR))
    if machine == "x86_64":
        program += [(_JGE, 0, 1, _X32), _errno(ENOSYS)]
    for name in _REFUSED.split():
        program += _rule(_NUMBERS[name][column], [_errno(EPERM)])
    for name in _UNKNOWN:
        program += _rule(_NUMBERS[name][column], [_errno(ENOSYS)])
    for name, body in _make_argument_rules():
        program += _rule(_NUMBERS[name][column], body)
    program.append((_RET, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _make_argument_rules() -> list[tuple[str, list[_Instruction]]]:
    """Calls that are refused for some arguments only. Each body ends the program."""
    allow = (_RET, 0, 0, _ALLOW)
    rules = [(name, [*_refuse_bits(0, _CLONE_NEWUSER), allow]) for name in ("clone", "unshare")]
    rules.append(("socket", [_argument(0), *_keep(_FAMILIES), _errno(EAFNOSUPPORT)]))
    # the kernel looks at the low 32 bits of an ioctl's number, and so do we
    rules.append(("ioctl", [_argument(1), *_drop((_TIOCSTI, _TIOCLINUX)), allow]))
    rules.append(("personality", [_argument(0), *_keep(_PERSONALITIES), _errno(EPERM)]))
    # PTRACE_ATTACH and PTRACE_SEIZE of pid 1, the back-end's: stopped, it would wait for ever
    rules.append(("ptrace", [_argument(1), (_JEQ, 1, 0, 1), allow, _argument(0), *_drop((16, 0x4206)), allow]))
    # setuid and setgid bits, by every way they can come to a file
    modes = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1}
    rules += [(name, [*_refuse_bits(number, _SETID), allow]) for name, number in modes.items()]
    for name, number in {"open": 1, "openat": 2}.items():
        creates = [_argument(number), (_JSET, 1, 0, _CREATES), allow]
        rules.append((name, [*creates, *_refuse_bits(number + 1, _SETID), allow]))
    for name, number in {"mknod": 1, "mknodat": 2}.items():
        devices = [(_AND, 0, 0, 0o170000), *_drop((0o020000, 0o060000))]
        rules.append((name, [*_refuse_bits(number, _SETID), *devices, allow]))
    return rules


def _rule(number: int, body: list[_Instruction]) -> list[_Instruction]:
    """``body`` for one system call; the accumulator holds its number before and, if it is another, after."""
    return [(_JEQ, 0, len(body), number), *body] if number >= 0 else []


def _refuse_bits(argument: int, bits: int) -> list[_Instruction]:
    return [_argument(argument), (_JSET, 0, 1, bits), _errno(EPERM)]


def _keep(values: tuple[int, ...]) -> list[_Instruction]:
    """Allow these, go on with others."""
    return [step for value in values for step in ((_JEQ, 0, 1, value), (_RET, 0, 0, _ALLOW))]


def _drop(values: tuple[int, ...]) -> list[_Instruction]:
    """Refuse these, go on with others."""
    return [step for value in values for step in ((_JEQ, 0, 1, value), _errno(EPERM))]


def _argument(number: int) -> _Instruction:
    return _load(_ARGUMENTS + 8 * number)  # the low half: both machines are little endian


def _load(offset: int) -> _Instruction:
    return (_LOAD, 0, 0, offset)


def _errno(number: int) -> _Instruction:
    return (_RET, 0, 0, _ERRNO | number)
