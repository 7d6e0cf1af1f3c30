"""The system calls an action may not make: one table of rules, and two forms of it for x86_64 and aarch64. Pure.

As a classic BPF program it is assembled here rather than by libseccomp: it is two dozen rules, and the library would
be one more system package on the path of every user. As JSON it is what the OCI runtime specification has. Numbers are
from the kernel's unistd tables, the program's form from linux/filter.h and linux/seccomp.h. What a user namespace
without capabilities refuses anyway is listed where the kernel has had holes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

EPERM: Final = 1
ENOSYS: Final = 38
EAFNOSUPPORT: Final = 97

_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_NOTIFY: Final = 0x7FC00000
_KILL_PROCESS: Final = 0x80000000
_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JEQ: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JGE: Final = 0x35
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
_PR_SET_KEEPCAPS: Final = 8
_TIOCSTI: Final = 0x5412
_TIOCLINUX: Final = 0x541C
_ALL: Final = 0xFFFFFFFF  # the kernel looks at the low 32 bits of all these arguments, and so do we
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
    "chown": (92, -1),
    "fchown": (93, 55),
    "lchown": (94, -1),
    "fchownat": (260, 54),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setgroups": (116, 159),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getgroups": (115, 158),
    "getresuid": (118, 148),
    "getresgid": (120, 150),
    "prctl": (157, 167),
    "stat": (4, -1),
    "fstat": (5, 80),
    "lstat": (6, -1),
    "newfstatat": (262, 79),
    "statx": (332, 291),
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
# In a container of one uid these are said to have been done: most servers that begin as root ask for no more.
_PRETENDED: Final = (
    *("chown", "fchown", "lchown", "fchownat", "setuid", "setgid", "setreuid", "setregid"),
    *("setgroups", "setresuid", "setresgid"),
)
# What has to be told to a registrar, beside these, who remembers them.
_LOOKS: Final = (
    *("setfsuid", "setfsgid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid"),
    *("stat", "fstat", "lstat", "newfstatat", "statx"),
)
# What a box that is not confined may do all the same. It can pass the rules by then (io_uring opens files by itself),
# but for those of the kernel: no privilege comes of it that its user namespace has not.
UNCONFINED: Final = frozenset(
    ("io_uring_setup", "io_uring_enter", "io_uring_register", "perf_event_open", "userfaultfd", "personality")
)
# What an OCI runtime itself has to do before the action begins; all else can be refused to it from the start.
RUNTIME_NEEDS: Final = frozenset(
    (
        *("mount", "umount2", "pivot_root", "move_mount", "open_tree", "mount_setattr"),
        *("fsopen", "fsconfig", "fsmount", "fspick", "setns", "unshare", "clone", "clone3", "openat2", "keyctl", "bpf"),
    )
)


class Match(NamedTuple):
    """One argument: its low 32 bits under ``mask`` are ``value``."""

    argument: int
    mask: int
    value: int


class Rule(NamedTuple):
    """``name`` fails with ``errno`` when all matches of one of the alternatives hold; ``kept`` (an argument and its

    values) says instead what alone is let through.
    """

    name: str
    errno: int
    alternatives: tuple[tuple[Match, ...], ...] = ((),)
    kept: tuple[int, tuple[int, ...]] | None = None


@lru_cache
def make_rules(*, pretending: bool = False) -> tuple[Rule, ...]:
    """The whole table; ``pretending``: with changes of owner and uid that are said to have been done, and were not."""
    rules = [Rule(name, 0) for name in _PRETENDED] if pretending else []
    rules += [Rule(name, EPERM) for name in _REFUSED.split()]
    rules += [Rule(name, ENOSYS) for name in _UNKNOWN]
    rules += [Rule(name, EPERM, _bits(0, _CLONE_NEWUSER)) for name in ("clone", "unshare")]
    rules.append(Rule("socket", EAFNOSUPPORT, kept=(0, _FAMILIES)))
    rules.append(Rule("ioctl", EPERM, tuple((Match(1, _ALL, number),) for number in (_TIOCSTI, _TIOCLINUX))))
    rules.append(Rule("personality", EPERM, kept=(0, _PERSONALITIES)))
    # setuid and setgid bits, by every way they can come to a file
    modes = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "creat": 1}
    rules += [Rule(name, EPERM, _bits(number, _SETID)) for name, number in modes.items()]
    for name, number in {"open": 1, "openat": 2}.items():
        made = [(creates, *bits) for (creates,) in _bits(number, _CREATES) for bits in _bits(number + 1, _SETID)]
        rules.append(Rule(name, EPERM, tuple(made)))
    for name, number in {"mknod": 1, "mknodat": 2}.items():
        devices = tuple((Match(number, 0o170000, kind),) for kind in (0o020000, 0o060000))
        rules.append(Rule(name, EPERM, _bits(number, _SETID) + devices))
    return tuple(rules)


def _bits(argument: int, bits: int) -> tuple[tuple[Match, ...], ...]:
    """Any of these bits is set."""
    return tuple((Match(argument, 1 << n, 1 << n),) for n in range(32) if bits >> n & 1)


# as a program

_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


@lru_cache
def make_filter(machine: str, without: frozenset[str] = frozenset(), *, pretending: bool = False) -> bytes:
    """The program for one machine (as ``os.uname().machine``), without the rules for some calls; as ``make_rules``.

    Raises LookupError for an unknown machine.
    """
    column = list(_ARCHES).index(machine) if machine in _ARCHES else None
    if column is None:
        raise LookupError(f"no seccomp filter for {machine}")
    program: list[_Instruction] = [_load(_ARCH), (_JEQ, 1, 0, _ARCHES[machine]), (_RET, 0, 0, _KILL_PROCESS)]
    program.append(_load(_NR))
    if machine == "x86_64":
        program += [(_JGE, 0, 1, _X32), _errno(ENOSYS)]
    for rule in make_rules(pretending=pretending):
        number = _NUMBERS[rule.name][column]
        if number >= 0 and rule.name not in without:
            body = _assemble(rule)
            program += [(_JEQ, 0, len(body), number), *body]
    program.append((_RET, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


@lru_cache
def make_pretending(machine: str) -> bytes:
    """Changes of owner and uid are said to have been done, and nothing else. Raises LookupError."""
    return _make_small(machine, _PRETENDED, _ERRNO)


@lru_cache
def make_noticing(machine: str) -> bytes:
    """Changes of owner and uid, and what looks at either, are told to whoever listens. Raises LookupError."""
    return _make_small(machine, (*_PRETENDED, *_LOOKS), _NOTIFY)


def name_calls(machine: str) -> tuple[tuple[int, str], ...]:
    """What ``make_noticing`` tells of, by number."""
    column = list(_ARCHES).index(machine)
    numbers = ((_NUMBERS[name][column], name) for name in (*_PRETENDED, *_LOOKS, "prctl"))
    return tuple((number, name) for number, name in numbers if number >= 0)


def _make_small(machine: str, names: tuple[str, ...], action: int) -> bytes:
    column = list(_ARCHES).index(machine) if machine in _ARCHES else None
    if column is None:
        raise LookupError(f"no seccomp filter for {machine}")
    numbers = [number for name in names if (number := _NUMBERS[name][column]) >= 0]
    program: list[_Instruction] = [_load(_ARCH), (_JEQ, 1, 0, _ARCHES[machine]), (_RET, 0, 0, _ALLOW), _load(_NR)]
    for number in numbers:
        program += [(_JEQ, 0, 1, number), (_RET, 0, 0, action)]
    if action == _NOTIFY:
        keep = [_load(_ARGUMENTS), (_JEQ, 0, 1, _PR_SET_KEEPCAPS), (_RET, 0, 0, action)]
        program += [(_JEQ, 0, len(keep), _NUMBERS["prctl"][column]), *keep]
    program.append((_RET, 0, 0, _ALLOW))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _assemble(rule: Rule) -> list[_Instruction]:
    """What is done once the number is the rule's; it always ends the program."""
    if rule.kept is not None:
        argument, values = rule.kept
        allow = [step for value in values for step in ((_JEQ, 0, 1, value), (_RET, 0, 0, _ALLOW))]
        return [_load(_ARGUMENTS + 8 * argument), *allow, _errno(rule.errno)]
    body: list[_Instruction] = []
    for alternative in rule.alternatives:
        tests: list[_Instruction] = []
        for match in reversed(alternative):
            mask = [] if match.mask == _ALL else [(_AND, 0, 0, match.mask)]
            over = len(tests) + 1  # what is jumped over when it does not match: the other tests, and the end
            tests = [_load(_ARGUMENTS + 8 * match.argument), *mask, (_JEQ, 0, over, match.value), *tests]
        body += [*tests, _errno(rule.errno)]
    return body if not rule.alternatives[-1] else [*body, (_RET, 0, 0, _ALLOW)]


