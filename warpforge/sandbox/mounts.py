"""The box's root, put together: overlays, private copies and host mounts, each at its place.

Runs inside the helper's user and mount namespaces; the names are those of ``sources``.
"""

from __future__ import annotations

import errno
import os

from warpforge.sandbox.copying import copy_file, copy_tree
from warpforge.sandbox.init import BOOT_ID, BOOT_ID_FILE, EMPTY_FILE
from warpforge.sandbox.kernel import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_REC,
    mount,
    set_mount,
    unmount,
)
from warpforge.sandbox.people import Impossible, give_away
from warpforge.sandbox.place import Point, Refused, Stubs, find_place, make_plain_directory
from warpforge.sandbox.sources import TREES, Source
from warpforge.sandbox.wire import Order

ENGINE_DIR = b"/.warpforge.container"  # the scripts: written as one tree and mounted as one
SCRIPT_DIR = ENGINE_DIR + b"/script"
ENGINE_POINTS = (b"proc", b"dev", b"sys")
STAMP = 1262304000  # 2010-01-01, the time of everything that the engine makes
_NO_OVERLAY = (errno.EINVAL, errno.EPERM, errno.ENODEV, errno.EOPNOTSUPP, errno.ENOSYS)
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class MountFailed(Exception):
    """A mount that could not be made: at which path of the box, and the refusal or OSError behind it."""

    def __init__(self, at: bytes, cause: Exception) -> None:
        super().__init__(at, cause)
        self.at = at
        self.cause = cause


