"""Reading one catalog. Every id is verified on every read.

A writer swaps a whole module at once, so a reader may meet a module of before and a release of after: who sees a
mismatch, and that the module was swapped meanwhile, reads once more.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from warpforge.errors import Invalid, Unable, WarpforgeError
from warpforge.model.catalog import CatalogModule, Mirrors, Release
from warpforge.model.ident import plot_id, release_id
from warpforge.model.names import is_module_name, is_release_name
from warpforge.model.plaintext import MEMBER_LIMIT, SIZE_LIMIT
from warpforge.model.plot import Plot
from warpforge.model.read_catalog import is_cid
from warpforge.model.serial import load_catalog_module, load_mirrors, load_release, load_replay

if TYPE_CHECKING:
    from .view import View

T = TypeVar("T")

MODULE_FILE: Final = "_module.json"
MIRRORS_FILE: Final = "_mirrors.json"
RELEASES_DIR: Final = "_releases"
REPLAYS_DIR: Final = "_replays"
VERDICTS_DIR: Final = "_verdicts"
_LARGE: Final = 1 << 15  # bytes of a module from which on one release is looked up without reading all others
_LARGEST: Final = 8 * MEMBER_LIMIT  # bytes in which no more members have room than a document may have
_FAR: Final = 512  # bytes from a name to the end of its id; more blanks than that are not plain
_BLANKS: Final = b" \t\r\n"


class Catalog:
    """One catalog tree. Module names given to it are valid; nothing is kept between calls.

    ``view``: what says which of it may be believed; without one all of it is, as far as ids go.
    """

    def __init__(self, path: Path, view: View | None = None) -> None:
        self.path: Final = path
        self.view: Final = view

    @property
    def name(self) -> str:
        return self.path.name

    def module(self, module: str) -> CatalogModule | None:
        """A module's releases. Errors: ``catalog-invalid``, ``serialization``, ``datatoonew``, ``io``."""
        path = self._file(module, MODULE_FILE)

        def read() -> CatalogModule | None:
            data = read_file(path)
            found = None if data is None else _module_of(data, path, module)
            return found if self.view is None else self.view.module(module, found)

        return self._steady(module, read)

    def release(self, module: str | CatalogModule, release: str) -> Release | None:
        """One release, which has the id that its module names. Errors: as ``module``; ``catalog-invalid`` (hash).

        Who reads many of one module gives the module as it was read, which is then not read again for each.
        """
        if isinstance(module, CatalogModule):
            try:
                return self._named(module.name, release, module.releases.get(release))
            except Invalid as error:
                if error.reason != "hash":
                    raise
                module = module.name  # it may have been swapped since it was read
        name = module
        return self._steady(name, lambda: self._release(name, release))

    def replay(self, module: str, plot: str) -> Plot | None:
        """The plot with this id. Errors: as ``module``; ``catalog-invalid`` (hash, cycle; name for what is no id)."""
        path = self.replay_path(module, plot)
        if not is_cid(plot):  # what a release says of it may be anything, a path, too
            raise _refuse(f"module {module} names the replay {plot!r}, which is no id", "name", path, module=module)
        data = read_file(path)
        if data is None:
            return None
        noun = load_replay(data, path).noun
        if (found := plot_id(noun)) != plot:
            raise _torn(path, plot, found, module)
        from warpforge.model.findings import invalid_document
        from warpforge.plan.order import rings

        if faults := rings(noun):
            raise invalid_document("catalog-invalid", path, faults)
        return noun

    def replay_path(self, module: str, plot: str) -> str:
        """The file of a replay."""
        return self._file(module, REPLAYS_DIR, plot)

    def mirrors(self, module: str) -> Mirrors | None:
        """Where a module's wares may be had. Errors: as ``module``."""
        path = self._file(module, MIRRORS_FILE)

        def read() -> Mirrors | None:
            data = read_file(path)
            found = None if data is None else load_mirrors(data, path).noun
            return found if self.view is None else self.view.mirrors(module, found)

        return self._steady(module, read)

    def modules(self) -> Iterator[str]:
        """The names of all modules, sorted. Errors: ``io``."""
        waiting = [""]
        while waiting:
            module = waiting.pop()
            try:
                with os.scandir(self.path / module) as entries:
                    found = sorted(entry.name for entry in entries if _is_part(entry))
            except OSError as error:
                if module and isinstance(error, FileNotFoundError | NotADirectoryError):
                    continue  # it was removed since its name was read
                raise _unreadable(self.path / module, error) from error
            if module and os.path.isfile(self._file(module, MODULE_FILE)):
                yield module
            waiting += [f"{module}/{name}" if module else name for name in reversed(found)]

    def releases(self) -> Iterator[tuple[str, str, Release]]:
        """Every release as module, name and document, by module. Errors: as ``release``, and ``io``."""
        for module in self.modules():
            for name, release in self.releases_of(module):
                yield module, name, release

    def releases_of(self, module: str) -> Iterator[tuple[str, Release]]:
        """Every release of a module as name and document. Errors: as ``release``."""
        known = self.module(module)
        for name in known.releases if known else ():
            release = self.release(known, name) if known else None
            if release is not None:
                yield name, release

    def _steady(self, module: str, read: Callable[[], T]) -> T:
        """Read; once more when what was read does not fit and the module, or its snapshot, was swapped meanwhile."""
        while True:
            before = self._identity(module)
            try:
                return read()
            except Invalid as error:
                if error.reason not in ("hash", "unsigned"):
                    raise
                swapped = self._identity(module) != before
                if not (self.view.refresh() if self.view else False) and not swapped:
                    raise  # nobody changed it meanwhile: it is what it is

    def _release(self, module: str, release: str) -> Release | None:
        wanted = self._release_id(module, release)
        if self.view is not None:
            wanted = self.view.release_id(module, release, wanted)
        return self._named(module, release, wanted)

    def _named(self, module: str, release: str, wanted: str | None) -> Release | None:
        """The release that has the id which its module names."""
        if wanted is None:
            return None
        path = self._file(module, RELEASES_DIR, release)
        noun, found = _release_of(read_file(path), path)
        if found != wanted and self.view is not None and (kept := self.view.kept(wanted)) is not None:
            noun, found = _release_of(kept, path)
        if noun is None or found != wanted:
            raise _torn(path, wanted, found, module)
        if noun.name != release:
            raise _refuse(f"{path} is the release {noun.name}, not {release}", "name", path, module=module)
        return noun

    def _release_id(self, module: str, release: str) -> str | None:
        path = self._file(module, MODULE_FILE)
        data = read_file(path)
        if data is None:
            return None
        return _release_id_of(data, path, module, release)

    def _identity(self, module: str) -> tuple[int, ...]:
        """Differs after a module was swapped."""
        try:
            status = os.stat(self._file(module, MODULE_FILE))
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns

    def _file(self, module: str, *names: str) -> str:
        *directories, name = names
        if directories:
            name += ".json"
        return "/".join((os.fspath(self.path), module, *directories, name))


