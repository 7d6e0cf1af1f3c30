"""The helper's namespaces: those of a berth, which it joins, and its own, in which its uid is 0."""

from __future__ import annotations

import os

from warpforge.sandbox.identity import make_inner, map_one
from warpforge.sandbox.kernel import (
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MS_PRIVATE,
    MS_REC,
    PR_SET_DUMPABLE,
    mount,
    prctl,
    setns,
    unshare,
)
from warpforge.sandbox.outside import Outside, run_mapper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.sandbox.wire import Order


def join_berth(userns_fd: int, netns_fd: int) -> None:
    """Enter the namespaces of a berth."""
    setns(userns_fd, CLONE_NEWUSER)
    prctl(PR_SET_DUMPABLE, 1)  # or our own maps would not be ours to write
    setns(netns_fd, CLONE_NEWNET)
    for fd in (userns_fd, netns_fd):
        os.close(fd)


def make_mapper(order: Order) -> Outside | None:
    """Who will write the maps of a box of many uids: forked by whoever may, which is the caller before it has become
    somebody else, or a berth's root, whose namespace has them already."""
    if not order.uids:
        return None
    return Outside.fork(run_mapper, () if order.berth else order.id_tools)


def make_namespaces(order: Order, mapper: Outside | None) -> None:
    """A user namespace in which our uid is 0, and a mount namespace of its own."""
    uid, gid = os.getuid(), os.getgid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS)
    if mapper is None:
        map_one(uid, gid)
    else:
        uids, gids = (order.uids, order.gids) if not order.berth else map(make_inner, (order.uids, order.gids))
        mapper.map(uids, gids)
    mount(None, b"/", None, MS_REC | MS_PRIVATE)
