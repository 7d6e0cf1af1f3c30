"""Images written by hand, part by part: whatever an honest tool would never make can be made here."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import forge

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def descriptor(data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


class Image:
    """One image of plain tars; ``blobs`` by digest. Everything may be changed before it is written."""

    def __init__(self, *layers: bytes, packed: str = "gzip", **config: Any) -> None:
        self.blobs: dict[str, bytes] = {}
        self.layers = [self._layer(layer, packed) for layer in layers]
        self.diff_ids = [digest(layer) for layer in layers]
        self.about = {"architecture": "amd64", "os": "linux", "config": config}

    def _layer(self, plain: bytes, packed: str) -> dict[str, Any]:
        if packed == "none":
            return self.put(plain, LAYER)
        data = gzip.compress(plain, mtime=0) if packed == "gzip" else forge.zstd(plain)
        return self.put(data, f"{LAYER}+{packed}")

    def put(self, data: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        """Keep a blob; gives its descriptor."""
        self.blobs[digest(data)] = data
        return descriptor(data, media_type, **more)

    def config(self) -> bytes:
        return dump({**self.about, "rootfs": {"type": "layers", "diff_ids": self.diff_ids}})

    def manifest(self) -> bytes:
        config = self.put(self.config(), CONFIG)
        return dump({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": self.layers})

    @property
    def id(self) -> str:
        """64 hex digits."""
        return digest(self.manifest()).removeprefix("sha256:")


def layout(images: Iterable[tuple[Image, dict[str, Any]]]) -> dict[str, bytes]:
    """The files of an OCI layout: each image with what its descriptor says more."""
    listed, files = [], {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    for image, more in images:
        manifest = image.manifest()
        listed.append(image.put(manifest, MANIFEST, **more))
        files.update({f"blobs/{name.replace(':', '/')}": data for name, data in image.blobs.items()})
    return {**files, "index.json": dump({"schemaVersion": 2, "manifests": listed})}


def write_files(files: dict[str, bytes], directory: Path) -> Path:
    for path, data in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return directory


def tar_files(files: dict[str, bytes]) -> bytes:
    return forge.tar(*(forge.member(path.encode(), data) for path, data in files.items()))


def archive(*layers: bytes, **more: Any) -> bytes:
    """A tar of the layout of one image."""
    return tar_files(layout([(Image(*layers, **more), {})]))


def saved(image: Image, plain: Iterable[bytes], *tags: str) -> dict[str, bytes]:
    """The files of ``docker save`` before Docker 25."""
    config = image.config()
    files = {f"{number}/layer.tar": data for number, data in enumerate(plain)}
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    listed = [{"Config": name, "RepoTags": [*tags], "Layers": [*files]}]
    return {**files, name: config, "manifest.json": dump(listed)}
