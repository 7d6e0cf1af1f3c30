"""Small C programs that try things from inside a box, compiled when the tests run (Debian: gcc, libc6-dev)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "probes"


def compile_probe(source: str, target: Path, *options: str) -> Path:
    """Compile one of ``support/probes``; a missing compiler is an error, for `make setup` installs it."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise RuntimeError("gcc is missing: apt-get install gcc libc6-dev")
    subprocess.run([compiler, "-O1", "-w", *options, "-o", target, SOURCES / source], check=True)
    return target
