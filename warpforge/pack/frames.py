"""Packed bytes as we write them: independent zstd frames, then a table of their sizes.

The published zstd seekable format (facebook/zstd, contrib/seekable_format, version 0.1.0): the table is a skippable
frame at the end, which any zstd reader passes over. Frames carry their content size and a checksum.
Frames are compressed by a few threads, for zstd lets go of the interpreter's lock, and written in order by one more.
What fits into a single frame, as most that a step of a plot leaves, needs none: the caller does it.
A **page** is room for the content of one frame: filled in place, handed over, and used again when it is packed.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import zstandard

from warpforge.errors import store_error
from warpforge.fsx.whole import whole

from .table import FRAME, make_table
from .threads import mind_threads

if TYPE_CHECKING:
    from typing import BinaryIO

PAGE: Final = FRAME + (64 << 10)  # bytes of a page: what is cut before its last member has some headers beside it
LEVEL: Final = 3


def make_page(size: int = PAGE) -> memoryview:
    """Room that takes memory only as it is filled. Raises OSError."""
    return memoryview(mmap.mmap(-1, size))


class _Job:
    """One frame on its way: its content, in a page or on its own, then packed bytes."""

    __slots__ = ("content", "done", "error", "packed", "page", "size")

    def __init__(self, content: bytes | memoryview, page: memoryview | None = None) -> None:
        self.content = content
        self.page = page
        self.size = len(content)
        self.packed = b""
        self.error: BaseException | None = None
        self.done = threading.Event()


class FrameWriter:
    """Takes frames of content, writes packed ones to a sink; ``size`` and ``sha256`` tell what was written in the end.

    A context manager: leaving it ends the threads, whatever happened. Errors: ``store`` when the sink fails.
    """

    def __init__(self, sink: BinaryIO, *, threads: int | None = None) -> None:
        self._sink = sink
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._order: SimpleQueue[_Job | None] = SimpleQueue()
        self._sizes: list[tuple[int, int]] = []
        self._hash = hashlib.sha256()
        self._error: BaseException | None = None
        self._pages: list[memoryview] = []
        self._first: _Job | None = None  # held back until there is a second
        self.size = 0
        count = threads or max(1, min(len(os.sched_getaffinity(0)), 8))
        self._room = threading.Semaphore(count + 2)
        self._count = count
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def turn(self, page: memoryview, size: int) -> memoryview:
        """One frame with the first bytes of a page; gives the next page to fill."""
        self.hand(page, size)
        return self._pages.pop() if self._pages else make_page()

    def hand(self, page: memoryview, size: int) -> None:
        """As ``turn``, when there is nothing more to fill."""
        self._put(_Job(page[:size], page))

    def frame(self, content: bytes) -> None:
        """One frame with this content; waits when too many are on their way."""
        self._put(_Job(content))

    def _put(self, job: _Job) -> None:
        self._room.acquire()
        if self._error is not None:
            raise self._error
        if not self._threads:
            if self._first is None:
                self._first = job
                return
            self._begin()
            self._hand_over(self._first)
        self._hand_over(job)

    def finish(self) -> None:
        """Wait for all frames, and write the seek table."""
        if self._first is not None and not self._threads:
            self._pack(_make_compressor(), self._first)
            self._write(self._first)
        self._stop()
        if self._error is not None:
            raise self._error
        self._emit(make_table(self._sizes))

    @property
    def sha256(self) -> str:
        """Of the packed bytes, hexadecimal."""
        return self._hash.hexdigest()

    @whole
    def _begin(self) -> None:
        mind_threads()
        tasks = [self._compress] * self._count + [self._write_in_order]
        for task in tasks:
            thread = threading.Thread(target=task, daemon=True)
            thread.start()
            self._threads.append(thread)  # once it runs: only that can be joined

    @whole
    def _hand_over(self, job: _Job) -> None:
        self._order.put(job)
        self._jobs.put(job)

    def _stop(self) -> None:
        threads, self._threads = self._threads, []
        if not threads:
            return
        for _ in range(self._count):
            self._jobs.put(None)
        self._order.put(None)
        for thread in threads:
            thread.join()

    def _emit(self, data: bytes) -> None:
        self._hash.update(data)
        try:
            self._sink.write(data)
        except OSError as error:
            raise store_error(error, "the packed ware could not be written") from error
        self.size += len(data)

    def _write_in_order(self) -> None:
        while (job := self._order.get()) is not None:
            job.done.wait()
            try:
                if self._error is None:
                    self._write(job)
            except BaseException as error:
                self._error = error
            finally:
                self._room.release()

    def _write(self, job: _Job) -> None:
        if job.error is not None:
            raise job.error
        self._sizes.append((len(job.packed), job.size))
        self._emit(job.packed)

    def _compress(self) -> None:
        compressor = _make_compressor()
        while (job := self._jobs.get()) is not None:
            self._pack(compressor, job)

    def _pack(self, compressor: zstandard.ZstdCompressor, job: _Job) -> None:
        try:
            job.packed = compressor.compress(job.content)
        except BaseException as error:
            job.error = error
        finally:
            job.content = b""
            if job.page is not None and len(job.page) == PAGE:
                self._pages.append(job.page)
            job.done.set()


def _make_compressor() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
