"""Control groups: the kernel's own count of what a box uses, where this user may make groups.

    place    a directory in which groups may be made, and what it counts there: memory, pids or both
    group    one run's directory, ``warpforge-<pid>-<start time>-<pid namespace>-<random>``, made by the engine, joined
             by the watcher, removed by the zygote, or by a later start when engine and zygote ended before it

Both versions: in the old one every counter has a tree of its own, and a group is made below our own; in the unified
one below the nearest group above our own that hands its counters down (systemd's slices and delegated units do), for
a group with processes in it cannot. An ordinary user has such a place where it was delegated to them:
``systemd-run --user --scope -p Delegate=yes``. See cgroups(7) and the kernel's admin-guide/cgroup-v1, cgroup-v2.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from warpforge.sandbox.wire import Order

COUNTERS = ("memory", "pids")
PREFIX = "warpforge-"
_STRANGE = 3600.0  # seconds; older groups without processes are nobody's, though who made them cannot be seen
# file of the limit, by version and counter; the old memory counter has a second one for swap, where that is counted
_LIMIT_FILES = {
    (1, "memory"): ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    (1, "pids"): ("pids.max",),
    (2, "memory"): ("memory.max", "memory.swap.max"),
    (2, "pids"): ("pids.max",),
}
# file, and word before the number of times that the limit was hit
_EVENTS = {
    "memory": (("memory.events", b"oom_kill "), ("memory.oom_control", b"oom_kill ")),
    "pids": (("pids.events", b"max "),),
}


class Place:
    """Where groups may be made."""

    __slots__ = ("counter", "directory", "version")

    def __init__(self, version: int, counter: str, directory: str) -> None:
        self.version = version
        self.counter = counter
        self.directory = directory

    @property
    def name(self) -> str:
        """For people and records."""
        return f"cgroup v{self.version}"


class Group:
    """The groups of one run: ``directories``, and by which place each limit is kept."""

    def __init__(self) -> None:
        self.directories: list[str] = []
        self.kept: dict[str, Place] = {}

    def remove(self) -> None:
        """Remove what is left; may be called again."""
        remove_groups(self.directories)


def find_places() -> dict[str, Place]:
    """By counter, where this process may make groups and move itself into them."""
    found: dict[str, Place] = {}
    with open("/proc/self/mountinfo") as mounts, open("/proc/self/cgroup") as own:
        candidates = list(list_candidates(mounts.read(), own.read()))
    for place in candidates:
        if place.counter not in found and _is_usable(place):
            found[place.counter] = place
    return found


def list_candidates(mountinfo: str, own: str) -> Iterator[Place]:
    """Directories to try, best first, from /proc/self/mountinfo and /proc/self/cgroup."""
    paths = _read_own(own)
    for line in mountinfo.splitlines():
        words, _, rest = line.partition(" - ")
        root, point = words.split()[3:5]
        kind, _, options = rest.partition(" ")
        if kind == "cgroup":
            for counter in COUNTERS:
                if counter in options.split(" ")[-1].split(",") and counter in paths:
                    for directory in (_below(point, root, paths[counter]), point):
                        yield Place(1, counter, directory)
        elif kind == "cgroup2" and "" in paths:
            directory = _below(point, root, paths[""])
            while True:
                for counter in COUNTERS:
                    yield Place(2, counter, directory)
                if len(directory) <= len(point):
                    break
                directory = os.path.dirname(directory)


def _read_own(text: str) -> dict[str, str]:
    """By counter the path of our own group; that of the unified tree under the empty name."""
    found = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            found[name] = path
    return found


def _below(point: str, root: str, path: str) -> str:
    """Where a group's path is seen when ``root`` of its tree is mounted at ``point``."""
    if root != "/" and (path == root or path.startswith(root + "/")):
        path = path[len(root) :]
    return os.path.normpath(f"{point}/{path}")


def _is_usable(place: Place) -> bool:
    """Whether a group can be made here and joined; tried for real."""
    if not os.access(place.directory, os.W_OK):
        return False
    if place.version == 2:
        # moving a process takes the right to write to the nearest group above both its old and its new one
        counters = _read(f"{place.directory}/cgroup.subtree_control").split()
        if place.counter.encode() not in counters or not os.access(f"{place.directory}/cgroup.procs", os.W_OK):
            return False
    trial = f"{place.directory}/{_new_name()}"
    try:
        os.mkdir(trial)
    except OSError:
        return False
    try:
        return os.access(f"{trial}/{_LIMIT_FILES[place.version, place.counter][0]}", os.W_OK)
    finally:
        remove_groups([trial])


def make_group(places: dict[str, Place], limits: dict[str, int]) -> Group:
    """Groups that keep these limits (by counter) where a place for them is; see ``kept`` for which. Never raises."""
    group = Group()
    name = _new_name()
    for counter, limit in limits.items():
        place = places.get(counter)
        if place is not None and _make(place, name, limit, group):
            group.kept[counter] = place
    return group


def _make(place: Place, name: str, limit: int, group: Group) -> bool:
    directory = f"{place.directory}/{name}"
    try:
        if directory not in group.directories:
            os.mkdir(directory)
            group.directories.append(directory)
        first, *others = _LIMIT_FILES[place.version, place.counter]
        _write(f"{directory}/{first}", b"%d" % limit)
    except OSError:
        return False
    for other in others:
        try:
            _write(f"{directory}/{other}", b"%d" % (0 if place.version == 2 else limit))
        except OSError:
            pass  # no swap here, or it is not counted
    return True


def find_exceeded(order: Order) -> str:
    """After the end: the counter whose limit was hit in one of the order's groups, or nothing."""
    for directory in order.cgroups:
        for counter, files in _EVENTS.items():
            for name, word in files:
                for line in _read(os.path.join(os.fsdecode(directory), name)).split(b"\n"):
                    if line.startswith(word) and int(line[len(word) :]):
                        return counter
    return ""


def remove_groups(directories: list[str] | list[bytes]) -> None:
    """Remove groups that have no process any more."""
    for directory in directories:
        try:
            os.rmdir(directory)
        except OSError:
            pass


def sweep(places: dict[str, Place]) -> None:
    """Remove the groups of engines that are gone, with their zygotes: those that were killed too early to do it."""
    own = _own_namespace()
    for place in places.values():
        try:
            names = os.listdir(place.directory)
        except OSError:
            continue
        for name in names:
            if name.startswith(PREFIX) and _is_left(f"{place.directory}/{name}", name, own):
                remove_groups([f"{place.directory}/{name}"])


def _is_left(directory: str, name: str, own: str) -> bool:
    """Whether nobody is about to join a group. Control groups are shared by containers whose processes are not: a
    group that an engine in another one has just made looks as if its engine were gone."""
    import time

    from warpforge.sandbox.work import is_running

    words = name.removeprefix(PREFIX).split("-")
    if len(words) == 4 and words[2] == own:
        return not is_running(words[0], words[1])
    try:
        return os.stat(directory).st_mtime < time.time() - _STRANGE
    except OSError:
        return False


def _own_namespace() -> str:
    """The number of this process's PID namespace: what a pid means."""
    return str(os.stat("/proc/self/ns/pid").st_ino)


def _new_name() -> str:
    from warpforge.sandbox.work import find_start_time

    pid = os.getpid()
    return f"{PREFIX}{pid}-{find_start_time(pid)}-{_own_namespace()}-{os.urandom(6).hex()}"


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
