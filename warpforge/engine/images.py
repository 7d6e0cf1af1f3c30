"""Images: what people call one, from a registry, a layout or an archive, becomes an ``oci`` ware.

They are called as other tools call them:

    HOST/NAME[:TAG][@DIGEST]   in a registry; also docker://... and oci://HOST/...
    oci:PATH[:TAG]             an OCI layout's directory
    oci-archive:PATH[:TAG]     a tar of one
    docker-archive:PATH[:REF]  what docker save writes
    PATH[:TAG]                 whichever of these it is; begins with / or .

``?platform=OS/ARCH`` behind any of them asks for another platform than this machine's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from warpforge.engine.image_sources import Counting, Moved, Shared
from warpforge.errors import PREFIX, Failed, Missing, Unable, WarpforgeError, beneath
from warpforge.model.atoms import WarehouseAddr, WareId

if TYPE_CHECKING:
    from warpforge.mirror.oci import OciMirror
    from warpforge.mirror.policy import Access
    from warpforge.pack.image import Image, Platform, Source
    from warpforge.pack.limits import Limits
    from warpforge.pack.packer import Sum
    from warpforge.store.store import Store

REGISTRY = "registry"
_FILES = ("oci", "oci-archive", "docker-archive")
_PLATFORM = "?platform="
_GRAIN = 2_000_000_000  # nanoseconds; a file changed more lately may change again within one tick of its times


class Called(NamedTuple):
    """What a person called an image. ``kind``: REGISTRY, or ``path``; ``tag``: which one of those in a path."""

    kind: str
    what: str
    tag: str
    platform: Platform | None

    @property
    def digest(self) -> str:
        """The digest that it was called by; empty for any other name."""
        return self.what.partition("@")[2] if self.kind == REGISTRY else ""


def parse_called(text: str, base: Path, platform: str = "", *, files: bool = False) -> Called:
    """What an image's name means; paths are relative to ``base``. ``files``: the name of a file that is there is one.

    Errors: ``invalid-argument``.
    """
    from warpforge.pack.image import Platform

    name, _, said = text.partition(_PLATFORM)
    wanted = Platform.parse(platform or said) if platform or said else None
    kind, colon, rest = name.partition(":")
    if name.startswith((".", "/")) or (files and os.path.exists(os.path.join(base, name))):
        return _parse_path(name, base, wanted)
    if colon and kind in _FILES and not rest.startswith("//"):
        return _parse_path(rest, base, wanted)
    from warpforge.mirror.reference import parse_reference

    parse_reference(name)
    return Called(REGISTRY, name, "", wanted)


def _parse_path(text: str, base: Path, platform: Platform | None) -> Called:
    whole = os.path.join(base, text)
    if os.path.lexists(whole) or ":" not in text:
        return Called("path", whole, "", platform)
    path, _, tag = text.partition(":")
    return Called("path", os.path.join(base, path), tag, platform)


def is_called(text: str) -> bool:
    """Whether a word is an image's name rather than a ware's."""
    kind, _, rest = text.partition(":")
    if kind == "oci" and len(rest) == 64 and not set(rest) - set("0123456789abcdef"):
        return False
    return "/" in text or text.startswith(".") or kind in _FILES


def mirror_of(text: str) -> WarehouseAddr | None:
    """The mirror that an image's name tells; None for one that is no registry's. Errors: ``invalid-argument``."""
    called = parse_called(text, Path("/"))
    if called.kind != REGISTRY:
        return None
    from warpforge.mirror.reference import parse_reference

    return WarehouseAddr.parse(parse_reference(called.what).repository.address)


class Images:
    """Finds images, and keeps their trees in a store. ``moved`` hears of bytes that come from a registry."""

    def __init__(
        self,
        store: Store,
        access: Callable[[], Access],
        limits: Callable[[], Limits],
        moved: Callable[[WareId, str], Moved],
    ) -> None:
        self._store = store
        self._access = access
        self._limits = limits
        self._moved = moved

    def keep(self, called: Called, *, unpacked: bool = False) -> tuple[WareId, bool]:
        """The ware of an image, and whether it was here; a tag is looked up every time.

        ``unpacked``: its tree is wanted: what is brought goes to the shelf, too.

        Errors: ``missing``, ``fetch``, ``io``, ``ware-mismatch``, ``ware-corrupt``, ``ware-invalid``, ``ware-limit``.
        """
        version = _version(called)
        known = self._known(called, version)
        if known is not None:
            return known, True
        with self.open(called) as source:
            from warpforge.pack.image import find_image
            from warpforge.store.images import KeptImage

            image = find_image(source, called.platform)
            ware = WareId("oci", image.id)
            if called.kind == REGISTRY or unpacked:  # who wants to run it may want to build upon it
                source = Shared(source, self._store)
            here = self._store.warehouse.has(ware)
            if here:
                self._store.images.record(ware, KeptImage(image.manifest, image.config))
            else:
                with self._store.single_flight(ware):
                    if not self._store.warehouse.has(ware):
                        moved = self._moved(ware, source.name)
                        keep_image(self._store, source, image, self._limits(), moved, unpacked=unpacked)
        if version and version == _version(called):
            self._store.index.ingest_put(_noted(called), version, ware)
        return ware, here

    def name(self, called: Called) -> WareId:
        """The ware that an image is; only what names it is read. Errors: as ``keep``."""
        from warpforge.pack.image import find_image

        with self.open(called) as source:
            return WareId("oci", find_image(source, called.platform).id)

    def scan(self, called: Called) -> WareId:
        """As ``name``, with all layers read and verified; nothing is kept. Errors: as ``keep``."""
        from warpforge.pack.image import find_image
        from warpforge.pack.layers import open_layers

        with self.open(called) as source:
            image = find_image(source, called.platform)
            with open_layers(source, image, self._limits(), self._store.staging.directory()):
                return WareId("oci", image.id)

    @contextmanager
    def open(self, called: Called) -> Iterator[Source]:
        """Where the parts of an image are. Errors: ``missing``, ``io``, ``ware-corrupt``, ``ware-invalid``.

        A file that is corrupt is named, also when that is found by who reads it.
        """
        try:
            with self._open(called) as source:
                yield source
        except WarpforgeError as error:
            if called.kind == REGISTRY or called.what in error.message or error.code != PREFIX + "ware-corrupt":
                raise
            raise beneath(error, f"{called.what} is not a whole image") from error

    @contextmanager
    def _open(self, called: Called) -> Iterator[Source]:
        from warpforge.pack.image_files import ArchiveFiles, DirectoryFiles
        from warpforge.pack.layout import open_source

        limits = self._limits()

        if called.kind == REGISTRY:
            from warpforge.mirror.oci import open_reference
            from warpforge.mirror.reference import parse_reference

            yield open_reference(parse_reference(called.what), self._access())
        elif os.path.isdir(called.what):
            yield open_source(DirectoryFiles(called.what), called.tag, limits)
        else:
            with (
                _open_file(called.what) as file,
                ArchiveFiles(file, called.what, limits, self._store.staging.directory()) as files,
            ):
                yield open_source(files, called.tag, limits)

    def _known(self, called: Called, version: bytes) -> WareId | None:
        """What a digest names never changes, nor an archive that is as it was: which image it is was noted."""
        if not version:
            return None
        if called.digest and called.platform is None:
            ware = WareId("oci", called.digest.removeprefix("sha256:"))
            if self._store.warehouse.has(ware):
                return ware
        found = self._store.index.ingest_get(_noted(called), version)
        return found if found is not None and self._store.warehouse.has(found) else None


def keep_image(
    store: Store, source: Source, image: Image, limits: Limits, moved: Moved, *, unpacked: bool = False
) -> WareId:
    """Keep an image's tree, and what it says besides; ``unpacked``: on the shelf, too, in the same pass.

    Errors: as ``open_layers``; ``ware-mismatch``, ``store``.
    """
    from warpforge.engine.keep import keep
    from warpforge.pack.filters import SCAN
    from warpforge.pack.oci import write_at_rest
    from warpforge.pack.packer import Place
    from warpforge.store.images import KeptImage

    ware = WareId("oci", image.id)
    counted = Counting(source, sum(layer.size for layer in image.layers), moved)

    def write(sink: BinaryIO, place: Place | None = None) -> Sum:
        seen = write_at_rest(counted, image, SCAN, limits, sink, store.staging.directory(), place)
        store.images.record(seen.ware, KeptImage(image.manifest, image.config))
        return seen

    if not unpacked or store.shelf.has(ware):
        return keep(store, write, ware)
    with store.shelf.stage() as staged:
        keep(store, lambda sink: write(sink, Place(staged.fd, staged.name, store.owner)), ware)
        store.shelf.commit(staged, ware)  # only now is its tree known to be the one that this id had before
    return ware


def fetch_image(
    store: Store, mirror: OciMirror, ware: WareId, limits: Limits, moved: Moved, *, unpacked: bool = False
) -> None:
    """Bring an ``oci`` ware from a registry. Errors: ``fetch``, and as ``keep_image``."""
    from warpforge.pack.image import find_image

    source = mirror.image(ware)
    image = find_image(source)
    _check_named(ware, image)
    keep_image(store, Shared(source, store), image, limits, moved, unpacked=unpacked)


def keep_archive_of_image(store: Store, stream: BinaryIO, name: str, ware: WareId, limits: Limits) -> None:
    """Keep an ``oci`` ware that comes as an archive of its image. Errors: as ``keep_image``."""
    from warpforge.pack.image import find_image
    from warpforge.pack.image_files import ArchiveFiles
    from warpforge.pack.layout import open_source

    with ArchiveFiles(stream, name, limits, store.staging.directory()) as files:
        source = open_source(files, f"sha256:{ware.hash}" if files.has("index.json") else "", limits)
        image = find_image(source)
        _check_named(ware, image)
        keep_image(store, source, image, limits, lambda *_: None)


def _check_named(ware: WareId, image: Image) -> None:
    if image.id != ware.hash:
        raise Failed(
            "ware-mismatch",
            f"what came as {ware} is the image oci:{image.id} (an oci ware is one platform's image, never an index)",
            expected=ware,
            actual=f"oci:{image.id}",
            reason="hash",
        )


def _noted(called: Called) -> str:
    """Under which name the index knows it."""
    from warpforge.pack.image import Platform

    return f"image {called.what} {called.tag} {called.platform or Platform.here()}"


def _version(called: Called) -> bytes:
    """What must be the same for the same image; empty where it has to be looked up, or was written just now."""
    if called.kind == REGISTRY:
        return b"1" if called.digest else b""
    try:
        seen = os.stat(called.what)
    except OSError:
        return b""
    if not stat.S_ISREG(seen.st_mode) or time_ns() - max(seen.st_mtime_ns, seen.st_ctime_ns) < _GRAIN:
        return b""
    return b"1 %d %d %d %d %d" % (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _open_file(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Missing(
            "missing",
            f"{path}: there is no such image (one in a registry is called HOST/NAME:TAG)",
            cause=error,
            path=path,
        ) from error
    except OSError as error:
        raise Unable("io", f"{path} cannot be read: {error.strerror}", cause=error, path=path) from error
