"""bwrap's command line: pure, and imported by the helper, which alone knows the descriptors."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.sandbox.wire import Order

SHM_BYTES = 64 << 20  # as runc's default


def make_bwrap_arguments(
    order: Order,
    env: dict[bytes, bytes],
    root: bytes,
    seccomp_fd: int,
    userns_fd: int = -1,
    *,
    has_session: bool = True,
) -> list[bytes]:
    """bwrap's options, without the program and the command; they go through ``--args``, out of sight of ``ps``.

    The pid namespace, /proc and /dev are there already: see ``init`` and ``devices``.
    ``root``: where the box's root can be named. ``userns_fd``: a user namespace with the uids of a box that has many.
    ``has_session``: the command leads a session of its own, which has no terminal.
    """
    arguments = [b"--unshare-ipc", b"--unshare-uts", b"--unshare-cgroup-try"]
    if userns_fd < 0:
        arguments += [b"--unshare-user", b"--disable-userns", b"--uid", b"%d" % order.uid, b"--gid", b"%d" % order.gid]
    else:
        arguments += [b"--userns", b"%d" % userns_fd]
    if not (order.network or order.berth):
        arguments.append(b"--unshare-net")
    arguments += [b"--cap-drop", b"ALL"]
    for name in order.capabilities:
        arguments += [b"--cap-add", name]
    if has_session:  # else the watcher made one for it, whose terminal is nobody else's
        arguments.append(b"--new-session")
    arguments += [b"--die-with-parent", b"--hostname", order.hostname]
    arguments += [b"--dev-bind", root, b"/"]  # every mount in it but /dev is nodev already
    arguments += [b"--size", b"%d" % SHM_BYTES, b"--perms", b"1777", b"--tmpfs", b"/dev/shm"]
    arguments += [b"--mqueue", b"/dev/mqueue", b"--chdir", order.cwd, b"--clearenv"]
    for name, value in sorted(env.items()):
        arguments += [b"--setenv", name, value]
    return [*arguments, b"--seccomp", b"%d" % seccomp_fd]
