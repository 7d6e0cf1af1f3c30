"""Writing so that a name holds either the old bytes or the new ones, also after kill -9 or a power cut.

The way is always the same: stage beside the goal on the same file system, fsync, rename, fsync the directory.
Everything here raises OSError; nothing is retried after a failed fsync, since the kernel may have dropped the pages.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .whole import whole

StrPath = str | os.PathLike[str]


def fsync_dir(path: StrPath) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write everything; a short write (a full disk, a signal) goes on until the system says why."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def random_name(prefix: str = "") -> str:
    """A name that nobody else uses."""
    return prefix + os.urandom(12).hex()


@whole
def write_new(path: StrPath, data: bytes, *, mode: int = 0o644, sync: bool = True) -> None:
    """Write a file that must not exist yet, whole or not at all as far as the caller sees errors."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        try:
            os.fchmod(fd, mode)  # not what the umask left of it
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


@whole
def write_atomic(
    path: StrPath, data: bytes, mode: int = 0o644, *, staging: StrPath | None = None, sync: bool = True
) -> None:
    """Write or replace a file. ``staging``: a directory of the same file system, else the file's own."""
    directory, name = os.path.split(os.path.abspath(path))
    staged = os.path.join(staging or directory, random_name(f".{name[:64]}."))
    write_new(staged, data, mode=mode, sync=sync)
    try:
        os.rename(staged, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(staged)
        raise
    if sync:
        fsync_dir(directory)


def make_dirs(path: StrPath, mode: int = 0o755, *, sync: bool = True) -> list[str]:
    """Make a directory with its missing parents, each durable in its parent. Returns those made, outermost first."""
    path = os.fspath(path)
    missing: list[str] = []
    while not os.path.isdir(path):
        missing.append(path)
        path, last = os.path.split(path)
        if not last:
            break
    made: list[str] = []
    for directory in reversed(missing):
        try:
            os.mkdir(directory, mode)
        except FileExistsError:
            if not os.path.isdir(directory):
                raise
            continue  # another made it: its entry may not be durable yet, so sync it below all the same
        finally:
            if sync and os.path.isdir(directory):
                fsync_dir(os.path.dirname(directory) or ".")
        made.append(directory)
    return made


def rename_noreplace(old: StrPath, new: StrPath) -> None:
    """Rename; FileExistsError when the new name is taken, whatever holds it."""
    from .linux import RENAME_NOREPLACE, renameat2

    try:
        renameat2(os.fspath(old), os.fspath(new), RENAME_NOREPLACE)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        _rename_without_flags(old, new)


def _rename_without_flags(old: StrPath, new: StrPath) -> None:
    """For file systems that know no flags: a link never replaces, nor does a directory replace one that holds names."""
    if not stat.S_ISDIR(os.lstat(old).st_mode):
        os.link(old, new, follow_symlinks=False)
        os.unlink(old)
        return
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(new))
    os.rename(old, new)


def exchange(one: StrPath, other: StrPath) -> None:
    """Swap two names in one step: nobody ever sees either of them missing."""
    from .linux import RENAME_EXCHANGE, renameat2

    renameat2(os.fspath(one), os.fspath(other), RENAME_EXCHANGE)


def make_private(path: str) -> str:
    """A directory of ours alone, in a place where everybody may write; gives it. Raises OSError.

    Somebody may have made it before us, to have us work in what is theirs: that is refused (EPERM).
    """
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise OSError(errno.EPERM, "it belongs to somebody else", path)
    return path


def link_or_copy(path: str, goal: str) -> None:
    """Give a file that never changes a second name; a copy where that cannot be done. Raises OSError."""
    try:
        os.link(path, goal)
    except FileExistsError:
        raise
    except OSError:
        with open(path, "rb") as source, open(goal, "xb") as target:
            while block := source.read(1 << 20):
                target.write(block)


@contextmanager
def movable(path: StrPath) -> Iterator[None]:
    """Let a directory without write permission be moved to another parent: its ``..`` changes, so the kernel asks.

    The mode is put back on whichever name the directory then has: yield, rename, and the inode is found again.
    """
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_mode & stat.S_IWUSR or os.geteuid() == 0:
        yield
        return
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
    handle = f"/proc/self/fd/{fd}"
    try:
        os.chmod(handle, stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
        try:
            yield
        finally:
            os.chmod(handle, stat.S_IMODE(status.st_mode))
    finally:
        os.close(fd)
