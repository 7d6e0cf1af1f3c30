"""A download as a stream that does not give up too early, nor waits too long.

What may pass (a broken connection, a busy server) is tried again where it broke off: with a range when the server
named the version with a strong ETag, else from the start, and then what comes must begin with what had come.
"""

from __future__ import annotations

import hashlib
import io
import random
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple, Protocol

from warpforge.errors import Unable

from .policy import Policy

_PROGRESS: Final = 1 << 20  # bytes after which a download counts as going on


class MayPass(Exception):
    """Something that may be better the next time. ``after``: seconds that the server asked for."""

    def __init__(self, what: str, *, reason: str = "net", after: float | None = None) -> None:
        super().__init__(what)
        self.reason = reason
        self.after = after


class Part(Protocol):
    """One answer: the bytes of a file from ``begin`` on."""

    begin: int
    size: int | None  # of the whole file
    tag: str  # the strong ETag, or empty

    def read(self, size: int, /) -> bytes:
        """Whatever has come; empty at the end. Raises MayPass."""

    def close(self) -> None:
        """Let go of the connection."""


class Source(Protocol):
    """Who can be asked for a file, from an offset on if it is still the version ``tag``."""

    name: str

    def ask(self, begin: int, tag: str, watch: Watch) -> Part:
        """One request. Raises MayPass; errors: ``fetch``."""


class Mark(NamedTuple):
    """How far an earlier download of the version ``tag`` (a strong ETag) was; ``size``: of all of it."""

    at: int
    tag: str
    size: int


