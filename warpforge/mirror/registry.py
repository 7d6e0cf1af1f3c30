"""A registry over HTTP, as the OCI distribution specification 1.1 has it: manifests and blobs of one repository.

Who we are is asked for by the registry: with Basic, or with Bearer, for which a token is had from the server that it
names (distribution's "token authentication"). A login goes to the registry itself and to that server, over TLS if the
registry is reached so; what a redirect's far end asks for is never answered.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol
from urllib.parse import urlencode, urljoin

from warpforge.errors import Failed, Unable

from .download import MayPass, Watch, open_download
from .exchange import Exchange
from .hops import Refused, make_hop, origin_of
from .http import HttpSource
from .logins import find_login

if TYPE_CHECKING:
    from collections.abc import Callable

    from .download import Part
    from .exchange import Answer
    from .policy import Access
    from .reference import Repository

LARGEST: Final = 4 << 20  # bytes of a manifest
_LARGEST_TOKEN: Final = 1 << 20
_ACCEPT: Final = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
_PARAMETER: Final = re.compile(r'([A-Za-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


class Wanted(Protocol):
    """A blob by its digest (``sha256:<hex>``) and size."""

    @property
    def digest(self) -> str: ...

    @property
    def size(self) -> int: ...


class Registry:
    """One repository; what it needs to let us in is remembered."""

    def __init__(self, repository: Repository, access: Access) -> None:
        self.repository: Final = repository
        self.name: Final = str(repository)
        self._access = access
        self._authorization = ""
        self._home = ""
        self._login: str | None = None

    def manifest(self, what: str) -> bytes:
        """A manifest by tag or digest; one that was asked for by digest has it.

        Errors: ``fetch``, ``ware-mismatch``.
        """
        source = _Asked(self, f"manifests/{what}", {"Accept": _ACCEPT})
        with open_download(source, self._access.policy._replace(largest=LARGEST)) as stream:
            data = stream.read()
        if what.startswith("sha256:"):
            found = f"sha256:{hashlib.sha256(data).hexdigest()}"
            if found != what:
                raise Failed(
                    "ware-mismatch",
                    f"{self.name}: what came as {what} is {found}: refused",
                    reason="hash",
                    expected=what,
                    actual=found,
                )
        return data

    def blob(self, wanted: Wanted) -> BinaryIO:
        """A blob as a stream, which ends after its size at the latest; its digest is for the reader to compare.

        Errors, also of reads: ``fetch``.
        """
        source = _Asked(self, f"blobs/{wanted.digest}", {})
        policy = self._access.policy
        return open_download(source, policy._replace(largest=min(policy.largest, wanted.size)))

    def has(self, path: str) -> bool:
        """Whether ``manifests/WHAT`` or ``blobs/DIGEST`` is there. Errors: ``fetch``."""

        def ask(watch: Watch) -> bool:
            answer = self.send("HEAD", path, {"Accept": _ACCEPT}, watch)
            with _closing(answer):
                if answer.status in (404, 410):
                    return False
                answer.check()
                return True

        return bool(self._patiently(ask))

    def push_blob(self, wanted: Wanted, source: BinaryIO) -> None:
        """Upload a blob that is not there yet; ``source`` is seekable. Errors: ``fetch``."""
        if self.has(f"blobs/{wanted.digest}"):
            return
        begin = source.tell()

        def upload(watch: Watch) -> None:
            source.seek(begin)
            answer = self.send("POST", "blobs/uploads/", {"Content-Length": "0"}, watch)
            with _closing(answer):
                answer.check((202,))
                goal = urljoin(f"{self.repository.url}/blobs/uploads/", answer.headers.get("Location", ""))
            goal += ("&" if "?" in goal else "?") + urlencode({"digest": wanted.digest})
            headers = {"Content-Length": str(wanted.size), "Content-Type": "application/octet-stream"}
            answer = self.send("PUT", self._own(goal), headers, watch, _Watched(source, wanted.size, watch))
            with _closing(answer):
                answer.check((201, 204))

        self._patiently(upload)

    def push_manifest(self, what: str, data: bytes, media_type: str) -> None:
        """Give a manifest a tag. Errors: ``fetch``."""

        def upload(watch: Watch) -> None:
            answer = self.send("PUT", f"manifests/{what}", {"Content-Type": media_type}, watch, data)
            with _closing(answer):
                answer.check((200, 201))

        self._patiently(upload)

    def send(self, method: str, path: str, headers: dict[str, str], watch: Watch, body: Any = None) -> Answer:
        """One request, logged in if the registry wants that. ``path``: below the repository, or a whole URL.

        Raises MayPass; errors: ``fetch`` (policy when we are not let in).
        """
        url = path if "://" in path else f"{self.repository.url}/{path}"
        origin = origin_of(self.repository.url)
        for first in (True, False):
            authorization = self._authorization if origin_of(url) == origin else ""
            exchange = Exchange(url, self.name, self._access, authorization, watch)
            exchange.home = self._home
            answer = exchange.send(method, headers, body)
            self._home = exchange.home
            if answer.status not in (401, 403) or origin_of(exchange.url) != origin:
                return answer
            challenges = answer.headers.get("WWW-Authenticate", "")
            answer.close()
            if not first or answer.status == 403:
                break
            self._log_in(challenges, watch)
            if hasattr(body, "rewind"):
                body.rewind()
        raise self._refuse(
            "does not let us in: `docker login` or `podman login` keeps a login for it "
            "(what credential helpers keep is not asked for)"
        )

    def _log_in(self, challenges: str, watch: Watch) -> None:
        """Meet the registry's challenge (RFC 7235; RFC 6750). Errors: ``fetch``."""
        if self._login is None:
            self._login = find_login(self._access.auth_files, self.repository)
        bearer = re.search(r"(?i)\bbearer\s", challenges)
        if bearer:
            pairs = _PARAMETER.findall(challenges[bearer.end() :])
            found = {key.lower(): quoted or plain for key, quoted, plain in pairs}
            self._authorization = f"Bearer {self._token(found)}"
        elif re.search(r"(?i)\bbasic\b", challenges) and self._login:
            self._authorization = f"Basic {self._login}"

    def _token(self, challenge: dict[str, str]) -> str:
        realm = challenge.get("realm", "")
        try:
            realm = make_hop(self.repository.url, realm)  # never from https to http, nor to another scheme
        except Refused as error:
            raise self._refuse(f"sends us for a token {error}: not followed") from None
        asked = {"scope": challenge.get("scope") or f"repository:{self.repository.name}:pull"}
        if "service" in challenge:
            asked["service"] = challenge["service"]
        url = realm + ("&" if "?" in realm else "?") + urlencode(asked)
        login = f"Basic {self._login}" if self._login else ""
        source = _TokenSource(url, f"the token server of {self.name}", self._access, login, self._home)
        with open_download(source, self._access.policy._replace(largest=_LARGEST_TOKEN)) as stream:
            data = stream.read()
        try:
            found = json.loads(data)
            token = found.get("token") or found.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise self._refuse("has a token server that gives no token")
        return token

    def _own(self, url: str) -> str:
        """Where an upload goes on: anywhere that a redirect might lead. Errors: ``fetch`` (policy)."""
        try:
            return make_hop(self.repository.url, url)
        except Refused as error:
            raise self._refuse(f"sends an upload {error}: not followed") from None

    def _patiently(self, do: Callable[[Watch], Any]) -> Any:
        """Do it again when it may pass. Errors: ``fetch``."""
        policy = self._access.policy
        watch = Watch(policy)
        try:
            for number in range(1, policy.tries + 1):
                try:
                    return do(watch)
                except MayPass as fault:
                    if number == policy.tries or (fault.after or 0) > policy.patience:
                        raise Unable(
                            "fetch", f"{self.name}: {fault}", reason=fault.reason, address=self.name
                        ) from fault
                    threading.Event().wait(max(policy.pause * 2 ** (number - 1), fault.after or 0))
        finally:
            watch.close()

    def _refuse(self, what: str) -> Unable:
        return Unable("fetch", f"{self.name}: {what}", reason="policy", address=self.name)


