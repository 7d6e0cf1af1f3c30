"""Archives of ours, hashed and written by several takers abreast: the short way of scan and unpack.

It needs a file with a seek table. Whatever else comes is left to the ordinary way: nothing remains of the attempt.
"""

from __future__ import annotations

import os
import stat
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.errors import WarpforgeError
from warpforge.fsx.creator import settle, stand_in
from warpforge.fsx.descent import DIRECTORY, Descent
from warpforge.fsx.remove import remove_tree
from warpforge.fsx.tree import Entry
from warpforge.fsx.whole import whole

from .fileset import Fileset, make_look
from .stretch import Deviation, Directory, Stretch, time_of
from .table import read_table
from .taker import Taker
from .threads import mind_threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO

    from warpforge.fsx.creator import Owner

    from .board import Board, Found, Hand
    from .fileset import Flavour, Look
    from .filters import Filters
    from .limits import Limits
    from .packer import Place
    from .partner import Partner
    from .table import Frame

PARTNERS: Final = 2  # at most: what all of them hold at a time has a bound
_SHARE: Final = 3  # frames that are worth starting a process for
_WHOLE: Final = 8 << 20  # bytes of a frame that is taken at once
_FILE: Final = 4 * 512  # bytes of an archive of one small file: a tree that is a file goes the ordinary way in the end
_PLAIN: Final = 256  # bytes of a path that needs no look at the limits
_KEPT: Final = 4096  # looks


class Taken(NamedTuple):
    """All of an archive: its hashes, the bytes of its contents, and of the file."""

    fileset: Fileset
    unpacked: int
    packed: int


def scan_abreast(source: BinaryIO, flavour: Flavour, filters: Filters, limits: Limits) -> Taken | None:
    """Hash an archive; None: it has to go the ordinary way, from the beginning of ``source`` on."""
    table = _find_table(source, limits)
    if table is None:
        return None
    try:
        return _Attempt(source, table, flavour, filters, limits).run(-1, None)
    except (Deviation, OSError, WarpforgeError):
        return None
    finally:
        source.seek(0)


@contextmanager
def unpack_abreast(
    source: BinaryIO, flavour: Flavour, filters: Filters, limits: Limits, place: Place
) -> Iterator[Taken | None]:
    """Write and hash an archive; None: it has to go the ordinary way, and nothing stands at the place that did not.

    On an error inside, nothing is left.
    """
    table = _find_table(source, limits)
    if table is None or not _make(place):
        yield None
        return
    try:
        taken = None
        with suppress(Deviation, OSError, WarpforgeError):
            root_fd = os.open(place.name, DIRECTORY, dir_fd=place.parent_fd)
            try:
                taken = _Attempt(source, table, flavour, filters, limits).run(root_fd, place.owner)
            finally:
                os.close(root_fd)
        source.seek(0)
        if taken is None:
            remove_tree(place.parent_fd, place.name, missing_ok=True)
        yield taken
    except BaseException:
        remove_tree(place.parent_fd, place.name, missing_ok=True)
        raise


def _make(place: Place) -> bool:
    try:
        os.mkdir(place.name, 0o700, dir_fd=place.parent_fd)
    except OSError:
        return False
    return True


def _find_table(source: BinaryIO, limits: Limits) -> list[Frame] | None:
    """The frames of a file that can be taken so, within all limits."""
    if min(limits.path or _PLAIN, limits.depth or _PLAIN) < _PLAIN:
        return None
    try:
        if not (source.seekable() and stat.S_ISREG(os.fstat(source.fileno()).st_mode)) or source.tell():
            return None
        table = read_table(source)
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
        if os.fstat(source.fileno()).st_size != size:
            return None
    except (OSError, ValueError):
        return None
    if not table or (len(table) == 1 and table[0].unpacked <= _FILE):
        return None
    if any(frame.unpacked > _WHOLE or frame.packed > 2 * frame.unpacked + 4096 for frame in table):
        return None
    unpacked = 0
    try:
        for frame in table:
            unpacked += frame.unpacked
            limits.check_bytes(frame.at + frame.packed, unpacked)
    except WarpforgeError:
        return None
    return table


