"""The README's five minutes: its commands, run as they stand, say what it says they say."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.world import WARPFORGE, World

README = Path(__file__).parents[2] / "README.md"
END = "--- end of one command ---"
# ids differ by the machine's busybox and by the run; times by the run
VARYING = [
    (re.compile(r"\bzM5K\w+"), "ID"),
    (re.compile(r"\bztar:\w+"), "WARE"),
    (re.compile(r"^[0-9a-f]{8}  [-0-9]{10} [:0-9]{8}"), "RUN"),
    (re.compile(r" *\d+\.\d s"), " SECONDS"),
]


def tour() -> list[tuple[str, list[str]]]:
    """Every command of the console blocks, with the lines that follow it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def masked(lines: list[str]) -> list[str]:
    for pattern, word in VARYING:
        lines = [pattern.sub(word, line) for line in lines]
    return lines


@pytest.mark.both
def test_the_five_minutes(world: World, needs_box: None) -> None:
    commands = tour()
    script = "".join(f"{command}\nstatus=$?; echo '{END}'; (exit $status)\n" for command, _ in commands)
    env = world.environment({"PATH": f"{WARPFORGE.parent}:{os.environ['PATH']}"})
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1; {script}"], cwd=world.root, env=env, capture_output=True, text=True, timeout=300
    )
    parts = done.stdout.split(f"{END}\n")
    said = [(command, masked(part.splitlines())) for (command, _), part in zip(commands, parts, strict=False)]
    assert said == [(command, masked(lines)) for command, lines in commands]
