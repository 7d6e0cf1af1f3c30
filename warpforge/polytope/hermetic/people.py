"""Who a process of a formula is, given what an image or a container says of its user."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET, UnsetType

from warpforge.model.formula import Userinfo

_NUMBER: Final = re.compile(r"\d{1,9}")


def make_userinfo(user: str) -> Userinfo | UnsetType:
    """Who a process is: a name, which the box's own /etc/passwd explains, or numbers."""
    name, _, group = user.partition(":")
    gid = int(group) if group else UNSET
    if _NUMBER.fullmatch(name):
        return UNSET if not int(name) and gid is UNSET else Userinfo(uid=int(name), gid=gid)
    return Userinfo(username=name, gid=gid) if name and name != "root" else UNSET