class Watch:
    """Ends a connection that is too slow: a thread that looks on, for no read can be trusted to return."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._deadline = monotonic() + policy.total
        self._seen = 0
        self._end: Callable[[], None] | None = None
        self._since = monotonic()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.why = ""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - monotonic()

    def begin(self, end: Callable[[], None]) -> None:
        """A connection begins; ``end`` breaks it."""
        with self._wake:
            self._end, self._since, self._seen, self.why = end, monotonic(), 0, ""
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)
                self._thread.start()
            self._wake.notify()

    def saw(self, count: int) -> None:
        """Bytes have come."""
        self._seen += count

    def rest(self) -> None:
        """The connection is over."""
        with self._wake:
            self._end = None

    def close(self) -> None:
        """No more connections."""
        with self._wake:
            self._closed, self._end = True, None
            self._wake.notify()

    def _look_on(self) -> None:
        with self._wake:
            while not self._closed:
                if self._end is None:
                    self._wake.wait()
                    continue
                now = monotonic()
                due = min(self._since + self._policy.stall, self._deadline)
                if now < due:
                    self._wake.wait(due - now)
                    continue
                if now >= self._deadline:
                    self.why = f"not done after {self._policy.total:g} s"
                elif self._seen < self._policy.slowest * self._policy.stall:
                    self.why = f"too slow: {self._seen} bytes in {self._policy.stall:g} s"
                else:
                    self._since, self._seen = now, 0
                    continue
                end, self._end = self._end, None
                end()


class Download(io.RawIOBase):
    """The bytes of one file. ``size``: of all of it, if the server said so; ``tag``: its strong ETag, or empty.

    With a ``mark`` the bytes from ``begin`` on: from where the mark is, if the server still has that version, else 0.
    """

    def __init__(self, source: Source, policy: Policy, mark: Mark | None = None) -> None:
        self._source = source
        self._policy = policy
        self._watch = Watch(policy)
        self._hash = hashlib.blake2b()
        self.begin = self._at = mark.at if mark else 0
        self.tag = mark.tag if mark else ""
        self._tries = 0
        self._broke = 0  # where the last try ended
        self._part: Part | None = None
        self.size: int | None = mark.size if mark else None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            try:
                data = self._read(len(buffer))
            except MayPass as fault:
                self._drop()
                self._pause(fault)
                self._open()
                continue
            buffer[: len(data)] = data
            return len(data)

    def close(self) -> None:
        if not self.closed:
            self._drop()
            self._watch.close()
        super().close()

    def _read(self, most: int) -> bytes:
        """The next bytes; empty at the true end."""
        assert self._part is not None
        data = self._part.read(most)
        self._watch.saw(len(data))
        if data:
            self._take(data)
            if self._at >= self._broke + _PROGRESS:
                self._tries = 0  # it goes on: patience is for each break, the deadline for all
            return data
        if self._watch.why:
            raise MayPass(self._watch.why)
        if self.size is not None and self._at < self.size:
            raise MayPass(f"ended after {self._at} of {self.size} bytes", reason="short")
        self._watch.rest()
        return b""

    def _take(self, data: bytes) -> None:
        self._hash.update(data)
        self._at += len(data)
        if self._at > self._policy.largest:
            raise self._too_large(f"more than {self._policy.largest} bytes")

    def _open(self) -> None:
        """Ask until there is an answer that goes on where we are."""
        while True:
            try:
                self._part = part = self._source.ask(self._at if self.tag else 0, self.tag, self._watch)
                if part.size is not None and part.size > self._policy.largest:
                    raise self._too_large(f"{part.size} bytes: at most {self._policy.largest} are taken")
                self._go_on(part)
                return
            except MayPass as fault:
                self._drop()
                self._pause(fault)

    def _go_on(self, part: Part) -> None:
        if part.begin not in (0, self._at):
            raise self._error("answered another range than was asked for", "net")
        if self._at and part.begin == 0:
            if self._at > self.begin:
                self._skip(part)
            else:
                self.begin = self._at = 0  # another version than that of the mark, and nothing was read yet
        elif self._at and part.size != self.size:
            raise self._changed()
        self.size, self.tag = part.size, part.tag

    def _skip(self, part: Part) -> None:
        """Pass over what had come, if it is the same. What came before a mark we have not seen."""
        if self.begin:
            raise self._changed()
        seen, left = hashlib.blake2b(), self._at
        while left:
            data = part.read(min(left, 1 << 20))
            self._watch.saw(len(data))
            if not data:
                raise MayPass(self._watch.why or "broke off again", reason="net" if self._watch.why else "short")
            seen.update(data)
            left -= len(data)
        if seen.digest() != self._hash.digest():
            raise self._changed()

    def _pause(self, fault: MayPass) -> None:
        """Wait before the next try, or give up."""
        self._tries += 1
        self._broke = self._at
        after = fault.after
        if after is not None and after > self._policy.patience:
            raise self._error(f"{fault}, and asks us to come back after {after:.0f} s", fault.reason) from fault
        pause = self._policy.pause * 2 ** (self._tries - 1) * random.uniform(0.5, 1.5)
        pause = min(self._policy.patience, max(pause, after or 0.0))
        if self._tries >= self._policy.tries:
            again = f" ({self._tries} times)" if self._tries > 1 else ""
            raise self._error(f"{fault}{again}", fault.reason) from fault
        if pause > self._watch.left:
            raise self._error(f"{fault}; not done after {self._policy.total:g} s", fault.reason) from fault
        threading.Event().wait(pause)

    def _drop(self) -> None:
        self._watch.rest()
        part, self._part = self._part, None
        if part is not None:
            part.close()

    def _too_large(self, what: str) -> Unable:
        return self._error(what, "size")

    def _changed(self) -> Unable:
        what = f"{self._source.name}: changed while it was read"
        return Unable("fetch", what, reason="net", address=self._source.name, changed=True)

    def _error(self, what: str, reason: str) -> Unable:
        return Unable("fetch", f"{self._source.name}: {what}", reason=reason, address=self._source.name)


def open_download(source: Source, policy: Policy, mark: Mark | None = None) -> io.BufferedReader:
    """A download as a buffered stream, its first answer already there. Errors, also of reads: ``fetch``."""
    return io.BufferedReader(Download(source, policy, mark), 1 << 18)


def begin_of(stream: object) -> Mark | None:
    """Where a mirror's stream begins, and in which version; None when a next try could not go on from it."""
    raw = getattr(stream, "raw", None)
    if isinstance(raw, Download) and raw.tag and raw.size is not None:
        return Mark(raw.begin, raw.tag, raw.size)
    return None


def size_of(stream: object) -> int | None:
    """How many bytes a mirror's stream will give, if that is known."""
    import os

    raw = getattr(stream, "raw", None)
    if isinstance(raw, Download):
        return raw.size
    try:
        return os.fstat(stream.fileno()).st_size  # type: ignore[attr-defined]
    except (OSError, AttributeError):
        return None
