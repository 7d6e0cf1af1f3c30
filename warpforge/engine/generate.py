"""Generate: a plot that a Starlark program computes (``plot.star``) is written as ``plot.wf`` beside it.

The program leaves the plot in ``result``. It sees no file but what it loads from its own directory or below, no clock
and no chance, and it runs in a process of its own that is ended when it takes too long or too much.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from warpforge.errors import Failed, Missing, Unable, WarpforgeError, store_error
from warpforge.fsx.atomic import write_atomic
from warpforge.model.serial import dump, load_plot

PROGRAM: Final = "plot.star"
PLOT: Final = "plot.wf"
SECONDS: Final = 60
CAPSULE: Final = "plot.v1"


def find_programs(arguments: Sequence[str], cwd: Path) -> Iterator[Path]:
    """What these arguments mean: nothing the working directory, DIR its program, DIR/... all at or below it, a FILE.

    Errors: ``missing``.
    """
    for argument in arguments or (".",):
        directory, _, last = argument.rpartition("/")
        if last == "...":
            yield from _below(cwd / (directory or ("/" if argument[:1] == "/" else ".")))
            continue
        path = cwd / argument
        if path.is_dir():
            path /= PROGRAM
        if not path.is_file():
            raise Missing("missing", f"{argument}: there is no {PROGRAM}", path=path)
        yield path


def generate(program: Path) -> Path:
    """Compute a plot and write it; gives the file written, which is named as the program is.

    Errors: ``generator-failed``, ``plot-invalid``, ``store``.
    """
    value = _evaluate(program)
    if isinstance(value, dict) and CAPSULE not in value:
        value = {CAPSULE: value}
    data = json.dumps(value, sort_keys=True).encode()
    try:
        plot = load_plot(data, str(program)).noun
    except WarpforgeError as error:
        raise Failed("generator-failed", f"{program} computes no plot", cause=error, path=program) from error
    goal = program.with_suffix(".wf")
    try:
        write_atomic(goal, dump(plot))
    except OSError as error:
        raise store_error(error, f"cannot write {goal}") from error
    return goal


def _below(top: Path) -> Iterator[Path]:
    if not top.is_dir():
        raise Missing("missing", f"there is no directory {top}", path=top)
    for directory, names, files in os.walk(top):
        names[:] = sorted(name for name in names if name[:1] != ".")
        if PROGRAM in files:
            yield Path(directory, PROGRAM)


def _evaluate(program: Path) -> Any:
    """The value of ``result``, from a process of its own. Errors: ``generator-failed``, ``missing``."""
    from importlib.util import find_spec

    if find_spec("starlark") is None:
        raise Unable("generator-failed", "Starlark is not installed: pip install 'warpforge[starlark]'")
    command = [sys.executable, "-I", os.fspath(Path(__file__).with_name("starlark_process.py")), os.fspath(program)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, env={})
    except subprocess.TimeoutExpired as error:
        raise Failed("generator-failed", f"{program}: not done after {SECONDS} s", cause=error, path=program) from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or f"it ended with {done.returncode}: out of memory?"
        raise Failed("generator-failed", f"{program}: {said}", path=program)
    return json.loads(done.stdout)