class Root:
    """The merged root at m/root, and what was mounted in it, in order."""

    def __init__(self, order: Order, sources: dict[int, Source]) -> None:
        self._order = order
        self._sources = sources
        self._stubs = Stubs()
        self._points: list[Point] = []
        self._overlays = 0
        # what a later box over the same layers knows a file by: the engine's own mounts may be others then
        own = [at.startswith(ENGINE_DIR + b"/") for at, _, _, _ in order.mounts]
        self._places = {number: number - sum(own[:number]) for number in range(len(own))}
        self.overlay = order.overlay
        self.fd = -1

    def build(self) -> None:
        """Steps 4 and 5: the root, then every mount in order, then the engine's own. Raises MountFailed."""
        numbers = list(range(len(self._order.mounts)))
        is_new = not (os.path.lexists(b"u0") or os.path.lexists(b"c0"))
        if numbers and self._order.mounts[0][0] == b"/":
            self._guarded(b"/", lambda: self._mount_on(numbers.pop(0), b"m/root"))
        else:
            self._guarded(b"/", lambda: self._mount_tree(b"m/empty", b"m/root"))
        self.fd = os.open(b"m/root", _DIRECTORY)
        if is_new:
            give_away(self.fd, self._order.owned, said=bool(self._order.noticing))
        self._write_covers()
        engine_made = self._write_files()
        self._guarded(b"", self._copy_files)
        for number in numbers:
            at = self._order.mounts[number][0]
            if not at.startswith(ENGINE_DIR + b"/"):
                self._guarded(at, lambda number=number: self._mount_at(number))
        give_away(self.fd, self._order.owned_mounts, said=bool(self._order.noticing))
        if engine_made:
            self._guarded(ENGINE_DIR, self._mount_engine_dir)
        self._make_cwd()
        for name in ENGINE_POINTS:
            self._guarded(b"/" + name, lambda name=name: self._make_engine_point(name))

    def strip(self) -> None:
        """Take away everything mounted below the root, and the stubs that are still as they were made."""
        while self._points:
            point = self._points.pop()
            try:
                unmount(point.path)
            finally:
                os.close(point.parent_fd)
        self._stubs.remove_untouched()

    def save_files(self) -> None:
        """Copy what the action left in files that the engine wrote as bytes, for they are in memory."""
        os.makedirs(b"b", 0o700, exist_ok=True)
        for number, (at, kind, _, _) in enumerate(self._order.mounts):
            if kind == "bytes" and not at.startswith(ENGINE_DIR + b"/"):
                saved = b"b/%d" % self._places[number]
                if os.path.lexists(saved):
                    os.unlink(saved)
                copy_file(os.open(b"m/bytes/%d" % number, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), saved)

    def last_entry(self) -> int:
        """The last entry of the script that was begun: read, as its time of access tells; -1 for none."""
        begun = -1
        for at, _, _, _ in self._order.mounts:
            head, _, number = at.rpartition(b"/entry-")
            if head == SCRIPT_DIR and number.isdigit():
                name = b"m/bytes/engine" + at[len(ENGINE_DIR) :]
                if os.path.lexists(name) and os.lstat(name).st_atime != STAMP:
                    begun = max(begun, int(number))
        return begun

    def _guarded(self, at: bytes, action: object) -> None:
        try:
            action()  # type: ignore[operator]
        except (OSError, Refused) as error:
            raise MountFailed(at, error) from error

    def _mount_at(self, number: int) -> None:
        at = self._order.mounts[number][0]
        point = find_place(self.fd, at, self._stubs, directory=self._sources[number].directory)
        self._mount_on(number, point.path)
        self._points.append(point)

    def _mount_on(self, number: int, target: bytes) -> None:
        kind = self._order.mounts[number][1]
        source = self._sources[number]
        if kind == "bytes":
            mount(b"m/bytes/%d" % number, target, None, MS_BIND)
        elif source.fd >= 0:
            mount(b"m/files/%d" % self._places[number], target, None, MS_BIND)
        elif kind in TREES:
            self._mount_tree(source.path, target)
        else:
            mount(source.path, target, None, MS_BIND | MS_REC)

    def _mount_tree(self, lower: bytes, target: bytes) -> None:
        """A writable view of ``lower``: an overlay, or a copy where overlays do not work."""
        number, self._overlays = self._overlays, self._overlays + 1
        if self.overlay:
            try:
                _mount_overlay(lower, b"u%d" % number, b"w%d" % number, target)
                return
            except OSError as error:
                if number or error.errno not in _NO_OVERLAY:
                    raise
                self.overlay = False
        name = b"c%d" % number
        if not os.path.isdir(name):
            copy_tree(lower, name)
        mount(name, target, None, MS_BIND)
        set_mount(-100, target, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)

    def _write_covers(self) -> None:
        _write(b"m/" + EMPTY_FILE, b"", 0o444)
        _write(b"m/" + BOOT_ID_FILE, BOOT_ID, 0o444)

    def _write_files(self) -> bool:
        """Write what the engine gives as bytes; True when some of it is the engine's own."""
        engine_made = False
        for number, (at, kind, content, mode) in enumerate(self._order.mounts):
            if kind != "bytes":
                continue
            name = b"m/bytes/%d" % number
            if at.startswith(ENGINE_DIR + b"/"):
                engine_made = True
                name = b"m/bytes/engine" + at[len(ENGINE_DIR) :]
                os.makedirs(os.path.dirname(name), 0o755, exist_ok=True)
            elif os.path.isfile(saved := b"b/%d" % self._places[number]):
                copy_file(os.open(saved, os.O_RDONLY | os.O_CLOEXEC), name)
                continue
            _write(name, content, mode)
        return engine_made

    def _copy_files(self) -> None:
        """Make the private copies of files and show them at m/files."""
        copies = [(number, source.fd) for number, source in self._sources.items() if source.fd >= 0]
        if not copies:
            return
        if os.path.isdir("f"):
            for _, fd in copies:
                os.close(fd)
        else:
            os.mkdir("f", 0o755)
            for number, fd in copies:
                copy_file(fd, b"f/%d" % self._places[number])
        if self.overlay:
            # an overlay only so that the box's mount table does not tell where the work directory lies
            _mount_overlay(b"m/empty", b"f", b"wf", b"m/files")
        else:
            mount(b"f", b"m/files", None, MS_BIND)

    def _make_cwd(self) -> None:
        cwd = self._order.cwd
        if cwd == b"/" or cwd.startswith(tuple(b"/%s/" % name for name in ENGINE_POINTS)) or not self._order.argv:
            return
        try:
            os.close(find_place(self.fd, cwd, self._stubs, directory=True).parent_fd)
        except (Refused, OSError) as error:
            why = (error.strerror or "").lower() if isinstance(error, OSError) else str(error)
            raise Impossible("cwd", f"{os.fsdecode(cwd)}: {why}") from error

    def _mount_engine_dir(self) -> None:
        point = find_place(self.fd, ENGINE_DIR, self._stubs, directory=True)
        mount(b"m/bytes/engine", point.path, None, MS_BIND)
        self._points.append(point)

    def _make_engine_point(self, name: bytes) -> None:
        point = make_plain_directory(self.fd, name, self._stubs)
        if name != b"sys":
            os.close(point.parent_fd)
            return
        mount(b"m/empty", point.path, None, MS_BIND)
        attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
        set_mount(-100, point.path, attributes)
        self._points.append(point)


def _mount_overlay(lower: bytes, upper: bytes, work: bytes, target: bytes) -> None:
    """An overlay of one lower layer. The merged root shows the upper's attributes, so it gets the lower's first."""
    os.mkdir(work, 0o700)
    if upper == b"f" or not os.path.isdir(upper):
        status = os.stat(lower)
        if upper != b"f":
            os.mkdir(upper, 0o700)
        os.chmod(upper, status.st_mode & 0o7777)
        os.utime(upper, ns=(status.st_atime_ns, status.st_mtime_ns))
    options = b"lowerdir=%s,upperdir=%s,workdir=%s,userxattr,volatile" % (lower, upper, work)
    mount(b"overlay", target, b"overlay", MS_NOSUID | MS_NODEV, options)


def _write(name: bytes, content: bytes, mode: int) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.fchmod(fd, mode)
        os.utime(fd, (STAMP, STAMP))
    finally:
        os.close(fd)
