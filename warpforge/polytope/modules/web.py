"""HTTP as the code of modules speaks it: a request as a map, an HttpResponse as a map, or the body line by line.

    request   {url, method? (get), headers?, body? (text, or a value: sent as JSON), timeout? (seconds)}
    response  {status, headers, body, request-time (ms)}, or {error, request-time} when nothing answered

``routes`` says where requests really go: ``{"https://api.example.org": "http://127.0.0.1:8080"}`` sends whatever begins
with the one to the other, with its own Host. It serves the services of a job, proxies that speak for a host, and tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from warpforge import __version__
from warpforge.errors import Invalid, Missing, Unable
from warpforge.polytope.calls.taking import Taking
from warpforge.polytope.nouns import Value

METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")
BODY_LIMIT: Final = 16 << 20
LINE_LIMIT: Final = 1 << 20
TIMEOUT: Final = 60.0
Route = Callable[[str, int], "tuple[str, int] | None"]


class _Call(NamedTuple):
    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float

    @property
    def host(self) -> str:
        """What may be shown of the address: paths and queries of webhooks are secrets."""
        return urlsplit(self.url).hostname or self.url


class Web:
    """Makes requests. ``find``: where a host and a port of the job's network are from here (None: as they say)."""

    def __init__(self, routes: Mapping[str, str] | None = None, find: Route | None = None) -> None:
        self._routes = dict(routes or {})
        self._find = find

    def request(self, request: Mapping[str, Value]) -> dict[str, Value]:
        """One request and its whole answer. A host that does not answer is no error here: the response says so.

        Errors: ``invalid-argument``.
        """
        call = _read_call(request)
        began = monotonic()
        try:
            with self._open(call) as answer:
                body = answer.read(BODY_LIMIT + 1)
                if len(body) > BODY_LIMIT:
                    raise Unable(
                        "connection", f"{call.host} answers with more than {BODY_LIMIT >> 20} MiB", host=call.host
                    )
                headers = {name.lower(): value for name, value in answer.headers.items()}
                return {
                    "status": answer.status,
                    "headers": dict(headers),
                    "body": body.decode("utf-8", "replace"),
                    "request-time": _since(began),
                }
        except Unable as error:
            return {"error": error.message, "request-time": _since(began)}

    def stream(self, request: Mapping[str, Value]) -> Iterator[str]:
        """The body's lines, as they come. Errors: ``invalid-argument``, ``connection`` (``status``: from 400 up)."""
        call = _read_call(request)
        with self._open(call) as answer:
            if answer.status >= 400:
                said = answer.read(4096).decode("utf-8", "replace").strip()
                message = f"{call.host} answers with status {answer.status}: {said[:500]}"
                raise Unable("connection", message, host=call.host, status=answer.status)
            yield from _lines(answer, call)

    @contextmanager
    def _open(self, call: _Call) -> Iterator[Any]:
        import urllib3

        url, headers = self._routed(call)
        try:
            with urllib3.PoolManager(retries=False) as pool:
                answer = pool.request(
                    call.method.upper(),
                    url,
                    body=call.body,
                    headers={"User-Agent": f"warpforge/{__version__}", **headers},
                    timeout=urllib3.Timeout(connect=min(10.0, call.timeout), read=call.timeout),
                    preload_content=False,
                    redirect=5 if call.method in ("get", "head") else False,
                )
                try:
                    yield answer
                finally:
                    answer.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            why = _why(error)
            raise Unable("connection", f"{call.host} cannot be reached: {why}", cause=error, host=call.host) from error

    def _routed(self, call: _Call) -> tuple[str, dict[str, str]]:
        """The address to use, and the headers that go with it."""
        parts = urlsplit(call.url)
        for prefix, goal in self._routes.items():
            rest = call.url.removeprefix(prefix)
            if rest != call.url and (not rest or prefix.endswith("/") or rest[0] in "/?"):
                return goal + rest, {"Host": parts.netloc.rpartition("@")[2], **call.headers}
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            found = self._find(parts.hostname or "", port) if self._find else None
        except Missing as error:
            raise Unable("connection", f"{call.host} cannot be reached: {error.message}", host=call.host) from error
        if found is None:
            return call.url, call.headers
        host, number = found
        where = parts._replace(netloc=f"[{host}]:{number}" if ":" in host else f"{host}:{number}")
        return where.geturl(), {"Host": parts.netloc.rpartition("@")[2], **call.headers}


def parse_route(text: str) -> tuple[str, str]:
    """``FROM=TO``, both the beginnings of URLs. Errors: ``invalid-argument``."""
    start, equals, goal = text.partition("=")
    if not equals or not all(part.startswith(("http://", "https://")) for part in (start, goal)):
        raise Invalid("invalid-argument", f"{text!r}: a route is https://HOST=http://HOST:PORT", value=text)
    return start.rstrip("/"), goal.rstrip("/")


def _read_call(request: Mapping[str, Value]) -> _Call:
    taking = Taking()
    url = taking.text(request.get("url"), "url")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        taking.fault("url", "an address begins with http:// or https:// and names a host")
    method = taking.choice(taking.text(request.get("method"), "method", "get").lower(), "method", METHODS, "get")
    headers = {
        name: taking.text(value, f"headers.{name}")
        for name, value in taking.mapping(request.get("headers"), "headers").items()
    }
    body = request.get("body")
    data = body.encode() if isinstance(body, str) else None
    if body is not None and data is None:
        data = json.dumps(body, ensure_ascii=False).encode()
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
    timeout = taking.number(request.get("timeout"), "timeout", TIMEOUT)
    taking.finish("a request")
    return _Call(method, url, headers, data, min(max(timeout, 0.1), 3600.0))


def _lines(answer: Any, call: _Call) -> Iterator[str]:
    rest = b""
    while data := answer.read1(1 << 16):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")
        if len(rest) > LINE_LIMIT:
            raise Unable(
                "connection", f"{call.host} answers with a line of more than {LINE_LIMIT} bytes", host=call.host
            )
    if rest:
        yield rest.decode("utf-8", "replace")


def _why(error: BaseException) -> str:
    """What happened, without the address."""
    reason = getattr(error, "reason", error)
    text = str(reason).rpartition(": ")[2] or type(error).__name__
    return text if "://" not in text else type(error).__name__


def _since(began: float) -> int:
    return round((monotonic() - began) * 1000)
