"""What ``docker save`` wrote before Docker 25, and what others write so: ``manifest.json``, and layers in directories.

There is no OCI manifest: the image gets the one that other tools make of it, with the unpacked layers as they are.
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from warpforge.errors import Missing

from . import faults
from .decode import Packed, decode
from .image import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Descriptor, is_digest
from .image_files import Files, parse_json, read_small

if TYPE_CHECKING:
    from .limits import Limits

SAVED: Final = "manifest.json"


class Saved:
    """One image of an archive, as a source. ``tag``: its name; empty when there is no other."""

    def __init__(self, files: Files, tag: str, limits: Limits) -> None:
        self.name = f"{files.name}:{tag}" if tag else files.name
        self._files = files
        self._limits = limits
        listed = parse_json(read_small(files, SAVED), f"{files.name}: its manifest.json")
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise faults.corrupt(f"{files.name}: its manifest.json is no list of images")
        chosen = self._choose(listed, tag)
        config, layers = chosen.get("Config"), chosen.get("Layers")
        if not isinstance(config, str) or not isinstance(layers, list) or not all(isinstance(n, str) for n in layers):
            raise faults.corrupt(f"{self.name}: its manifest.json names no config and layers")
        self._config = read_small(files, _clean(config))
        self._layers = self._read_layers([_clean(name) for name in layers])

    def root(self) -> bytes:
        config = f"sha256:{hashlib.sha256(self._config).hexdigest()}"
        manifest = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": {"mediaType": DOCKER_CONFIG, "size": len(self._config), "digest": config},
            "layers": [
                {"mediaType": f"{DOCKER_LAYER}.gzip", "size": size, "digest": digest}
                for digest, (size, _) in self._ordered
            ],
        }
        return json.dumps(manifest, separators=(",", ":")).encode()

    def manifest(self, wanted: Descriptor) -> bytes:
        raise faults.corrupt(f"{self.name} holds no manifest {wanted.digest}")

    def blob(self, wanted: Descriptor) -> BinaryIO:
        if wanted.digest in self._layers:
            return self._plain(self._layers[wanted.digest][1])
        return io.BytesIO(self._config)

    def _choose(self, listed: list[dict[str, Any]], tag: str) -> dict[str, Any]:
        if tag:
            wanted = [one for one in listed if any(_is_tagged(str(name), tag) for name in one.get("RepoTags") or ())]
        else:
            wanted = listed
        if len(wanted) == 1:
            return wanted[0]
        names = ", ".join(sorted(str(name) for one in listed for name in one.get("RepoTags") or ())) or "no names"
        what = f"no image called {tag}" if tag else f"{len(listed)} images"
        raise Missing("missing", f"{self._files.name} has {what}: name one of its images ({names})")

    def _read_layers(self, names: list[str]) -> dict[str, tuple[int, str]]:
        """Size and file of each layer by the digest that the config gives it: that of the unpacked layer."""
        config = parse_json(self._config, f"{self.name}: its config")
        rootfs = config.get("rootfs") if isinstance(config, dict) else None
        ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not isinstance(ids, list) or len(ids) != len(names) or not all(is_digest(str(one)) for one in ids):
            raise faults.corrupt(f"{self.name}: its config does not name its layers (rootfs.diff_ids)")
        found: dict[str, tuple[int, str]] = {}
        for digest, name in zip(ids, names, strict=True):
            if digest not in found:
                found[digest] = (self._size_of(name), name)
        self._ordered = [(digest, found[digest]) for digest in ids]
        return found

    def _size_of(self, name: str) -> int:
        with self._files.open(name) as stream:
            return sum(map(len, decode(Packed(stream), self._limits)))

    def _plain(self, name: str) -> BinaryIO:
        """A layer unpacked, whatever its file is packed as."""
        return cast(BinaryIO, _Plain(self._files.open(name), self._limits))


class _Plain:
    """A file's unpacked bytes as a stream."""

    def __init__(self, file: BinaryIO, limits: Limits) -> None:
        self._file = file
        self._pieces = decode(Packed(file), limits)
        self._held = b""

    def read(self, size: int = -1, /) -> bytes:
        while not self._held:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._held = piece
        data, self._held = self._held[:size], self._held[size:]
        return data

    def __enter__(self) -> _Plain:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.__exit__(None, None, None)


def _clean(path: str) -> str:
    return posixpath.normpath(path).lstrip("/")


def _is_tagged(name: str, tag: str) -> bool:
    """By its name, whatever of it goes without saying, or by its tag alone."""
    return _whole_name(name) == _whole_name(tag) or name.endswith(f":{tag}")


def _whole_name(name: str) -> str:
    """With all that Docker takes for granted."""
    name = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    first, slash, _ = name.partition("/")
    if not slash:
        return f"docker.io/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"docker.io/{name}"
