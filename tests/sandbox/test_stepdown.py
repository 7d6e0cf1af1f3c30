"""The last step of a box, as a program: for aarch64 its instructions are read and obeyed here, one by one."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from warpforge.sandbox.stepdown import BASE, make_program

SP = 0x7FFF0000
STACK = [4, 0x100, 0x200, 0x300, 0x400, 0, 0x500, 0]  # argc, argv, 0, environment, 0
CLOSE, IOCTL, EXECVE, SETGROUPS, SETRESUID, SETRESGID, EXIT = 57, 29, 221, 159, 147, 149, 94


def obey(program: bytes, results: list[int]) -> list[tuple[int, ...]]:
    """The system calls of an aarch64 program, each with its first three arguments; ``results`` are what they give."""
    registers = [0] * 32
    registers[31] = SP
    calls: list[tuple[int, ...]] = []
    at = struct.unpack_from("<Q", program, 24)[0] - BASE
    while len(calls) < len(results):
        (word,) = struct.unpack_from("<I", program, at)
        at += 4
        d, n = word & 31, word >> 5 & 31
        if word >> 23 == 0b110100101:  # movz
            registers[d] = (word >> 5 & 0xFFFF) << 16 * (word >> 21 & 3)
        elif word >> 23 == 0b111100101:  # movk
            shift = 16 * (word >> 21 & 3)
            registers[d] = registers[d] & ~(0xFFFF << shift) | (word >> 5 & 0xFFFF) << shift
        elif word >> 22 == 0b1111100101:  # ldr, 64 bits, from a register and an unsigned offset
            registers[d] = STACK[(registers[n] - SP) // 8 + (word >> 10 & 0xFFF)]
        elif word >> 22 == 0b1001000100:  # add, immediate
            registers[d] = registers[n] + (word >> 10 & 0xFFF)
        elif word >> 21 == 0b10001011000:  # add, shifted register
            registers[d] = registers[n] + (registers[word >> 16 & 31] << (word >> 10 & 63))
        elif word >> 24 == 0b10110101:  # cbnz
            at += (word >> 5 & 0x7FFFF) * 4 - 4 if registers[d] else 0
        else:
            assert word == 0xD4000001, f"{word:x} is no instruction that is known here"  # svc
            calls.append((registers[8], *registers[:3]))
            registers[0] = results[len(calls) - 1]
    return calls


def test_aarch64_becomes_a_user_and_executes() -> None:
    program = make_program((70000, 7, (5, 6)), (9,), takes_terminal=True, machine="aarch64")
    assert struct.unpack_from("<HHI", program, 16) == (2, 183, 1)
    take, groups, *ids, close, execute, leave = obey(program, [-25, 0, 0, 0, -9, -2, 0])
    assert take == (IOCTL, 0, 0x540E, 0)
    assert groups[:2] == (SETGROUPS, 2) and struct.unpack_from("<2I", program, groups[2] - BASE) == (5, 6)
    assert ids == [(SETRESGID, 7, 7, 7), (SETRESUID, 70000, 70000, 70000)]
    assert close[:2] == (CLOSE, 9)
    assert execute == (EXECVE, 0x200, SP + 24, SP + 8 * 6)
    assert leave[:2] == (EXIT, 126)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_aarch64_executes_nothing_as_somebody_else(failing: int) -> None:
    program = make_program((1, 1, ()), (), takes_terminal=False, machine="aarch64")
    calls = obey(program, [0] * failing + [-1, 0])
    assert calls[-1][:2] == (EXIT, 126) and len(calls) == failing + 2


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program is of this machine's kind")
def test_x86_64_executes(tmp_path: Path) -> None:
    program = tmp_path / "step-down"
    program.write_bytes(make_program(None, (9,), takes_terminal=False))
    program.chmod(0o755)
    words = [str(program), "/bin/sh", "sh", "-c", "echo $A"]
    assert subprocess.run(words, env={"A": "b"}, capture_output=True, check=True).stdout == b"b\n"
