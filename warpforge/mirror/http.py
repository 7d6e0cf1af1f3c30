"""Mirrors over HTTP: ``http(s)://host/one.tar`` and ``ca+http(s)://host/directory``. They are read, not pushed to.

Where the directory that a server serves is on this machine, a push config of the kind ``file`` says so in its ``path``.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from warpforge.errors import Unable
from warpforge.model.atoms import WarehouseAddr, WareId

from .download import MayPass, Watch, open_download
from .exchange import Answer, Exchange
from .hops import Refused, origin_of, strip_user
from .policy import Access
from .protocol import ca_paths, shown

if TYPE_CHECKING:
    from .download import Mark, Part


class HttpMirror:
    """One file, or a place of many."""

    def __init__(self, address: WarehouseAddr, access: Access) -> None:
        self._address = address
        self._access = access
        try:
            self._origin = origin_of(address.url)
        except Refused as error:
            raise Unable("fetch", f"{shown(address)}: leads {error}", reason="policy", address=shown(address)) from None
        self._authorization = _basic(address.url)

    def open(self, ware: WareId) -> BinaryIO:
        return self.open_from(ware, None)

    def open_from(self, ware: WareId, mark: Mark | None) -> BinaryIO:
        *first, last = self._sources(ware)
        for source in first:
            with suppress_not_found():
                return open_download(source, self._access.policy, mark)
        return open_download(last, self._access.policy, mark)

    def has(self, ware: WareId) -> bool:
        for source in self._sources(ware):
            with suppress_not_found():
                source.look()
                return True
        return False

    def push(self, ware: WareId, source: BinaryIO) -> None:
        push = self._access.pushes.get(self._address)
        if push is not None and push.kind == "file" and "path" in push.settings:
            from .file import FileMirror

            kind = "ca+file" if self._address.is_content_addressed else "file"
            FileMirror(WarehouseAddr(f"{kind}://{quote(push.settings['path'])}")).push(ware, source)
            return
        raise Unable(
            "fetch",
            f"{shown(self._address)} can only be read: push to a file or s3 address, "
            "or say in .warpforge/config/mirroring.json how this one is pushed to",
            reason="policy",
            address=shown(self._address),
        )

    def _sources(self, ware: WareId) -> list[HttpSource]:
        url = strip_user(self._address.url)
        urls = [f"{url.rstrip('/')}/{path}" for path in ca_paths(ware)] if self._address.is_content_addressed else [url]
        return [HttpSource(url, shown(self._address), self._access, self._authorization) for url in urls]


class suppress_not_found(suppress):
    """Passes over ``fetch`` errors of the reason not-found."""

    def __init__(self) -> None:
        super().__init__(Unable)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, Unable) and error.reason == "not-found"


class HttpSource:
    """One URL, of a mirror called ``name``. ``authorization`` (a header) goes to its origin and nowhere else."""

    def __init__(self, url: str, name: str, access: Access, authorization: str = "") -> None:
        self.name = name
        self._url = url
        self._access = access
        self._authorization = authorization

    def ask(self, begin: int, tag: str, watch: Watch) -> Part:
        """The file from an offset on. Raises MayPass; errors: ``fetch``."""
        headers = {"Range": f"bytes={begin}-", "If-Range": tag} if begin and tag else {}
        answer = self._exchange(watch).send("GET", headers)
        try:
            return answer.part()
        except BaseException:
            answer.close()
            raise

    def look(self) -> None:
        """Ask whether the file is there. Errors: ``fetch``."""
        watch = Watch(self._access.policy)
        try:
            self._look("HEAD", watch)
        except MayPass as fault:
            raise Unable("fetch", f"{self.name}: {fault}", reason=fault.reason, address=self.name) from fault
        finally:
            watch.close()

    def _look(self, method: str, watch: Watch) -> None:
        answer: Answer | None = None
        try:
            answer = self._exchange(watch).send(method, {})
            if method == "HEAD" and answer.status in (405, 501):
                self._look("GET", watch)
            else:
                answer.check()
        finally:
            if answer is not None:
                answer.close()

    def _exchange(self, watch: Watch) -> Exchange:
        return Exchange(self._url, self.name, self._access, self._authorization, watch)


def _basic(url: str) -> str:
    """The Authorization header for the user in a URL; empty without one."""
    parts = urlsplit(url)
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode()
