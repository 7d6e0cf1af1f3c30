"""What a stage is after each instruction: its tree's ware, and what its image will say. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from warpforge.model.atoms import WareId
from warpforge.polytope.dockerfile.layering import Base
from warpforge.polytope.dockerfile.lines import refuse
from warpforge.polytope.dockerfile.parse import (
    Dockerfile,
    Instruction,
    read_arguments,
    read_command,
    read_list,
    read_pairs,
    unknown_flag,
)
from warpforge.polytope.dockerfile.variables import fill

SHELL: Final = ("/bin/sh", "-c")
PREDEFINED: Final = frozenset(
    name for one in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy") for name in (one, one.upper())
)


class State(msgspec.Struct, frozen=True):
    """``ware``: None for an empty tree. ``config``: as images spell it (Env, Cmd, ...). ``arguments``: the ARGs.
    ``base``: the image that it began with. ``has_cmd``: whether the stage itself has said a CMD."""

    ware: WareId | None
    config: dict[str, Any] = {}
    arguments: dict[str, str] = {}
    base: Base | None = None
    has_cmd: bool = False

    @property
    def shell(self) -> tuple[str, ...]:
        return tuple(self.config.get("Shell") or SHELL)

    @property
    def env(self) -> dict[str, str]:
        return dict(word.partition("=")[::2] for word in self.config.get("Env") or ())

    @property
    def workdir(self) -> str:
        return self.config.get("WorkingDir") or "/"

    @property
    def user(self) -> str:
        return self.config.get("User") or ""

    def variables(self) -> dict[str, str]:
        """What an instruction's ``$X`` means: the environment goes before ARGs."""
        return {**self.arguments, **self.env}

    def say(self, **more: Any) -> State:
        """The same image, saying something else."""
        return msgspec.structs.replace(self, config={**self.config, **more})

    def add(self, key: str, names: Iterable[str]) -> State:
        """The same image, saying more names under a key."""
        return self.say(**{key: {**(self.config.get(key) or {}), **{name: {} for name in names}}})

    def path(self, text: str) -> str:
        """An absolute path, in its shortest form; a slash at the end stays."""
        whole = posixpath.normpath(posixpath.join(self.workdir, text or "."))
        whole = "/" + whole.lstrip("/")
        return f"{whole}/" if text.endswith(("/", "/.")) and whole != "/" else whole


def declare(state: State, one: Instruction, file: Dockerfile, build_args: Mapping[str, str]) -> State | None:
    """The state after an instruction that makes no file; None for one that does.

    Errors: ``serialization`` with the line.
    """
    rest = one.rest

    def filled() -> str:
        return fill(rest, state.variables(), file.name, one.line)

    match one.word:
        case "ENV":
            pairs = read_pairs(filled(), file.name, one.line)
            return state.say(Env=[f"{key}={value}" for key, value in {**state.env, **pairs}.items()])
        case "ARG":
            return _declare_arguments(state, filled(), one, file, build_args)
        case "LABEL":
            labels = {**(state.config.get("Labels") or {}), **read_pairs(filled(), file.name, one.line)}
            return state.say(Labels=labels)
        case "USER":
            return state.say(User=filled().strip())
        case "CMD":
            return msgspec.structs.replace(state.say(Cmd=list(read_command(rest, state.shell))), has_cmd=True)
        case "ENTRYPOINT":
            # the CMD of the base belongs to the base's entrypoint
            cmd = state.config.get("Cmd") if state.has_cmd else None
            return state.say(Entrypoint=list(read_command(rest, state.shell)), Cmd=cmd)
        case "SHELL":
            words = read_list(rest)
            if not words:
                raise refuse(file.name, one.line, "SHELL takes a JSON list of words")
            return state.say(Shell=list(words))
        case "EXPOSE":
            return state.add("ExposedPorts", [word if "/" in word else f"{word}/tcp" for word in filled().split()])
        case "VOLUME":
            return state.add("Volumes", read_list(filled()) or filled().split())
        case "STOPSIGNAL":
            return state.say(StopSignal=filled().strip())
        case "HEALTHCHECK":
            return state.say(Healthcheck=_read_healthcheck(state, one, file.name))
        case "ONBUILD":
            return state.say(OnBuild=[*(state.config.get("OnBuild") or ()), rest])
        case "MAINTAINER":
            return state  # nobody looks at it any more
    return None


def _declare_arguments(
    state: State, text: str, one: Instruction, file: Dockerfile, build_args: Mapping[str, str]
) -> State:
    """An ARG's value: given to the build, else its default, else that of one before the first FROM."""
    found = dict(state.arguments)
    for name, default in read_arguments(text, file.name, one.line):
        value = build_args.get(name, file.arguments.get(name) if default is None else default)
        if value is not None:
            found[name] = value
    return msgspec.structs.replace(state, arguments=found)


_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS: Final = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_CHECKS: Final = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


def _read_duration(text: str) -> int:
    """Nanoseconds of ``1m30s``. Raises ValueError."""
    parts = list(_PART.finditer(text))
    if not text or "".join(part[0] for part in parts) != text:
        raise ValueError("30s or 1m30s was expected")
    return int(sum(float(part[1]) * _NANOSECONDS[part[2]] for part in parts))


def _read_healthcheck(state: State, one: Instruction, name: str) -> dict[str, Any]:
    """As Docker's images have it: durations in nanoseconds. It is written down for whoever looks at it."""
    if odd := unknown_flag(one, (*_CHECKS, "retries"), name):
        raise odd
    word, _, command = one.rest.partition(" ")
    if word.upper() == "NONE":
        return {"Test": ["NONE"]}
    if word.upper() != "CMD" or not command.strip():
        raise refuse(name, one.line, "HEALTHCHECK takes CMD and a command, or NONE")
    words = read_list(command.strip())
    found: dict[str, Any] = {"Test": ["CMD-SHELL", command.strip()] if words is None else ["CMD", *words]}
    for flag, value in one.flags:
        try:
            found[_CHECKS.get(flag, "Retries")] = int(value) if flag == "retries" else _read_duration(value)
        except ValueError as error:
            raise refuse(name, one.line, f"HEALTHCHECK --{flag}={value}: {error}") from error
    return found
