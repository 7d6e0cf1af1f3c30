"""Reading the outputs out of the box's merged view, after its last process is gone."""

from __future__ import annotations

import errno
import os
import stat

from warpforge.fsx.linux import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from warpforge.fsx.tree import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from warpforge.fsx.tree import Content, Entry

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR)
_KINDS = {"p": "a fifo", "s": "a socket", "c": "a character device", "D": "a block device"}


class NotGathered(OSError):
    """An output that cannot be taken: ``why`` is missing, type, limit or escape; ``text`` says which file."""

    def __init__(self, why: str, text: str, path: bytes = b"") -> None:
        super().__init__(errno.EINVAL, text, path)
        self.why = why
        self.text = text


def find_output(root_fd: int, path: bytes) -> tuple[int, bytes]:
    """The directory (to be closed) and name at which an output lies, resolved inside the root and nowhere else."""
    parent, _, name = path.rpartition(b"/")
    if not name:
        return os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root_fd), b"."
    try:
        parent_fd = openat2(root_fd, parent or b"/", os.O_PATH | os.O_DIRECTORY, resolve=_INSIDE)
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise NotGathered("missing", "the action did not make it") from None
        raise NotGathered("escape", f"the way to it cannot be followed: {error.strerror}") from None
    try:
        _check_kind(parent_fd, name)
    except BaseException:
        os.close(parent_fd)
        raise
    return parent_fd, name


def _check_kind(parent_fd: int, name: bytes) -> None:
    try:
        mode = os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode
    except OSError as error:
        if error.errno in _NOT_THERE:
            raise NotGathered("missing", "the action did not make it") from None
        raise
    if stat.S_ISLNK(mode):
        raise NotGathered("type", "it is a symlink")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise NotGathered("type", "it is neither a file nor a directory")


def read_output(
    parent_fd: int, name: bytes, allowance: list[int], *, said: Callable[[bytes], tuple[int, int] | None] | None = None
) -> Iterator[tuple[Entry, Content | None]]:
    """The tree, as ``fsx.tree.walk``; raises NotGathered at a special file or when the allowance of bytes is used up.

    ``allowance`` holds one number, counted down over all outputs of a run; empty: no limit. ``said``: whose a file
    at a path is said to be, if anybody's.
    """
    top = b"/proc/self/fd/%d/%s/" % (parent_fd, name)
    for entry, content in walk(parent_fd, name):
        special = _KINDS.get(entry.kind)
        if special is not None:
            raise NotGathered("type", f"it holds {special}", entry.path)
        if allowance:
            allowance[0] -= entry.size
            if allowance[0] < 0:
                raise NotGathered("limit", "it is larger than the limit", entry.path)
        if said is not None and (owner := said(top + entry.path)):
            entry = entry.replace(uid=owner[0], gid=owner[1])
        yield entry, content
