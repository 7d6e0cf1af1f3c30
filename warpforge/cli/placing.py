"""Placing: a ware's tree at a path that a person named, whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from warpforge.errors import Failed, store_error
from warpforge.fsx.atomic import exchange, random_name
from warpforge.fsx.remove import remove_tree
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.pack.filters import Filters


def place(engine: Engine, ware: WareId, path: str, filters: Filters, *, force: bool) -> None:
    """Unpack beside the goal, verified, then put it there.

    The working directory itself, and an existing empty directory, keep their inode: the tree's children move in.
    Errors: ``already-exists`` for anything but an empty directory, unless ``force``; those of unpacking.
    """
    goal = os.path.abspath(path)
    _refuse_occupied(goal, force=force)
    parent = goal if os.path.isdir(goal) and not os.path.islink(goal) else os.path.dirname(goal)
    staged = random_name(".warpforge-")
    try:
        os.makedirs(parent, exist_ok=True)
        fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise store_error(error, f"cannot unpack to {path}") from error
    try:
        _unpack(engine, ware, fd, staged.encode(), filters)
        _put(fd, parent, staged, goal)
    except OSError as error:
        raise store_error(error, f"cannot unpack to {path}") from error
    finally:
        with suppress(OSError):
            remove_tree(fd, staged)
        os.close(fd)


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


def _put(fd: int, parent: str, staged: str, goal: str) -> None:
    """Give the staged tree its place. Raises OSError."""
    fresh = os.path.join(parent, staged)
    if parent != goal:
        if os.path.lexists(goal):
            exchange(fresh, goal)
        else:
            os.rename(fresh, goal)
        return
    for name in os.listdir(goal):
        if name != staged:
            remove_tree(fd, name)
    if not os.path.isdir(fresh):
        raise IsADirectoryError(21, "the ware is a single file: name a path that does not exist yet", goal)
    status = os.stat(fresh)
    for name in os.listdir(fresh):
        os.rename(os.path.join(fresh, name), os.path.join(goal, name))
    os.rmdir(fresh)
    os.chmod(goal, status.st_mode & 0o7777)
    os.utime(goal, ns=(status.st_mtime_ns, status.st_mtime_ns))
