"""What a box is made of, and how it ended: frozen values, no I/O.

All paths of the box are absolute and canonical; a path may be given as text or bytes and is kept as bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from warpforge.errors import Unable
from warpforge.sandbox.ids import Ids

Kind = Literal["overlay", "file", "bytes", "host-ro", "host-rw", "host-overlay", "volume", "tmpfs"]

ENGINE_DIR: Final = "/.warpforge.container"
SCRIPT_DIR: Final = ENGINE_DIR + "/script"
HOSTNAME: Final = "runc"
# What an action meets is 1024; it may raise that, for some compilers cannot link a C library with fewer than 1300
OPEN_FILES: Final = 1024
OPEN_FILES_AT_MOST: Final = 4096
_ENGINE_POINTS: Final = (b"/proc", b"/dev", b"/sys")
_RLIMIT_CORE: Final = 4
_RLIMIT_NOFILE: Final = 7


class Mount(msgspec.Struct, frozen=True):
    """One thing at one path.

    ``kind``: "overlay" a tree of the shelf, writable as an overlay; "file" a private copy of a file of the shelf;
    "bytes" a file with this content and mode, mtime 1262304000; "host-ro", "host-rw", "host-overlay" something of
    the host; "volume" a directory of ours that boxes write to, whose files belong to whom they say in the box;
    "tmpfs" an empty directory in memory. ``source``: its path, the content for "bytes", so many bytes for "tmpfs".
    """

    at: bytes
    kind: Kind
    source: bytes
    mode: int = 0o644


class BoxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Made by ``make_spec``, which sorts and checks.

    ``argv`` empty: no process, the gathers are read from the inputs as mounted. ``env`` is the whole environment, but
    for HOME when it lacks it (``home``, or the root ware's /etc/passwd). ``uid``, ``gid``: the action's, -1 for what
    that /etc/passwd says of ``username``, or of the uid. ``deadline``: seconds, 0 for none.
    ``output_limit``: bytes of stdout and stderr together; ``gather_limit``: bytes of all gathered files;
    ``memory_limit``: bytes of all processes; ``pids_limit``: processes and threads; ``disk_limit``: bytes written;
    0 for none. ``gather_failed``: gather although the exit code is not 0. ``keep``: leave the work directory,
    whose ``u<number>`` hold what the action wrote to each overlay. ``keep_failed``: when the run fails, move its layers
    to this path; ``layers``: begin with the layers that lie at this path, which stay there
    unless ``drop_layers``.
    ``ids``: the uids that the box has, if more than one; ``capabilities``: what its uid 0 may do with them.
    ``owned``: path, uid and gid of what does not belong to uid 0 in a new layer; ``owned_mounts``: likewise in mounts.
    ``pretending``: what needs more uids than there are is remembered by a registrar, or said to have been done.
    ``unfiltered``: system calls without a rule here (``seccomp.UNCONFINED``).
    ``user``: the action's, as images name it (NAME or UID, perhaps with :GROUP or :GID), in the place of uid and gid.
    ``umask``, ``cpus`` (none: as we may) and ``aslr`` are what the action's process begins with.
    """

    mounts: tuple[Mount, ...] = ()
    argv: tuple[bytes, ...] = ()
    env: tuple[tuple[bytes, bytes], ...] = ()
    cwd: bytes = b"/"
    hostname: bytes = HOSTNAME.encode()
    network: bool = False
    gathers: tuple[bytes, ...] = ()
    uid: int = 0
    gid: int = 0
    username: bytes = b""
    home: bytes = b""
    gather_failed: bool = False
    gather_limit: int = 0
    memory_limit: int = 0
    pids_limit: int = 0
    disk_limit: int = 0
    output_limit: int = 0
    deadline: float = 0.0
    keep: bool = False
    keep_failed: bytes = b""
    layers: bytes = b""
    drop_layers: bool = False
    ids: Ids | None = None
    capabilities: tuple[str, ...] = ()
    owned: tuple[tuple[bytes, int, int], ...] = ()
    owned_mounts: tuple[tuple[bytes, int, int], ...] = ()
    user: bytes = b""
    pretending: bool = False
    unfiltered: frozenset[str] = frozenset()
    umask: int = 0o022
    cpus: tuple[int, ...] = ()
    aslr: bool = True
    rlimits: tuple[tuple[int, int, int], ...] = (
        (_RLIMIT_CORE, 0, 0),
        (_RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES_AT_MOST),
    )


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Which protections were really in force; ``limits``: what was asked for, and what kept it."""

    sandbox: str
    overlay: bool
    idmap: bool
    seccomp: bool
    network: bool
    limits: dict[str, str] = {}


class Gathered(msgspec.Struct, frozen=True):
    """One output: ``status`` is ok, missing, type, limit or escape; ``text`` says what is wrong, for people."""

    path: bytes
    status: str
    text: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended.

    ``exit_code``: the action's, 128 + n for signal n as a shell has it (then ``signal`` is n, else 0; the two are told
    apart by the kernel, but for ``bwrap`` on one older than 6.15).
    ``exec_error``: "" or why the command could not be executed: missing, denied, format, too-long; with ``text``.
    ``stopped``: "" or why it was killed: cancelled, or the limit that it went over: time, memory, pids, disk, output.
    ``gathered``: one for each gather, in their order;
    empty when nothing was to be gathered. ``truncated``: output beyond the limit was dropped. ``entry``: the last entry
    of a script that was begun, as its file's time of access tells; -1 when there is none.
    """

    exit_code: int
    signal: int = 0
    exec_error: str = ""
    text: str = ""
    stopped: str = ""
    seconds: float = 0.0
    gathered: tuple[Gathered, ...] = ()
    truncated: bool = False
    entry: int = -1
    facts: Facts


