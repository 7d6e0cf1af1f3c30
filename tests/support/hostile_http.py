"""An HTTP server that lies, stalls, breaks off and misleads: behaviours by path, on raw sockets.

``server.on("/x", behaviour)``; a behaviour takes a ``Call`` and writes whatever bytes it likes. ``server.calls`` are
the requests that came. Everything ends when the server is closed.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple


class Call(NamedTuple):
    """One request, and the socket to answer on."""

    method: str
    path: str
    headers: dict[str, str]  # names in small letters
    socket: socket.socket
    number: int  # of requests for this path so far, from 1
    over: threading.Event  # the test is over

    def send(self, *data: bytes) -> None:
        self.socket.sendall(b"".join(data))

    def head(self, status: str, *headers: str) -> None:
        self.send("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode())


Behaviour = Callable[[Call], None]


class Hostile:
    """A server on an address of this machine."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self._behaviours: dict[str, Behaviour] = {}
        self._tls = tls
        self._over = threading.Event()
        self._counts: dict[str, int] = {}
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((host, 0))
        self.calls: list[Call] = []
        self.otherwise: Behaviour = missing  # for every other path
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://{host}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def on(self, path: str, behaviour: Behaviour) -> str:
        """Answer a path so; gives its URL."""
        self._behaviours[path] = behaviour
        return self.url + path

    def wrap(self, prefix: str, wrapper: Callable[[Behaviour], Behaviour]) -> None:
        """Change the answers of all paths below one."""
        for path, behaviour in self._behaviours.items():
            if path.startswith(prefix):
                self._behaviours[path] = wrapper(behaviour)

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [call.path for call in self.calls]

    def close(self) -> None:
        self._over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for the next
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.close()

    def __enter__(self) -> Hostile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = connection.recv(65536)
                    if not data:
                        return
                    head += data
                first, *lines = head.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
                method, path, _ = first.split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                number = self._counts[path] = self._counts.get(path, 0) + 1
                call = Call(method, path, headers, connection, number, self._over)
                self.calls.append(call)
                self._behaviours.get(path, self.otherwise)(call)


# behaviours


def missing(call: Call) -> None:
    call.head("404 Not Found", "Content-Length: 0")


def status(line: str, *headers: str, times: int = 1_000_000, then: Behaviour = missing) -> Behaviour:
    """A status without a body, the first ``times``."""

    def behaviour(call: Call) -> None:
        if call.number <= times:
            call.head(line, "Content-Length: 0", *headers)
        else:
            then(call)

    return behaviour


def body(data: bytes, *headers: str) -> Behaviour:
    """An honest answer."""

    def behaviour(call: Call) -> None:
        call.head("200 OK", f"Content-Length: {len(data)}", *headers)
        if call.method != "HEAD":
            call.send(data)

    return behaviour


def redirect(location: str, code: int = 302) -> Behaviour:
    return status(f"{code} Found", f"Location: {location}")


def short(data: bytes, missing_bytes: int, *headers: str) -> Behaviour:
    """Says more than it sends."""

    def behaviour(call: Call) -> None:
        call.head("200 OK", f"Content-Length: {len(data) + missing_bytes}", *headers)
        call.send(data)

    return behaviour


def chunked(data: bytes, *, end: bytes = b"0\r\n\r\n") -> Behaviour:
    """One chunk and an end of its own."""

    def behaviour(call: Call) -> None:
        call.head("200 OK", "Transfer-Encoding: chunked")
        call.send(b"%x\r\n" % len(data), data, b"\r\n", end)

    return behaviour


def until_close(data: bytes, *headers: str) -> Behaviour:
    """No length: the end of the connection is the end."""

    def behaviour(call: Call) -> None:
        call.head("200 OK", *headers)
        call.send(data)

    return behaviour


def endless(call: Call) -> None:
    """Never ends, and says no length."""
    call.head("200 OK")
    while not call.over.is_set():
        call.send(bytes(1 << 16))


def endless_headers(call: Call) -> None:
    """A header that comes byte by byte, for ever."""
    call.send(b"HTTP/1.1 200 OK\r\nX: ")
    while not call.over.wait(0.05):
        call.send(b"x")


def dripping(data: bytes, seconds: float) -> Behaviour:
    """A byte now and then."""

    def behaviour(call: Call) -> None:
        call.head("200 OK", f"Content-Length: {len(data)}")
        for byte in data:
            call.send(bytes([byte]))
            if call.over.wait(seconds):
                return

    return behaviour


def stalling(data: bytes, size: int, *headers: str) -> Behaviour:
    """Sends some, then nothing more."""

    def behaviour(call: Call) -> None:
        call.head("200 OK", f"Content-Length: {size}", *headers)
        call.send(data)
        call.over.wait()

    return behaviour


def resetting(call: Call) -> None:
    """Breaks the connection instead of an answer."""
    call.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def breaking(data: bytes, at: int, *headers: str, ranges: bool = True) -> Behaviour:
    """Breaks off after ``at`` bytes, every time; with ``ranges`` it goes on where it is asked to."""

    def behaviour(call: Call) -> None:
        begin = 0
        wanted = call.headers.get("range", "")
        if ranges and wanted and f"ETag: {call.headers.get('if-range')}" in headers:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            span = f"Content-Range: bytes {begin}-{len(data) - 1}/{len(data)}"
            call.head("206 Partial Content", f"Content-Length: {len(data) - begin}", span, *headers)
        else:
            call.head("200 OK", f"Content-Length: {len(data)}", *headers)
        end = begin + at if ranges else at * call.number
        call.send(data[begin:end])

    return behaviour


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first request meets the first behaviour, and so on; the last one stays."""
    return lambda call: behaviours[min(call.number, len(behaviours)) - 1](call)
