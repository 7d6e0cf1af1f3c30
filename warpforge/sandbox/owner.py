"""Who runs boxes and owns the shelf. Cheap to import: every command that opens a store asks."""

from __future__ import annotations

import os

# Under root every box runs as this uid and gid, and the shelf belongs to it. It needs no line in /etc/passwd; it lies
# in the range that Debian leaves to the administrator and is not 65534, which daemons share.
BUILD_UID = 59876


def find_owner(build_uid: int = BUILD_UID) -> tuple[int, int] | None:
    """Under root the uid and gid that must own the shelf; else None: the caller's own.

    A root of a user namespace that has no such uid is an ordinary user.
    """
    return (build_uid, build_uid) if os.geteuid() == 0 and has_uid(build_uid) else None


def has_uid(uid: int) -> bool:
    """Whether a uid exists in this user namespace; user_namespaces(7) has the form of the map."""
    with open("/proc/self/uid_map", "rb") as file:
        for line in file:
            inside, _, count = (int(word) for word in line.split())
            if inside <= uid < inside + count:
                return True
    return False
