"""Furnish: from a container's spec and its image to the value that says how its box is made. Pure."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from warpforge.errors import Invalid
from warpforge.polytope.containers.image import Image, ImageConfig, Owned
from warpforge.polytope.spec import ContainerSpec
from warpforge.sandbox.ids import Ids
from warpforge.sandbox.seccomp import UNCONFINED
from warpforge.sandbox.spec import BoxSpec, Mount, make_mount, make_spec

# What root of a container may do: what servers do that begin as root, and nothing of the machine
CAPABILITIES: Final = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"),
    *("CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP"),
)
OPEN_FILES: Final = 1 << 20
_CORE, _NOFILE = 4, 7
HOST_USER: Final = "#pt-host"


def furnish(
    spec: ContainerSpec,
    image: Image,
    mounts: Sequence[Mount],
    fresh: Sequence[str],
    *,
    ids: Ids | None,
    hostname: str,
) -> BoxSpec:
    """The box of a container. ``fresh``: where volumes were made of what the image has there.

    Errors: ``invalid`` (what makes no sense), ``sandbox-unsafe``.
    """
    config = image.config
    argv = make_command(spec, config)
    if not argv:
        raise Invalid(
            "invalid", f"container {spec.id}: neither it nor its image {spec.image} says what to run: give cmd"
        )
    env = {**config.env, **{variable.name: variable.value for variable in spec.env}}
    if spec.tty:
        env.setdefault("TERM", "xterm")
    try:
        made = make_spec(
            mounts=[make_mount("/", "overlay", image.tree), *mounts],
            argv=argv,
            variables=env,
            cwd=spec.workdir or config.workdir,
            gathers=[sink.path for sink in spec.datasets],
            hostname=hostname.encode(),
            rlimits=((_CORE, 0, 0), (_NOFILE, OPEN_FILES, OPEN_FILES)),
            memory_limit=spec.resources.memory_limit,
            unfiltered=choose_unfiltered(spec, mounts),
            cpus=choose_cpus(spec.resources.cpu_limit, hostname, sorted(os.sched_getaffinity(0))),
        )
    except ValueError as error:
        raise Invalid("invalid", f"container {spec.id}: {error}") from error
    return _with_person(made, spec, image, ids, fresh)


def make_command(spec: ContainerSpec, config: ImageConfig) -> tuple[str, ...]:
    """What is executed, as images have it: a new entrypoint takes the image's cmd away."""
    if spec.entrypoint is not None:
        return (*spec.entrypoint, *(spec.cmd or ()))
    return (*config.entrypoint, *(config.cmd if spec.cmd is None else spec.cmd))


def choose_unfiltered(spec: ContainerSpec, mounts: Sequence[Mount]) -> frozenset[str]:
    """The system calls that a container may make past the filter, when it is not to be confined. Never where it could
    leave files on the host that belong to root: no setuid bit may ever come to one."""
    if not spec.is_unconfined or (os.geteuid() == 0 and any(mount.kind == "host-rw" for mount in mounts)):
        return frozenset()
    return UNCONFINED


def choose_cpus(limit: float, name: str, there: Sequence[int]) -> tuple[int, ...]:
    """So many of the machine's CPUs, rounded up; other ones for other names. Empty: all."""
    count = math.ceil(limit)
    if not 0 < count < len(there):
        return ()
    first = zlib.crc32(name.encode()) % len(there)
    return tuple(sorted(([*there] * 2)[first : first + count]))


def _with_person(made: BoxSpec, spec: ContainerSpec, image: Image, ids: Ids | None, fresh: Sequence[str]) -> BoxSpec:
    """Who it is. The invoking user has one uid, and everything of the box is theirs then."""
    user = spec.user or image.config.user
    if user == HOST_USER:
        uid, gid = os.getuid(), os.getgid()
        if uid:
            return replace(made, uid=uid, gid=gid, pretending=True)
        user = "0"
    made = replace(made, user=user.encode())
    tops = [os.fsencode(path.strip("/")) for path in fresh]
    mine = [owned for owned in image.owned if any(_is_below(owned.path, top) for top in tops)]
    made = replace(made, owned=_plain(image.owned), owned_mounts=_plain(mine))
    return replace(made, pretending=True) if ids is None else replace(made, ids=ids, capabilities=CAPABILITIES)


def _plain(owned: Iterable[Owned]) -> tuple[tuple[bytes, int, int], ...]:
    """As plain tuples: they go to another process."""
    return tuple((one.path, one.uid, one.gid) for one in owned)


def _is_below(path: bytes, top: bytes) -> bool:
    return path == top or path.startswith(top + b"/")
