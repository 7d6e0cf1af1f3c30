"""Removing a tree, whatever it holds: any depth, any modes, never through a symlink, never onto another device."""

from __future__ import annotations

import errno
import os
import stat
from itertools import islice

from .descent import DIRECTORY, Descent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH = 4096  # names looked at between two scans of a directory: bounds memory


def remove_tree(dir_fd: int, name: bytes | str, *, missing_ok: bool = False) -> None:
    """Remove ``name`` below ``dir_fd`` with all it holds. Raises OSError; EXDEV for a mount point, before touching it.

    What was removed before an error stays removed; running again goes on from there. Several may remove one tree at
    once: what somebody else was quicker with is gone, as it should be.
    """
    name = os.fsencode(name)
    try:
        top = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        if missing_ok:
            return
        raise
    try:
        _remove(dir_fd, name, top)
    except FileNotFoundError:
        pass


def _remove(dir_fd: int, name: bytes, top: os.stat_result) -> None:
    if not stat.S_ISDIR(top.st_mode):
        os.unlink(name, dir_fd=dir_fd)
        return
    descent = Descent(_open_writable(dir_fd, name, top.st_dev))
    try:
        _empty(descent, top.st_dev)
    finally:
        descent.close()
    os.rmdir(name, dir_fd=dir_fd)


def _empty(descent: Descent, device: int) -> None:
    """Remove all below the directory we stand in: scan a batch, unlink, go down, scan again until nothing is left."""
    subdirectories = list(_unlink_batch(descent.fd))
    pending: list[tuple[bytes, list[bytes]]] = []
    while True:
        if subdirectories:
            name = subdirectories.pop()
            if _is_gone(descent.fd, name):
                continue
            try:
                fd = _open_writable(descent.fd, name, device)
            except FileNotFoundError:
                continue
            pending.append((name, subdirectories))
            descent.adopt(fd)
            subdirectories = list(_unlink_batch(descent.fd))
            continue
        names = list(_unlink_batch(descent.fd))
        if names:
            subdirectories = names
            continue
        if not pending:
            return
        name, subdirectories = pending.pop()
        os.close(descent.leave())
        try:
            os.rmdir(name, dir_fd=descent.fd)
        except FileNotFoundError:
            pass


def _is_gone(dir_fd: int, name: bytes) -> bool:
    """Remove a directory at once if it is empty, as most are that a box leaves: no need to look into it."""
    try:
        os.rmdir(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # not empty, or something that is told when it is opened
    return True


def _unlink_batch(fd: int) -> Iterator[bytes]:
    """Unlink files until a batch is through or nothing but directories is left; names the directories met."""
    while True:
        try:
            with os.scandir(fd) as found:
                batch = [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in islice(found, _BATCH)]
        except FileNotFoundError:
            return  # the directory itself is gone
        directories = [name for name, is_directory in batch if is_directory]
        for name, is_directory in batch:
            if not is_directory:
                _unlink(fd, name)
        if directories or len(batch) < _BATCH:
            yield from directories
            return


def _unlink(dir_fd: int, name: bytes) -> None:
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        pass


def _open_writable(dir_fd: int, name: bytes, device: int) -> int:
    """Open a directory so that its children can be listed and removed."""
    try:
        fd = os.open(name, DIRECTORY, dir_fd=dir_fd)
    except PermissionError:
        # a descriptor of the directory itself, so that the change of mode cannot follow a symlink put in its place
        path_fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            os.chmod(f"/proc/self/fd/{path_fd}", 0o700)
        finally:
            os.close(path_fd)
        fd = os.open(name, DIRECTORY, dir_fd=dir_fd)
    status = os.fstat(fd)
    if status.st_dev != device:
        os.close(fd)
        raise OSError(errno.EXDEV, "another file system is mounted here", name)
    if status.st_mode & 0o700 != 0o700:
        try:
            os.fchmod(fd, 0o700)
        except PermissionError:
            pass  # another's directory: what we may not remove will say so itself
    return fd
