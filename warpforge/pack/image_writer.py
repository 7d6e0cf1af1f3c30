"""Writing images: a tree becomes an image of one layer, as an OCI layout in a directory or in a tar; the same bytes
every time. The tar holds a ``manifest.json`` too, so that ``docker load`` takes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from warpforge.errors import Invalid, store_error
from warpforge.fsx.tree import Entry
from warpforge.model.atoms import WareId

from . import faults
from .compressors import make_compressor
from .filters import EPOCH, SCAN
from .headers import END, PADDING, make_header, make_template
from .image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, REF_NAME, Descriptor, Platform
from .layout import INDEX, MARK
from .saved import SAVED

if TYPE_CHECKING:
    from warpforge.fsx.tree import Content

    from .filters import Filters
    from .packer import Sum

COMPRESSIONS: Final = ("gzip", "zstd", "none")
CREATED: Final = "2010-01-01T00:00:00Z"
_MARK: Final = b'{"imageLayoutVersion":"1.0.0"}'
_PIECE: Final = 1 << 20


class Making(NamedTuple):
    """What an image is besides its tree. ``start``: how its process starts (Entrypoint, Cmd, Env, ...). ``below``: the
    layers below the one that is written, and ``diff_ids`` of theirs; whoever reads the layout must find them there."""

    platform: Platform = Platform("linux", "amd64")
    start: tuple[tuple[str, Any], ...] = ()
    compression: str = "gzip"
    below: tuple[Descriptor, ...] = ()
    diff_ids: tuple[str, ...] = ()


PLAIN: Final = Making()


class Made(NamedTuple):
    """An image of one layer. ``blob``: the packed layer, at its beginning (None: only hashed)."""

    sum: Sum
    manifest: bytes
    config: bytes
    layer: Descriptor
    blob: BinaryIO | None

    @property
    def id(self) -> str:
        """The image's id, 64 hex digits."""
        return hashlib.sha256(self.manifest).hexdigest()


@contextmanager
def make_image(
    entries: Iterable[tuple[Entry, Content | None]],
    filters: Filters = SCAN,
    making: Making = PLAIN,
    *,
    keep: bool = True,
    scratch: str | None = None,
) -> Iterator[Made]:
    """Make an image of a tree in canonical order; ``keep``: its layer waits in a temporary file.

    Errors: ``ware-invalid`` (type) for a tree that is a lone file; as ``pack``; ``store``.
    """
    if making.compression not in COMPRESSIONS:
        raise Invalid("invalid-argument", f"a layer is packed as {', '.join(COMPRESSIONS)}, not {making.compression}")
    with ExitStack() as stack:
        try:
            blob: Any = stack.enter_context(tempfile.TemporaryFile(dir=scratch) if keep else io.BytesIO())
            made = _make(entries, filters, making, blob if keep else None)
            blob.seek(0)
        except OSError as error:
            raise store_error(error, "an image could not be written") from error
        yield made


def _make(
    entries: Iterable[tuple[Entry, Content | None]], filters: Filters, making: Making, blob: BinaryIO | None
) -> Made:
    from .writing import write_tree

    writer = _LayerWriter(blob, making.compression)
    found = write_tree(_directories_only(entries), filters, writer.write)
    writer.finish()
    suffix = "" if making.compression == "none" else f"+{making.compression}"
    layer = Descriptor(f"{OCI_LAYER}{suffix}", writer.packed_digest, writer.size)
    config = _make_config(making, writer.digest)
    made = Made(found, _make_manifest(config, (*making.below, layer)), config, layer, blob)
    return made._replace(sum=found._replace(ware=WareId("oci", made.id)))


def write_archive(made: Made, sink: BinaryIO, tag: str = "") -> tuple[int, str]:
    """Write a layout as a tar; gives the bytes written and their sha256, hexadecimal. Raises OSError."""
    counted = _Counted(sink)
    files: dict[str, bytes | None] = dict(_small_files(made, tag))
    files[SAVED] = _saved(made, tag)
    files[_path(made.layer.digest)] = None
    directories = {os.path.dirname(path) for path in files} | {"blobs"}
    for path in sorted({*files, *filter(None, directories)}):
        data = files.get(path, b"")
        kind = "f" if path in files else "d"
        size = made.layer.size if data is None else len(data)
        entry = Entry(path.encode(), kind, 0o644 if kind == "f" else 0o755, mtime=EPOCH, size=size)
        counted.write(make_header(entry, make_template(kind, (entry.mode, 0, 0, EPOCH, 0))))
        if data is None:
            _copy(made, counted)
        else:
            counted.write(data)
        counted.write(PADDING[size % 512])
    counted.write(END)
    return counted.size, counted.hash.hexdigest()


