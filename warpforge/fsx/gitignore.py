"""Patterns of what is left out, in the syntax of gitignore(5) and with its meaning to the letter.

Names are bytes, as git has them. A path is asked for only when none of the directories above it was left out, so each
pattern is held against the path itself. Fits git's wildmatch with WM_PATHNAME; the libraries that we tried differ from
git in classes such as ``[[:alpha:]]`` and where directories are taken back in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

_CLASSES: Final = {
    b"alnum": b"A-Za-z0-9", b"alpha": b"A-Za-z", b"blank": rb" \t", b"cntrl": rb"\x00-\x1f\x7f", b"digit": b"0-9",
    b"graph": b"!-~", b"lower": b"a-z", b"print": b" -~", b"punct": rb"!-/:-@\[-`{-~", b"space": rb" \t\n\r\f\v",
    b"upper": b"A-Z", b"xdigit": b"0-9A-Fa-f",
}  # fmt: skip


class Pattern(NamedTuple):
    """One line. ``leaves``: whether it leaves out, or takes back in. ``is_basename``: asked of the last name alone."""

    regex: re.Pattern[bytes]
    leaves: bool
    only_directories: bool
    is_basename: bool


def make_ignore(text: bytes) -> Callable[[bytes, bool], bool] | None:
    """Whether a path is left out, by what the last fitting line says; None when no line says anything."""
    patterns = [pattern for line in _lines(text) if (pattern := _parse(line))]
    patterns.reverse()
    if not patterns:
        return None

    def ignores(path: bytes, is_directory: bool) -> bool:  # noqa: FBT001 (the walker's shape)
        name = path.rpartition(b"/")[2]
        for regex, leaves, only_directories, is_basename in patterns:
            if (is_directory or not only_directories) and regex.match(name if is_basename else path):
                return leaves
        return False

    return ignores


def _lines(text: bytes) -> Iterator[bytes]:
    for line in text.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        yield _without_blanks(line.removesuffix(b"\r"))


def _without_blanks(line: bytes) -> bytes:
    """Blanks at the end do not count, unless a backslash stands before them."""
    kept = line.rstrip(b" ")
    backslashes = len(kept) - len(kept.rstrip(b"\\"))
    return kept + b" " if backslashes % 2 and len(kept) < len(line) else kept


def _parse(line: bytes) -> Pattern | None:
    leaves = not line.startswith(b"!")
    if line.startswith(b"#"):
        return None
    body = line if leaves else line[1:]
    only_directories = body.endswith(b"/")
    body = body.removesuffix(b"/")
    is_basename = b"/" not in body
    try:
        regex = re.compile(_translate(body.removeprefix(b"/")) + rb"\Z", re.DOTALL)
    except (ValueError, KeyError, re.error):
        return None  # as with git, what is no pattern fits nothing
    return Pattern(regex, leaves, only_directories, is_basename) if body else None


def _translate(pattern: bytes) -> bytes:
    """A wildmatch pattern as a regular expression. Raises ValueError for one that fits nothing."""
    at, made = 0, []
    while at < len(pattern):
        letter = pattern[at : at + 1]
        if letter == b"*":
            stars = len(pattern) - at - len(pattern[at:].lstrip(b"*"))
            piece, stars = _stars(pattern, at, stars)
            made.append(piece)
            at += stars
        elif letter == b"?":
            made.append(b"[^/]")
            at += 1
        elif letter == b"[":
            piece, at = _bracket(pattern, at + 1)
            made.append(piece)
        else:
            if letter == b"\\":
                at += 1
                letter = pattern[at : at + 1]
                if not letter:
                    raise ValueError("ends with a backslash")
            made.append(re.escape(letter))
            at += 1
    return b"".join(made)


def _stars(pattern: bytes, at: int, stars: int) -> tuple[bytes, int]:
    """What stars stand for, and how far that reaches: two or more alone between slashes are any directories."""
    after = pattern[at + stars : at + stars + 1]
    if stars > 1 and (at == 0 or pattern[at - 1 : at] == b"/") and after in (b"", b"/"):
        return (b"(?:.*/)?", stars + 1) if after else (b".*", stars)
    return b"[^/]*", stars


def _bracket(pattern: bytes, at: int) -> tuple[bytes, int]:
    """A set of letters, from behind its bracket; gives it and where it ends. Raises ValueError when it does not."""
    inverted = pattern[at : at + 1] in (b"!", b"^")
    at += inverted
    parts, first = [], True
    while first or pattern[at : at + 1] != b"]":
        first = False
        if pattern[at : at + 2] == b"[:" and (end := pattern.find(b":]", at)) > 0:
            parts.append(_CLASSES[pattern[at + 2 : end]])
            at = end + 2
            continue
        low, at = _letter(pattern, at)
        if pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in (b"]", b""):
            high, at = _letter(pattern, at + 1)
            if low <= high:
                parts.append(re.escape(low) + b"-" + re.escape(high))
            continue
        parts.append(re.escape(low))
    inside = b"".join(parts)
    if not inside:
        return (b"[^/]" if inverted else rb"(?!)"), at + 1
    return b"(?!/)[" + b"^" * inverted + inside + b"]", at + 1


def _letter(pattern: bytes, at: int) -> tuple[bytes, int]:
    if pattern[at : at + 1] == b"\\":
        at += 1
    letter = pattern[at : at + 1]
    if not letter:
        raise ValueError("a set without its end")
    return letter, at + 1
