"""Pages for the browsers of this machine: the files of one directory and nothing else, and a page for the rest."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from warpforge.engine.listener import Connection, Listener

KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
}
ABSENT: Final = "404.html"
NAMES: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))


class PageServer(Listener):
    """Serves a directory until it is shut down. ``still``: held while its files change, all of them at once."""

    def __init__(self, host: str, port: int, directory: Path, said: Callable[[str], None]) -> None:
        self.directory: Final = os.path.realpath(directory)
        self.still: Final = threading.Lock()
        super().__init__(host, port, _Handler, said, "--port names another one")

    def find(self, target: str) -> str | None:
        """The file that a request means; None when there is none below the directory."""
        path = unquote(urlsplit(target).path, errors="surrogateescape")
        if "\0" in path:
            return None
        found = os.path.realpath(os.path.join(self.directory, path.lstrip("/")))
        if path.endswith("/") or found == self.directory:
            found = os.path.join(found, "index.html")
        return found if found.startswith(self.directory + "/") and os.path.isfile(found) else None


class _Handler(Connection):
    server: PageServer

    def answer(self, *, body: bool) -> None:
        if self.headers.get("Host", "localhost").rsplit(":", 1)[0] not in NAMES:
            self._send(403, b"this server is for its own machine\n", "text/plain", body=body)
            return
        with self.server.still:
            found = self.server.find(self.path)
            moved = found is None and self._is_directory()
            data = _read(found) if found else None  # whoever else may write there may just have removed it
            absent = None if moved or data is not None else _read(os.path.join(self.server.directory, ABSENT))
        if moved:
            self.send_response(308)
            self.send_header("Location", urlsplit(self.path).path.replace("//", "/") + "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if found and data is not None:
            kind = KINDS.get(os.path.splitext(found)[1], "application/octet-stream")
            self._send(200, data, kind, body=body)
            return
        self._send(404, absent or b"not found\n", KINDS[".html"], body=body)

    def _is_directory(self) -> bool:
        path = urlsplit(self.path).path
        return not path.endswith("/") and self.server.find(path + "/") is not None

    def _send(self, status: int, data: bytes, kind: str, *, body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "frame-ancestors 'self'")
        self.end_headers()
        if body:
            self.wfile.write(data)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
