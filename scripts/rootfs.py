"""The smallest root file system that has a shell: the distribution's static busybox and a name for each applet."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def find_busybox() -> Path:
    """The static busybox of this machine. Raises FileNotFoundError, naming the package, where there is none."""
    found = shutil.which("busybox", path="/bin:/usr/bin:/usr/local/bin")
    if found is None:
        raise FileNotFoundError("busybox is not installed: `make setup` installs Debian's busybox-static")
    return Path(found)


def busybox_release(busybox: Path) -> str:
    """Its release as catalogs spell it, such as ``v1.35.0``."""
    banner = subprocess.run([busybox], capture_output=True, check=True, text=True).stdout
    return banner.split()[1]


def make_rootfs(target: Path) -> None:
    """Make the tree at ``target``, with modes that do not depend on the umask."""
    busybox = find_busybox()
    names = subprocess.run([busybox, "--list"], capture_output=True, check=True, text=True).stdout.split()
    shell = target / "bin"
    shell.mkdir(parents=True)
    shutil.copyfile(busybox, shell / "busybox")
    for name in names:
        if name != "busybox":
            os.symlink("busybox", shell / name)
    for path in (target, shell, shell / "busybox"):
        path.chmod(0o755)
