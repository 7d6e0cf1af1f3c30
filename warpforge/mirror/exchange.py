"""One question to an HTTP server, over as many hops as are allowed, on urllib3."""

from __future__ import annotations

import errno
import re
import socket
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import urlsplit

import urllib3
from urllib3 import exceptions as faults

from warpforge import __version__
from warpforge.errors import Unable

from .download import MayPass, Watch
from .hops import Refused, check_network, make_hop, network_of, origin_of

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from .policy import Access

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MAY_PASS: Final = (408, 425, 429, 500, 502, 503, 504)
_GONE: Final = (404, 410)
_AGAIN: Final = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT, errno.EHOSTUNREACH}


class Exchange:
    """A question and its hops; ``url``: where they led. The first connection tells in which network the mirror is."""

    def __init__(self, url: str, name: str, access: Access, authorization: str, watch: Watch) -> None:
        self.url = url
        self._name = name
        self._access = access
        self._authorization = authorization
        self._watch = watch
        self.home = ""  # the network of the mirror

    def send(self, method: str, headers: dict[str, str], body: Any = None) -> Answer:
        """Any answer that is no redirect. A ``body`` (bytes, or a file of the Content-Length) goes to the URL only.

        Raises MayPass; errors: ``fetch`` (policy, net).
        """
        url = self.url
        origin = origin_of(url)
        for _ in range(self._access.policy.hops + 1):
            more = {"Authorization": self._authorization} if self._authorization and origin_of(url) == origin else {}
            answer = self._send(method, url, {**headers, **more}, body)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                self.url = url
                return answer
            answer.close()
            if body is not None:
                raise self._refuse_hop(Refused("elsewhere with an upload"))
            try:
                url = make_hop(url, location)
            except Refused as error:
                raise self._refuse_hop(error) from None
        raise self._refuse_hop(Refused(f"more than {self._access.policy.hops} times"))

    def _send(self, method: str, url: str, headers: dict[str, str], body: Any) -> Answer:
        policy, host = self._access.policy, urlsplit(url).hostname or ""
        proxy = self._access.proxy_for(urlsplit(url).scheme, host)
        line = _Line(self._watch, None if proxy else self._check_peer)
        manager = line.manager(proxy)
        self._watch.begin(line.cut)
        try:
            if proxy:
                self._check_named(host)
            response = manager.urlopen(
                method,
                url,
                body=body,
                headers={
                    "Accept-Encoding": "identity",
                    "User-Agent": f"warpforge/{__version__}",
                    "Connection": "close",
                    **headers,
                },
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=policy.connect, read=policy.stall),
            )
        except BaseException as error:
            manager.clear()
            self._watch.rest()
            if isinstance(error, Refused):
                raise self._refuse_hop(error) from None
            if isinstance(error, faults.HTTPError | OSError | ValueError):
                self._explain(error)
            raise
        return Answer(self._name, response, manager, self._watch)

    def _check_peer(self, address: str) -> None:
        if not self.home:
            self.home = network_of(address)
        check_network(self.home, address)

    def _check_named(self, host: str) -> None:
        """A proxy looks names up itself: only what the name itself says can be checked."""
        with suppress(ValueError):
            self._check_peer("127.0.0.1" if host == "localhost" else host)
        self.home = self.home or "public"

    def _explain(self, error: Exception) -> NoReturn:
        """Words for a fault of urllib3; none of its own, for they may hold a proxy's password."""
        what, passes = explain(error)
        what = self._watch.why or what
        if passes or self._watch.why:
            raise MayPass(what) from error
        raise Unable("fetch", f"{self._name}: {what}", reason="net", address=self._name) from error

    def _refuse_hop(self, error: Refused) -> Unable:
        return Unable("fetch", f"{self._name}: sends us {error}: not followed", reason="policy", address=self._name)


class Answer:
    """A status, headers and a body that has not been read."""

    def __init__(self, name: str, response: BaseHTTPResponse, manager: urllib3.PoolManager, watch: Watch) -> None:
        self._name = name
        self._response = response
        self._manager = manager
        self._watch = watch
        self.status = response.status
        self.headers = response.headers

    def check(self, wanted: tuple[int, ...] = (200,)) -> None:
        """Whether the status is a wanted one. Raises MayPass; errors: ``fetch`` (not-found, net)."""
        status = self.status
        if status in wanted:
            return
        if status in _GONE:
            raise Unable("fetch", f"{self._name}: not found", reason="not-found", status=status, address=self._name)
        phrase = "".join(c for c in self._response.reason or "" if c.isprintable())[:60]
        said = f"the server said {status} {phrase}".rstrip() + self._explained()
        if status in _MAY_PASS:
            raise MayPass(said, after=_retry_after(self.headers.get("Retry-After")))
        raise Unable("fetch", f"{self._name}: {said}", reason="net", status=status, address=self._name)

    def _explained(self) -> str:
        """What S3, and all that speaks as it does, says of an error in its body and headers."""
        code = None
        if "xml" in self.headers.get("Content-Type", ""):
            with suppress(Exception):
                code = re.search(rb"<Code>(\w{1,64})</Code>", self._response.read(4096))
        region = self.headers.get("x-amz-bucket-region", "") if self.status in (301, 307, 400) else ""
        known = f" ({code[1].decode()})" if code else ""
        return known + (f"; the bucket is in {region}: set AWS_REGION" if region.replace("-", "").isalnum() else "")

    def part(self) -> HttpPart:
        """The answer as a part of a file. Errors: as ``check``."""
        self.check((200, 206))
        return HttpPart(self._name, self)

    def read(self, size: int) -> bytes:
        """Whatever has come. Raises MayPass; errors: ``fetch``."""
        try:
            return self._response.read1(size)
        except (faults.HTTPError, OSError, ValueError) as error:
            if self._watch.why:
                raise MayPass(self._watch.why) from error
            if isinstance(error, faults.ProtocolError | faults.IncompleteRead) and "IncompleteRead" in repr(error):
                raise MayPass("the body ends too early", reason="short") from error
            what, passes = explain(error)
            if passes:
                raise MayPass(what) from error
            raise Unable("fetch", f"{self._name}: {what}", reason="net", address=self._name) from error

    def close(self) -> None:
        """Let go of the connection; nothing more is read."""
        with suppress(Exception):
            self._response.close()
        self._manager.clear()
        self._watch.rest()


