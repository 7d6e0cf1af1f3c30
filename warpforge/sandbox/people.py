"""Who the action is inside the box: what the order says, and what the box's own /etc/passwd says beside it."""

from __future__ import annotations

import os
import stat

from warpforge.fsx.linux import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2
from warpforge.sandbox.said import write_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from warpforge.sandbox.wire import Order


class Impossible(Exception):
    """What a formula asks for and its box does not have: ``what`` is userinfo or cwd; the text says why."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(text)
        self.what = what


class Person:
    """Ids, home, and the name if one was asked for."""

    def __init__(self, uid: int, gid: int, home: bytes, name: bytes, groups: tuple[int, ...] = ()) -> None:
        self.uid = uid
        self.gid = gid
        self.home = home
        self.name = name
        self.groups = groups

    def variables(self) -> dict[bytes, bytes]:
        """What the environment says of a person; the formula's own variables come before these."""
        named = {b"USER": self.name, b"LOGNAME": self.name} if self.name else {}
        return {b"HOME": self.home, **named}


def find_person(root_fd: int, order: Order) -> Person:
    """The person of an order. Without a uid the name decides, without either it is uid 0. Raises Impossible."""
    if order.user:
        return find_named(root_fd, order.user, order.home)
    users = _read_users(root_fd)
    uid, name = order.uid, order.username
    if uid < 0 and name:
        found = next((user for user in users if user[0] == name), None)
        if found is None:
            raise Impossible("userinfo", f"the box's /etc/passwd has no user {os.fsdecode(name)}")
    else:
        uid = max(uid, 0)
        found = next((user for user in users if user[2] == b"%d" % uid), None)
    if found is not None:
        uid = int(found[2]) if uid < 0 else uid
        gid = order.gid if order.gid >= 0 else int(found[3] or b"0")
        return Person(uid, gid, order.home or found[5] or b"/", name)
    return Person(uid, max(order.gid, 0), order.home or b"/", name)


def find_named(root_fd: int, text: bytes, home: bytes = b"") -> Person:
    """A person as images name one: NAME or UID, perhaps with :GROUP or :GID behind. Raises Impossible."""
    name, _, group = text.partition(b":")
    users = _read_users(root_fd)
    found = next((user for user in users if user[0] == name), None)
    if found is None and name.isdigit():
        found = next((user for user in users if user[2] == name), [b"", b"", name, b"0", b"", b""])
    if found is None:
        raise Impossible("userinfo", f"the box's /etc/passwd has no user {os.fsdecode(name)}")
    lines = [line.split(b":") for line in _read(root_fd, b"/etc/group").split(b"\n")]
    groups = [line for line in lines if len(line) >= 4 and line[2].isdigit()]
    gid = int(found[3] or b"0")
    further = tuple(int(line[2]) for line in groups if found[0] and found[0] in line[3].split(b","))
    if group:
        gid, further = int(group) if group.isdigit() else _find_group(group, groups), ()
    return Person(int(found[2]), gid, home or found[5] or b"/", b"", further)


def _find_group(name: bytes, groups: list[list[bytes]]) -> int:
    for line in groups:
        if line[0] == name:
            return int(line[2])
    raise Impossible("userinfo", f"the box's /etc/group has no group {os.fsdecode(name)}")


def _read_users(root_fd: int) -> list[list[bytes]]:
    """The lines of /etc/passwd that are whole and have numbers for ids."""
    users = [line.split(b":") for line in _read(root_fd, b"/etc/passwd").split(b"\n")]
    return [user for user in users if len(user) >= 6 and user[2].isdigit() and (user[3].isdigit() or not user[3])]


def _read(root_fd: int, path: bytes) -> bytes:
    inside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
    try:
        fd = openat2(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, resolve=inside)
    except OSError:
        return b""
    try:
        return os.read(fd, 1 << 20) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(fd)


def give_away(root_fd: int, owned: Iterable[tuple[bytes, int, int]], *, said: bool) -> None:
    """Give what is in the box to whom it belongs there; what is not there, or has no such owner, stays as it is.
    ``said``: as the registrar of a box with one uid has it."""
    for path, uid, gid in owned:
        parent, _, name = path.strip(b"/").rpartition(b"/")
        try:
            flags = os.O_PATH | os.O_DIRECTORY
            parent_fd = openat2(root_fd, parent or b".", flags, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
        except OSError:
            continue
        try:
            if said:
                write_owner(b"/proc/self/fd/%d/%s" % (parent_fd, name or b"."), uid, gid)
            else:
                os.chown(name or b".", uid, gid, dir_fd=parent_fd, follow_symlinks=False)
        except OSError:
            pass
        finally:
            os.close(parent_fd)