class _Attempt:
    """One archive on the short way."""

    def __init__(
        self, source: BinaryIO, table: Sequence[Frame], flavour: Flavour, filters: Filters, limits: Limits
    ) -> None:
        self._source_fd = source.fileno()
        self._table = table
        self._flavour = flavour
        self._filters = filters
        self._limits = limits

    def run(self, root_fd: int, owner: Owner) -> Taken:
        """Raises Deviation, WarpforgeError, OSError."""
        from .board import Board

        arguments = self._source_fd, self._table, self._flavour, self._filters, self._limits, root_fd, owner
        assembly = _Assembly(Fileset(self._flavour), root_fd, owner, self._limits.entries)
        board = Board(self._table, assembly.take)
        partners: list[Partner] = []
        threads: list[threading.Thread] = []
        mind_threads()
        try:
            for _ in range(_count(len(self._table))):
                try:
                    _begin(partners, arguments)
                except OSError:
                    break  # then fewer do it
                _work(threads, board, partners[-1])
            taker = Taker(*arguments)
            try:
                board.work(taker)
            finally:
                taker.close()
            for thread in threads:
                thread.join()
            board.finish()
            assembly.finish()
        except BaseException as error:
            board.fail(error)
            for partner in partners:
                partner.kill()
            raise
        finally:
            for thread in threads:
                thread.join()
            for partner in partners:
                partner.close()
            assembly.close()
        return Taken(assembly.fileset, assembly.unpacked, os.fstat(self._source_fd).st_size)


@whole
def _begin(partners: list[Partner], arguments: Any) -> None:
    from .partner import Partner

    partners.append(Partner(*arguments))


@whole
def _work(threads: list[threading.Thread], board: Board, hand: Hand) -> None:
    thread = threading.Thread(target=board.work, args=(hand,), daemon=True)
    thread.start()
    threads.append(thread)  # once it runs: only that can be joined


def _count(frames: int) -> int:
    """Processes beside this one."""
    return max(0, min(PARTNERS, len(os.sched_getaffinity(0)) - 1, frames // _SHARE - 1))


class _Assembly:
    """Puts a tree's hash together from what was found, and finishes the directories that are done.

    ``root_fd``: the tree on disk; -1: there is none.
    """

    def __init__(self, fileset: Fileset, root_fd: int, owner: Owner, entries: int | None) -> None:
        self.fileset = fileset
        self.unpacked = 0
        self._owner = owner
        self._entries = entries
        self._looks: dict[tuple[int, ...], Look] = {}
        self._descent = Descent(os.dup(root_fd)) if root_fd >= 0 else None
        self._standing: list[bytes] = []
        self._open: list[Directory] = []  # the root, and those of ``standing``

    def take(self, found: Found) -> None:
        """What comes next in the archive."""
        if not isinstance(found, Stretch):
            large, digests = found
            entry = Entry(large.path, "f", *large[1:6], large.size)
            self.fileset.add(entry, make_look(entry, large[1:6]), digests)
            self.unpacked += large.size
            return
        for item in found.found:
            if isinstance(item, Directory):
                self._enter(item)
            else:
                self.fileset.add_run(item)
                self.unpacked += item.unpacked
        if self._entries is not None and self.fileset.entries > self._entries:
            raise Deviation

    def finish(self) -> None:
        """All was taken."""
        if self._descent is not None:
            self._leave(-1)

    def close(self) -> None:
        """Let go of what is open."""
        if self._descent is not None:
            self._descent.close()

    def _enter(self, directory: Directory) -> None:
        attributes = directory[1:]
        entry = Entry(directory.path, "d", *attributes)
        look = self._looks.get(attributes)
        if look is None:
            if len(self._looks) > _KEPT:
                self._looks.clear()
            look = self._looks[attributes] = make_look(entry, attributes)
        self.fileset.add(entry, look)
        if self._descent is None:
            return
        if directory.path:
            parent = directory.path.rpartition(b"/")[0]
            level = len(self._standing)
            while level and self._standing[level - 1] != parent:
                level -= 1
            self._leave(level)
            stand_in(self._descent, self._standing, directory.path, make=True)
        self._open.append(directory)

    def _leave(self, level: int) -> None:
        """Finish directories until ``level`` of them are open below the root; -1: the root, too."""
        assert self._descent is not None
        while len(self._open) - 1 > level:
            directory = self._open.pop()
            if not self._open:
                settle(self._descent.fd, directory.mode, time_of(directory), self._owner)
                return
            fd = self._descent.leave()
            self._standing.pop()
            try:
                settle(fd, directory.mode, time_of(directory), self._owner)
            finally:
                os.close(fd)
