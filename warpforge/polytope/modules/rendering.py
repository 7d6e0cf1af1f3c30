"""Placeholders of scaffold templates: ``{{ name }}``, ``{{ name | filter }}``. Those whose name is not known stay."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([A-Za-z_][\w-]*)((?:\s*\|\s*[\w-]+)*)\s*\}\}")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")


def render(text: str, variables: Mapping[str, str]) -> str:
    """The text with what is known filled in. ``-`` and ``_`` are the same in names."""
    known = {_key(name): value for name, value in variables.items()}

    def fill(match: re.Match[str]) -> str:
        name = _key(match[1])
        if name not in known:
            return match[0]
        value = known[name]
        for word in match[2].split("|")[1:]:
            value = FILTERS.get(_key(word.strip()), str)(value)
        return value

    return _PLACEHOLDER.sub(fill, text)


def _key(name: str) -> str:
    return name.replace("-", "_").lower()


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _pascal(text: str) -> str:
    return "".join(word.capitalize() for word in _words(text))


def _camel(text: str) -> str:
    whole = _pascal(text)
    return whole[:1].lower() + whole[1:]


FILTERS: Final[Mapping[str, Callable[[str], str]]] = {
    "kebab_case": lambda text: "-".join(_words(text)),
    "snake_case": lambda text: "_".join(_words(text)),
    "camel_case": _camel,
    "pascal_case": _pascal,
    "title_case": lambda text: " ".join(word.capitalize() for word in _words(text)),
    "upper": str.upper,
    "upper_case": str.upper,
    "lower": str.lower,
    "lower_case": str.lower,
    "capitalize": str.capitalize,
}
