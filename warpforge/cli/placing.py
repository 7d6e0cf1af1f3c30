"""Placing: a ware's tree at a path that a person named, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from warpforge.errors import Failed, store_error
from warpforge.fsx.atomic import exchange, movable, random_name
from warpforge.fsx.locks import locked_open
from warpforge.fsx.remove import remove_tree
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.pack.filters import Filters


STAGED: Final = re.compile(r"\.warpforge-[0-9a-f]{24}\Z")
TREE: Final = "tree"


def place(engine: Engine, ware: WareId, path: str, filters: Filters, *, force: bool) -> None:
    """Unpack beside the goal, verified, then put it there.

    The working directory itself, and an existing empty directory, keep their inode: the tree's children move in.
    Errors: ``already-exists`` for anything but an empty directory, unless ``force``; those of unpacking.
    """
    goal = os.path.abspath(path)
    _refuse_occupied(goal, force=force)
    parent = goal if os.path.isdir(goal) and not os.path.islink(goal) else os.path.dirname(goal)
    try:
        os.makedirs(parent, exist_ok=True)
        _sweep(parent)
        with _staging(parent) as (staged, fd):
            _unpack(engine, ware, fd, TREE.encode(), filters)
            _put(os.path.join(staged, TREE), parent, goal)
    except OSError as error:
        raise store_error(error, f"cannot unpack to {path}") from error


@contextmanager
def _staging(parent: str) -> Iterator[tuple[str, int]]:
    """A private directory beside the goal, locked for as long as we live, gone in the end. Raises OSError."""
    path = os.path.join(parent, random_name(".warpforge-"))
    os.mkdir(path, 0o700)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield path, fd
    finally:
        with suppress(OSError):
            remove_tree(-100, path)
        os.close(fd)


def _sweep(parent: str) -> None:
    """Remove what a killed command left here."""
    for name in os.listdir(parent):
        if STAGED.match(name):
            path = os.path.join(parent, name)
            with suppress(OSError), locked_open(path, os.O_RDONLY | os.O_DIRECTORY) as held:
                if held is not None:
                    remove_tree(-100, path)


def _refuse_occupied(goal: str, *, force: bool) -> None:
    if not os.path.lexists(goal) or force:
        return
    if os.path.islink(goal) or not os.path.isdir(goal):
        raise Failed("already-exists", f"{goal} is not a directory: file already exists", path=goal)
    if os.listdir(goal):
        raise Failed("already-exists", "path is a non-empty directory: file already exists", path=goal)


def _unpack(engine: Engine, ware: WareId, fd: int, name: bytes, filters: Filters) -> None:
    from warpforge.pack.packer import unpack

    with engine.supply.packed(ware) as packed:
        packtype, expect = engine.supply.at_rest(ware)
        limits = engine.supply.limits_of(ware)
        done = unpack(packed, packtype, fd, name, filters=filters, expect=expect, limits=limits)
    engine.store.duals.record(ware, done.source.dual)


def _put(fresh: str, parent: str, goal: str) -> None:
    """Give the staged tree its place. Raises OSError."""
    if parent != goal:
        if os.path.lexists(goal):
            with movable(fresh), movable(goal):
                exchange(fresh, goal)
        else:
            with movable(fresh):
                os.rename(fresh, goal)
        return
    if not os.path.isdir(fresh):
        raise IsADirectoryError(21, "the ware is a single file: name a path that does not exist yet", goal)
    for name in os.listdir(goal):
        if name != os.path.basename(os.path.dirname(fresh)):
            remove_tree(-100, os.path.join(goal, name))
    status = os.stat(fresh)
    os.chmod(fresh, 0o700)
    for name in os.listdir(fresh):
        inner = os.path.join(fresh, name)
        with movable(inner):
            os.rename(inner, os.path.join(goal, name))
    os.chmod(goal, status.st_mode & 0o7777)
    os.utime(goal, ns=(status.st_mtime_ns, status.st_mtime_ns))
