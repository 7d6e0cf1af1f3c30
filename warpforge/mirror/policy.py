"""Patience with mirrors, as one value, and what else reaching them takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from warpforge.model.atoms import WarehouseAddr
from warpforge.model.catalog import PushConfig


class Policy(NamedTuple):
    """Bounds on one fetch. Seconds and bytes.

    ``connect``: for a connection, TLS included. ``stall``: the longest silence, and the time in which ``stall *
    slowest`` bytes must have come. ``total``: for everything. ``tries``: requests for what may pass, each after a
    pause of ``pause``, doubled every time and jittered, or what Retry-After asks, up to ``patience``. ``hops``:
    redirects. ``largest``: bytes of one packed ware. ``unfinished``: the age at which nobody is still at an upload.
    """

    connect: float = 10.0
    stall: float = 30.0
    slowest: int = 256
    total: float = 6 * 3600.0
    tries: int = 4
    pause: float = 0.5
    patience: float = 30.0
    hops: int = 5
    largest: int = 64 << 30
    unfinished: float = 86400.0


class Access(NamedTuple):
    """What is needed besides an address. ``pushes``: how to push, by address; ``proxies``: by scheme, for hosts that
    ``no_proxy`` (suffixes of host names) does not name; ``s3_endpoint`` and ``s3_region``: when no push config says.
    ``ssh_agent``: the socket of who keeps the keys for repositories behind ssh.
    ``auth_files``: where logins to registries are kept, the first one that has one counts. ``offline``: only what is
    on this machine is asked.
    """

    policy: Policy = Policy()
    pushes: Mapping[WarehouseAddr, PushConfig] = MappingProxyType({})
    proxies: Mapping[str, str] = MappingProxyType({})
    no_proxy: tuple[str, ...] = ()
    s3_endpoint: str = ""
    s3_region: str = ""
    ssh_agent: str = ""
    auth_files: tuple[Path, ...] = ()
    offline: bool = False

    def proxy_for(self, scheme: str, host: str) -> str:
        """The proxy to ask for a host; empty for none."""
        proxy = self.proxies.get(scheme, "")
        for name in self.no_proxy:
            bare = name.lstrip(".")
            if name == "*" or host == bare or host.endswith("." + bare):
                return ""
        return proxy


DEFAULT = Access()
