"""A taker of stretches in a process of its own, and the handle on it."""

from __future__ import annotations

import marshal
import os
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from warpforge.fsx.companion import Companion, read_exactly

from .fileset import BLAKE3
from .filters import Filters
from .limits import Limits
from .run import Run
from .stretch import Deviation, Directory, Large, Stretch
from .table import Frame
from .taker import Taker
from .threads import mind_threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warpforge.fsx.creator import Owner

    from .fileset import Digests, Flavour

_SIZE: Final = struct.Struct("=Q")


class Partner:
    """As Taker, elsewhere. Raises Deviation, also when it cannot be started or died."""

    def __init__(
        self,
        source_fd: int,
        table: Sequence[Frame],
        flavour: Flavour,
        filters: Filters,
        limits: Limits,
        root_fd: int,
        owner: Owner,
    ) -> None:
        fds = [source_fd] if root_fd < 0 else [source_fd, root_fd]
        self._buffer = bytearray(1 << 16)
        self._set_up = (list(map(tuple, table)), flavour.covers_all, filters.values, tuple(limits), owner)
        self._process = Companion(__name__, fds, [path for path in sys.path if os.path.isdir(path)])
        self._is_set_up = False

    def stretch(self, frame: int, offset: int) -> Stretch:
        """As Taker."""
        found, large, ended = self._ask((frame, offset))
        told = [Directory(*item) if len(item) == len(Directory._fields) else Run(*item) for item in found]
        return Stretch(told, None if large is None else Large(*large), ended)

    def large(self, large: Large) -> Digests:
        """As Taker."""
        digests: Digests = self._ask(tuple(large))
        return digests

    def kill(self) -> None:
        """End it at once; ``close`` it still."""
        self._process.kill()

    def close(self) -> None:
        """End it when it is done."""
        self._process.close()

    def _ask(self, question: Any) -> Any:
        try:
            if not self._is_set_up:
                self._is_set_up = True
                self._send(self._set_up)
            self._send(question)
        except OSError as error:
            raise Deviation(str(error)) from error
        answer = _receive(self._buffer, self._process.source)
        if not isinstance(answer, tuple):
            raise Deviation(answer)
        return answer

    def _send(self, what: Any) -> None:
        self._process.write(_framed(what))


def _framed(what: Any) -> list[bytes]:
    data = marshal.dumps(what)
    return [_SIZE.pack(len(data)), data]


def _receive(buffer: bytearray, fd: int) -> Any:
    """None at the end."""
    head = bytes(read_exactly(buffer, _SIZE.size, fd))
    if not head:
        return None
    with read_exactly(buffer, _SIZE.unpack(head)[0], fd) as data:
        return marshal.loads(data)


def main(source_fd: int, root_fd: int = -1) -> None:
    """The process itself."""
    import gc

    gc.disable()  # nothing here makes rings
    mind_threads()
    os.umask(0)
    buffer = bytearray(1 << 16)
    set_up = _receive(buffer, 0)
    if set_up is None:
        return
    table, covers_all, filters, limits, owner = set_up
    frames, flavour = [Frame(*frame) for frame in table], _flavour(covers_all)
    taker = Taker(source_fd, frames, flavour, Filters(filters), Limits(*limits), root_fd, owner)
    while (question := _receive(buffer, 0)) is not None:
        try:
            if len(question) == 2:
                found, large, ended = taker.stretch(*question)
                answer: Any = (list(map(tuple, found)), large and tuple(large), ended)
            else:
                answer = taker.large(Large(*question))
        except Deviation as deviation:
            answer = str(deviation)
        for part in _framed(answer):
            _write(part)


def _flavour(covers_all: bool) -> Flavour:  # noqa: FBT001
    if covers_all:
        return BLAKE3
    from .sha384 import SHA384

    return SHA384


def _write(data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(1, data[written:])
