"""RUN --mount: what is mounted while one command runs, and leaves nothing in the image.

bind     a tree of the context, a stage or an image: an input of the formula like others
cache    a directory that is kept between builds; the formula has an empty one there, for nothing may depend on it
tmpfs    an empty directory, in memory and of a size if one is named
secret   a file, or a variable, that the formula does not have at all
ssh      a socket at which the agent of whoever builds answers; likewise
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Final, NamedTuple

from warpforge.polytope.dockerfile.lines import refuse
from warpforge.polytope.dockerfile.parse import Instruction
from warpforge.polytope.dockerfile.state import State
from warpforge.polytope.dockerfile.variables import fill
from warpforge.polytope.types.basic import Wrong, parse_size

_KINDS: Final = {
    "bind": ("source", "from", "rw"),
    "cache": ("id", "sharing", "from", "source", "mode", "uid", "gid", "ro"),
    "tmpfs": ("size",),
    "secret": ("id", "env", "required", "mode", "uid", "gid"),
    "ssh": ("id", "required", "mode", "uid", "gid"),
}
_SAME: Final = {
    "dst": "target",
    "destination": "target",
    "src": "source",
    "readwrite": "rw",
    "readonly": "ro",
}
_SHARING: Final = ("shared", "private", "locked")
_TRUE: Final = ("", "1", "true")
_AGENT: Final = "/run/buildkit/ssh_agent.0"  # where other builders have it


class RunMount(NamedTuple):
    """``target``: absolute; empty for a secret that is only a variable. ``said``: the other options as they came."""

    kind: str
    target: str
    said: Mapping[str, str]

    def number(self, key: str, default: int, base: int = 10) -> int:
        """An option that is a number."""
        text = self.said.get(key)
        return int(text, base) if text else default

    @property
    def id(self) -> str:
        return self.said.get("id") or (self.target if self.kind == "cache" else posixpath.basename(self.target))

    @property
    def size(self) -> int:
        """Bytes; 0 when it is not said. Raises Wrong."""
        return parse_size(self.said["size"]) if self.said.get("size") else 0

    @property
    def is_required(self) -> bool:
        return "required" in self.said and self.said["required"].lower() in _TRUE


def read_mounts(one: Instruction, state: State, name: str) -> list[RunMount]:
    """Those of a RUN, in order. Errors: ``serialization`` with the line."""
    return [_read(fill(text, state.variables(), name, one.line), one, state, name) for text in one.all_of("mount")]


def _read(text: str, one: Instruction, state: State, name: str) -> RunMount:
    said: dict[str, str] = {}
    for word in text.split(","):
        key, _, value = word.partition("=")
        said[_SAME.get(key, key)] = value
    kind = said.pop("type", "bind")
    if kind not in _KINDS:
        raise refuse(name, one.line, f"RUN --mount=type={kind} is no kind of mount: {', '.join(_KINDS)}")
    if odd := [key for key in said if key != "target" and key not in _KINDS[kind]]:
        raise refuse(name, one.line, f"RUN --mount=type={kind} knows no {odd[0]}")
    target = said.pop("target", "")
    if kind == "secret" and not target and said.get("id") and "env" not in said:
        target = f"/run/secrets/{said['id']}"
    if kind == "ssh" and not target:
        target = _AGENT
    if not target and "env" not in said:
        raise refuse(name, one.line, f"RUN --mount=type={kind} says no target")
    mount = RunMount(kind, state.path(target).rstrip("/") if target else "", said)
    _check(mount, one, name)
    return mount


def _check(mount: RunMount, one: Instruction, name: str) -> None:
    if not mount.target and "env" not in mount.said:
        raise refuse(name, one.line, "RUN --mount: the root cannot be mounted on")
    if mount.kind == "secret" and not mount.id:
        raise refuse(name, one.line, "RUN --mount=type=secret says no id")
    try:
        if mount.size < 0:
            raise Wrong("less than nothing")
    except Wrong as error:
        raise refuse(name, one.line, f"RUN --mount: size={mount.said['size']}: {error}") from error
    if mount.said.get("sharing", "shared") not in _SHARING:
        raise refuse(name, one.line, f"RUN --mount: sharing is one of {', '.join(_SHARING)}")
    for key, base in (("mode", 8), ("uid", 10), ("gid", 10)):
        try:
            mount.number(key, 0, base)
        except ValueError as error:
            raise refuse(name, one.line, f"RUN --mount: {key}={mount.said[key]} is no number") from error
