"""What is mounted, fetched within reach: every source tree bound below the work directory, in a private namespace.

Under root this happens before the helper becomes the build uid, so the shelf and a host mount may lie below
directories that only root can pass, such as /root; as an ordinary user it happens inside the user namespace.
From here on everything is named relative to the work directory, which is the helper's current directory; so no path
of the host shows in the box's mount table.

    m/            a small tmpfs of mount points
    m/root        the box's root        m/in/N   source of mount N
    m/empty       an empty directory    m/bytes  files that the engine wrote, N or engine/...
    m/nothing m/boot_id       files to cover parts of /proc with
    m/files       private copies of files of the shelf, as an overlay over f, with work directory wf
    uN wN         upper and work directory of overlay N        cN  copy of tree N where overlays do not work

A caller expects of a host mount that what belongs to the caller belongs to uid 0 inside. As an ordinary user that is
so by itself. Under root an idmapped mount makes it so: uid 0 of the disk is the build uid, which is uid 0 of the box.
Through an idmapped ``rw`` mount the box creates files that really belong to root, so nobody may ever find a setuid
bit on one: the seccomp filter refuses to set it (chmod, open, mknod), and nosuid stops those already there.
"""

from __future__ import annotations

import os
import stat

from warpforge.sandbox.identity import make_map, write_file
from warpforge.sandbox.kernel import (
    CLONE_NEWUSER,
    MOUNT_ATTR_IDMAP,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_REC,
    mount,
    move_mount,
    open_tree,
    set_mount,
    unshare,
)
from warpforge.sandbox.wire import Order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.sandbox.ids import Lines

ROOM_BYTES = 16 << 20
TREES = ("overlay", "host-overlay")
HOST = ("host-ro", "host-rw", "host-overlay")


class Source:
    """Where the source of one mount is within reach: ``path`` of a bound tree, or ``fd`` of a file to copy."""

    __slots__ = ("directory", "fd", "path")

    def __init__(self, path: bytes, *, directory: bool, fd: int = -1) -> None:
        self.path = path
        self.directory = directory
        self.fd = fd


def open_files(order: Order) -> dict[int, Source]:
    """Open the files that will be copied, before any privilege is dropped. Raises OSError with the path."""
    opened: dict[int, Source] = {}
    for number, (_, kind, source, _) in enumerate(order.mounts):
        if kind == "file" or (kind == "host-overlay" and not os.path.isdir(source)):
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(22, "not a regular file", source)
            opened[number] = Source(source, directory=False, fd=fd)
        elif kind == "bytes":
            opened[number] = Source(b"", directory=False)
    return opened


def bind_sources(order: Order, opened: dict[int, Source]) -> tuple[dict[int, Source], bool]:
    """Make m/ and bind every tree below it; tells as well whether all host mounts could be idmapped (under root)."""
    written = sum(len(source) for _, kind, source, _ in order.mounts if kind == "bytes")
    make_points(order.owner, written)
    sources = dict(opened)
    idmapped = True
    for number, (_, kind, path, _) in enumerate(order.mounts):
        if number in opened:
            continue
        if kind == "tmpfs":
            sources[number] = _make_room(b"m/in/%d" % number, path, order.owner)
            continue
        directory = stat.S_ISDIR(os.stat(path).st_mode)
        target = b"m/in/%d" % number
        make_point(target, directory=directory)
        try:
            if kind == "overlay":
                mount(path, target, None, MS_BIND)
            else:
                idmapped = _bind_host(order, kind, path, target) and idmapped
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        sources[number] = Source(target, directory=directory)
    return sources, idmapped


def make_points(owner: tuple[int, int] | None, written: int) -> None:
    """The tmpfs of mount points and engine-written files, with room for the action to add a little to those."""
    os.mkdir("m", 0o755)
    uid, gid = owner or (0, 0)
    size = ROOM_BYTES + 2 * written
    options = b"mode=0755,size=%d,nr_inodes=64k,uid=%d,gid=%d" % (size, uid, gid)
    mount(b"tmpfs", b"m", b"tmpfs", MS_NOSUID | MS_NODEV, options)
    for name in ("m/in", "m/root", "m/empty", "m/files", "m/bytes"):
        os.mkdir(name, 0o755)
        if owner:
            os.chown(name, *owner)


def _make_room(target: bytes, size: bytes, owner: tuple[int, int] | None) -> Source:
    """An empty directory in memory, for anybody to write to, as /tmp is."""
    make_point(target, directory=True)
    options = b"mode=1777,size=%s,uid=%d,gid=%d" % (size, *(owner or (0, 0)))
    mount(b"tmpfs", target, b"tmpfs", MS_NOSUID | MS_NODEV, options)
    return Source(target, directory=True)


def make_point(target: bytes, *, directory: bool) -> None:
    """An empty directory or file to bind on."""
    if directory:
        os.mkdir(target, 0o755)
    else:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))


def _bind_host(order: Order, kind: str, path: bytes, target: bytes) -> bool:
    """Bind a directory or file of the host; False when root's files could not be given to the box's uid 0."""
    attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
    if kind not in ("host-rw", "volume"):
        attributes |= MOUNT_ATTR_RDONLY
    if order.owner is None or kind == "volume":
        # an overlay's lower layer must not have locked mounts below it, and shows none of them anyway
        mount(path, target, None, MS_BIND if kind == "host-overlay" else MS_BIND | MS_REC)
        set_mount(-100, target, attributes)
        return True
    tree = open_tree(path)
    try:
        one = tuple(((0, own, 1),) for own in order.owner)
        idmapped = _give_to(tree, order.uids or one[0], order.gids or one[1])
        set_mount(tree, b"", attributes)
        move_mount(tree, target)
    finally:
        os.close(tree)
    return idmapped


def _give_to(tree: int, uids: Lines, gids: Lines) -> bool:
    """Map uids of the disk to those behind the box's on a detached mount; False where kernel or file system cannot."""
    try:
        userns = make_userns(uids, gids)
    except OSError:
        return False
    try:
        set_mount(tree, b"", MOUNT_ATTR_IDMAP, userns_fd=userns)
    except OSError:
        return False
    finally:
        os.close(userns)
    return True


def make_userns(uids: Lines, gids: Lines) -> int:
    """A user namespace below ours with these maps; its descriptor keeps it alive."""
    ready, tell = os.pipe()
    wait, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            unshare(CLONE_NEWUSER)
            os.write(tell, b"1")
        finally:
            os.close(tell)
            os.close(go)
            os.read(wait, 1)
            os._exit(0)
    os.close(tell)
    os.close(wait)
    try:
        if not os.read(ready, 1):
            raise OSError(1, "no user namespace")
        for name, lines in (("uid_map", uids), ("gid_map", gids)):
            write_file(f"/proc/{pid}/{name}", make_map(lines))
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.close(go)
        os.waitpid(pid, 0)
