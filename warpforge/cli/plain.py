"""What an action wrote, made fit for a terminal: no escape sequence of its own may move our cursor or worse."""

from __future__ import annotations

import re
from typing import Final

from warpforge.cli.app import printable

# CSI; OSC, DCS, SOS, PM and APC up to their end; two-character escapes; 8-bit CSI (ECMA-48)
_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
_BACKSPACES: Final = re.compile(r"[^\x08]\x08")
LONGEST: Final = 4096  # characters of a line that are looked at


def plain(line: str) -> str:
    """One line without escape sequences; what was drawn over is gone, tabs are blanks, the rest is escaped."""
    if line.isprintable():
        return line
    line = _ESCAPES.sub("", line[:LONGEST]).rstrip("\r").rpartition("\r")[2]
    while "\b" in line and (shorter := _BACKSPACES.sub("", line)) != line:
        line = shorter
    return printable(line.expandtabs(8)).replace("\n", " ")
