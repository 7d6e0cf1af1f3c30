"""Directories for a moment: gone at the end, and after a kill as soon as the next one is made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

SCRIPT = """\
import os, signal
from warpforge.fsx.scratch import scratch
with scratch() as mine, scratch() as other:
    (mine / "f").touch(0o400)
    print(mine.is_dir() and other.is_dir(), flush=True)
    if {kill}:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def _make(directory: Path, *, kill: bool) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", SCRIPT.format(kill=kill)]
    return subprocess.run(argv, env={**os.environ, "TMPDIR": str(directory)}, capture_output=True, text=True)


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    killed = _make(tmp_path, kill=True)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "True\n") and len([*tmp_path.iterdir()]) == 3
    ended = _make(tmp_path, kill=False)
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
