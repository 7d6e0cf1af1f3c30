"""Which uids of the machine stand behind those of a box that has more than one.

An image may hold servers that want to be somebody else than root: their boxes get all the uids that such images know.
Under root these are the build uid and a range that nobody uses; an ordinary user has a range where the administrator
gave one (``/etc/subuid``, ``/etc/subgid``) and newuidmap(1) may hand it out. gids are mapped alike. Pure but for
reading those files.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from warpforge.sandbox.owner import has_uid

COUNT: Final = 65536  # uids that an image may use: 0 to nobody's 65534, and one more
# Under root uid n is this plus n: a range of uids that no distribution and no systemd gives to anybody
_BASE: Final = 0x70000000
_TOOLS: Final = ("newuidmap", "newgidmap")
_FILES: Final = ("/etc/subuid", "/etc/subgid")

Lines = tuple[tuple[int, int, int], ...]  # inside, outside, how many: as uid_map has them


class Ids(NamedTuple):
    """``uids`` and ``gids``: as seen from the machine; ``tools``: what writes such maps for an ordinary user."""

    uids: Lines
    gids: Lines
    tools: tuple[str, ...] = ()


def find_ids(owner: tuple[int, int] | None, *, search: str = "/usr/bin:/bin:/usr/local/bin") -> Ids | None:
    """The uids for boxes of many; None where a box can have only one. ``owner``: as ``find_owner``."""
    if owner is not None:
        if not has_uid(_BASE + COUNT - 1):
            return None
        uids, gids = (((0, own, 1), (1, _BASE + 1, COUNT - 1)) for own in owner)
        return Ids(uids, gids)
    tools = tuple(filter(None, (_find(tool, search) for tool in _TOOLS)))
    ranges = [_read(path) for path in _FILES]
    if len(tools) < len(_TOOLS) or not all(ranges):
        return None
    lines = [((0, own, 1), (1, *found)) for own, found in zip((os.getuid(), os.getgid()), ranges, strict=True) if found]
    return Ids(lines[0], lines[1], tools)


def explain_one(owner: tuple[int, int] | None) -> str:
    """Why there is but one uid, and what to do about it."""
    if owner is not None:
        return "this root's user namespace has too few uids"
    return (
        "an ordinary user has one uid: for more install newuidmap (Debian: apt-get install uidmap), and have an "
        f"administrator give a range (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {_who()})"
    )


def _who() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return "USER"


def _find(name: str, search: str) -> str:
    for directory in search.split(":"):
        if os.access(path := f"{directory}/{name}", os.X_OK):
            return path
    return ""


def _read(path: str) -> tuple[int, int] | None:
    """The first range of ours that is wide enough: its begin, and how much of it we use; subuid(5) has the form."""
    import pwd

    names = [str(os.getuid())]
    try:
        names.append(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        pass
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip().split(":") for line in file]
    except OSError:
        return None
    for words in lines:
        if len(words) == 3 and words[0] in names and words[1].isdigit() and words[2].isdigit():
            begin, count = int(words[1]), int(words[2])
            if count >= COUNT - 1:
                return begin, COUNT - 1
    return None
