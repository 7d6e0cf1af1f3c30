"""What a stage is after each instruction: its tree's ware, and what its image will say. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from warpforge.model.atoms import WareId
from warpforge.polytope.dockerfile.lines import refuse
from warpforge.polytope.dockerfile.parse import (
    Dockerfile,
    Instruction,
    fill,
    read_arguments,
    read_command,
    read_list,
    read_pairs,
)

SHELL: Final = ("/bin/sh", "-c")
PREDEFINED: Final = frozenset(
    name for one in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy") for name in (one, one.upper())
)


class State(msgspec.Struct, frozen=True):
    """``ware``: None for an empty tree. ``config``: as images spell it (Env, Cmd, ...). ``arguments``: the ARGs."""

    ware: WareId | None
    config: dict[str, Any] = {}
    arguments: dict[str, str] = {}
    shell: tuple[str, ...] = SHELL

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
            return state.say(Cmd=list(read_command(rest, state.shell)))
        case "ENTRYPOINT":
            said = state.say(Entrypoint=list(read_command(rest, state.shell)))
            return msgspec.structs.replace(said, config={key: v for key, v in said.config.items() if key != "Cmd"})
        case "SHELL":
            words = read_list(rest)
            if not words:
                raise refuse(file.name, one.line, "SHELL takes a JSON list of words")
            return msgspec.structs.replace(state, shell=words)
        case "EXPOSE":
            return state.add("ExposedPorts", [word if "/" in word else f"{word}/tcp" for word in filled().split()])
        case "VOLUME":
            return state.add("Volumes", read_list(rest) or filled().split())
        case "STOPSIGNAL":
            return state.say(StopSignal=filled().strip())
        case "HEALTHCHECK" | "MAINTAINER":
            return state  # nobody here looks at them
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
