"""The way to a repository: the URL that git is given, and the settings that go with it.

Over HTTP the repository is asked for by ourselves first: redirects, proxies, passwords and what may pass are there as
for every mirror. git then goes to where that led, follows nothing, and is told the password by a setting for that
place alone, which no list of processes shows.
"""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from warpforge.errors import Unable

from .download import Part, Watch, open_download
from .git_url import GitUrl
from .http import HttpSource
from .policy import Access

_NAMES: Final = "/info/refs?service=git-upload-pack"
_ANSWER: Final = re.compile(rb"[0-9a-f]{4}# service=git-upload-pack|[0-9a-f]{40,64}\t|\Z")  # gitprotocol-http(5)


class Way(NamedTuple):
    """``config``: settings of git that nobody else may see; ``more``: variables. ``network``: as in hops, empty where
    it is not known.
    """

    url: str
    protocol: str
    config: tuple[tuple[str, str], ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    network: str = ""


def find_way(url: GitUrl, name: str, access: Access, network: str = "") -> Way:
    """How to reach a repository; over HTTP, when ``network`` is given, only there or in the public one.

    Errors: ``fetch`` (not-found, net, policy).
    """
    if url.scheme in ("http", "https"):
        return _find_http_way(url, name, access, network)
    if url.scheme == "ssh":
        return _make_ssh_way(url, access)
    return Way(url.url, url.scheme)


def _find_http_way(url: GitUrl, name: str, access: Access, network: str) -> Way:
    authorization = ""
    if url.user:
        authorization = "Basic " + b64encode(f"{url.user}:{url.password}".encode()).decode()
    source = _Discovery(url.url.rstrip("/") + _NAMES, name, access, authorization)
    source.network = network
    with open_download(source, access.policy) as names:
        if not _ANSWER.match(names.read(100)):
            raise Unable("fetch", f"{name}: does not answer as a git repository does", reason="net", address=name)
    found = source.found.removesuffix(_NAMES)
    before, after = urlsplit(url.url), urlsplit(found)
    config = [
        ("http.lowSpeedLimit", str(access.policy.slowest)),
        ("http.lowSpeedTime", str(max(1, round(access.policy.stall)))),
    ]
    if proxy := access.proxy_for(after.scheme, after.hostname or ""):
        config.append(("http.proxy", proxy))
    if certificates := ssl.get_default_verify_paths().cafile:
        config.append(("http.sslCAInfo", certificates))
    if authorization and (before.scheme, before.netloc) == (after.scheme, after.netloc):
        config.append((f"http.{found}.extraHeader", f"Authorization: {authorization}"))
    return Way(found, after.scheme, tuple(config), network=source.network)


def _make_ssh_way(url: GitUrl, access: Access) -> Way:
    """A person's own keys and known hosts, and no questions."""
    connect, alive = max(1, round(access.policy.connect)), max(1, round(access.policy.stall / 3))
    command = f"ssh -oBatchMode=yes -oConnectTimeout={connect} -oServerAliveInterval={alive} -oServerAliveCountMax=3"
    more = {"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh", "SSH_AUTH_SOCK": access.ssh_agent}
    return Way(url.url, "ssh", more=tuple((key, value) for key, value in more.items() if value))


class _Discovery(HttpSource):
    """Asks for a repository's names; ``found``: where they were. ``network``: where it may be, then where it was."""

    found = ""
    network = ""

    def ask(self, begin: int, tag: str, watch: Watch) -> Part:
        exchange = self._exchange(watch)
        exchange.home = self.network
        answer = exchange.send("GET", {})
        self.found, self.network = exchange.url, exchange.home
        try:
            return answer.part()
        except BaseException:
            answer.close()
            raise
