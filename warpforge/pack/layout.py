"""Images in files: an OCI image layout (a directory, or a tar of one), and the archives of ``docker save``.

Sources of the forms: the OCI image specification, "Image Layout"; ``docker save`` since Docker 1.10 (``manifest.json``,
layers in directories), which since Docker 25 is an OCI layout too. An archive of the first kind has no OCI manifest:
its image gets the one that other tools make of it, with the unpacked layers as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import stat
import tempfile
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, Protocol, cast

from warpforge.errors import Missing, Unable, store_error

from . import faults
from .ahead import Ahead
from .decode import Packed, decode
from .image import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, LARGEST, Descriptor, Source, is_digest
from .members import MemberReader

if TYPE_CHECKING:
    from .limits import Limits

INDEX: Final = "index.json"
MARK: Final = "oci-layout"
SAVED: Final = "manifest.json"
_PIECE: Final = 1 << 20
_FILES: Final = 100_000  # in one archive
_LINKS: Final = 16


class Files(Protocol):
    """The files of a layout by name. ``name``: what it is called in messages."""

    name: str

    def has(self, path: str) -> bool: ...

    def open(self, path: str) -> BinaryIO: ...


def open_source(files: Files, tag: str, limits: Limits) -> Source:
    """The source in a layout or an archive. ``tag``: which of its images; empty when it holds one.

    Errors: ``ware-invalid`` (type) for something else, ``missing``, ``ware-corrupt``.
    """
    if files.has(INDEX):
        return _Layout(files, tag)
    if files.has(SAVED):
        return _Saved(files, tag, limits)
    raise faults.invalid(
        "type", b"", f"{files.name} holds no image: neither an OCI layout (index.json) nor what docker save writes"
    )


class DirectoryFiles:
    """A layout's directory."""

    def __init__(self, path: str) -> None:
        self.name = path

    def has(self, path: str) -> bool:
        return os.path.isfile(os.path.join(self.name, path))

    def open(self, path: str) -> BinaryIO:
        """Errors: ``missing``, ``io``."""
        full = os.path.join(self.name, path)
        try:
            file = os.fdopen(os.open(full, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
        except FileNotFoundError as error:
            raise Missing("missing", f"{full} is not there: the layout is not whole", cause=error, path=full) from error
        except OSError as error:
            raise Unable("io", f"{full} cannot be read: {error.strerror}", cause=error, path=full) from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise Unable("io", f"{full} is no regular file", path=full)
        return file


class _Stretch(NamedTuple):
    """Where a file of an archive lies in the temporary file; or the file that it is a link to."""

    at: int
    size: int
    link: str = ""


class ArchiveFiles:
    """The files of a tar in any compression, kept in a temporary file, for they may come in any order.

    A context manager. ``packed``: the archive's own bytes, all read. Errors: ``ware-corrupt``, ``ware-invalid``,
    ``ware-limit``, ``store``.
    """

    def __init__(self, stream: BinaryIO, name: str, limits: Limits, scratch: str | None = None) -> None:
        self.name = name
        self.packed = Packed(stream)
        self._found: dict[str, _Stretch] = {}
        self._stack = ExitStack()
        try:
            self._file = self._stack.enter_context(tempfile.TemporaryFile(dir=scratch))
            self._read(limits)
        except OSError as error:
            self._stack.close()
            raise store_error(error, "an image's archive could not be kept for a while") from error
        except BaseException:
            self._stack.close()
            raise

    def _read(self, limits: Limits) -> None:
        with closing(Ahead(decode(self.packed, limits))) as pieces:
            for entry, content, target in MemberReader(pieces, limits, canonical=False):
                path = os.fsdecode(entry.path)
                if len(self._found) >= _FILES:
                    raise faults.over_limit("entries", f"more than {_FILES} files in an image's archive")
                if path in self._found:
                    raise faults.invalid("duplicate", entry.path, "comes twice in the image's archive")
                if target is not None:
                    self._found[path] = _Stretch(0, 0, os.fsdecode(target))
                elif entry.kind == "L":
                    link = posixpath.join(posixpath.dirname(path), os.fsdecode(entry.link))
                    self._found[path] = _Stretch(0, 0, posixpath.normpath(link))
                elif content is not None:
                    self._found[path] = self._keep(content)

    def _keep(self, content: Any) -> _Stretch:
        at = self._file.tell()
        if isinstance(content, bytes):
            self._file.write(content)
        else:
            while piece := content.read(_PIECE):
                self._file.write(piece)
        return _Stretch(at, self._file.tell() - at)

    def has(self, path: str) -> bool:
        return self._find(path) is not None

    def open(self, path: str) -> BinaryIO:
        """Errors: ``ware-corrupt`` for what is not there."""
        found = self._find(path)
        if found is None:
            raise faults.corrupt(f"{self.name} holds no {path}: the image is not whole")
        self._file.flush()
        return cast(BinaryIO, _Window(self._file.fileno(), found.at, found.size))

    def _find(self, path: str) -> _Stretch | None:
        for _ in range(_LINKS):
            found = self._found.get(path)
            if found is None or not found.link:
                return found
            path = found.link
        return None

    def __enter__(self) -> ArchiveFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class _Window:
    """A stretch of a file as a stream."""

    def __init__(self, fd: int, at: int, size: int) -> None:
        self._fd = fd
        self._at = at
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        data = os.pread(self._fd, self._left if size < 0 else min(size, self._left), self._at)
        self._at += len(data)
        self._left -= len(data)
        return data

    def __enter__(self) -> _Window:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Layout:
    """An OCI layout."""

    def __init__(self, files: Files, tag: str) -> None:
        self.name = f"{files.name}:{tag}" if tag else files.name
        self._files = files
        self._tag = tag

    def root(self) -> bytes:
        data = _read(self._files, INDEX)
        if not self._tag:
            return data
        document = _json(data, f"{self.name}: its index.json")
        listed = document.get("manifests") if isinstance(document, dict) else None
        found = [one for one in listed if _is_called(one, self._tag)] if isinstance(listed, list) else []
        if not found:
            names = ", ".join(sorted(filter(None, map(_name_of, listed or [])))) or "no names"
            raise Missing("missing", f"{self._files.name} has no image called {self._tag}; it has {names}")
        return json.dumps({"schemaVersion": 2, "manifests": found}).encode()

    def manifest(self, wanted: Descriptor) -> bytes:
        return _read(self._files, _blob_path(wanted.digest))

    def blob(self, wanted: Descriptor) -> BinaryIO:
        return self._files.open(_blob_path(wanted.digest))


class _Saved:
    """What ``docker save`` wrote before Docker 25, and what others write so."""

    def __init__(self, files: Files, tag: str, limits: Limits) -> None:
        self.name = f"{files.name}:{tag}" if tag else files.name
        self._files = files
        self._limits = limits
        listed = _json(_read(files, SAVED), f"{files.name}: its manifest.json")
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise faults.corrupt(f"{files.name}: its manifest.json is no list of images")
        chosen = self._choose(listed, tag)
        config, layers = chosen.get("Config"), chosen.get("Layers")
        if not isinstance(config, str) or not isinstance(layers, list) or not all(isinstance(n, str) for n in layers):
            raise faults.corrupt(f"{self.name}: its manifest.json names no config and layers")
        self._config = _read(files, _clean(config))
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
        import io

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
        config = _json(self._config, f"{self.name}: its config")
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


def _read(files: Files, path: str) -> bytes:
    with files.open(path) as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise faults.over_limit("bytes", f"{files.name}: {path} has more than {LARGEST} bytes")
    return data


def _json(data: bytes, what: str) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise faults.corrupt(f"{what} is no sound JSON: {error}") from error


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _clean(path: str) -> str:
    return posixpath.normpath(path).lstrip("/")


def _name_of(listed: Any) -> str:
    notes = listed.get("annotations") if isinstance(listed, dict) else None
    name = notes.get("org.opencontainers.image.ref.name") if isinstance(notes, dict) else None
    return name if isinstance(name, str) else ""


def _is_called(listed: Any, tag: str) -> bool:
    """By its name, the tag at the end of its name, or its digest."""
    name = _name_of(listed)
    digest = listed.get("digest") if isinstance(listed, dict) else None
    return tag in (name, digest) or (":" in name and name.endswith(f":{tag}"))


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
