"""The rules for names: packtypes, modules, releases, items, catalogs, steps and labels.

``is_`` answers bool; ``fault_of_`` says what is wrong, or gives an empty text.
"""

from __future__ import annotations

from typing import Final

from warpforge.errors import Invalid

_LOWER: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_PACKTYPE: Final = _LOWER | frozenset("+.-")
_MODULE_PART: Final = _LOWER | frozenset(".-")
_ALNUM: Final = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PLAIN: Final = _ALNUM | frozenset("-_.")
_RELEASE: Final = _ALNUM | frozenset("-_.+~")

LABEL_BYTES: Final = 255


def is_packtype(text: str) -> bool:
    """``[a-z0-9][a-z0-9+.-]*``"""
    return bool(text) and text[0] in _LOWER and _PACKTYPE.issuperset(text)


def parse_packtype(text: str) -> str:
    """The packtype itself. Errors: ``invalid``."""
    if not is_packtype(text):
        raise Invalid("invalid", f"not a packtype: {text!r}; one looks like tar or ztar", packtype=text)
    return text


def is_release_name(text: str) -> bool:
    """``[A-Za-z0-9][-A-Za-z0-9_.+~]{0,126}``"""
    return 0 < len(text) <= 127 and text[0] in _ALNUM and _RELEASE.issuperset(text)


is_item_name = is_release_name
is_catalog_name = is_release_name


def is_module_name(text: str) -> bool:
    """A domain, and a path: parts of lower-case letters, digits, dots and hyphens; at their ends letters or digits."""
    domain, *path = text.split("/")
    return _is_module_part(domain) and ".." not in domain and all(map(_is_module_part, path))


def _is_module_part(part: str) -> bool:
    return 0 < len(part) <= 255 and part[0] in _LOWER and part[-1] in _LOWER and _MODULE_PART.issuperset(part)


def parse_module_name(text: str) -> str:
    """The module's name without the blanks around it. Errors: ``catalog-name``."""
    name = text.strip()
    if not is_module_name(name):
        raise Invalid(
            "catalog-name",
            f"not a module name: {text!r}; one is a domain and a path in lower case, as example.org/path/to-it",
            module=text,
        )
    return name


def fault_of_label(text: str, what: str = "a label") -> str:
    """Non-empty, no ``:``, whitespace or unprintable, at most 255 bytes."""
    if 0 < len(text) <= LABEL_BYTES and _PLAIN.issuperset(text):
        return ""
    if not text:
        return f"{what} is not empty"
    # the blank is the only whitespace that counts as printable
    if ":" in text or " " in text or not text.isprintable():
        return f"{what} has no colon, blank or unprintable character"
    if len(text.encode("utf-8", "surrogatepass")) > LABEL_BYTES:
        return f"{what} is at most {LABEL_BYTES} bytes long"
    return ""


def fault_of_step(text: str) -> str:
    """As a label."""
    return fault_of_label(text, "a step's name")


def without_kind(text: str) -> str:
    """A name or WareId as it is, of one that was copied out of a plot with its ``catalog:`` or ``ware:`` in front."""
    kind, _, rest = text.partition(":")
    return rest if kind in ("catalog", "ware") and rest else text
