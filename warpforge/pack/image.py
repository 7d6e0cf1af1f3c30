"""Images: manifests and indexes as nouns, and which of many is meant.

Sources of the forms: the OCI image specification 1.1 (manifest, image index, descriptor, config) and Docker's image
manifest version 2, schema 2. An image's id is the sha256 of its manifest, byte for byte; an index is only a way to it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from warpforge.errors import Failed, Invalid, Missing

from . import faults

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

LARGEST: Final = 4 << 20  # bytes of a manifest, an index or a config: what registries take
LAYERS: Final = 1024
DEPTH: Final = 4  # indexes in indexes

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"

REF_NAME: Final = "org.opencontainers.image.ref.name"
_CONFIGS: Final = (OCI_CONFIG, DOCKER_CONFIG)
_LAYERS: Final = frozenset(
    (OCI_LAYER, f"{OCI_LAYER}+gzip", f"{OCI_LAYER}+zstd", DOCKER_LAYER, f"{DOCKER_LAYER}.gzip", f"{DOCKER_LAYER}.zstd")
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}\Z")
_MACHINES: Final = {
    "x86_64": "amd64", "i386": "386", "i486": "386", "i586": "386", "i686": "386", "aarch64": "arm64",
    "armv6l": "arm/v6", "armv7l": "arm/v7", "armv8l": "arm/v7", "loongarch64": "loong64", "mips64": "mips64le",
}  # fmt: skip


class Platform(NamedTuple):
    """What an image runs on, in Go's words."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, self))

    @classmethod
    def parse(cls, text: str) -> Platform:
        """``os/architecture[/variant]``, or an architecture alone. Errors: ``invalid-argument``."""
        parts = text.split("/")
        if len(parts) == 1:
            parts = ["linux", *parts]
        if not 2 <= len(parts) <= 3 or not all(re.fullmatch(r"[A-Za-z0-9._-]+", part) for part in parts):
            raise Invalid("invalid-argument", f"not a platform: {text!r}; one is linux/amd64, or linux/arm/v7")
        return cls(*parts)

    @classmethod
    def here(cls) -> Platform:
        """This machine's."""
        machine = os.uname().machine
        return cls.parse(f"linux/{_MACHINES.get(machine, machine)}")

    def suits(self, wanted: Platform) -> bool:
        """Whether it is the wanted one; a variant counts where both name one (arm64 is v8)."""
        if self[:2] != wanted[:2]:
            return False
        plain = "v8" if self.architecture == "arm64" else ""
        return not self.variant or not wanted.variant or (self.variant or plain) == (wanted.variant or plain)


class Descriptor(NamedTuple):
    """A blob by its digest (``sha256:<hex>``) and size. ``name``: the tag that a layout's index gives it."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    name: str = ""


class Image(NamedTuple):
    """One platform's image. ``id``: 64 hex digits. ``diff_ids``: the digests of the unpacked layers, lowest first."""

    id: str
    manifest: bytes
    config: bytes
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]


class Source(Protocol):
    """Where an image's parts come from. What it gives is never believed: digests are compared here."""

    name: str

    def root(self) -> bytes:
        """The manifest or index that was asked for. Errors: ``missing``, ``fetch``, ``ware-corrupt``."""

    def manifest(self, wanted: Descriptor) -> bytes:
        """A manifest or index. Errors: as ``root``."""

    def blob(self, wanted: Descriptor) -> BinaryIO:
        """A config or layer as a stream. Errors, also of its reads: as ``root``."""


def find_image(source: Source, platform: Platform | None = None) -> Image:
    """The image of one platform (None: this machine's), its manifest and config verified; layers are not touched.

    Errors: ``missing`` (no image for the platform), ``ware-mismatch``, ``ware-corrupt``, ``ware-invalid``,
    ``ware-limit``, and those of the source.
    """
    data = source.root()
    for _ in range(DEPTH + 1):
        document = _parse(data, "the manifest")
        if not _is_index(document):
            return _load_image(source, data, document, platform)
        chosen = _choose(_descriptors(document, "manifests"), platform or Platform.here(), source.name)
        data = source.manifest(chosen)
        compare(data, chosen)
    raise faults.over_limit("depth", f"{source.name}: indexes in more than {DEPTH} indexes")


def compare(data: bytes, wanted: Descriptor) -> None:
    """Errors: ``ware-mismatch`` for bytes that are not what their descriptor says."""
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if found != wanted.digest or len(data) != wanted.size:
        raise lie(wanted, found, len(data))


def lie(wanted: Descriptor, found: str, size: int) -> Failed:
    """A blob that is not what its digest says."""
    what = found if found != wanted.digest else f"{size} bytes, not {wanted.size}"
    return Failed(
        "ware-mismatch",
        f"what came as {wanted.digest} is {what}: refused; have the image from elsewhere",
        reason="hash",
        expected=wanted.digest,
        actual=found,
    )


def is_digest(text: str) -> bool:
    """Whether a text is a digest as all of this knows them."""
    return _DIGEST.match(text) is not None


def read_start(config: bytes) -> dict[str, Any]:
    """The part of an image's config that says how its process starts (Entrypoint, Cmd, Env, User, WorkingDir, ...)."""
    found = _parse(config, "the image's config").get("config")
    return found if isinstance(found, dict) else {}


def read_platform(config: bytes) -> Platform:
    """The platform that a config names."""
    document = _parse(config, "the image's config")
    return Platform(*(str(document.get(key) or "") for key in ("os", "architecture", "variant")))


