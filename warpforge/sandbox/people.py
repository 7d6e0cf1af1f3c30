"""Who the action is inside the box: what the order says, and what the box's own /etc/passwd says beside it."""

from __future__ import annotations

import os
import stat

from warpforge.fsx.linux import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.sandbox.wire import Order


class Impossible(Exception):
    """What a formula asks for and its box does not have: ``what`` is userinfo or cwd; the text says why."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(text)
        self.what = what


class Person:
    """Ids, home, and the name if one was asked for."""

    def __init__(self, uid: int, gid: int, home: bytes, name: bytes) -> None:
        self.uid = uid
        self.gid = gid
        self.home = home
        self.name = name

    def variables(self) -> dict[bytes, bytes]:
        """What the environment says of a person; the formula's own variables come before these."""
        named = {b"USER": self.name, b"LOGNAME": self.name} if self.name else {}
        return {b"HOME": self.home, **named}


def find_person(root_fd: int, order: Order) -> Person:
    """The person of an order. Without a uid the name decides, without either it is uid 0. Raises Impossible."""
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


def _read_users(root_fd: int) -> list[list[bytes]]:
    """The lines of /etc/passwd that are whole and have numbers for ids."""
    inside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
    try:
        fd = openat2(root_fd, b"/etc/passwd", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, resolve=inside)
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return []
        text = os.read(fd, 1 << 20)
    except OSError:
        return []
    finally:
        os.close(fd)
    users = [line.split(b":") for line in text.split(b"\n")]
    return [user for user in users if len(user) >= 6 and user[2].isdigit() and (user[3].isdigit() or not user[3])]
