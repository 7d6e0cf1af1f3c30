"""Faults at chosen system calls of any command line, through strace's injection.

``count(command, calls)`` runs the command once and tells how often each call was made;
``inject(command, Fault("rename", "signal=KILL", when=3))`` runs it with one fault.
Where strace cannot run (not installed, ptrace forbidden) ``needs_strace`` skips and says so.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

# every way in which a command changes what is on disk; an absent one is left out where the kernel has none
WRITES = (
    "openat",
    "mkdir",
    "mkdirat",
    "write",
    "pwrite64",
    "ftruncate",
    "fchmod",
    "chmod",
    "fchmodat",
    "fsync",
    "fdatasync",
    "msync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "utimensat",
)


class Fault(NamedTuple):
    """The ``when``-th use of a call (``3``), or every one from it on (``3+``), does not happen.

    ``how``: ``signal=KILL``, ``error=ENOSPC``, ... ``when`` counts in each process on its own.
    """

    call: str
    how: str
    when: str | int


class Ended(NamedTuple):
    """``status`` as subprocess gives it: negative for a signal."""

    status: int
    stdout: str
    stderr: str


@functools.cache
def strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    probe = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-o",
        os.devnull,
        "-e",
        "trace=mkdir",
        "-e",
        "inject=mkdir:error=EIO:when=1",
        "true",
    ]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def needs_strace() -> None:
    """Skip the test that calls this where faults cannot be injected."""
    if not strace_works():
        pytest.skip("strace cannot inject faults here (not installed, or ptrace is forbidden)")


def inject(
    command: Sequence[str | os.PathLike[str]],
    *faults: Fault,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> Ended:
    """Run a command with these faults."""
    options = ["-e", "trace=" + ",".join({fault.call for fault in faults})]
    options += [option for fault in faults for option in ("-e", f"inject={fault.call}:{fault.how}:when={fault.when}")]
    if not any("signal" in fault.how for fault in faults):  # strace 6.1 forgets signals under its seccomp filter
        options.append("--seccomp-bpf")
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", os.devnull, *options, "--", *[os.fspath(part) for part in command]],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def count(
    command: Sequence[str | os.PathLike[str]],
    calls: Sequence[str] = WRITES,
    *,
    below: Path | None = None,
    main_only: Sequence[str] = (),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> tuple[Ended, dict[str, list[int]]]:
    """Run a command undisturbed; for each call the numbers of its uses that matter, counted from 1.

    ``below``: only those whose line in the trace names this directory (by path or by a descriptor's path).
    ``main_only``: calls of which only those of the first thread count: a small number of another one's would strike
    the first one long before it does anything of interest.
    """
    known = [call for call in calls if _exists(call)]
    with tempfile.TemporaryDirectory() as directory:
        trace = Path(directory, "trace")
        strace = ["strace", "-f", "--seccomp-bpf", "-y", "-qq", "-s", "512", "-o", os.fspath(trace)]
        done = subprocess.run(
            [*strace, "-e", f"trace={','.join(known)}", "--", *[os.fspath(part) for part in command]],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        lines = trace.read_text(errors="replace").splitlines()
    ended = Ended(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    return ended, _number(lines, None if below is None else os.fspath(below), main_only)


def points(uses: Mapping[str, Sequence[int]], how: str) -> Iterator[Fault]:
    """One fault for every use that was counted."""
    for call, numbers in uses.items():
        for number in numbers:
            yield Fault(call, how, number)


def _number(lines: Sequence[str], below: str | None, main_only: Sequence[str]) -> dict[str, list[int]]:
    """strace's ``when`` counts for each process on its own, so for several processes a number may strike twice."""
    seen: dict[tuple[str, str], int] = {}
    found: dict[str, set[int]] = {}
    main = lines[0].split()[0] if lines else ""
    for line in lines:
        match = re.match(r"(\d+) +(\w+)\(", line)
        if not match:
            continue
        use = (match[1], match[2])
        seen[use] = number = seen.get(use, 0) + 1
        if match[2] in main_only and match[1] != main:
            continue
        # of an absolute path the working directory, which strace tells, says nothing
        if below is None or below in re.sub(r'AT_FDCWD<[^>]*>, "/', '"/', line):
            found.setdefault(match[2], set()).add(number)
    return {call: sorted(numbers) for call, numbers in found.items()}


@functools.cache
def _exists(call: str) -> bool:
    """Whether this machine has the call (aarch64 has no mkdir, rename, ...)."""
    probe = ["strace", "-o", os.devnull, "-e", f"trace={call}", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
