"""Instructions -> stages: variables filled in as the reference says, and what makes no sense refused with its line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from warpforge.errors import Invalid, Missing
from warpforge.polytope.dockerfile.lines import Document, Line, read_lines, refuse

KNOWN: Final = (
    *("RUN", "COPY", "ADD", "ENV", "WORKDIR", "CMD", "ENTRYPOINT", "USER", "EXPOSE", "LABEL", "ARG"),
    *("SHELL", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "MAINTAINER"),
)
SCRATCH: Final = "scratch"
_VARIABLE: Final = re.compile(r"\\(.)|\$(?:(\w+)|\{(\w+)(?::([-+?])((?:[^{}]|\{[^{}]*\})*))?\})", re.DOTALL)
_FROM: Final = re.compile(r"(?:--platform=(\S+)\s+)?(\S+)(?:\s+[Aa][Ss]\s+([A-Za-z][\w.-]*))?")
_FLAG: Final = re.compile(r"--([a-z-]+)(?:=(\S*))?\s*")
_QUOTED: Final = r"""(?:"(?:\\.|[^"\\])*"|'[^']*')"""
_PAIR: Final = re.compile(rf"""\s*((?:{_QUOTED}|[^\s="'])+)=((?:{_QUOTED}|\\.|[^\s"'\\])*)""", re.DOTALL)


class Instruction(NamedTuple):
    """``rest`` with its variables still to be filled in; ``flags`` are the ``--name=value`` before it."""

    word: str
    rest: str
    line: int
    flags: Mapping[str, str] = MappingProxyType({})
    documents: tuple[Document, ...] = ()

    def __str__(self) -> str:
        flags = [f"--{name}={value}" if value else f"--{name}" for name, value in self.flags.items()]
        return " ".join([self.word, *flags, self.rest])


class Stage(NamedTuple):
    """``base``: an image, ``scratch``, or an earlier stage's name."""

    name: str
    base: str
    platform: str
    instructions: tuple[Instruction, ...]
    line: int


class Dockerfile(NamedTuple):
    """``arguments``: the ARGs before the first FROM, with their values. ``name``: what the file is called."""

    name: str
    arguments: dict[str, str]
    stages: tuple[Stage, ...]

    def needed(self, target: str) -> list[int]:
        """The stages that building ``target`` ("": the last) takes, in order. Errors: ``missing``."""
        wanted = [self.find(target) if target else len(self.stages) - 1]
        found: set[int] = set()
        while wanted:
            at = wanted.pop()
            if at in found:
                continue
            found.add(at)
            stage = self.stages[at]
            names = [stage.base, *(one.flags["from"] for one in stage.instructions if "from" in one.flags)]
            wanted.extend(earlier for name in names if (earlier := self.earlier(name, at)) is not None)
        return sorted(found)

    def find(self, target: str) -> int:
        for at, stage in enumerate(self.stages):
            if target.lower() == stage.name.lower() or target == str(at):
                return at
        names = ", ".join(stage.name or str(at) for at, stage in enumerate(self.stages))
        raise Missing("missing", f"{self.name}: there is no stage {target!r}; there are {names}", target=target)

    def earlier(self, name: str, at: int) -> int | None:
        """Which stage before ``at`` a name means; None for an image."""
        for number in reversed(range(at)):
            if name.lower() == self.stages[number].name.lower() or name == str(number):
                return number
        return None


def parse_dockerfile(text: str, name: str, build_args: Mapping[str, str]) -> Dockerfile:
    """Errors: ``serialization`` with the line."""
    arguments = _platform_arguments()
    stages: list[Stage] = []
    waiting: list[Instruction] = []

    def close() -> None:
        if stages:
            stages[-1] = stages[-1]._replace(instructions=tuple(waiting))
        waiting.clear()

    for line in read_lines(text, name):
        if line.word == "FROM":
            close()
            stages.append(_read_from(line, name, arguments))
        elif not stages:
            if line.word != "ARG":
                raise refuse(name, line.number, f"{line.word} before the first FROM")
            for key, value in read_arguments(fill(line.rest, arguments, name, line.number), name, line.number):
                arguments[key] = build_args.get(key, value or "")
        else:
            waiting.append(_read_instruction(line, name))
    close()
    if not stages:
        raise refuse(name, 1, "there is no FROM")
    return Dockerfile(name, arguments, tuple(stages))