class _Asked:
    """One path of a repository, as a source to download."""

    def __init__(self, registry: Registry, path: str, headers: dict[str, str]) -> None:
        what = path.partition("/")[2]
        self.name = f"{registry.name}{'@' if what.startswith('sha256:') else ':'}{what}"
        self._registry = registry
        self._path = path
        self._headers = headers

    def ask(self, begin: int, tag: str, watch: Watch) -> Part:
        more = {"Range": f"bytes={begin}-", "If-Range": tag} if begin and tag else {}
        answer = self._registry.send("GET", self._path, {**self._headers, **more}, watch)
        try:
            return answer.part()
        except BaseException:
            answer.close()
            raise


class _TokenSource(HttpSource):
    """A token server: it stands where the registry does, or in the world."""

    def __init__(self, url: str, name: str, access: Access, authorization: str, home: str) -> None:
        super().__init__(url, name, access, authorization)
        self._home = home

    def _exchange(self, watch: Watch) -> Exchange:
        exchange = super()._exchange(watch)
        exchange.home = self._home
        return exchange


class _Watched:
    """A body that tells the watch how far it was sent."""

    def __init__(self, source: BinaryIO, size: int, watch: Watch) -> None:
        self._source = source
        self._begin = source.tell()
        self._size = self._left = size
        self._watch = watch

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        self._watch.saw(len(data))
        return data

    def rewind(self) -> None:
        self._source.seek(self._begin)
        self._left = self._size


class _closing:
    """An answer that is closed in the end."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._answer.close()
