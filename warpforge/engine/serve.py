"""A warehouse for others to read, over HTTP: wares under the names that content-addressed mirrors have, nothing else.

GET and HEAD of ``/abc/def/<hash>`` (tar) and ``/<packtype>/abc/def/<hash>``, with ranges and strong ETags.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from warpforge import __version__
from warpforge.errors import Unable, WarpforgeError
from warpforge.mirror.protocol import ca_path
from warpforge.model.atoms import WareId

if TYPE_CHECKING:
    from warpforge.store.store import Store

PATIENCE: Final = 60.0  # seconds without a byte after which a client is given up
AT_ONCE: Final = 64  # answers
GZIP_SPACE: Final = 8 << 30  # bytes of gzip forms that are kept for the next who asks


class Served(NamedTuple):
    """An opened file, and the strong name of its bytes."""

    file: BinaryIO
    size: int
    tag: str


class Shop:
    """What is served: the wares of a store, with ``gzip`` the ``tar`` ones in their gzip form."""

    def __init__(self, store: Store, *, gzip: bool) -> None:
        self._store = store
        self._forms = GzipForms(store) if gzip else None

    def open(self, path: str) -> Served | None:
        """What a request's path names, if it is here. Errors: ``store``, and those of a damaged ware."""
        ware = parse_path(path)
        if ware is None:
            return None
        if self._forms is not None and ware.packtype == "tar":
            return self._forms.open(ware)
        return _open(self._store, ware)


class GzipForms:
    """Gzip forms, made when first asked for and kept while this process serves."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[WareId, tuple[str, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._making: dict[WareId, threading.Lock] = {}

    def open(self, ware: WareId) -> Served | None:
        """The gzip form of a ware that is here."""
        with self._lock:
            making = self._making.setdefault(ware, threading.Lock())
        with making:
            while True:
                with self._lock:
                    kept = self._kept.get(ware)
                    if kept is not None:
                        self._kept.move_to_end(ware)
                if kept is None and not self._make(ware):
                    return None
                if kept is not None:
                    with suppress(FileNotFoundError):
                        file = open(kept[0], "rb")
                        return Served(file, kept[1], f'"gzip-{ware.hash}-{kept[1]}"')
                    with self._lock:
                        self._kept.pop(ware, None)

    def _make(self, ware: WareId) -> bool:
        from warpforge.pack.gzip_form import write_gzip_form

        found = _open(self._store, ware)
        if found is None:
            return False
        path = self._store.staging.new("gzip")
        try:
            with found.file, open(path, "x+b") as file:
                write_gzip_form(found.file, file)
                size = file.tell()
        except BaseException:
            with suppress(OSError):
                os.unlink(path)
            raise
        with self._lock:
            self._kept[ware] = (path, size)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > GZIP_SPACE:
                _, (old, _) = self._kept.popitem(last=False)
                with suppress(OSError):
                    os.unlink(old)
        return True


class WarehouseServer(ThreadingHTTPServer):
    """Answers until it is shut down. ``said`` hears one line of every answer."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, shop: Shop, said: Callable[[str], None]) -> None:
        self.shop = shop
        self.said = said
        self.room = threading.Semaphore(AT_ONCE)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), Handler)
        except OSError as error:
            raise Unable(
                "connection",
                f"cannot listen at {host}:{port}: {error.strerror}; --listen ADDR:PORT names another place",
                cause=error,
            ) from error

    @property
    def address(self) -> str:
        """What others write into their mirrors."""
        host, port = self.server_address[:2]
        text = host if isinstance(host, str) else bytes(host).decode()
        return f"ca+http://{f'[{text}]' if ':' in text else text}:{port}"

    def server_bind(self) -> None:
        # not HTTPServer's: that one asks the resolver for our name
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no error of ours."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: WarehouseServer
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    server_version = f"warpforge/{__version__}"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        with self.server.room:
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
        if body and end > begin:
            self.connection.sendfile(found.file, begin, end - begin)

    def _refuse(self, status: int, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.server.said(f"{self.client_address[0]} {self.command} {self.path} {code}")

    def log_message(self, format: str, *args: object) -> None:
        self.server.said(f"{self.client_address[0]} {format % args}")


def parse_path(path: str) -> WareId | None:
    """The ware that a request names; None for any other path."""
    parts = path.removeprefix("/").split("/")
    packtype = "tar" if len(parts) == 3 else parts[0]
    try:
        ware = WareId.parse(f"{packtype}:{parts[-1]}")
    except WarpforgeError:
        return None
    return ware if "/" + ca_path(ware) == path else None


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


def _open(store: Store, ware: WareId) -> Served | None:
    path = store.warehouse.find(ware)
    if path is None:
        return None
    try:
        file = open(path, "rb")
    except OSError:
        return None
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        return None
    # a stored file never changes; its times do, when it is used
    return Served(file, status.st_size, f'"{status.st_dev:x}-{status.st_ino:x}-{status.st_size:x}"')