def write_directory(made: Made, directory: str, tag: str = "") -> None:
    """Write a layout into an empty directory, synced. Raises OSError."""
    os.makedirs(os.path.join(directory, "blobs", "sha256"))
    for path, data in _small_files(made, tag):
        _write(os.path.join(directory, path), lambda file, data=data: file.write(data))
    _write(os.path.join(directory, _path(made.layer.digest)), lambda file: _copy(made, file))


def _write(path: str, fill: Any) -> None:
    with open(path, "xb") as file:
        fill(file)
        file.flush()
        os.fsync(file.fileno())


def _copy(made: Made, sink: Any) -> None:
    assert made.blob is not None
    made.blob.seek(0)
    while piece := made.blob.read(_PIECE):
        sink.write(piece)


def _small_files(made: Made, tag: str) -> Iterator[tuple[str, bytes]]:
    manifest = {"mediaType": OCI_MANIFEST, "digest": f"sha256:{made.id}", "size": len(made.manifest)}
    document = json.loads(made.config)
    manifest["platform"] = {key: document[key] for key in ("architecture", "os", "variant") if key in document}
    if tag:
        manifest["annotations"] = {REF_NAME: tag}
    yield MARK, _MARK
    yield INDEX, _dump({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [manifest]})
    yield _path(f"sha256:{made.id}"), made.manifest
    yield _path(f"sha256:{hashlib.sha256(made.config).hexdigest()}"), made.config


def _saved(made: Made, tag: str) -> bytes:
    """As ``docker save`` since Docker 25 has it beside the layout."""
    config = _path(f"sha256:{hashlib.sha256(made.config).hexdigest()}")
    tags = [tag] if ":" in tag.rpartition("/")[2] else [f"{tag}:latest"] if tag else None
    return _dump([{"Config": config, "RepoTags": tags, "Layers": [_path(made.layer.digest)]}])


def _make_config(making: Making, diff_id: str) -> bytes:
    platform = making.platform
    document: dict[str, Any] = {"created": CREATED, "architecture": platform.architecture, "os": platform.os}
    if platform.variant:
        document["variant"] = platform.variant
    document["config"] = dict(making.start)
    document["rootfs"] = {"type": "layers", "diff_ids": [*making.diff_ids, diff_id]}
    document["history"] = [{"created": CREATED, "created_by": "warpforge"}] * (len(making.diff_ids) + 1)
    return _dump(document)


def _make_manifest(config: bytes, layers: tuple[Descriptor, ...]) -> bytes:
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    return _dump(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "digest": digest, "size": len(config)},
            "layers": [{"mediaType": one.media_type, "digest": one.digest, "size": one.size} for one in layers],
        }
    )


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _directories_only(
    entries: Iterable[tuple[Entry, Content | None]],
) -> Iterator[tuple[Entry, Content | None]]:
    for entry, content in entries:
        if not entry.path and entry.kind != "d":
            raise faults.invalid("type", None, "an image is a directory, and this ware a single file")
        yield entry, content


class _LayerWriter:
    """Takes the plain tar of a layer; hashes it, packs it, and hashes what it was packed to."""

    def __init__(self, blob: Any, compression: str) -> None:
        self._blob = blob
        self._plain = hashlib.sha256()
        self._packed = hashlib.sha256()
        self.size = 0
        self._packer = make_compressor(compression)

    def write(self, data: bytes) -> None:
        self._plain.update(data)
        self._emit(self._packer.compress(data))

    def finish(self) -> None:
        """No more will come."""
        self._emit(self._packer.flush())

    @property
    def digest(self) -> str:
        """Of the plain tar."""
        return f"sha256:{self._plain.hexdigest()}"

    @property
    def packed_digest(self) -> str:
        """Of what was written."""
        return f"sha256:{self._packed.hexdigest()}"

    def _emit(self, data: bytes) -> None:
        self._packed.update(data)
        self.size += len(data)
        if self._blob is not None:
            self._blob.write(data)


class _Counted:
    """A sink that counts and hashes."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self.hash.update(data)
        self.size += len(data)
        self._sink.write(data)
