"""Work that is spread over processes ends with the one that wants it, and only that one says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, sys, time
from warpforge.fsx.spread import spread

def work(number):
    time.sleep(0.05)
    return number

if __name__ == "__mp_main__":  # one of the others, which begins by reading this file
    os.write(1, b"begun\\n")
    time.sleep(1)

if __name__ == "__main__":
    try:
        for number in spread(work, range(1000), jobs=2, least=1):
            pass
    except KeyboardInterrupt:
        os._exit(7)
"""


def test_an_interrupt_from_the_terminal_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its processes are a group, as those of a command in a terminal
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (7, "")
