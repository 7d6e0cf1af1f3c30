"""Templates copied into a project: nothing is written outside of it, whatever a template or a symlink says."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, NamedTuple

from warpforge.errors import Failed, Invalid, Missing, Unable
from warpforge.fsx.atomic import write_atomic
from warpforge.polytope.modules.rendering import render

Conflict = Literal["skip", "overwrite", "fail"]
CONFLICTS: Final[tuple[Conflict, ...]] = ("skip", "overwrite", "fail")
_TEXT_LIMIT: Final = 4 << 20


class Action(NamedTuple):
    """Where a template goes: a path from the project's root; and what its placeholders stand for."""

    path: str
    variables: Mapping[str, str]
    conflict: Conflict = "fail"


class Copied(NamedTuple):
    """Paths from the project's root."""

    written: list[str]
    kept: list[str]


def copy_template(tree: str, project: str, action: Action) -> Copied:
    """Copy a directory or a file to ``action.path``. Conflicts are looked for before anything is written.

    Errors: ``already-exists``, ``invalid-argument`` (a path that leads out), ``missing``, ``io``.
    """
    files = list(_rendered(tree, action))
    inside = [os.path.join(project, path) for path, _, _ in files]
    for goal in inside:
        _stay_inside(project, goal)
    there = [
        path
        for (path, data, _), goal in zip(files, inside, strict=True)
        if os.path.lexists(goal) and (action.conflict == "skip" or _content(goal) != data)
    ]
    if there and action.conflict == "fail":
        names = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
        raise Failed("already-exists", f"{names}: there already, and different (on-conflict: skip or overwrite)")
    copied = Copied([], [])
    for (path, data, mode), goal in zip(files, inside, strict=True):
        if path in there and action.conflict == "skip":
            copied.kept.append(path)
            continue
        if _content(goal) == data:
            continue  # as it would be written
        _stay_inside(project, goal)
        with told(goal):
            os.makedirs(os.path.dirname(goal), exist_ok=True)
            write_atomic(goal, data, mode)
        copied.written.append(path)
    return copied


def _rendered(tree: str, action: Action) -> Iterator[tuple[str, bytes, int]]:
    """(path from the project's root, content, mode) of every file of a template; symlinks of it are followed inside."""
    if not os.path.lexists(tree):
        raise Missing("missing", f"there is no template {tree}", path=tree)
    if not os.path.isdir(tree):
        yield os.path.normpath(action.path), *_load(tree, action.variables)
        return
    root = os.path.realpath(tree)
    for directory, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in (".git", "__pycache__"))
        for name in sorted(files):
            whole = os.path.join(directory, name)
            if not _is_within(root, os.path.realpath(whole)) or not os.path.isfile(whole):
                continue
            inside = render(os.path.relpath(whole, root), action.variables)
            yield os.path.normpath(os.path.join(action.path, inside)), *_load(whole, action.variables)


def _load(path: str, variables: Mapping[str, str]) -> tuple[bytes, int]:
    with told(path), open(path, "rb") as file:
        data = file.read()
        mode = 0o755 if os.fstat(file.fileno()).st_mode & stat.S_IXUSR else 0o644
    if len(data) <= _TEXT_LIMIT and b"{{" in data and b"\0" not in data:
        try:
            data = render(data.decode(), variables).encode()
        except UnicodeDecodeError:
            pass
    return data, mode


def _stay_inside(project: str, goal: str) -> None:
    """A file's directory, symlinks followed, is within the project."""
    if not _is_within(project, os.path.realpath(os.path.dirname(goal))):
        raise Invalid("invalid-argument", f"{goal} leads out of the project {project}", path=goal)


def _is_within(root: str, path: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _content(path: str) -> bytes | None:
    """What is there; None for what is no plain file."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def read_shown(project: str, path: str) -> str:
    """A file of the project, to be shown. Errors: ``missing``, ``invalid-argument``."""
    whole = os.path.join(project, path)
    _stay_inside(project, whole)
    data = _content(whole)
    if data is None:
        raise Missing("missing", f"print-files: there is no {path}", path=path)
    return data.decode("utf-8", "replace")


@contextmanager
def told(path: str) -> Iterator[None]:
    """What the system refuses, as ``io``."""
    try:
        yield
    except OSError as error:
        raise Unable("io", f"{path}: {error.strerror or error}", cause=error, path=path) from error
