"""Messages between the evaluator and a worker: four bytes of length, then JSON."""

from __future__ import annotations

import json
import os
import select
import struct
import time
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


def receive(fd: int, deadline: float | None = None) -> Any:
    """One message. Errors: Ended; TooLong; TimeoutError once the monotonic clock has passed ``deadline``."""
    (length,) = _LENGTH.unpack(_read(fd, _LENGTH.size, deadline))
    if length > MESSAGE_LIMIT:
        raise TooLong
    return json.loads(_read(fd, length, deadline))


def _read(fd: int, length: int, deadline: float | None) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise TimeoutError
        part = os.read(fd, min(length - len(parts), 1 << 20))
        if not part:
            raise Ended
        parts += part
    return bytes(parts)
