"""Messages between the evaluator and a worker: four bytes of length, then JSON."""

from __future__ import annotations

import json
import os
import select
import struct
from collections.abc import Callable
from typing import Any, Final

MESSAGE_LIMIT: Final = 64 << 20

_LENGTH: Final = struct.Struct("<I")


class Ended(Exception):
    """The other side is gone."""


class TooLong(Exception):
    """A message that is larger than any may be."""


def send(fd: int, message: Any) -> None:
    """Errors: Ended; TooLong."""
    data = json.dumps(message, separators=(",", ":"), ensure_ascii=True).encode("ascii")
    if len(data) > MESSAGE_LIMIT:
        raise TooLong
    rest = memoryview(_LENGTH.pack(len(data)) + data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BrokenPipeError as error:
            raise Ended from error


def receive(fd: int, left: Callable[[], float] | None = None) -> Any:
    """One message. ``left``: so many seconds are left, at the least; asked again once they have gone by.

    Errors: Ended; TooLong; TimeoutError when none are left.
    """
    (length,) = _LENGTH.unpack(_read(fd, _LENGTH.size, left))
    if length > MESSAGE_LIMIT:
        raise TooLong
    return json.loads(_read(fd, length, left))


def _read(fd: int, length: int, left: Callable[[], float] | None) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        if left is not None:
            _await(fd, left)
        part = os.read(fd, min(length - len(parts), 1 << 20))
        if not part:
            raise Ended
        parts += part
    return bytes(parts)


def _await(fd: int, left: Callable[[], float]) -> None:
    """Until there is something to read."""
    while (seconds := left()) > 0:
        if select.select([fd], [], [], seconds)[0]:
            return
    raise TimeoutError
