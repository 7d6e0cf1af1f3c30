"""The back-end's command line: pure, and imported by the helper, which alone knows the descriptors."""

from __future__ import annotations

from warpforge.sandbox.watch import MEETING_POINT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.sandbox.wire import Order

SHM_BYTES = 64 << 20  # as runc's default


def make_bwrap_arguments(order: Order, env: dict[bytes, bytes], seccomp_fd: int, status_fd: int) -> list[bytes]:
    """bwrap's options, without the program and the command; they go through ``--args``, out of sight of ``ps``.

    /proc/sys is bound read-only on itself: a sysctl of the host must not be writable even for a uid that could.
    /proc/keys is covered: it lists the keyrings of whoever is uid 0 in the box, in every user namespace.
    """
    arguments = [b"--unshare-all", b"--unshare-user", b"--disable-userns"]
    if order.network:
        arguments.append(b"--share-net")
    arguments += [b"--uid", b"0", b"--gid", b"0", b"--cap-drop", b"ALL", b"--die-with-parent"]
    if not order.terminal:  # else the watcher made a session for it, whose terminal is nobody else's
        arguments.append(b"--new-session")
    arguments += [b"--hostname", order.hostname, b"--bind", MEETING_POINT, b"/"]
    arguments += [b"--proc", b"/proc", b"--ro-bind", b"/proc/sys", b"/proc/sys", b"--dev", b"/dev"]
    arguments += [b"--ro-bind", b"/dev/null", b"/proc/keys"]
    arguments += [
        b"--size",
        b"%d" % SHM_BYTES,
        b"--perms",
        b"1777",
        b"--tmpfs",
        b"/dev/shm",
        b"--mqueue",
        b"/dev/mqueue",
    ]
    arguments += [b"--chdir", order.cwd, b"--clearenv"]
    for name, value in sorted(env.items()):
        arguments += [b"--setenv", name, value]
    return [*arguments, b"--seccomp", b"%d" % seccomp_fd, b"--json-status-fd", b"%d" % status_fd]
