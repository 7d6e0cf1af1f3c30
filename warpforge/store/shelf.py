"""The shelf: wares unpacked, ready to be a lower layer of a box or a read-only bind.

Derived, so nothing is fsynced; instead a stamp is written last. A tree without its stamp, with one that no longer
fits the tree's root, or with one of an earlier boot (a power cut may have torn the files) is never used.
Trees carry exactly the modes that their ware says and belong to the one user who runs the boxes.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from warpforge.errors import Invalid
from warpforge.fsx.atomic import make_dirs, movable, rename_noreplace, write_atomic
from warpforge.fsx.locks import Lock
from warpforge.model.atoms import WareId

from .boot import boot_id
from .finding import storing
from .layout import Layout, is_storable
from .staging import Staging

_DAY: Final = 86400.0
_TREE: Final = b"tree"


class StagedTree:
    """A tree on its way to the shelf: unpack it as ``name`` below ``fd``; left without commit() nothing remains."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.name: Final = _TREE
        with storing(f"cannot stage a tree in {directory}"):
            os.mkdir(directory, 0o700)
            self.fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    @property
    def path(self) -> str:
        """The tree's path while it is staged."""
        return os.path.join(self.directory, os.fsdecode(self.name))

    def drop(self) -> None:
        """Remove what is left; may be called again."""
        from warpforge.fsx.remove import remove_tree

        fd, self.fd = self.fd, -1
        if fd < 0:
            return
        os.close(fd)
        with suppress(OSError):
            os.rmdir(self.directory)  # the usual case: the tree was renamed away
            return
        with suppress(OSError):
            remove_tree(-100, self.directory)

    def __enter__(self) -> StagedTree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()


class Shelf:
    """Unpacked wares on disk. ``owner``: the user who runs the boxes, when that is not us. ``look``: only look."""

    def __init__(self, layout: Layout, staging: Staging, owner: tuple[int, int] | None, *, look: bool = False) -> None:
        self._look = look
        self._layout = layout
        self._staging = staging
        self._owner = owner

    def has(self, ware: WareId, filters_key: str = "") -> bool:
        """Whether a tree stands here that may be used."""
        return self._locate(ware, filters_key) is not None

    def find(self, ware: WareId, filters_key: str = "") -> Path | None:
        """The tree (a directory, or a file for a single-file ware) of a ware under these filters, if it may be used."""
        found = self._locate(ware, filters_key)
        return None if found is None else Path(found)

    def stage(self) -> StagedTree:
        """Begin to unpack. Errors: ``store``."""
        return StagedTree(self._staging.new("tree"))

    def commit(self, staged: StagedTree, ware: WareId, filters_key: str = "") -> Path:
        """Put a staged tree on the shelf; when somebody was first, theirs stays.

        Errors: ``store``, ``wareid-invalid``.
        """
        if not is_storable(ware):
            raise Invalid("wareid-invalid", f"no ware can be stored as {ware}", wareId=ware)
        goal = self._layout.tree(ware, filters_key)
        with storing(f"cannot put ware {ware} on the shelf"):
            self._make_dirs(os.path.dirname(goal))
            self._make_dirs(os.path.dirname(self._layout.stamp(ware, filters_key)))
            make_dirs(self._layout.locks, sync=False)
            with Lock(self._layout.lock("shelf", f"{ware}{filters_key}")):
                if not self.has(ware, filters_key):
                    self._place(staged.path, goal, ware, filters_key)
        return Path(goal)

    def drop(self, ware: WareId, filters_key: str = "") -> None:
        """Take a tree off the shelf: its stamp first, then the tree. Errors: ``store``."""
        from warpforge.fsx.remove import remove_tree

        with storing(f"cannot take ware {ware} off the shelf"):
            with suppress(FileNotFoundError):
                os.unlink(self._layout.stamp(ware, filters_key))
            tree = self._layout.tree(ware, filters_key)
            if os.path.lexists(tree):
                remove_tree(-100, self._set_aside(tree))

    def _place(self, path: str, goal: str, ware: WareId, filters_key: str) -> None:
        stamp = self._layout.stamp(ware, filters_key)
        with suppress(FileNotFoundError):
            os.unlink(stamp)
        while True:
            try:
                with movable(path):
                    rename_noreplace(path, goal)
                break
            except FileExistsError:
                self._set_aside(goal)  # removed with the rest of the staging directory
        write_atomic(stamp, _summary(os.lstat(goal)), staging=self._staging.directory(), sync=False)

    def _set_aside(self, tree: str) -> str:
        aside = self._staging.new("old")
        with movable(tree):
            os.rename(tree, aside)
        return aside

    def _locate(self, ware: WareId, filters_key: str) -> str | None:
        if not is_storable(ware):
            return None
        stamp = self._layout.stamp(ware, filters_key)
        try:
            fd = os.open(stamp, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            written = os.read(fd, 512)
            tree = self._layout.tree(ware, filters_key)
            if written != _summary(os.lstat(tree)):
                return None
            if not self._look and abs(time.time() - os.fstat(fd).st_mtime) > _DAY:
                os.utime(stamp)  # the last use, renewed at most once a day
        except FileNotFoundError:
            return None
        except OSError:
            return tree
        finally:
            os.close(fd)
        return tree

    def _make_dirs(self, path: str) -> None:
        cache = self._layout.cache
        made = make_dirs(cache, 0o700, sync=False) + make_dirs(path, 0o755, sync=False)
        for directory in made if self._owner else ():
            if directory.startswith(cache):
                os.chown(directory, *self._owner, follow_symlinks=False)  # type: ignore[misc]


def judge(tree: str, stamp: str) -> str:
    """What a stamp says of its tree: ``ok``, ``changed``, or ``stale``: none, or of an earlier boot, so never used."""
    try:
        with open(stamp, "rb") as file:
            written = file.read(512)
        expected = _summary(os.lstat(tree))
    except OSError:
        return "stale"
    if written == expected:
        return "ok"
    return "changed" if written.split(b" ")[:2] == expected.split(b" ")[:2] else "stale"


def _summary(root: os.stat_result) -> bytes:
    """What is cheap to compare: the boot, and of the root its inode, change time, mode, links and size.

    A change below the root is not seen here; boxes never get a writable way to a tree.
    """
    mode = root.st_mode if not stat.S_ISLNK(root.st_mode) else -1
    return f"1 {boot_id()} {root.st_ino} {root.st_ctime_ns} {mode} {root.st_nlink} {root.st_size}\n".encode()
