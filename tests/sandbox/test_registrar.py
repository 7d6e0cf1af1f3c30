"""Users of a box with one uid are changed as the kernel would change them."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.boxes import Yard

import warpforge
from warpforge.sandbox.creds import Creds, Refused, change_ids
from warpforge.sandbox.launch import MEETING_POINT
from warpforge.sandbox.registrar import CALLS
from warpforge.sandbox.seccomp import make_noticing, make_pretending, name_calls

NUMBERS = {name: number for number, name in name_calls("x86_64")}
NOBODY = 0xFFFFFFFF
ARGUMENTS = {"setuid": 1, "setreuid": 2, "setresuid": 3, "setgid": 1, "setregid": 2, "setresgid": 3}
State = tuple[int, tuple[int, ...], tuple[int, ...]]


def make_sequence(seed: int) -> list[tuple[str, list[int]]]:
    chance = random.Random(seed)
    found: list[tuple[str, list[int]]] = []
    for _ in range(8):
        name = chance.choice([*ARGUMENTS])
        numbers = [chance.choice((0, 5, 6, 7, NOBODY)) for _ in range(ARGUMENTS[name])]
        if numbers == [NOBODY]:  # no uid: the kernel refuses it by another rule
            numbers = [5]
        found.append((name, numbers))
    return found


def kernel(sequence: list[tuple[str, list[int]]]) -> list[State]:
    """What it does of it, in a process of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            states: list[State] = []
            for name, numbers in sequence:
                result = libc.syscall(NUMBERS[name], *(ctypes.c_long(number) for number in (*numbers, 0, 0, 0)))
                states.append((ctypes.get_errno() if result else 0, os.getresuid(), os.getresgid()))
            os.write(write, repr(states).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        found: list[State] = eval(file.read())
    os.waitpid(child, 0)
    return found


def ours(sequence: list[tuple[str, list[int]]]) -> list[State]:
    creds = Creds((0, 0, 0), (0, 0, 0), (), keeps=False)
    states: list[State] = []
    for name, numbers in sequence:
        number = 0
        try:
            creds = change_ids(creds, name, numbers)
        except Refused as error:
            number = error.number
        states.append((number, creds.uids, creds.gids))
    return states


@pytest.mark.skipif(os.geteuid() != 0 or os.uname().machine != "x86_64", reason="who may become others can compare")
def test_users_change_as_the_kernel_changes_them() -> None:
    for seed in range(40):
        sequence = make_sequence(seed)
        assert ours(sequence) == kernel(sequence), (seed, sequence)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_programs_name_the_calls_that_are_known(machine: str) -> None:
    calls = dict(name_calls(machine))
    assert set(calls.values()) <= set(CALLS)
    for program in (make_noticing(machine), make_pretending(machine)):
        for number, name in calls.items():
            keeps = run(program, machine, number, 8)
            assert keeps in (0x7FC00000, 0x00050000, 0x7FFF0000)
            if program is make_noticing(machine):
                assert keeps == 0x7FC00000
                assert run(program, machine, number, 15) == (0x7FFF0000 if name == "prctl" else 0x7FC00000)
        assert run(program, machine, 9999, 0) == 0x7FFF0000


def run(program: bytes, machine: str, number: int, argument: int) -> int:
    """What a small program of ours gives for one call."""
    steps = list(struct.iter_unpack("<HBBI", program))
    loaded = {0: number, 4: {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine], 16: argument}
    at = held = 0
    while True:
        code, true, false, value = steps[at]
        at += 1
        if code == 0x20:
            held = loaded[value]
        elif code == 0x15:
            at += true if held == value else false
        else:
            assert code == 0x06
            return int(value)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from warpforge.sandbox.bwrap import Bwrap
from warpforge.sandbox.spec import make_mount, make_spec
script = "touch /new; chown 5:6 /new; ls -ln /new"
mounts = [make_mount("/", "overlay", sys.argv[3])]
spec = make_spec(mounts=mounts, argv=["/bin/sh", "-c", script], uid=0, gid=0, pretending=True)
Bwrap().run(spec, sys.argv[2], on_output=lambda _, data: print(data.decode()))
"""


def run_program(*args: str) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *args], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_it_begins_wherever_the_engine_is_installed(yard: Yard) -> None:
    """Also below the directory that the watcher lays its mounts over."""
    package = Path(warpforge.__file__).parent
    with tempfile.TemporaryDirectory(dir=os.fsdecode(MEETING_POINT)) as place:
        os.chmod(place, 0o755)
        shutil.copytree(package, f"{place}/warpforge", ignore=shutil.ignore_patterns("__pycache__", "polytope"))
        said = yard.person.call(run_program, place, str(yard.tmp), str(yard.root))
    assert said.split()[2:4] == ["5", "6"], said