def _load(offset: int) -> _Instruction:
    return (_LOAD, 0, 0, offset)  # of an argument the low half: both machines are little endian


def _errno(number: int) -> _Instruction:
    return (_RET, 0, 0, _ERRNO | number)


# as JSON


@lru_cache
def make_profile(machine: str, without: frozenset[str] = frozenset(), *, pretending: bool = False) -> dict[str, Any]:
    """The table as an OCI runtime takes it (``linux.seccomp``). Raises LookupError for an unknown machine.

    libseccomp compares whole arguments, so every match is a masked one; it kills what comes by another ABI.
    """
    if machine not in _ARCHES:
        raise LookupError(f"no seccomp filter for {machine}")
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [f"SCMP_ARCH_{machine.upper()}"],
        "syscalls": [
            entry for rule in make_rules(pretending=pretending) if rule.name not in without for entry in _entries(rule)
        ],
    }


def _entries(rule: Rule) -> Iterator[dict[str, Any]]:
    alternatives = rule.alternatives
    if rule.kept is not None:
        argument, values = rule.kept
        alternatives = tuple((Match(argument, *pattern),) for pattern in outside(values))
    for alternative in alternatives:
        args = [
            {"index": m.argument, "value": m.mask, "valueTwo": m.value, "op": "SCMP_CMP_MASKED_EQ"} for m in alternative
        ]
        entry = {"names": [rule.name], "action": "SCMP_ACT_ERRNO", "errnoRet": rule.errno}
        yield {**entry, "args": args} if args else entry


def outside(values: tuple[int, ...], bit: int = 32, prefix: int = 0) -> list[tuple[int, int]]:
    """Masks and values that together match every 32-bit number but these: one for each subtree without any of them."""
    mask = _ALL >> bit << bit
    if not any(value & mask == prefix for value in values):
        return [(mask, prefix)]
    if not bit:
        return []
    return outside(values, bit - 1, prefix) + outside(values, bit - 1, prefix | 1 << (bit - 1))
