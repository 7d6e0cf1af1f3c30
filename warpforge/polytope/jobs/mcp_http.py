"""MCP over HTTP on the loopback ("Streamable HTTP"): a POST to /mcp with a message, and its answer as JSON.

Nothing is streamed and no session is kept, which the transport allows. A web page must not reach tools that run code
here: whoever sends an Origin sends one of the loopback, and so is the Host.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import urlsplit

from warpforge.errors import Unable
from warpforge.polytope.jobs.mcp import Server

PATH: Final = "/mcp"
PORT: Final = 31338
LONGEST: Final = 4 << 20  # bytes of a message
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class McpHttp:
    """Serves from threads of its own until it is closed. ``url``: where."""

    def __init__(self, server: Server, port: int = PORT) -> None:
        """``port`` 0: any. Errors: ``connection`` when the port is in use."""

        class Handler(_Handler):
            mcp = server

        try:
            self._http = _Http(("127.0.0.1", port), Handler)
        except OSError as error:
            what = f"port {port} for MCP: {error.strerror}: --mcp-port chooses another"
            raise Unable("connection", what, cause=error, port=port) from error
        self.url: Final = f"http://localhost:{self._http.server_port}{PATH}"
        poll = {"poll_interval": 0.05}
        threading.Thread(target=self._http.serve_forever, kwargs=poll, name="mcp", daemon=True).start()

    def close(self) -> None:
        """No more questions."""
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    mcp: Server
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a client may say nothing

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self._is_welcome():
            return
        if not length.isdigit() or int(length) > LONGEST:
            self.close_connection = True
            self._send(413 if length.isdigit() else 411)
            return
        answer = self.mcp.answer(self.rfile.read(int(length)))
        if answer is None:
            self._send(202)
        else:
            self._send(200, answer)

    def do_GET(self) -> None:
        """A client asks for a stream of messages from us: there are none."""
        if self._is_welcome():
            self._send(405)

    do_DELETE = do_GET

    def _is_welcome(self) -> bool:
        origin = self.headers.get("Origin")
        names = [urlsplit(f"//{self.headers.get('Host', '')}").hostname, urlsplit(origin).hostname if origin else None]
        if names[0] not in LOOPBACK or (origin and names[1] not in LOOPBACK):
            self.close_connection = True
            self._send(403)
            return False
        if self.path.partition("?")[0] != PATH:
            self.close_connection = True
            self._send(404)
            return False
        return True

    def _send(self, status: int, answer: Any = None) -> None:
        data = b"" if answer is None else json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        if data:
            self.send_header("Content-Type", "application/json")
        if status == 405:
            self.send_header("Allow", "POST")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
