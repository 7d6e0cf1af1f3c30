"""A warehouse for others to read, over HTTP: wares under the names that content-addressed mirrors have, nothing else.

GET and HEAD of ``/abc/def/<hash>`` (tar) and ``/<packtype>/abc/def/<hash>``, with ranges and strong ETags.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

from warpforge.engine.listener import PATIENCE, Connection, Listener
from warpforge.engine.shop import Served, Shop
from warpforge.errors import WarpforgeError

SLOWEST: Final = 256  # bytes a second


class WarehouseServer(Listener):
    """Serves a shop until it is shut down."""

    def __init__(self, host: str, port: int, shop: Shop, said: Callable[[str], None]) -> None:
        self.shop = shop
        super().__init__(host, port, _Handler, said, "--listen ADDR:PORT names another place")

    @property
    def address(self) -> str:
        """What others write into their mirrors."""
        host, port = self.server_address[:2]
        text = host if isinstance(host, str) else bytes(host).decode()
        if text in ("0.0.0.0", "::"):  # everywhere is no address
            text = socket.gethostname()
        return f"ca+http://{f'[{text}]' if ':' in text else text}:{port}"


class _Handler(Connection):
    server: WarehouseServer

    def answer(self, *, body: bool) -> None:
        if not body and self.server.shop.has_unmade(self.path):
            self.send_response(200)  # a question is no reason to make it: of what length it will be nobody knows
            self.end_headers()
            return
        try:
            found = self.server.shop.open(self.path)
        except WarpforgeError as error:
            self.server.said(f"{self.path}: {error.message}")
            found = None  # damaged: for others it is not here
        if found is None:
            self._refuse(404)
            return
        with found.file:
            self._send(found, body=body)

    def _send(self, found: Served, *, body: bool) -> None:
        wanted = self.headers.get("Range", "")
        if self.headers.get("If-Range", found.tag) != found.tag:
            wanted = ""
        span = parse_range(wanted, found.size)
        if span is None:
            self._refuse(416, {"Content-Range": f"bytes */{found.size}"})
            return
        begin, end = span
        whole = (begin, end) == (0, found.size)
        self.send_response(200 if whole else 206)
        if not whole:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{found.size}")
        self.send_header("Content-Length", str(end - begin))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", found.tag)
        self.end_headers()
        if body:
            self._pour(found.file.fileno(), begin, end)

    def _pour(self, file: int, begin: int, end: int) -> None:
        """Send a part of a file, as fast as it is taken. Raises OSError, also for a client that is too slow."""
        self.wfile.flush()
        line, writable = self.connection.fileno(), select.poll()
        writable.register(line, select.POLLOUT)
        since, seen = monotonic(), begin
        while begin < end:
            if not writable.poll(PATIENCE * 1000):
                raise TimeoutError("the client takes nothing")
            with suppress(BlockingIOError):
                count = os.sendfile(line, file, begin, min(end - begin, 1 << 20))
                if not count:
                    raise OSError("the file has become shorter")
                begin += count
            if monotonic() - since > PATIENCE:
                if begin - seen < SLOWEST * PATIENCE:
                    raise TimeoutError("the client is too slow")
                since, seen = monotonic(), begin

    def _refuse(self, status: int, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """From where up to where, of a Range header (RFC 9110, 14.2); None for one that cannot be met.

    Without a range, or with one that we do not serve, all of it.
    """
    unit, _, spec = text.partition("=")
    first, mark, last = spec.strip().partition("-")
    if (
        unit != "bytes"
        or not mark
        or not all(not part or (part.isdecimal() and len(part) < 20) for part in (first, last))
    ):
        return 0, size
    if not first:
        count = min(int(last or "0"), size)
        return (size - count, size) if count else None
    begin, end = int(first), min(int(last) + 1 if last else size, size)
    if last and int(last) < int(first):
        return 0, size
    return (begin, end) if begin < size else None
