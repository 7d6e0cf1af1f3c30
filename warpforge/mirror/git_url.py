"""Addresses of git repositories: what is accepted, and where a submodule's leads. Pure thought.

A repository's own address may have any of the schemes below; what is written inside of a repository may lead to
https and ssh, and by the scheme that its repository came by, and nowhere else. Nothing that git could take for an
option, a helper or a path of this machine gets through.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

SCHEMES: Final = ("https", "http", "ssh", "git", "file")
_INNER: Final = frozenset(("https", "ssh"))  # that a submodule may name
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\.?\Z|[0-9A-Fa-f:.]+\Z")
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*\Z")
_SCP: Final = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^@/:]+):(?P<path>[^/:].*|/.*)\Z")
_WANTED: Final = "a repository is https://..., user@host:path or a path from the top"


class Unsafe(ValueError):
    """An address that is not followed; the text says why."""


class GitUrl(NamedTuple):
    """A repository. ``path`` begins with a slash and is not escaped; ``password`` is for http and https alone."""

    scheme: str
    host: str
    path: str
    user: str = ""
    password: str = ""
    port: int | None = None

    @property
    def url(self) -> str:
        """As git takes it, without a password; for http and https without the user, too."""
        user = f"{self.user}@" if self.user and self.scheme == "ssh" else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{user}{host}{port}{quote(self.path.encode('utf-8', 'surrogateescape'))}"


def parse_git_url(text: str) -> GitUrl:
    """``https://...``, or ``git+`` and one of these. Raises Unsafe."""
    text = text.removeprefix("git+")
    if not text.isprintable() or " " in text or "\\" in text:
        raise Unsafe("not a URL")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Unsafe("not a URL") from None
    if parts.scheme not in SCHEMES or "://" not in text:
        raise Unsafe(f"repositories are {', '.join(f'{scheme}://' for scheme in SCHEMES)}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    path = unquote(parts.path, errors="surrogateescape")
    if parts.query or parts.fragment:
        raise Unsafe("a repository's address ends with its path")
    return _checked(GitUrl(parts.scheme, host, path, user, password, port))


def parse_git_remote(text: str) -> GitUrl:
    """What a person tells git of a repository: a URL, ``user@host:path``, or a path from the top. Raises Unsafe."""
    if "://" in text:
        return parse_git_url(text)
    if not text or not text.isprintable() or text.startswith("-"):
        raise Unsafe(_WANTED)
    if text.startswith("/"):
        return _checked(GitUrl("file", "", text))
    if _SCP.match(text) is None:
        raise Unsafe(_WANTED)
    return _scp(text)


def find_submodule(base: GitUrl, text: str) -> GitUrl:
    """Where an address in ``.gitmodules`` leads from the repository at ``base``. Raises Unsafe."""
    if not text or not text.isprintable() or text.startswith("-"):
        raise Unsafe("not an address")
    if text.startswith(("./", "../")) or text in (".", ".."):
        return _checked(base._replace(path=_climb(base.path, text)))
    if "://" in text:
        found = parse_git_url(text) if not text.startswith("git+") else None
    elif text.startswith("/"):
        found = _checked(GitUrl("file", "", text))
    else:
        found = _scp(text)
    if found is None or found.scheme not in _INNER | {base.scheme}:
        raise Unsafe("it leads to a protocol that a submodule may not name")
    return found


def _climb(path: str, text: str) -> str:
    """A relative address against a repository's path, as git has it: ``../x`` is beside the repository."""
    names = [name for name in path.split("/") if name]
    for name in text.split("/"):
        if name == "..":
            if not names:
                raise Unsafe("it climbs out of its host")
            names.pop()
        elif name not in ("", "."):
            names.append(name)
    return "/" + "/".join(names)


def _scp(text: str) -> GitUrl:
    """``user@host:path``, which is short for ssh; the path counts from the top, as on all hosts for many."""
    found = _SCP.match(text)
    if found is None or "::" in text:
        raise Unsafe("not an address")
    return _checked(GitUrl("ssh", found["host"], "/" + found["path"].lstrip("/"), found["user"] or ""))


def _checked(url: GitUrl) -> GitUrl:
    path = url.path
    if url.scheme == "file":
        if url.host not in ("", "localhost") or url.user or url.port is not None:
            raise Unsafe("a file address has no host")
        url = url._replace(host="")
    elif not _HOST.match(url.host):
        raise Unsafe("not a host")
    if url.user and not (_USER.match(url.user) or url.scheme in ("http", "https")):
        raise Unsafe("not a user")
    if not path.startswith("/") or path.strip("/") == "" or path.startswith("/-"):
        raise Unsafe("not the path of a repository")
    if any(not c.isprintable() and not "\udc80" <= c <= "\udcff" for c in path) or ".." in path.split("/"):
        raise Unsafe("not the path of a repository")
    return url