def make_mount(at: str | bytes, kind: Kind, source: str | bytes | os.PathLike[str], mode: int = 0o644) -> Mount:
    """A mount at a canonical path."""
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    return Mount(make_path(at), kind, source if isinstance(source, bytes) else os.fsencode(source), mode)


def make_path(path: str | bytes) -> bytes:
    """A box path in its canonical spelling. Raises ValueError unless it is absolute and without ``..`` and NUL."""
    raw = path if isinstance(path, bytes) else os.fsencode(path)
    names = [name for name in raw.split(b"/") if name not in (b"", b".")]
    if not raw.startswith(b"/") or b".." in names or b"\0" in raw:
        raise ValueError(f"not an absolute canonical path: {path!r}")
    return b"/" + b"/".join(names)


def make_env(variables: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """The action's environment: what every action sees, overridden by the formula's ``$VAR`` inputs.

    Raises ValueError for a name or value that no environment can hold.
    """
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TERM": "xterm",
        **variables,
    }
    for name, value in env.items():
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"not possible in an environment: {name!r}")
    return tuple((os.fsencode(name), os.fsencode(value)) for name, value in sorted(env.items()))


def make_spec(
    *,
    mounts: Iterable[Mount] = (),
    argv: Iterable[str | bytes] = (),
    variables: Mapping[str, str] | None = None,
    cwd: str | bytes = "/",
    gathers: Iterable[str | bytes] = (),
    **options: object,
) -> BoxSpec:
    """A checked, sorted spec; ``options`` are further fields of BoxSpec.

    Raises Unable sandbox-unsafe (reason mountpoint) for a mount where the engine mounts, ValueError for other nonsense.
    """
    ordered = tuple(sorted(mounts, key=lambda m: m.at.split(b"/") if m.at != b"/" else []))
    for mount in ordered:
        if mount.at in _ENGINE_POINTS or mount.at.startswith(tuple(point + b"/" for point in _ENGINE_POINTS)):
            raise Unable(
                "sandbox-unsafe",
                f"nothing can be mounted at {os.fsdecode(mount.at)}: the engine mounts there; choose another path",
                reason="mountpoint",
                path=os.fsdecode(mount.at),
            )
        if mount.kind == "file" and mount.at == b"/":
            raise ValueError("a file cannot be the root")
    command = tuple(a if isinstance(a, bytes) else os.fsencode(a) for a in argv)
    if any(b"\0" in argument for argument in command):
        raise ValueError("a command cannot hold NUL")
    return BoxSpec(
        mounts=ordered,
        argv=command,
        env=make_env(variables or {}),
        cwd=make_path(cwd),
        gathers=tuple(make_path(path) for path in gathers),
        **options,  # type: ignore[arg-type]
    )
