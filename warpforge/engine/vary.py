"""Variations: the same formula in a box that shows one thing of the world differently.

    time       seconds later; with a preload that works in the box, on another date as well
    hostname   another host name
    cpus       one processor
    order      trees unpacked again, so that the file system lists their names in another order
    locale     LANG, LC_ALL, LANGUAGE and TZ set
    umask      0077
    uid        another real uid behind the box's uid 0
    aslr       memory at the same addresses every time
    path       the box's layers in another directory of the host, on another file system where there is one

A **variation** makes of a BoxSpec another one, or says why it cannot be had here.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from warpforge.fsx.atomic import random_name
from warpforge.sandbox.choose import make_backend
from warpforge.sandbox.owner import BUILD_UID, has_uid
from warpforge.sandbox.spec import ENGINE_DIR, BoxSpec, make_mount
from warpforge.store.trees import tree_bytes

if TYPE_CHECKING:
    from warpforge.sandbox.protocol import Sandbox
    from warpforge.sandbox.spec import Mount

NAMES: Final = ("time", "hostname", "cpus", "order", "locale", "umask", "uid", "aslr", "path")
# what every box holds fixed, so that nothing in the world changes it unless somebody changes the engine
HELD: Final = frozenset({"hostname", "locale", "umask"})
PLACES: Final = ("/dev/shm", "/var/tmp", "/tmp")
LOCALE: Final = {b"LANG": b"tr_TR.UTF-8", b"LC_ALL": b"tr_TR.UTF-8", b"LANGUAGE": b"tr", b"TZ": b"Asia/Kathmandu"}
OTHER_UID: Final = BUILD_UID + 1
PRELOADS: Final = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
)
LOADERS: Final = ("lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1")
DATE: Final = b"@2031-05-06 07:08:09"


class Unvaried(Exception):
    """It cannot be varied here; the text says why."""


class Setting(NamedTuple):
    """Where and how a box is made: by whom, below which directory, from what. ``note``: what was done, in words."""

    spec: BoxSpec
    box: Sandbox
    work: str
    note: str = ""


class Place(NamedTuple):
    """Directories to work in: ``usual`` and one ``elsewhere``, each made when first asked for."""

    usual: Callable[[], str]
    elsewhere: Callable[[], str]


def vary(name: str, setting: Setting, place: Place) -> Setting:
    """The setting with one thing varied. Raises Unvaried."""
    spec = setting.spec
    match name:
        case "time":
            return _another_date(setting)
        case "hostname":
            return setting._replace(spec=replace(spec, hostname=b"elsewhere"), note="elsewhere instead of runc")
        case "cpus":
            return setting._replace(spec=replace(spec, cpus=_one_cpu()), note="one processor")
        case "order":
            mounts = _each_tree(spec, lambda path: _shuffled(path, place.elsewhere(), None))
            return setting._replace(spec=replace(spec, mounts=mounts), note="inputs unpacked in another order")
        case "locale":
            return setting._replace(spec=replace(spec, env=_other_locale(spec)), note="Turkish, in Nepal")
        case "umask":
            return setting._replace(spec=replace(spec, umask=0o077), note="0077 instead of 0022")
        case "uid":
            return _another_uid(setting, place)
        case "aslr":
            return setting._replace(spec=replace(spec, aslr=False), note="addresses not randomised")
        case "path":
            return setting._replace(work=place.elsewhere(), note=f"below {place.elsewhere()}")
    raise AssertionError(name)


def find_elsewhere(usual: str) -> str:
    """A directory of the host to work in, on another file system than ``usual`` where there is one."""
    device = os.stat(usual).st_dev
    usable = [place for place in PLACES if os.access(place, os.W_OK | os.X_OK)]
    for place in usable:
        if os.stat(place).st_dev != device:
            return place
    if not usable:
        raise Unvaried("no other directory can be written")
    return usable[0]


def _one_cpu() -> tuple[int, ...]:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Unvaried("this machine has one processor")
    return (cpus[0],)


def _other_locale(spec: BoxSpec) -> tuple[tuple[bytes, bytes], ...]:
    env = dict(spec.env)
    free = {name: value for name, value in LOCALE.items() if name not in env}
    if not free:
        raise Unvaried("the formula itself sets all of it")
    return tuple(sorted({**env, **free}.items()))


def _another_date(setting: Setting) -> Setting:
    """A preload that tells programs another date; only for what is linked dynamically against this glibc."""
    library = next((path for path in PRELOADS if os.path.exists(path)), "")
    root = next((os.fsdecode(mount.source) for mount in setting.spec.mounts if mount.at == b"/"), "")
    loads = any(os.path.exists(os.path.join(root, loader)) for loader in LOADERS) if root else False
    if not library or not loads:
        why = "no libfaketime here" if loads else "the root has no glibc to preload into"
        return setting._replace(note=f"seconds later; the date itself is not varied: {why}")
    at = f"{ENGINE_DIR}/faketime.so"
    mounts = [*setting.spec.mounts, make_mount(at, "bytes", Path(library).read_bytes(), 0o755)]
    mounts.sort(key=lambda mount: mount.at.split(b"/") if mount.at != b"/" else [])
    env = {**dict(setting.spec.env), b"LD_PRELOAD": at.encode(), b"FAKETIME": DATE, b"FAKETIME_NO_CACHE": b"1"}
    spec = replace(setting.spec, mounts=tuple(mounts), env=tuple(sorted(env.items())))
    return setting._replace(spec=spec, note=f"{DATE.decode()[1:]}, for what is linked dynamically")


def _another_uid(setting: Setting, place: Place) -> Setting:
    if os.geteuid() != 0 or not has_uid(OTHER_UID):
        raise Unvaried("an ordinary user has one uid")
    owner = (OTHER_UID, OTHER_UID)
    mounts = _each_tree(setting.spec, lambda path: _shuffled(path, place.usual(), owner))
    spec = replace(setting.spec, mounts=mounts)
    return setting._replace(
        spec=spec, box=make_backend(setting.box.name, build_uid=OTHER_UID), note=f"{OTHER_UID} instead of {BUILD_UID}"
    )


def _each_tree(spec: BoxSpec, copy: Callable[[str], str]) -> tuple[Mount, ...]:
    found = []
    for mount in spec.mounts:
        if mount.kind == "overlay":
            mount = replace(mount, source=os.fsencode(copy(os.fsdecode(mount.source))))
        found.append(mount)
    return tuple(found)


def _shuffled(source: str, directory: str, owner: tuple[int, int] | None) -> str:
    """Copy a tree of the shelf in another order, for another owner if one is given. Raises Unvaried."""
    free = os.statvfs(directory)
    if 2 * tree_bytes(source) > free.f_bavail * free.f_frsize:
        raise Unvaried(f"a copy of the inputs does not fit below {directory}")
    target = os.path.join(directory, random_name("tree-"))
    try:
        _copy(source, target, owner)
    except OSError as error:
        raise Unvaried(f"the inputs cannot be copied: {error.strerror}") from error
    return target


def _copy(source: str, target: str, owner: tuple[int, int] | None) -> None:
    chance = random.Random(0)
    waiting, directories = [(source, target)], []
    while waiting:
        old, new = waiting.pop()
        status = os.lstat(old)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(new, 0o700)
            directories.append((new, status))
            names = sorted(os.listdir(old), reverse=True)
            chance.shuffle(names)
            waiting += [(f"{old}/{name}", f"{new}/{name}") for name in names]
            continue
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(old), new)
        elif stat.S_ISFIFO(status.st_mode):
            os.mkfifo(new)
        else:
            with open(old, "rb") as reading, open(new, "xb") as writing:
                while os.sendfile(writing.fileno(), reading.fileno(), None, 1 << 24):
                    pass
        _settle(new, status, owner)
    for new, status in reversed(directories):
        _settle(new, status, owner)


def _settle(path: str, status: os.stat_result, owner: tuple[int, int] | None) -> None:
    """Owner, then mode, which a new owner takes setuid bits from, then times."""
    uid, gid = owner or (status.st_uid, status.st_gid)
    os.chown(path, uid, gid, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(path, stat.S_IMODE(status.st_mode))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