def _load_image(source: Source, data: bytes, document: dict[str, Any], platform: Platform | None) -> Image:
    wanted = _descriptor(document.get("config"), "config")
    if wanted.media_type not in _CONFIGS:
        raise faults.invalid("type", None, f"{source.name} holds no image, but {wanted.media_type!r:.100}")
    if wanted.size > LARGEST:
        raise faults.over_limit("bytes", f"a config of {wanted.size} bytes: more than {LARGEST}")
    layers = tuple(_descriptors(document, "layers"))
    if len(layers) > LAYERS:
        raise faults.over_limit("entries", f"an image of {len(layers)} layers: more than {LAYERS}")
    for layer in layers:
        _check_layer(layer)
    with source.blob(wanted) as stream:
        config = stream.read(wanted.size + 1)
        while len(config) <= wanted.size and (more := stream.read(wanted.size + 1 - len(config))):
            config += more
    compare(config, wanted)
    if platform is not None and not read_platform(config).suits(platform):
        raise Missing("missing", f"{source.name} is an image for {read_platform(config)}, not for {platform}")
    return Image(hashlib.sha256(data).hexdigest(), data, config, layers, _diff_ids(config, len(layers)))


def _check_layer(layer: Descriptor) -> None:
    kind = layer.media_type
    if kind in _LAYERS:
        return
    if "nondistributable" in kind or ".foreign." in kind:
        why = "is a foreign layer, which its maker alone may give away: it is not read"
    elif kind.endswith("+encrypted"):
        why = "is encrypted: decrypt the image first"
    else:
        why = f"is of a kind that is not read: {kind!r:.100}"
    raise faults.invalid("type", None, f"the layer {layer.digest} {why}")


def _diff_ids(config: bytes, count: int) -> tuple[str, ...]:
    rootfs = _parse(config, "the image's config").get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, str) and is_digest(one) for one in found):
        raise faults.corrupt("the image's config does not name its layers (rootfs.diff_ids)")
    if len(found) != count:
        raise faults.corrupt(f"the image's config names {len(found)} layers, its manifest {count}")
    return tuple(found)


def _parse(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise faults.over_limit("bytes", f"{what} has more than {LARGEST} bytes")
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise faults.corrupt(f"{what} is no sound JSON: {error}") from error
    if not isinstance(document, dict):
        raise faults.corrupt(f"{what} is no JSON object")
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _is_index(document: dict[str, Any]) -> bool:
    """An index has manifests, an image's manifest a config and layers; one that could be read as both is refused."""
    if document.get("schemaVersion") == 1:
        raise faults.invalid("type", None, "an image of the old schema 1: pull it and push it again with a newer tool")
    kind = document.get("mediaType")
    index = "manifests" in document
    if index and ("layers" in document or "config" in document):
        raise faults.corrupt("a manifest that is also an index")
    if not index and ("layers" not in document or "config" not in document):
        raise faults.corrupt("neither a manifest of an image nor an index")
    allowed = (OCI_INDEX, DOCKER_INDEX) if index else (OCI_MANIFEST, DOCKER_MANIFEST)
    if kind is not None and kind not in allowed:
        raise faults.invalid("type", None, f"a manifest of a kind that does not fit what it holds: {kind!r:.100}")
    return index


def _descriptors(document: dict[str, Any], key: str) -> list[Descriptor]:
    found = document.get(key)
    if not isinstance(found, list):
        raise faults.corrupt(f"a manifest whose {key} are no list")
    return [_descriptor(one, key) for one in found]


def _descriptor(value: Any, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise faults.corrupt(f"a manifest whose {where} is no descriptor")
    kind, digest, size = value.get("mediaType", ""), value.get("digest"), value.get("size")
    if not isinstance(digest, str) or not is_digest(digest):
        raise faults.corrupt(f"a manifest whose {where} has no sha256 digest: {digest!r:.100}")
    if type(size) is not int or not 0 <= size < 1 << 62 or not isinstance(kind, str):
        raise faults.corrupt(f"a manifest whose {where} has no size or kind")
    said, notes = value.get("platform"), value.get("annotations")
    platform = None
    if isinstance(said, dict):
        platform = Platform(*(str(said.get(name) or "") for name in ("os", "architecture", "variant")))
    name = notes.get(REF_NAME) if isinstance(notes, dict) else None
    return Descriptor(kind, digest, size, platform, name if isinstance(name, str) else "")


def _choose(found: Iterable[Descriptor], wanted: Platform, name: str) -> Descriptor:
    """The one for a platform; one that names none is taken when there is no other."""
    kinds = ("", OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST)
    images = [one for one in found if one.media_type in kinds and one.size <= LARGEST]
    suiting = [one for one in images if one.platform and one.platform.suits(wanted)]
    exact = [one for one in suiting if one.platform == wanted]
    plain = [one for one in images if one.platform is None]
    for some in (exact, suiting, plain):
        digests = {one.digest for one in some}
        if len(digests) > 1 and some is plain:
            names = ", ".join(sorted({one.name or one.digest for one in some}))
            raise Missing("missing", f"{name} holds several images: name one of {names}")
        if some:
            return some[0]
    there = ", ".join(sorted({str(one.platform) for one in images if one.platform})) or "nothing"
    raise Missing("missing", f"{name} has no image for {wanted}; it has {there}", platform=wanted)
