"""The threads that write files while an archive is being read, and the batches that they are given.

Pieces of large files are written by the threads; many small files go on to processes of their own, for a system call
each time would hand the interpreter's lock around. What ends with a batch is finished when the batch is done, eldest
batch first: descriptors stay open as long as work for them is on its way.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple

from warpforge.fsx.creator import Creator, create_file, settle
from warpforge.fsx.whole import whole

if TYPE_CHECKING:
    from warpforge.fsx.creator import File, Owner

_BYTES: Final = 1 << 20  # in a batch
_FILES: Final = 512  # in a batch
_CLOSINGS: Final = 48  # in a batch
_AHEAD: Final = 4  # batches on their way
_THREADS: Final = 2  # where there are processors for them
_MANY: Final = 256  # small files that a thread creates itself before it starts a process for more


class LateError(OSError):
    """An error met for an earlier file; ``filename`` is its path in the tree, or None."""


class Piece(NamedTuple):
    """A stretch of a large file that is open already."""

    fd: int
    offset: int
    data: bytes


class Closing(NamedTuple):
    """A descriptor to close after its batch, with the mode and time (nanoseconds) to set before; None: neither."""

    fd: int
    mode: int | None
    time: int


class _Batch:
    """Work for a thread. ``files`` are small and whole: beside each its content, and its directory's descriptor."""

    __slots__ = ("closing", "contents", "directories", "done", "error", "files", "pieces", "size")

    def __init__(self) -> None:
        self.files: list[File] = []
        self.contents: list[bytes] = []
        self.directories: list[int] = []
        self.pieces: list[Piece] = []
        self.closing: list[Closing] = []
        self.size = 0
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class Crew:
    """Takes files, pieces and closings in order. Raises what a thread met (LateError), at the latest from ``drain``.

    ``root_fd`` is the directory that the files' parents are relative to; set it before the first file. ``start``
    first, ``stop`` in the end, whatever happened: then no thread, process or descriptor is left.
    """

    def __init__(self, owner: Owner) -> None:
        self.root_fd = -1
        self._owner = owner
        self._batch = _Batch()
        self._queue: SimpleQueue[_Batch | None] = SimpleQueue()
        self._order: deque[_Batch] = deque()
        self._threads: list[threading.Thread] = []

    @whole
    def start(self) -> None:
        for _ in range(min(_THREADS, max(1, len(os.sched_getaffinity(0)) - 1))):
            thread = threading.Thread(target=self._run, daemon=True)
            thread.start()
            self._threads.append(thread)  # once it runs: only that can be joined

    def stop(self) -> None:
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        for batch in (*self._order, self._batch):
            for closing in batch.closing:
                os.close(closing.fd)

    def file(self, file: File, content: bytes, dir_fd: int) -> None:
        """A small file; ``dir_fd`` is its parent, open until a later closing."""
        batch = self._batch
        batch.files.append(file)
        batch.contents.append(content)
        batch.directories.append(dir_fd)
        batch.size += len(content)
        if batch.size >= _BYTES or len(batch.files) >= _FILES:
            self.submit()

    def piece(self, piece: Piece) -> None:
        """A stretch of a file that is open until a later closing."""
        self._batch.pieces.append(piece)
        self._batch.size += len(piece.data)
        if self._batch.size >= _BYTES:
            self.submit()

    def close(self, closing: Closing) -> None:
        """What is to be finished when everything so far is done."""
        self._batch.closing.append(closing)
        if len(self._batch.closing) >= _CLOSINGS:
            self.submit()

    def submit(self) -> None:
        """Hand the current batch over; waits when too many are on their way."""
        batch = self._batch
        if not (batch.files or batch.pieces or batch.closing):
            return
        self._batch = _Batch()
        self._order.append(batch)
        self._queue.put(batch)
        while len(self._order) > _AHEAD or (self._order and not self._order[0].done.locked()):
            self._reap()

    def drain(self) -> None:
        """Wait until everything handed over so far is on disk."""
        self.submit()
        while self._order:
            self._reap()

    def settle(self, closing: Closing) -> None:
        """Set what is to be set, and close."""
        try:
            if closing.mode is not None:
                settle(closing.fd, closing.mode, closing.time, self._owner)
        finally:
            os.close(closing.fd)

    def _reap(self) -> None:
        """The eldest batch: wait for it, then finish what ended with it."""
        batch = self._order[0]
        with batch.done:
            pass
        if isinstance(batch.error, OSError):
            raise LateError(batch.error.errno, batch.error.strerror, batch.error.filename) from batch.error
        if batch.error is not None:
            raise batch.error
        while batch.closing:
            self.settle(batch.closing.pop(0))
        self._order.popleft()

    def _run(self) -> None:
        hand = _Hand(self._owner)
        while (batch := self._queue.get()) is not None:
            try:
                for piece in batch.pieces:
                    _write(piece)
                if batch.files:
                    hand.create(batch, self.root_fd)
            except BaseException as error:
                batch.error = error
            finally:
                batch.files, batch.contents, batch.pieces = [], [], []
                batch.done.release()
        hand.close()


class _Hand:
    """Creates small files: a few by itself, many through a process."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._creator: Creator | None = None
        self._left = _MANY

    def create(self, batch: _Batch, root_fd: int) -> None:
        if self._left >= 0:
            self._left -= len(batch.files)
            if self._left < 0:
                try:
                    self._creator = Creator(root_fd)
                except OSError:
                    pass  # then everything is done here
        if self._creator is not None:
            self._creator.create(batch.files, batch.contents, self._owner)
            return
        for (above, name, mode, time, _), data, fd in zip(batch.files, batch.contents, batch.directories, strict=True):
            try:
                create_file(fd, name, mode, time, data, self._owner)
            except OSError as error:
                raise OSError(error.errno, error.strerror, above + b"/" + name if above else name) from error

    def close(self) -> None:
        if self._creator is not None:
            self._creator.close()


def _write(piece: Piece) -> None:
    fd, offset, data = piece
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]
