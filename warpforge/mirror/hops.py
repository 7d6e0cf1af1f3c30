"""Where a redirect may lead: pure thought.

Never from https to http, never to another scheme, never into a network that is nearer to us than the mirror itself:
a page of the world must not make this machine ask its own services.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port: what credentials belong to."""

    scheme: str
    host: str
    port: int


class Refused(ValueError):
    """A hop that is not made; the text says why."""


def origin_of(url: str) -> Origin:
    """The origin of a URL. Raises Refused."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise Refused(f"not a URL: {error}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise Refused(f"to the scheme {parts.scheme!r}")
    if not host:
        raise Refused("to no host")
    return Origin(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme])


def make_hop(url: str, location: str) -> str:
    """Where a redirect from ``url`` leads, user and fragment left out. Raises Refused."""
    if not location.isprintable() or " " in location:
        raise Refused("to something that is not a URL")
    try:
        target = urljoin(url, location).partition("#")[0]
    except ValueError as error:
        raise Refused(f"not a URL: {error}") from None
    before, after = origin_of(url), origin_of(target)
    if before.scheme == "https" and after.scheme != "https":
        raise Refused("from https to http")
    return strip_user(target)


def strip_user(url: str) -> str:
    """The URL without user and password."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def network_of(address: str) -> str:
    """How near an IP address is: ``loopback``, ``link-local``, ``private`` (all that is not global) or ``public``."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    if found.is_loopback or found.is_unspecified:
        return "loopback"
    if found.is_link_local:
        return "link-local"
    return "public" if found.is_global and not found.is_multicast else "private"


def check_network(home: str, address: str) -> None:
    """Whether a mirror in the network ``home`` may send us to an IP address. Raises Refused."""
    network = network_of(address)
    if network not in ("public", home):
        raise Refused(f"into a {network} network ({address})")
