"""A repository of a registry as a mirror: ``oci://HOST/NAME``. It holds many wares.

An ``oci`` ware is the image of that digest, which is no packed ware: ``image`` gives its parts. Every other ware is
kept as an image of its own, under the tag ``PACKTYPE-HASH``, whose one layer is the packed ware as it is: registries
and container engines can do with it what they do with any image, and we read the layer back.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from warpforge.errors import Unable

from .reference import Reference, parse_reference
from .registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from warpforge.model.atoms import WarehouseAddr, WareId

    from .policy import Access
    from .registry import Wanted

_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_OTHER: Final = "application/octet-stream"
_PIECE: Final = 1 << 20
_LONGEST: Final = 128  # letters of a tag


class _Blob(NamedTuple):
    digest: str
    size: int


class RegistryImage:
    """The parts of one image, by tag or digest, as they come."""

    def __init__(self, registry: Registry, what: str) -> None:
        self.name = f"{registry.name}{'@' if what.startswith('sha256:') else ':'}{what}"
        self._registry = registry
        self._what = what

    def root(self) -> bytes:
        """The manifest or index. Errors: ``fetch``, ``ware-mismatch``."""
        return self._registry.manifest(self._what)

    def manifest(self, wanted: Wanted) -> bytes:
        """A manifest by its digest. Errors: as ``root``."""
        return self._registry.manifest(wanted.digest)

    def blob(self, wanted: Wanted) -> BinaryIO:
        """A blob as a stream. Errors: ``fetch``."""
        return self._registry.blob(wanted)


def open_reference(reference: Reference, access: Access) -> RegistryImage:
    """The image that a reference names; nothing is asked yet."""
    return RegistryImage(Registry(reference.repository, access), reference.what)


class OciMirror:
    """One repository."""

    def __init__(self, address: WarehouseAddr, access: Access) -> None:
        reference = parse_reference(address.url)
        self._registry = Registry(reference.repository, access)
        self._tag = reference.tag if ":" in address.url.rpartition("/")[2] else ""
        self.name = self._registry.name

    def open(self, ware: WareId) -> BinaryIO:
        if ware.packtype == "oci":
            raise self._refuse(f"{ware} is an image there, and no packed ware", "policy")
        try:
            layers = json.loads(self._registry.manifest(_tag(ware)))["layers"]
            wanted = _Blob(str(layers[0]["digest"]), int(layers[0]["size"]))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise self._refuse(f"what is tagged {_tag(ware)} is no ware", "policy") from error
        return self._registry.blob(wanted)

    def has(self, ware: WareId) -> bool:
        if ware.packtype == "oci":
            return self._registry.has(f"manifests/sha256:{ware.hash}")
        return self._registry.has(f"manifests/{_tag(ware)}")

    def push(self, ware: WareId, source: BinaryIO) -> None:
        if ware.packtype == "oci":
            raise self.refuse_tree(ware)
        media_type, blob, diff_id = _look_at(source)
        config = _dump(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            }
        )
        about = _Blob(f"sha256:{hashlib.sha256(config).hexdigest()}", len(config))
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": about.digest, "size": about.size},
            "layers": [{"mediaType": media_type, "digest": blob.digest, "size": blob.size}],
            "annotations": {"org.opencontainers.image.title": str(ware)},
        }
        self._registry.push_blob(blob, source)
        self._registry.push_blob(about, io.BytesIO(config))
        self._registry.push_manifest(_tag(ware), _dump(manifest), _MANIFEST)

    def push_image(
        self, manifest: bytes, config: bytes, layers: Iterable[Wanted], open_layer: Callable[[Wanted], BinaryIO]
    ) -> None:
        """Put an image there under its digest, and under the tag that the address names if it does.

        Errors: ``fetch``, and those of ``open_layer``.
        """
        document = json.loads(manifest)
        for layer in layers:
            with open_layer(layer) as stream:
                self._registry.push_blob(layer, stream)
        self._registry.push_blob(_Blob(document["config"]["digest"], len(config)), io.BytesIO(config))
        media_type = document.get("mediaType", _MANIFEST)
        for what in (f"sha256:{hashlib.sha256(manifest).hexdigest()}", self._tag):
            if what:
                self._registry.push_manifest(what, manifest, media_type)

    def refuse_tree(self, ware: WareId) -> Unable:
        """An image whose layers are not to be had cannot be pushed under its digest."""
        return self._refuse(
            f"{ware} is here as a tree, not as the layers that its id names: have it again from its registry, push its "
            "image with skopeo, or give the tree a name of its own with ware export --as oci",
            "policy",
        )

    @property
    def has_tag(self) -> bool:
        """Whether the address names one."""
        return bool(self._tag)

    def image(self, ware: WareId) -> RegistryImage:
        """The image that an ``oci`` ware is."""
        return RegistryImage(self._registry, f"sha256:{ware.hash}")

    def _refuse(self, what: str, reason: str) -> Unable:
        return Unable("fetch", f"{self._registry.name}: {what}", reason=reason, address=self._registry.name)


def _tag(ware: WareId) -> str:
    """Errors: ``fetch`` (policy) for an id that is too long to be a tag."""
    tag = f"{ware.packtype}-{ware.hash}".replace("+", "_")
    if len(tag) > _LONGEST:
        raise Unable("fetch", f"{ware} is too long to be a tag of a registry", reason="policy")
    return tag


def _look_at(source: BinaryIO) -> tuple[str, _Blob, str]:
    """The kind of packed bytes as a layer, their digest and size, and the digest of what they unpack to."""
    begin = source.tell()
    magic = source.read(4)
    source.seek(begin)
    inflater: Any = None
    media_type = _OTHER
    if magic[:2] == b"\x1f\x8b":
        media_type, inflater = f"{_LAYER}+gzip", zlib.decompressobj(wbits=31)
    elif magic == b"\x28\xb5\x2f\xfd":
        media_type = f"{_LAYER}+zstd"
    packed, plain, size = hashlib.sha256(), hashlib.sha256(), 0
    while piece := source.read(_PIECE):
        packed.update(piece)
        size += len(piece)
        if inflater is not None:
            plain.update(inflater.decompress(piece))
    diff_id = packed if inflater is None else plain
    source.seek(begin)
    if media_type.endswith("zstd"):
        diff_id = _unpacked_zstd(source)
        source.seek(begin)
    return media_type, _Blob(f"sha256:{packed.hexdigest()}", size), f"sha256:{diff_id.hexdigest()}"


def _unpacked_zstd(source: BinaryIO) -> Any:
    import zstandard

    found = hashlib.sha256()
    with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True, closefd=False) as stream:
        while piece := stream.read(_PIECE):
            found.update(piece)
    return found


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