class HttpPart:
    """The body of a 200 or a 206."""

    def __init__(self, name: str, answer: Answer) -> None:
        self._answer = answer
        headers = answer.headers
        length = headers.get("Content-Length", "")
        declared = int(length) if length.isdecimal() and len(length) < 20 else None
        self.begin = 0
        self.size = declared
        if answer.status == 206:
            self.begin, self.size = _content_range(name, headers.get("Content-Range", ""))
        tag = headers.get("ETag", "")
        self.tag = tag if tag.startswith('"') else ""

    def read(self, size: int, /) -> bytes:
        return self._answer.read(size)

    def close(self) -> None:
        self._answer.close()


class _Line:
    """The pools of one request; they tell us the socket, so that it can be cut, and its peer, so that it is checked."""

    def __init__(self, watch: Watch, check: Any) -> None:
        self._check = check
        self._connection: Any = None

    def manager(self, proxy: str) -> urllib3.PoolManager:
        """A pool manager for one connection."""
        manager = _proxied(proxy) if proxy else urllib3.PoolManager(num_pools=1)
        manager.pool_classes_by_scheme = {"http": self._pool("http"), "https": self._pool("https")}
        return manager

    def cut(self) -> None:
        """Break the connection, whoever waits on it."""
        found = getattr(self._connection, "sock", None)
        if found is not None:
            with suppress(OSError):
                socket.socket.shutdown(found, socket.SHUT_RDWR)  # not TLS's own: that one would talk

    def _pool(self, scheme: str) -> Any:
        line = self
        base: Any = urllib3.HTTPSConnectionPool if scheme == "https" else urllib3.HTTPConnectionPool
        plain: Any = base.ConnectionCls

        class Connection(plain):  # type: ignore[misc]
            def connect(self) -> None:
                line._connection = self
                super().connect()
                if line._check is not None:
                    line._check(self.sock.getpeername()[0])

        class Pool(base):  # type: ignore[misc]
            ConnectionCls = Connection

        return Pool


def _proxied(proxy: str) -> urllib3.PoolManager:
    parts = urlsplit(proxy)
    headers = {}
    if parts.username is not None:
        from urllib.parse import unquote

        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=pair)
    return urllib3.ProxyManager(proxy, proxy_headers=headers, num_pools=1)


def explain(error: Exception) -> tuple[str, bool]:
    """A fault in words, and whether it may pass."""
    cause = error.__cause__ or error.__context__
    if isinstance(error, faults.NameResolutionError):
        again = isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN
        return "its name cannot be resolved", again
    if isinstance(error, faults.NewConnectionError):
        why = cause.strerror if isinstance(cause, OSError) else ""
        return f"cannot be reached: {why or 'no connection'}", isinstance(cause, OSError) and cause.errno in _AGAIN
    if isinstance(error, faults.ConnectTimeoutError):
        return "cannot be reached: no answer", True
    if isinstance(error, faults.SSLError):
        why = getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "no secure connection"
        return f"TLS: {why}", False
    if isinstance(error, faults.ProxyError):
        return "the proxy cannot be reached, or refuses", False
    if isinstance(error, faults.ReadTimeoutError | TimeoutError):
        return "no byte came in time", True
    if isinstance(error, faults.LocationParseError | faults.LocationValueError):
        return "not a URL", False
    if isinstance(error, faults.ProtocolError | OSError):
        return "the connection broke", True
    return f"does not speak HTTP properly ({type(error).__name__})", False


def _retry_after(text: str | None) -> float | None:
    """Seconds, from a number or a date."""
    if not text:
        return None
    if text.isdecimal():
        return float(text[:9])
    from datetime import UTC, datetime

    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _content_range(name: str, text: str) -> tuple[int, int | None]:
    """``bytes 5-9/10`` as (5, 10)."""
    unit, _, rest = text.partition(" ")
    span, _, size = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or not first.isdecimal() or not (size.isdecimal() or size == "*"):
        raise Unable("fetch", f"{name}: a part without a proper range", reason="net", address=name)
    return int(first), int(size) if size.isdecimal() else None
