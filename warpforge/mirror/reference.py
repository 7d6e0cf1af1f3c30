"""Names of images in registries, as everybody spells them: ``[HOST[:PORT]/]NAME[:TAG][@sha256:HEX]``.

Without a host it is Docker Hub's, where a name of one part lies below ``library/``. ``docker://`` may stand in front.
An address is ``oci://HOST/NAME``; ``oci+http://`` asks for plain HTTP, which otherwise only this very machine gets.
Source of the grammar: the OCI distribution specification 1.1, and distribution's "reference".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from warpforge.errors import Invalid

SCHEMES: Final = ("oci", "oci+https", "oci+http")
HUB: Final = "docker.io"
_HUB_API: Final = "registry-1.docker.io"
_HUB_NAMES: Final = (HUB, "index.docker.io", _HUB_API)
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME: Final = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\Z")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")
_LOOPBACK: Final = re.compile(r"localhost\Z|127(?:\.[0-9]{1,3}){3}\Z|\[::1\]\Z")


class Repository(NamedTuple):
    """One repository of a registry. ``host``: with its port, as people say it."""

    scheme: str
    host: str
    name: str

    @property
    def url(self) -> str:
        """What all requests for it begin with."""
        host = _HUB_API if self.host == HUB else self.host
        return f"{self.scheme}://{host}/v2/{self.name}"

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    @property
    def address(self) -> str:
        """The mirror's address."""
        usual = "http" if _is_loopback(self.host) else "https"
        return f"oci{'' if self.scheme == usual else f'+{self.scheme}'}://{self.host}/{self.name}"


class Reference(NamedTuple):
    """One image: by its digest if there is one, else by its tag."""

    repository: Repository
    tag: str
    digest: str

    @property
    def what(self) -> str:
        """What to ask the registry for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"


def parse_reference(text: str) -> Reference:
    """Errors: ``invalid-argument``."""
    scheme, slashes, rest = text.partition("://")
    if not slashes:
        scheme, rest = "docker", text
    if scheme not in (*SCHEMES, "docker"):
        raise _refuse(text, f"an image is HOST/NAME:TAG, perhaps with docker:// or {SCHEMES[0]}:// in front")
    rest, _, digest = rest.partition("@")
    first, slash, more = rest.partition("/")
    has_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    host, name = (first, more) if has_host else (HUB, rest)
    name, colon, tag = name.partition(":")
    host = HUB if host in _HUB_NAMES else host
    if host == HUB and "/" not in name:
        name = f"library/{name}"
    if not _HOST.match(host) or not _NAME.match(name) or len(name) > 255:
        raise _refuse(text, "an image is HOST/NAME:TAG or HOST/NAME@sha256:HEX, its name in small letters")
    if digest and not _DIGEST.match(digest):
        raise _refuse(text, "a digest is sha256: and 64 hex digits")
    if colon and not _TAG.match(tag):
        raise _refuse(text, "a tag is up to 128 letters, digits and _ . -")
    plain = scheme == "oci+http" or (scheme != "oci+https" and _is_loopback(host))
    return Reference(Repository("http" if plain else "https", host, name), tag or "latest", digest)


def _is_loopback(host: str) -> bool:
    return _LOOPBACK.match(re.sub(r":[0-9]+\Z", "", host)) is not None


def _refuse(text: str, why: str) -> Invalid:
    from .protocol import shown

    return Invalid("invalid-argument", f"not an image's name: {shown(text)!r}: {why}", reference=shown(text))
