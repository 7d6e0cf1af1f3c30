"""Owners that are only said, where there is but one uid: an attribute beside the file. Cheap to import."""

from __future__ import annotations

import os

OWNER = b"user.warpforge.owner"


def read_owner(place: bytes, *, follows: bool = True) -> tuple[int, int] | None:
    """Whose a file is said to be."""
    try:
        uid, _, gid = os.getxattr(place, OWNER, follow_symlinks=follows).partition(b":")
        return int(uid), int(gid)
    except (OSError, ValueError):
        return None


def write_owner(place: bytes, uid: int, gid: int) -> None:
    """From now on it is said to be theirs; a symlink is followed. Raises OSError."""
    os.setxattr(place, OWNER, b"%d:%d" % (uid, gid))


class Saying:
    """Whose a file at a path is said to be, once a box has ended. ``person``: uid and gid that its command began with,
    whose is what was made since ``began`` (nanoseconds)."""

    def __init__(self, person: tuple[int, int], began: int) -> None:
        self._person = person
        self._began = began

    def __call__(self, path: bytes) -> tuple[int, int] | None:
        owner = read_owner(path, follows=False)
        if owner is not None or self._person == (0, 0):
            return owner
        return self._person if os.lstat(path).st_ctime_ns >= self._began else None