def _module_of(data: bytes, path: str, module: str) -> CatalogModule:
    noun = load_catalog_module(data, path).noun
    if noun.name != module:
        raise _refuse(f"{path} is the module {noun.name}, not {module}", "name", path, module=module)
    return noun


def _release_of(data: bytes | None, path: str) -> tuple[Release | None, str]:
    """A release and its id."""
    if data is None:
        return None, "missing"
    noun = load_release(data, path).noun
    return noun, release_id(noun)


def _release_id_of(data: bytes, path: str, module: str, release: str) -> str | None:
    """The id that a module gives a release; None when it names no such. Errors: as ``Catalog.module``.

    Ten thousand names and ids cost far more to make than to look through: of a large module the one is looked for.
    """
    place = _plain_releases(data, path, module) if len(data) > _LARGE and is_release_name(release) else None
    found = None if place is None else _look(data, place, release)
    return _module_of(data, path, module).releases.get(release) if found is None else found or None


def _plain_releases(data: bytes, path: str, module: str) -> tuple[int, int] | None:
    """Where the releases of a module are told, if that is one flat object of plain JSON; None if not.

    All around them is read with the care that a whole module is read with, and they as JSON. Then a name in quotes is a
    key or a value, wherever it stands, for names of releases hold nothing that JSON is made of. That all of them are
    strings, and none but the one that is asked for stands there twice, is not looked at.
    """
    begin = data.find(b"{", data.find(b'"releases"'))
    end = data.find(b"}", begin) + 1
    is_flat = 0 < begin < end and all(data.find(one, begin + 1, end) < 0 for one in (b"{", b"[", b"\\"))
    if not is_flat or len(data) > _LARGEST or not (data.isascii() or data[begin:end].isascii()):
        return None
    try:
        around = _module_of(data[:begin] + b'{"0": "zz"}' + data[end:], path, module)
        msgspec.json.decode(memoryview(data)[begin:end], type=msgspec.Raw)
    except (WarpforgeError, msgspec.MsgspecError, RecursionError):
        return None  # whoever reads all of it says what is wrong
    return (begin, end) if around.releases == {"0": "zz"} else None


def _look(data: bytes, place: tuple[int, int], release: str) -> str | None:
    """The id of a release, empty when it is not there; None when only a careful reader can tell."""
    key = b'"%b"' % release.encode()
    at = data.find(key, *place)
    if at < 0:
        return ""
    at += len(key)
    colon, _, rest = data[at : min(at + _FAR, place[1])].partition(b'"')
    id_ = rest.partition(b'"')[0].decode()
    alone = data.find(key, at, place[1]) < 0
    return id_ if alone and colon.strip(_BLANKS) == b":" and is_cid(id_) else None


def _is_part(entry: os.DirEntry[str]) -> bool:
    return is_module_name(entry.name) and entry.is_dir()


def read_file(path: str) -> bytes | None:
    """A file of a catalog, at most one byte more than a document may have; None when it is not there.

    Errors: ``io``, also for what is no file: a catalog may come from anywhere.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a file", path)
            return os.read(fd, min(status.st_size, SIZE_LIMIT) + 1)
        finally:
            os.close(fd)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, error: OSError) -> Unable:
    return Unable("io", f"cannot read {path}: {error.strerror}", cause=error, path=path)


def _torn(path: str, wanted: str, found: str, module: str) -> Invalid:
    return _refuse(
        f"{path}: its id is {found}, the catalog names {wanted}: it was changed; restore it from where it came "
        "(`warpforge catalog update --force` does, for one from a repository)",
        "hash",
        path,
        module=module,
        expected=wanted,
        actual=found,
    )


def _refuse(message: str, reason: str, path: str, **details: str) -> Invalid:
    return Invalid("catalog-invalid", message, cause=None, reason=reason, path=path, **details)
