"""How a workspace has actions run: which sandbox, and where secrets come from.

``config/sandbox.json`` holds ``{"sandbox.v1": {"use": "runc"}}``, ``config/secrets.json`` holds
``{"secrets.v1": {"NAME": "env:VARIABLE", "OTHER": "file:PATH", "THIRD": "cmd:COMMAND"}}``; paths
begin at the workspace.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from warpforge.errors import Invalid

from .atoms import Secret
from .findings import Place
from .reading import Reading

SOURCES: Final = ("env", "file", "cmd")


class SecretSource(NamedTuple):
    """Where a secret's value comes from: a variable of the environment, a file, or what a command writes."""

    kind: str
    argument: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.argument}"

    @classmethod
    def parse(cls, text: str) -> SecretSource:
        """``env:VARIABLE``, ``file:PATH`` or ``cmd:COMMAND``. Errors: ``invalid``."""
        kind, _, argument = text.partition(":")
        if kind not in SOURCES or not argument or "\0" in argument:
            raise Invalid("invalid", "a secret comes from env:VARIABLE, file:PATH or cmd:COMMAND", reason="secret")
        return cls(kind, argument)


class SandboxChoice(NamedTuple):
    """The name of a back-end, or ``auto``."""

    use: str


class SecretSources(NamedTuple):
    """By the secret's name."""

    sources: dict[str, SecretSource]


def read_sandbox(reading: Reading, value: Any, place: Place) -> SandboxChoice:
    members = reading.fields(value, place, frozenset(("use",)), frozenset())
    return SandboxChoice(reading.text(members.get("use", ""), (place, "use")))


def read_secrets(reading: Reading, value: Any, place: Place) -> SecretSources:
    found = {}
    for name, text in reading.mapping(value, place).items():
        reading.atom(_parse_name, name, (place, name))
        found[name] = reading.atom(SecretSource.parse, text, (place, name))
    return SecretSources(found)


def _parse_name(name: str) -> Secret:
    return Secret.parse(f"secret:{name}")
