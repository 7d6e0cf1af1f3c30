"""Text in markup."""

from __future__ import annotations

import re
from html import escape
from typing import Final

_SPECIAL: Final = re.compile("[&<>\"']")


def text(words: str) -> str:
    """Fit for HTML and SVG, between tags and in quoted attributes: escaped, and without what no document may have."""
    if not words.isprintable():
        words = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in words)
    return escape(words) if _SPECIAL.search(words) else words
