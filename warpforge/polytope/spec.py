"""What a container is made of, once everything is evaluated: frozen values, no I/O.

Made from the arguments of ``polytope/container`` (``make_container``); the boxes of a job are made from it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Policy = Literal["never", "always", "on-failure"]
Protocol = Literal["tcp", "udp", "http", "https"]
VolumeScope = Literal["job", "project"]
Create = Literal["never", "when-missing", "always"]


class EnvVar(msgspec.Struct, frozen=True):
    """``value``: as text already. ``is_secret``: it holds a secret, and is never shown."""

    name: str
    value: str
    is_secret: bool = False


class HostSource(msgspec.Struct, frozen=True, tag="host"):
    """Something of the host, bound: an absolute path."""

    path: str


class RepoSource(msgspec.Struct, frozen=True, tag="repo"):
    """A directory of a repository. ``repo`` "": of the one that the file lies in; ``revision`` "": as it stands."""

    path: str = ""
    repo: str = ""
    revision: str = ""


class StringSource(msgspec.Struct, frozen=True, tag="string"):
    """A file with this content."""

    data: str


class DatasetSource(msgspec.Struct, frozen=True, tag="dataset"):
    """A version of a dataset (0: the newest), or a path in it."""

    dataset: str
    path: str = ""
    version: int = 0


class VolumeSource(msgspec.Struct, frozen=True, tag="volume"):
    """``source``: what it holds when it is made."""

    id: str = ""
    scope: VolumeScope = "job"
    create: Create = "when-missing"
    source: HostSource | RepoSource | StringSource | DatasetSource | None = None


Source = HostSource | RepoSource | StringSource | DatasetSource | VolumeSource


class Mount(msgspec.Struct, frozen=True):
    """``path`` is absolute, in the container."""

    path: str
    source: Source


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """One port of a service (ranges are spelled out). ``expose_as``: the host's port, 0 for the same number, and
    whether it was asked for; ``is_internal``: no link is shown to people."""

    port: int
    protocol: Protocol = "tcp"
    label: str = ""
    expose_as: int = 0
    is_internal: bool = False


class Service(msgspec.Struct, frozen=True):
    """The container's ports under one name."""

    id: str
    ports: tuple[Ports, ...]


class Restart(msgspec.Struct, frozen=True):
    """``max_restarts``: -1 for no bound."""

    policy: Policy = "never"
    max_restarts: int = -1


class Scaling(msgspec.Struct, frozen=True):
    """How many replicas stand behind the services; between the two the use of CPU decides."""

    min: int = 1
    max: int = 1


class Resources(msgspec.Struct, frozen=True):
    """CPUs and bytes, 0 for no limit."""

    cpu_request: float = 0.0
    cpu_limit: float = 0.0
    memory_request: int = 0
    memory_limit: int = 0


class Sink(msgspec.Struct, frozen=True):
    """A path of the container that is kept as the next version of a dataset, after exit status 0."""

    path: str
    dataset: str


class ContainerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One container. ``image`` is the reference as written; ``cmd`` and ``entrypoint`` None: the image's own;
    ``user`` "": the image's own, "#pt-host": whoever runs the job. ``base`` is the directory of the file that the
    module was written in; ``is_unconfined``: no system call is denied that need not be; ``is_pure``: whether it was
    said to be a pure function of what is in here, without network or effects (None: nobody said anything)."""

    id: str
    image: str
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] = ()
    mounts: tuple[Mount, ...] = ()
    workdir: str = ""
    user: str = ""
    has_stdin: bool = True
    tty: bool = True
    services: tuple[Service, ...] = ()
    datasets: tuple[Sink, ...] = ()
    restart: Restart = Restart()
    scaling: Scaling = Scaling()
    resources: Resources = Resources()
    update_image: bool = False
    create: Create = "always"
    is_awaited: bool = True
    is_unconfined: bool = False
    is_pure: bool | None = None
    base: str = ""
    tags: dict[str, str] = {}
