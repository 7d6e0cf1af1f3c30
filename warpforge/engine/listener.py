"""Listening: what every server of ours has in common, whatever it answers."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from warpforge import __version__
from warpforge.errors import Unable

PATIENCE: Final = 60.0  # seconds without a byte, or too slow, after which a client is given up
AT_ONCE: Final = 256  # connections
BUSY: Final = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Listener(ThreadingHTTPServer):
    """Answers until it is shut down. ``said`` hears one line of every answer; ``advice``: how to name another place.

    A connection is a thread; when there are too many the next one is told to come back in a second.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, handler: type[BaseHTTPRequestHandler], said: Callable[[str], None], advice: str
    ) -> None:
        self.said = said
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        room = (files - 40) // 2 if files >= 0 else AT_ONCE  # each takes a socket and a file
        self._room = threading.Semaphore(max(4, min(AT_ONCE, room)))
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            raise Unable(
                "connection", f"cannot listen at {host}:{port}: {error.strerror}; {advice}", cause=error
            ) from error

    def server_bind(self) -> None:
        # not HTTPServer's: that one asks the resolver for our name
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            try:
                super().process_request(request, client_address)
            except BaseException:
                self._room.release()
                raise
            return
        with suppress(OSError):
            request.settimeout(1.0)
            request.sendall(BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no error of ours."""


class Connection(BaseHTTPRequestHandler):
    """One connection to a Listener: whoever answers says what, and need not say how it is told."""

    server: Listener
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server_version = f"warpforge/{__version__}"
    sys_version = ""

    def answer(self, *, body: bool) -> None:
        """To GET, and without a ``body`` to HEAD."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.server.said(f"{self.client_address[0]} {self.command} {self.path} {code}")

    def log_message(self, format: str, *args: object) -> None:
        self.server.said(f"{self.client_address[0]} {format % args}")
