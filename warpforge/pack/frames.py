"""Packed bytes as we write them: independent zstd frames, then a table of their sizes.

The published zstd seekable format (facebook/zstd, contrib/seekable_format, version 0.1.0): the table is a skippable
frame at the end, which any zstd reader passes over. Frames carry their content size and a checksum.
Frames are compressed by a few threads, for zstd lets go of the interpreter's lock, and written in order by the caller.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections import deque
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import zstandard

from warpforge.errors import store_error

if TYPE_CHECKING:
    from typing import BinaryIO

FRAME: Final = 2 << 20  # bytes of content after which a frame is cut
LEVEL: Final = 3
TABLE_MAGIC: Final = 0x184D2A5E
FOOTER_MAGIC: Final = 0x8F92EAB1
TABLE_HEAD: Final = struct.Struct("<II")  # magic, bytes that follow
TABLE_ENTRY: Final = struct.Struct("<II")  # packed size, unpacked size
TABLE_FOOTER: Final = struct.Struct("<IBI")  # frames, descriptor (0: no checksums in the table), magic


def make_table(sizes: list[tuple[int, int]]) -> bytes:
    """The seek table for frames of these packed and unpacked sizes."""
    body = b"".join(TABLE_ENTRY.pack(*pair) for pair in sizes) + TABLE_FOOTER.pack(len(sizes), 0, FOOTER_MAGIC)
    return TABLE_HEAD.pack(TABLE_MAGIC, len(body)) + body


class _Job:
    __slots__ = ("done", "error", "packed", "pieces", "size")

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.size = 0
        self.packed = b""
        self.error: BaseException | None = None
        self.done = threading.Lock()
        self.done.acquire()


class FrameWriter:
    """Takes pieces of content, writes frames to a sink; ``size`` and ``sha256`` tell what was written after ``finish``.

    A context manager: leaving it ends the threads, whatever happened. Errors: ``store`` when the sink fails.
    """

    def __init__(self, sink: BinaryIO, *, threads: int | None = None) -> None:
        self._sink = sink
        self._pieces: list[bytes] = []
        self._held = 0
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._order: deque[_Job] = deque()
        self._sizes: list[tuple[int, int]] = []
        self._hash = hashlib.sha256()
        self.size = 0
        count = threads or max(1, min(len(os.sched_getaffinity(0)), 8))
        self._ahead = 2 * count
        self._threads = [threading.Thread(target=self._compress, name=f"zstd-{n}", daemon=True) for n in range(count)]

    def __enter__(self) -> FrameWriter:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def held(self) -> int:
        """Bytes waiting for the next cut."""
        return self._held

    def write(self, piece: bytes) -> None:
        """Add to the current frame; the caller cuts."""
        self._pieces.append(piece)
        self._held += len(piece)

    def cut(self) -> None:
        """End the current frame here, if it holds anything."""
        if not self._held:
            return
        job = _Job(self._pieces)
        self._pieces, self._held = [], 0
        self._order.append(job)
        self._jobs.put(job)
        while len(self._order) > self._ahead or (self._order and not self._order[0].done.locked()):
            self._write_next()

    def finish(self) -> None:
        """Write what is left, and the seek table."""
        self.cut()
        while self._order:
            self._write_next()
        self._emit(make_table(self._sizes))

    @property
    def sha256(self) -> str:
        """Of the packed bytes, hexadecimal."""
        return self._hash.hexdigest()

    def _write_next(self) -> None:
        job = self._order.popleft()
        job.done.acquire()
        if job.error is not None:
            raise job.error
        self._sizes.append((len(job.packed), job.size))
        self._emit(job.packed)

    def _emit(self, data: bytes) -> None:
        self._hash.update(data)
        try:
            self._sink.write(data)
        except OSError as error:
            raise store_error(error, "the packed ware could not be written") from error
        self.size += len(data)

    def _compress(self) -> None:
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
        while (job := self._jobs.get()) is not None:
            try:
                content = job.pieces[0] if len(job.pieces) == 1 else b"".join(job.pieces)
                job.pieces = []
                job.size = len(content)
                job.packed = compressor.compress(content)
            except BaseException as error:
                job.error = error
            finally:
                job.done.release()
