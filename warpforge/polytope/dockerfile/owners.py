"""Who is meant by --chown, and what --chmod changes. Pure, given the tree that names are looked up in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from warpforge.polytope.dockerfile.context import Files

_PASSWD: Final = "etc/passwd"
_GROUP: Final = "etc/group"
_HIGHEST: Final = 2**32 - 2
_OCTAL: Final = re.compile(r"0?[0-7]{1,4}")
_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_CHANGE: Final = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_WHO: Final = {"u": 0o700, "g": 0o070, "o": 0o007}
_BITS: Final = {"r": 0o444, "w": 0o222, "x": 0o111}
_SHIFT: Final = {"u": 6, "g": 3, "o": 0}
_MODES: Final = 0o777  # setuid, setgid and sticky bits are not kept


def find_owner(files: Files, text: str) -> tuple[int, int]:
    """uid and gid of ``USER[:GROUP]``, names or numbers; without a group the gid is the same number as the uid.

    Raises ValueError.
    """
    user, _, group = text.partition(":")
    uid = _find(files, _PASSWD, user)
    return uid, _find(files, _GROUP, group) if group else uid


def find_group(files: Files, name: str) -> int:
    """A gid by number or name. Raises ValueError."""
    return _find(files, _GROUP, name)


def _find(files: Files, path: str, name: str) -> int:
    if name.isdigit():
        if int(name) > _HIGHEST:
            raise ValueError(f"{name} is nobody's number")
        return int(name)
    place = files.resolve(path)
    node = files.nodes.get(place) if place else None
    if node is not None and node.kind == "f":
        for line in node.read().decode("utf-8", "replace").splitlines():
            words = line.split(":")
            if len(words) > 2 and words[0] == name and words[2].isdigit():
                return int(words[2])
    raise ValueError(f"/{path} of the stage does not name {name!r}")


def read_modes(text: str) -> Callable[[int, bool], int]:
    """What makes a new mode of an old one and whether it is a directory's: octal, or as chmod(1) has symbols.

    Raises ValueError.
    """
    if _OCTAL.fullmatch(text):
        number = int(text, 8) & _MODES
        searched = number | (number & 0o444) >> 2  # a directory that may be read may be entered
        return lambda mode, is_directory: searched if is_directory else number
    clauses = [_CLAUSE.fullmatch(word) for word in text.split(",")]
    if not all(clauses):
        raise ValueError(f"{text!r} is no mode: 755, or u=rwX,go=rX")
    changes = [(match[1], how, what) for match in clauses if match for how, what in _CHANGE.findall(match[2])]

    def change(mode: int, is_directory: bool) -> int:  # noqa: FBT001 (as it is handed over)
        for who, how, what in changes:
            mode = _apply(mode, who, how, what, is_directory=is_directory)
        return mode

    return change


def _apply(mode: int, who: str, how: str, what: str, *, is_directory: bool) -> int:
    mask = 0
    for letter in who.replace("a", "ugo") or "ugo":
        mask |= _WHO[letter]
    if what in _SHIFT:
        copied = mode >> _SHIFT[what] & 7
        bits = copied * 0o111
    else:
        bits = 0
        for letter in what:
            bits |= _BITS["x"] if letter == "X" and (is_directory or mode & 0o111) else _BITS.get(letter, 0)
    if how == "=":
        return mode & ~mask | bits & mask
    return mode | bits & mask if how == "+" else mode & ~(bits & mask)
