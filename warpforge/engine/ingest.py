"""Ingest: something of the host becomes a ware, exactly as it is now.

A directory that is as it was costs a walk of stats: the index knows which ware it became under which signature.
It is noted only when nothing in it changed shortly before, nor while it was read; what is noted is a hint about ids,
and counts only while the ware is here.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, BinaryIO, Final

from warpforge.engine.events import Ingested, Reporter, WareMoving
from warpforge.engine.keep import keep_archive, keep_tree
from warpforge.errors import Invalid, Missing, Unable
from warpforge.model.atoms import Ingest, WareId

if TYPE_CHECKING:
    from warpforge.engine.images import Images
    from warpforge.fsx.stat_walk import Signature
    from warpforge.mirror.git import GitRemote
    from warpforge.mirror.policy import Access
    from warpforge.pack.limits import Limits
    from warpforge.store.store import Store

NEVER: Final = (b".git", b".warpforge")
IGNORE_FILE: Final = ".wfignore"
RULES: Final = b"2"  # of what is left out and what the filters do; another number forgets what was noted


class Ingester:
    """Makes wares of what a plot's ``ingest:`` inputs name.

    ``clock``: nanoseconds, as file systems stamp files. ``limits``: of archives and commits. ``access``: what
    fetching submodules takes. ``images``: who has images.
    """

    def __init__(
        self,
        store: Store,
        reporter: Reporter,
        clock: Callable[[], int] = time_ns,
        limits: Callable[[], Limits] | None = None,
        access: Callable[[], Access] | None = None,
        images: Callable[[], Images] | None = None,
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._clock = clock
        self._limits = limits
        self._access = access
        self._images = images

    def ingest(self, what: Ingest, base: Path) -> WareId:
        """The ware of one ingest; paths are relative to ``base``.

        Errors: ``missing``, ``git``, ``ware-invalid``, ``store``, ``invalid``.
        """
        cached = False
        match what.kind:
            case "git":
                ware, cached = self._git(base / what.path, what.ref)
            case "dir":
                ware, cached = self._dir(base / what.path)
            case "tar":
                ware = self._tar(base / what.path)
            case "oci":
                ware, cached = self._oci(what.path, base)
            case "literal":
                ware = self._literal(what.path)
            case _:
                raise Invalid("invalid", f"{what}: ingests of this kind are not known here", reason="kind")
        self._reporter.tell(Ingested(str(what), ware, cached))
        return ware

    def _git(self, path: Path, ref: str) -> tuple[WareId, bool]:
        """The ware of a commit, and whether it was here: then only its name is looked up."""
        from warpforge.fsx.git import is_id
        from warpforge.mirror.git import GitRemote
        from warpforge.mirror.policy import DEFAULT

        source = Path(os.path.realpath(path))
        if not source.is_dir():
            raise Missing("missing", f"{path}: there is no such repository", path=path)
        _check_repository(source, path)
        if is_id(ref) and self._store.warehouse.has(WareId("git", ref)):
            return WareId("git", ref), True
        remote = GitRemote.at(source, self._access() if self._access else DEFAULT)
        try:
            with self._store.scratched("names") as work:
                ware = WareId("git", remote.resolve(ref, work / "git"))
            if self._store.warehouse.has(ware):
                return ware, True
            self._keep_commit(ware, remote, source)
        except Unable as error:
            if error.code != "warpforge-error-fetch":
                raise
            if error.reason == "not-found":
                raise Unable("git", f"{path}: {ref!r} is no commit", reason="ref", ref=ref, path=path) from None
            raise Unable("git", f"{path} cannot be read: {error.message}", reason="failed", path=path) from None
        return ware, False

    def _keep_commit(self, ware: WareId, remote: GitRemote, checkout: Path) -> None:
        from warpforge.engine.commits import keep_commit
        from warpforge.pack.limits import DEFAULT

        def moved(done: int, total: int | None) -> None:
            self._reporter.tell(WareMoving(ware, remote.name, done, total))

        keep_commit(self._store, ware, remote, moved, self._limits() if self._limits else DEFAULT, checkout)

    def _dir(self, path: Path) -> tuple[WareId, bool]:
        """The ware of a directory, and whether it was known without reading."""
        fd = open_dir(path)
        try:
            patterns = read_ignore_file(fd, path)
            name = b"dir " + os.fsencode(os.path.realpath(path))
            before = self._sign(fd, patterns)
            known = self._store.index.ingest_get(name, before.digest) if before else None
            if known is not None and self._store.has(known):
                return known, True
            ware = self._read_dir(fd, patterns)
            after = self._sign(fd, patterns)
            if before and after and before.quiet and after.digest == before.digest:
                self._store.index.ingest_put(name, before.digest, ware)
            return ware, False
        finally:
            os.close(fd)

    def _sign(self, fd: int, patterns: bytes) -> Signature | None:
        """The signature of what would be read; None where reading will say what is wrong."""
        from warpforge.fsx.stat_walk import stat_walk

        skip = make_skip(patterns) if patterns else None
        try:
            found = stat_walk(fd, skip=skip, never=frozenset(map(os.fsdecode, NEVER)), now=self._clock)
        except OSError:
            return None
        return found._replace(digest=RULES + found.digest)

    def _read_dir(self, fd: int, patterns: bytes) -> WareId:
        """Pack in one pass, for a tree may change between two; what is here already is dropped."""
        from warpforge.fsx.tree import walk
        from warpforge.pack.filters import INGEST

        return keep_tree(self._store, walk(fd, skip=make_skip(patterns)), "ztar", INGEST)

    def _tar(self, path: Path) -> WareId:
        with open_archive(path) as stream:
            return keep_archive(self._store, stream, "tar", limits=self._limits() if self._limits else None)

    def _oci(self, name: str, base: Path) -> tuple[WareId, bool]:
        from warpforge.engine.images import parse_called

        assert self._images is not None
        return self._images().keep(parse_called(name, base))

    def _literal(self, text: str) -> WareId:
        from warpforge.fsx.tree import Entry
        from warpforge.pack.filters import INGEST

        data = text.encode("utf-8", "surrogateescape")
        return keep_tree(self._store, [(Entry(b"", "f", 0o644, size=len(data)), io.BytesIO(data))], "ztar", INGEST)


def make_skip(patterns: bytes) -> Callable[[bytes, bool], bool]:
    """What an ingested directory leaves out: ``.git`` and ``.warpforge`` at any depth, and what the patterns name.

    Patterns are in gitignore's syntax.
    """
    from warpforge.fsx.gitignore import make_ignore

    ignores = make_ignore(patterns) if patterns else None

    def skip(path: bytes, is_directory: bool) -> bool:  # noqa: FBT001 (the walker's shape)
        return path.rpartition(b"/")[2] in NEVER or (ignores is not None and ignores(path, is_directory))

    return skip


def open_dir(path: Path) -> int:
    """A directory to be read. Errors: ``missing``, ``io``."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing("missing", f"{path}: there is no such directory", cause=error, path=path) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error