def _platform_arguments() -> dict[str, str]:
    """The ARGs that every build has: this machine builds for itself."""
    from warpforge.pack.image import Platform

    here = Platform.here()
    parts = {"PLATFORM": str(here), "OS": here.os, "ARCH": here.architecture, "VARIANT": here.variant}
    return {f"{side}{name}": value for side in ("BUILD", "TARGET") for name, value in parts.items()}


def _read_from(line: Line, name: str, arguments: Mapping[str, str]) -> Stage:
    match = _FROM.fullmatch(fill(line.rest, arguments, name, line.number))
    if match is None:
        raise refuse(name, line.number, "FROM IMAGE [AS NAME] was expected")
    return Stage(match[3] or "", match[2], match[1] or "", (), line.number)


def _read_instruction(line: Line, name: str) -> Instruction:
    if line.word not in KNOWN:
        why = "is not carried out here" if line.word == "ONBUILD" else "is no instruction"
        raise refuse(name, line.number, f"{line.word} {why}")
    flags: dict[str, str] = {}
    rest = line.rest
    if line.word in ("RUN", "COPY", "ADD", "HEALTHCHECK"):
        while match := _FLAG.match(rest):
            flags[match[1]] = match[2] or ""
            rest = rest[match.end() :]
    if not rest:
        raise refuse(name, line.number, f"{line.word} says nothing")
    return Instruction(line.word, rest, line.number, flags, line.documents)


def fill(text: str, variables: Mapping[str, str], name: str, line: int) -> str:
    """The text with ``$X``, ``${X}``, ``${X:-default}``, ``${X:+other}`` and ``${X:?message}`` filled in.

    What stands in single quotes stays as it is. Errors: ``serialization`` for ``:?`` without a value.
    """

    def one(match: re.Match[str]) -> str:
        if match[1] is not None:
            return match[1] if match[1] == "$" else match[0]
        value = variables.get(match[2] or match[3], "")
        if match[4] == "-":
            return value or fill(match[5], variables, name, line)
        if match[4] == "+":
            return fill(match[5], variables, name, line) if value else ""
        if match[4] == "?" and not value:
            raise refuse(name, line, f"{match[3]}: {match[5] or 'it has no value'}")
        return value

    parts = re.split(r"('[^']*')", text)
    return "".join(part if number % 2 else _VARIABLE.sub(one, part) for number, part in enumerate(parts))


def read_arguments(rest: str, name: str, line: int) -> list[tuple[str, str | None]]:
    """``NAME``, or ``NAME=default``, of an ARG."""
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise refuse(name, line, f"ARG: {error}") from error
    return [(key, value if equals else None) for key, equals, value in (word.partition("=") for word in words)]


def read_pairs(rest: str, name: str, line: int) -> dict[str, str]:
    """``K=V K2="a b"``, or the older ``K V`` of one variable."""
    found: dict[str, str] = {}
    at = 0
    while match := _PAIR.match(rest, at):
        found[_unquote(match[1])] = _unquote(match[2])
        at = match.end()
    if found and not rest[at:].strip():
        return found
    key, _, value = rest.partition(" ")
    if "=" in key or not value.strip():
        raise refuse(name, line, f"{rest!r} is no K=V")
    return {key: _unquote(value.strip())}


def read_command(rest: str, shell: Sequence[str]) -> tuple[str, ...]:
    """A JSON list as it is; any other text goes to the shell."""
    words = read_list(rest)
    return (*shell, rest) if words is None else words


def read_list(rest: str) -> tuple[str, ...] | None:
    """A JSON list of texts, or None."""
    if not rest.startswith("["):
        return None
    try:
        words = json.loads(rest)
    except ValueError:
        return None
    return tuple(words) if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def read_paths(rest: str, name: str, line: int) -> tuple[list[str], str]:
    """The sources and the destination of a COPY."""
    try:
        words = [*(read_list(rest) or shlex.split(rest))]
    except ValueError as error:
        raise refuse(name, line, f"{rest!r}: {error}") from error
    if len(words) < 2:
        raise refuse(name, line, "what is copied, and where to?")
    return words[:-1], words[-1]


def _unquote(text: str) -> str:
    try:
        return "".join(shlex.split(text)) if text[:1] in "\"'" or "\\" in text or '"' in text else text
    except ValueError:
        return text


def unknown_flag(instruction: Instruction, known: Sequence[str], name: str) -> Invalid | None:
    """What to say of a flag that is not carried out."""
    odd = [flag for flag in instruction.flags if flag not in known]
    return refuse(name, instruction.line, f"{instruction.word} --{odd[0]} is not carried out here") if odd else None
