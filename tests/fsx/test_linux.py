"""System calls as functions: what the kernel answers at bad moments."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from warpforge.fsx.linux import RESOLVE_IN_ROOT, openat2

if TYPE_CHECKING:
    from pathlib import Path

_RENAMING = """
import os
os.mkdir("x")
print("begun", flush=True)
while True:
    os.rename("x", "y")
    os.rename("y", "x")
"""


def test_a_way_back_up_is_followed_while_others_rename(tmp_path: Path) -> None:
    """The kernel says EAGAIN to one in eight of these."""
    tmp_path.joinpath("a/b/c").mkdir(parents=True)
    root_fd = os.open(tmp_path, os.O_PATH)
    with subprocess.Popen([sys.executable, "-c", _RENAMING], cwd=tmp_path, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"begun\n"
        try:
            for _ in range(2000):
                os.close(openat2(root_fd, "/a/../a/b/../../../../a/b/c/../..", os.O_PATH, resolve=RESOLVE_IN_ROOT))
        finally:
            other.kill()
            os.close(root_fd)
