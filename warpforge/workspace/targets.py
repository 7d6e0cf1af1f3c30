"""Targets: from the arguments of a command to the documents it is about."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from warpforge.errors import Invalid, Missing, Unable

MODULE: Final = "module.wf"
PLOT: Final = "plot.wf"
_RECURSIVE: Final = "..."
_HEAD: Final = 1 << 20  # a capsule that stands later than this is not looked for
_CAPSULE: Final = re.compile(rb'(?<!\\)"(formula|plot|module)\.v[0-9]+"[ \t\r\n]*:')


class Target(NamedTuple):
    """One document. ``kind``: formula, plot or module; a module's plot is beside it, in ``plot``."""

    kind: str
    path: Path

    @property
    def plot(self) -> Path:
        """The plot that belongs to a module or is the target itself."""
        return self.path.with_name(PLOT) if self.kind == "module" else self.path


def find_targets(
    arguments: Sequence[str], cwd: Path, notice: Callable[[str], None] = lambda message: None
) -> list[Target]:
    """What these arguments mean. ``notice`` hears of modules without a plot that ``path/...`` passes over.

    none        the working directory
    DIRECTORY   its module.wf, else its plot.wf
    PATH/...    every module.wf at or below PATH, sorted
    FILE        known by its name (module.wf, plot.wf), else by its capsule

    Errors: ``missing``, ``invalid-argument``, ``searching-filesystem``.
    """
    targets: list[Target] = []
    for argument in arguments or (".",):
        targets += _targets_of(argument, cwd, notice)
    return list(dict.fromkeys(targets))


def _targets_of(argument: str, cwd: Path, notice: Callable[[str], None]) -> list[Target]:
    directory, _, last = argument.rpartition("/")
    if last == _RECURSIVE:
        top = cwd / (directory or ("/" if argument.startswith("/") else "."))
        if not top.is_dir():
            raise Missing("missing", f"{argument}: there is no directory {top}", path=top)
        return list(_recursive(top, notice))
    path = cwd / argument
    try:
        if path.is_dir():
            return [_of_directory(path, argument)]
        return [_of_file(path, argument)]
    except FileNotFoundError:
        raise Missing("missing", f"{argument}: there is no such file or directory", path=path) from None
    except OSError as error:
        raise _unreadable(path, error) from error


def _of_directory(directory: Path, argument: str) -> Target:
    if (directory / MODULE).is_file():
        return _module(directory / MODULE)
    if (directory / PLOT).is_file():
        return Target("plot", directory / PLOT)
    raise Missing(
        "missing",
        f"{argument}: neither {MODULE} nor {PLOT} is there: name a file, or make a module with `warpforge quickstart`",
        path=directory / MODULE,
    )


def _of_file(path: Path, argument: str) -> Target:
    if path.name == MODULE:
        os.stat(path)
        return _module(path)
    with open(path, "rb") as file:
        if path.name == PLOT:
            return Target("plot", path)
        found = _CAPSULE.search(file.read(_HEAD))
    if found is None:
        raise Invalid(
            "invalid-argument",
            f"{argument} is no formula, plot or module: a capsule such as formula.v1 is wanted in it",
            path=path,
        )
    kind = found[1].decode()
    return _module(path) if kind == "module" else Target(kind, path)


def _module(path: Path) -> Target:
    target = Target("module", path)
    if not target.plot.is_file():
        raise Missing("missing", f"{path} has no {PLOT} beside it, so there is nothing to run", path=target.plot)
    return target


def _recursive(top: Path, notice: Callable[[str], None]) -> Iterator[Target]:
    """Depth first, each directory's own module before those below it; no symlink to a directory is followed."""
    waiting = [os.path.normpath(top)]
    while waiting:
        directory = waiting.pop()
        try:
            with os.scandir(directory) as entries:
                found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
            names = {entry.name for entry in found}
            below = [e.path for e in found if e.name not in (".git", ".warpforge") and e.is_dir(follow_symlinks=False)]
        except OSError as error:
            raise _unreadable(Path(directory), error) from error
        if MODULE in names and PLOT in names:
            yield Target("module", Path(directory, MODULE))
        elif MODULE in names:
            notice(f"{os.path.join(directory, MODULE)} has no {PLOT} beside it: skipped")
        waiting += reversed(below)


def _unreadable(path: Path, error: OSError) -> Unable:
    return Unable("searching-filesystem", f"cannot read {path}: {error.strerror}", cause=error, path=path)
