"""runc's configuration, as the OCI runtime specification has it: pure, and imported by the helper."""

from __future__ import annotations

from _json import encode_basestring  # the public module costs milliseconds

from warpforge.sandbox.arguments import SHM_BYTES
from warpforge.sandbox.devices import DEV_BYTES
from warpforge.sandbox.identity import make_inner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from warpforge.sandbox.ids import Lines
    from warpforge.sandbox.wire import Order

_RLIMITS = {0: "CPU", 1: "FSIZE", 2: "DATA", 3: "STACK", 4: "CORE", 6: "NPROC", 7: "NOFILE", 8: "MEMLOCK", 9: "AS"}
_PLAIN = ["nosuid", "nodev"]


def make_bundle(order: Order, env: dict[bytes, bytes], root: bytes, init_pid: int) -> bytes:
    """``config.json``. The pid namespace and /proc are there already, and covered: see ``init``.

    ``order.seccomp`` is the profile as JSON. Raises UnicodeError for what JSON cannot say.
    """
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {
                "uid": order.uid,
                "gid": order.gid,
                "umask": order.umask,
                "additionalGids": [*order.groups],
            },
            "args": [_text(argument) for argument in order.argv],
            "env": [_text(name + b"=" + value) for name, value in sorted(env.items())],
            "cwd": _text(order.cwd),
            "capabilities": _list_capabilities(order),
            "rlimits": [
                {"type": f"RLIMIT_{_RLIMITS[number]}", "soft": soft, "hard": hard}
                for number, soft, hard in order.rlimits
            ],
            "noNewPrivileges": True,
        },
        "root": {"path": _text(root), "readonly": False},
        "hostname": _text(order.hostname),
        "mounts": _MOUNTS,
        "linux": {
            "uidMappings": _map(order.uids),
            "gidMappings": _map(order.gids),
            "namespaces": [
                {"type": "user"},
                {"type": "mount"},
                {"type": "ipc"},
                {"type": "uts"},
                {"type": "cgroup"},
                {"type": "pid", "path": f"/proc/{init_pid}/ns/pid"},
                *([] if order.network or order.berth else [{"type": "network"}]),
            ],
            "seccomp": Raw(order.seccomp),
        },
    }
    return to_json(config).encode()


def _list_capabilities(order: Order) -> dict[str, list[str]]:
    """What uid 0 may do with many uids; nobody else has any."""
    names = [] if order.uid else [_text(name) for name in order.capabilities]
    return {"bounding": names, "effective": names, "inheritable": [], "permitted": names, "ambient": []}


def _map(lines: Lines) -> list[dict[str, int]]:
    inner = make_inner(lines or ((0, 0, 1),))
    return [{"containerID": inside, "hostID": outside, "size": count} for inside, outside, count in inner]


def _mount(destination: str, kind: str, *options: str) -> dict[str, object]:
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}


_MOUNTS = [
    _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=0755", f"size={DEV_BYTES}"),
    _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
    _mount("/dev/shm", "tmpfs", *_PLAIN, "mode=1777", f"size={SHM_BYTES}"),
    _mount("/dev/mqueue", "mqueue", *_PLAIN, "noexec"),
]


class Raw:
    """A value that is JSON already."""

    def __init__(self, text: bytes) -> None:
        self.text = text.decode()


def to_json(value: object) -> str:
    """What the standard library's writer gives for such values, without its cost."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode_basestring(name)}:{to_json(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(to_json(item) for item in value) + "]"
    raise TypeError(type(value).__name__)


def _text(raw: bytes) -> str:
    return raw.decode()