def open_archive(path: Path) -> BinaryIO:
    """A regular file to be read. Errors: ``missing``, ``io``."""
    try:
        return _open_regular(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing("missing", f"{path}: there is no such archive", cause=error, path=path) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error


def read_ignore_file(fd: int, directory: Path) -> bytes:
    """The patterns of a directory's ``.wfignore``, which are those of a ``.gitignore``. Errors: ``io``.

    As with git, a link is not followed; but who made one wanted something left out, and is told.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with _open_regular(os.open(IGNORE_FILE, flags, dir_fd=fd)) as file:
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        why = "a link is not followed" if error.errno == errno.ELOOP else error.strerror
        path = directory / IGNORE_FILE
        raise Unable("io", f"{path} cannot be read: {why}", cause=error, path=path) from error


def _open_regular(fd: int) -> BinaryIO:
    """A file around a descriptor. Raises OSError for anything but a regular file."""
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    raise OSError(errno.EINVAL, "it is no regular file")


def _check_repository(path: Path, named: Path) -> None:
    """Whether the top of a repository, or a bare one, is here. Errors: ``git`` (repository)."""
    if os.path.lexists(path / ".git") or ((path / "HEAD").exists() and (path / "objects").is_dir()):
        return
    top = next((parent for parent in path.parents if os.path.lexists(parent / ".git")), None)
    hint = f"; {top} is one, and it is taken whole" if top else ""
    raise Unable("git", f"{named} is no git repository{hint}", reason="repository", path=named)
