"""Reading the outputs out of the box's merged view, after its last process is gone, and sending them to the engine."""

from __future__ import annotations

import errno
import os
import stat

from warpforge.fsx.linux import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from warpforge.fsx.stream import send
from warpforge.fsx.tree import walk
from warpforge.sandbox import wire
from warpforge.sandbox.said import Saying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from warpforge.fsx.tree import Content, Entry
    from warpforge.sandbox.mounts import Root
    from warpforge.sandbox.wire import Order

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


class Gathering:
    """The outputs of one run. ``failed``: one of them could not be taken. ``born``: when its command began."""

    def __init__(self, order: Order, channel: int, frames: wire.Frames, trees: int, born: int) -> None:
        self._order = order
        self._channel = channel
        self._frames = frames
        self._trees = trees
        self._born = born
        self.failed = False

    def send(self, root: Root) -> None:
        """Each as the engine takes it. The root itself comes last, for its mounts have to go first."""
        order = self._order
        allowance = [order.gather_limit] if order.gather_limit else []
        for index in sorted(range(len(order.gathers)), key=lambda index: order.gathers[index] == b"/"):
            path = order.gathers[index]
            if path == b"/":
                root.strip()
            try:
                parent_fd, name = find_output(root.fd, path)
            except NotGathered as error:
                self.failed = True
                wire.tell(self._channel, wire.fields(wire.GATHER, index, error.why, error.text))
                continue
            wire.write_all(self._channel, wire.fields(wire.GATHER, index, "ok", ""))
            try:
                send(self._trees, self._read(index, (parent_fd, name), allowance))
            except OSError:
                return  # the engine has been told why, or is gone
            finally:
                os.close(parent_fd)
            if not self._is_taken():
                return

    def _is_taken(self) -> bool:
        """Wait until the engine has a tree; a signal that comes now is for a command that has ended."""
        while (said := wire.read_frame(self._channel, self._frames)) is not None:
            if said[0] in (wire.NEXT, wire.KILL):
                return said[0] == wire.NEXT
        return False

    def _read(
        self, index: int, place: tuple[int, bytes], allowance: list[int]
    ) -> Iterator[tuple[Entry, Content | None]]:
        """The entries of one output; what is wrong with it is told before the stream can break."""
        order = self._order
        said = Saying((order.uid, order.gid), self._born) if order.noticing else None
        try:
            for entry, content in read_output(*place, allowance, said=said):
                yield entry, content and Told(content, lambda error: self._tell_spoilt(index, error))
        except OSError as error:
            self._tell_spoilt(index, error)
            raise

    def _tell_spoilt(self, index: int, error: OSError) -> None:
        self.failed = True
        why, text = (error.why, error.text) if isinstance(error, NotGathered) else ("io", error.strerror or "error")
        wire.tell(self._channel, wire.fields(wire.SPOILT, index, why, text, name_error(error)))


class Told:
    """A content whose reading errors are told first."""

    def __init__(self, content: Content, tell: Callable[[OSError], None]) -> None:
        self._content = content
        self._tell = tell

    def read(self, size: int, /) -> bytes:
        try:
            return self._content.read(size)
        except OSError as error:
            self._tell(error)
            raise


def name_error(error: OSError) -> bytes:
    """The file that an error is about, else what it says."""
    name = error.filename
    if isinstance(name, (str, bytes)) and name:
        return os.fsencode(name)
    return (error.strerror or "").encode()
