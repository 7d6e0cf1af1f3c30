"""Texts that carry a mark: a secret, and what is not known yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from warpforge.polytope.nouns import Value

MASK: Final = "********"


class SecretText(str):
    """Holds a secret: shown to nobody. What is made of it by hand loses the mark: ask ``holds_secret`` too."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class Unknown(str):
    """Stands for a value that cannot be had yet: it fits every type. Its text says which."""

    __slots__ = ()


def mark_secrets(value: Value, secrets: frozenset[str]) -> Value:
    """The value, its texts that hold one of the secrets marked."""
    if not secrets:
        return value
    if isinstance(value, str):
        return SecretText(value) if holds_secret(value, secrets) and not isinstance(value, Unknown) else value
    if isinstance(value, list):
        return [mark_secrets(item, secrets) for item in value]
    if isinstance(value, dict):
        return {key: mark_secrets(inner, secrets) for key, inner in value.items()}
    return value


def holds_secret(text: str, secrets: frozenset[str]) -> bool:
    return isinstance(text, SecretText) or any(secret in text for secret in secrets)


def secrets_of(value: Value) -> Iterator[str]:
    """The texts of a value that are marked."""
    if isinstance(value, SecretText):
        if value:
            yield str(value)
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from secrets_of(part)


def find_unknown(value: Value) -> Unknown | None:
    """The first part of a value that is not known yet."""
    if isinstance(value, Unknown):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for part in parts if (found := find_unknown(part)) is not None), None)


def unmarked(value: Value) -> Value:
    """The same, its secrets plain texts, as encoders want them."""
    if isinstance(value, SecretText):
        return str.__str__(value)[:]
    if isinstance(value, list):
        return [unmarked(item) for item in value]
    if isinstance(value, dict):
        return {key: unmarked(inner) for key, inner in value.items()}
    return value


def masked(value: Value) -> Value:
    """The value as people may see it."""
    if isinstance(value, SecretText):
        return MASK
    if isinstance(value, list):
        return [masked(item) for item in value]
    if isinstance(value, dict):
        return {key: masked(inner) for key, inner in value.items()}
    return value
