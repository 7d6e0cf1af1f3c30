"""Instructions -> stages: variables filled in as the reference says, and what makes no sense refused with its line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from warpforge.errors import Invalid, Missing
from warpforge.polytope.dockerfile.lines import Document, Line, read_lines, refuse
from warpforge.polytope.dockerfile.variables import fill

KNOWN: Final = (
    *("RUN", "COPY", "ADD", "ENV", "WORKDIR", "CMD", "ENTRYPOINT", "USER", "EXPOSE", "LABEL", "ARG"),
    *("SHELL", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "MAINTAINER", "ONBUILD"),
)
SCRATCH: Final = "scratch"
_FROM: Final = re.compile(r"(?:--platform=(\S+)\s+)?(\S+)(?:\s+[Aa][Ss]\s+([A-Za-z][\w.-]*))?")
_QUOTED: Final = r"""(?:"(?:\\.|[^"\\])*"|'[^']*')"""
_FLAG: Final = re.compile(rf"""--([a-z-]+)(?:=((?:{_QUOTED}|[^\s"'])*))?(?:\s+|$)""")
_FLAGGED: Final = ("RUN", "COPY", "ADD", "HEALTHCHECK")
_NO_TRIGGER: Final = ("ONBUILD", "FROM", "MAINTAINER")
_PAIR: Final = re.compile(rf"""\s*((?:{_QUOTED}|[^\s="'])+)=((?:{_QUOTED}|\\.|[^\s"'\\])*)""", re.DOTALL)


class Instruction(NamedTuple):
    """``rest`` with its variables still to be filled in; ``flags`` are the ``--name=value`` before it, in order."""

    word: str
    rest: str
    line: int
    flags: tuple[tuple[str, str], ...] = ()
    documents: tuple[Document, ...] = ()

    def __str__(self) -> str:
        flags = [f"--{name}={value}" if value else f"--{name}" for name, value in self.flags]
        return " ".join([self.word, *flags, self.rest])

    def flag(self, name: str) -> str | None:
        """The last value of a flag; empty for one without a value, None for one that is not there."""
        return next((value for flag, value in reversed(self.flags) if flag == name), None)

    def all_of(self, name: str) -> list[str]:
        """Every value of a flag that may come several times."""
        return [value for flag, value in self.flags if flag == name]

    def says(self, name: str, *, default: bool = False) -> bool:
        """Whether a flag that is true or false is true."""
        value = self.flag(name)
        return default if value is None else value.lower() in ("", "1", "t", "true")

    def origins(self) -> list[str]:
        """The stages and images that it names with ``from``."""
        words = [word for value in self.all_of("mount") for word in value.split(",")]
        return [*self.all_of("from"), *(word[5:] for word in words if word.startswith("from="))]


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
            names = [stage.base, *(origin for one in stage.instructions for origin in one.origins())]
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
            waiting.append(read_instruction(line, name))
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


def read_instruction(line: Line, name: str) -> Instruction:
    """Errors: ``serialization`` with the line."""
    if line.word not in KNOWN:
        raise refuse(name, line.number, f"{line.word} is no instruction")
    flags: list[tuple[str, str]] = []
    rest = line.rest
    while line.word in _FLAGGED and (match := _FLAG.match(rest)):
        flags.append((match[1], _unquote(match[2] or "")))
        rest = rest[match.end() :]
    if not rest:
        raise refuse(name, line.number, f"{line.word} says nothing")
    if line.word == "ONBUILD":
        read_trigger(rest, name, line.number)
    return Instruction(line.word, rest, line.number, tuple(flags), line.documents)


def read_trigger(text: str, name: str, line: int) -> Instruction:
    """What an ONBUILD says that is to be done by whoever begins with its image. Errors: ``serialization``."""
    word, _, rest = text.partition(" ")
    if word.upper() in _NO_TRIGGER:
        raise refuse(name, line, f"ONBUILD {word.upper()} makes no sense")
    return read_instruction(Line(word.upper(), rest.strip(), line), name)


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
    odd = [flag for flag, _ in instruction.flags if flag not in known]
    return refuse(name, instruction.line, f"{instruction.word} --{odd[0]} is not carried out here") if odd else None
