"""``.dockerignore``: patterns relative to the context's root; the last one that fits decides, ``!`` takes back."""

from __future__ import annotations

import re
from typing import Final

NAME: Final = ".dockerignore"


class Ignoring:
    """What a context leaves out."""

    def __init__(self, text: str = "") -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for line in text.splitlines():
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            is_kept = pattern.startswith("!")
            pattern = pattern.lstrip("!").strip().strip("/")
            if pattern not in ("", "."):
                self._rules.append((is_kept, _compile(pattern)))

    def leaves_out(self, path: str) -> bool:
        """Whether a path (without a slash at either end) is left out: itself, or a directory above it."""
        found = False
        for is_kept, pattern in self._rules:
            if pattern.match(path):
                found = not is_kept
        return found


def translate(pattern: str) -> str:
    """A regular expression: ``*`` and ``?`` do not reach over a slash, ``**`` does."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
        elif pattern.startswith("**", at):
            out.append(".*")
            at += 2
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            body = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{'^' + body[1:] if body[0] == '^' else body}]")
            at = end + 1
        elif pattern[at] == "\\" and at + 1 < len(pattern):
            out.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at])))
            at += 1
    return "".join(out)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(f"(?:{translate(pattern)})(?:/.*)?\\Z", re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern) + r"(?:/.*)?\Z")
