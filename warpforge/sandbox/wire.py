"""What engine, zygote and helper say to each other.

Engine to zygote: one datagram for each run, the paths of its work directory and cgroups parted by NUL, with four
descriptors: the run's channel, the action's stdout and stderr, the pipe for gathered trees; and a fifth for stdin if
it has one; in a berth two more, the namespaces to join. A datagram that says VISIT makes a visitor (``visit``).
Engine to helper, on the channel: one ORDER, BEGIN where the order says that its command waits for it, NEXT after each
tree, perhaps KILL; the end of the channel means KILL too.
Helper to engine: frames of one letter, the payload's length (4 bytes, little endian) and fields parted by NUL.
They are parsed by splitting only: the helper runs under another uid than a root engine.
"""

from __future__ import annotations

import marshal
import os
import struct

VISIT = b"visit"
NO_WORK = b"/dev/null/kept"  # what a zygote is told to clear up after a run whose directory stays

ORDER = b"O"  # engine: what to run
BEGIN = b"B"  # engine: the command may begin
KILL = b"K"  # engine: stop it
NEXT = b"N"  # engine: that tree is taken, send the next
EXIT = b"X"  # helper: the action ended: exit code, signal, failure's reason, its text, why it was stopped, seconds
KEPT_STATUS = 3  # a helper that ends with this left layers that are to stay
GATHER = b"G"  # helper: index, "ok" (the tree follows on the gather pipe) or why not, text
SPOILT = b"E"  # helper: the tree being sent is cut short: index, why, text
FAIL = b"F"  # helper: the box could not be made: step, errno, text
STARTED = b"S"  # helper: in a berth the command runs; comes with a pidfd of it
SIGNAL = b"I"  # engine: give it this signal
DONE = b"D"  # helper: all is deleted: the facts as name=value

_HEAD = struct.Struct("<cI")


class Order:
    """One run, as the helper needs it. Paths are bytes; ``owner`` is the build uid and gid under root, else None."""

    __slots__ = (
        "argv",
        "aslr",
        "backend",
        "berth",
        "calls",
        "capabilities",
        "cgroups",
        "cpus",
        "cwd",
        "deadline",
        "disk",
        "early_filter",
        "env",
        "gather_failed",
        "gather_limit",
        "gathers",
        "gid",
        "gids",
        "groups",
        "home",
        "hostname",
        "id_tools",
        "keep",
        "keep_failed",
        "layers",
        "metered_memory",
        "metered_pids",
        "mounts",
        "network",
        "noticing",
        "overlay",
        "owned",
        "owned_mounts",
        "owner",
        "pretended",
        "program",
        "program_path",
        "rlimits",
        "seccomp",
        "terminal",
        "uid",
        "uids",
        "umask",
        "user",
        "username",
        "waits",
        "work",
    )
    work: bytes
    owner: tuple[int, int] | None
    mounts: tuple[tuple[bytes, str, bytes, int], ...]  # at, kind, source or content, mode
    argv: tuple[bytes, ...]
    env: tuple[tuple[bytes, bytes], ...]
    cwd: bytes
    hostname: bytes
    network: bool
    gathers: tuple[bytes, ...]
    gather_failed: bool  # gather also when the exit code is not 0
    gather_limit: int  # bytes of all gathered files together; 0: none
    deadline: float  # seconds; 0: none
    waits: bool  # all is made ready, and the command waits for BEGIN
    keep: bool  # leave the work directory as it is in the end
    keep_failed: bool  # leave the layers of a run that fails
    layers: bool  # the work directory holds layers already, which stay
    terminal: bool  # stdin is a terminal that the command gets for its own
    umask: int
    cpus: tuple[int, ...]  # none: all that we may use
    aslr: bool
    overlay: bool  # try overlays at all
    rlimits: tuple[tuple[int, int, int], ...]  # resource, soft, hard
    uid: int  # the action's; -1: by its name, else 0
    gid: int  # the action's; -1: as the box's /etc/passwd says, else 0
    groups: tuple[int, ...]  # further gids of the action's
    user: bytes  # as images name it; empty: as uid, gid and username say
    uids: tuple[tuple[int, int, int], ...]  # of a box with many: inside, outside, how many; none: one uid
    gids: tuple[tuple[int, int, int], ...]
    id_tools: tuple[str, ...]  # what writes such maps for an ordinary user
    owned: tuple[tuple[bytes, int, int], ...]  # whose what in a new layer is, and in mounts
    owned_mounts: tuple[tuple[bytes, int, int], ...]
    capabilities: tuple[bytes, ...]  # of uid 0, in a box with many
    berth: bool  # the last two descriptors are a user namespace and in it a network one, which the box joins
    username: bytes
    home: bytes  # empty: as the box's /etc/passwd says
    disk: int  # bytes that the run may write; 0: no limit
    metered_memory: int  # bytes, where no cgroup counts them; 0: no limit
    metered_pids: int  # processes, likewise
    cgroups: tuple[bytes, ...]  # directories of cgroups that the box belongs in
    backend: str
    program: bytes  # the back-end's
    program_path: bytes  # the command's, once the helper has looked for it
    seccomp: bytes  # in the back-end's form
    calls: tuple[tuple[int, str], ...]  # of which is told, by their numbers
    noticing: bytes  # what tells a registrar of owners and users, where there is but one; empty: none
    pretended: bytes  # in its place, where nobody can listen
    early_filter: bytes  # a program for the back-end itself; empty: none

    def __init__(self, **values: object) -> None:
        for name in self.__slots__:
            setattr(self, name, values[name])


def pack_order(order: Order) -> bytes:
    """An order as bytes. Both ends are this program under this interpreter, and only the engine writes them."""
    return frame(ORDER, marshal.dumps({name: getattr(order, name) for name in order.__slots__}))


def parse_order(payload: bytes) -> Order:
    """The order in one frame's payload."""
    return Order(**marshal.loads(payload))


def frame(kind: bytes, payload: bytes) -> bytes:
    """One frame as bytes."""
    return _HEAD.pack(kind, len(payload)) + payload


def fields(kind: bytes, *values: bytes | str | int | float) -> bytes:
    """One frame of fields as bytes."""
    texts = [v if isinstance(v, bytes) else str(v).encode("utf-8", "surrogateescape") for v in values]
    return frame(kind, b"\0".join(text.replace(b"\0", b"?") for text in texts))


def write_all(fd: int, data: bytes) -> None:
    """Write everything, or raise OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def tell(fd: int, data: bytes) -> None:
    """Write everything, if anybody still listens: where nobody does it matters only that all is deleted."""
    try:
        write_all(fd, data)
    except OSError:
        pass


class Frames:
    """Frames out of a stream of bytes, whatever the pieces it comes in."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """More bytes have come."""
        self._data += data

    @property
    def pending(self) -> bool:
        """Whether anything has come that was not taken yet."""
        return bool(self._data)

    def take(self) -> tuple[bytes, bytes] | None:
        """The next whole frame: kind and payload."""
        if len(self._data) < _HEAD.size:
            return None
        kind, length = _HEAD.unpack_from(self._data)
        end = _HEAD.size + length
        if len(self._data) < end:
            return None
        payload = bytes(self._data[_HEAD.size : end])
        del self._data[:end]
        return kind, payload


def read_frame(fd: int, frames: Frames) -> tuple[bytes, bytes] | None:
    """Wait for one whole frame; None at the end of the stream."""
    while True:
        found = frames.take()
        if found is not None:
            return found
        data = os.read(fd, 1 << 16)
        if not data:
            return None
        frames.feed(data)
