"""An OCI image layout, in a directory or in a tar; and whether files are one, or what ``docker save`` wrote.

Source of the form: the OCI image specification, "Image Layout". Since Docker 25 ``docker save`` writes one, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from warpforge.errors import Missing

from . import faults
from .image import REF_NAME, Descriptor, Source
from .image_files import Files, parse_json, read_small

if TYPE_CHECKING:
    from .limits import Limits

INDEX: Final = "index.json"
MARK: Final = "oci-layout"


def open_source(files: Files, tag: str, limits: Limits) -> Source:
    """The source in a layout or an archive. ``tag``: which of its images; empty when it holds one.

    Errors: ``ware-invalid`` (type) for something else, ``missing``, ``ware-corrupt``.
    """
    if files.has(INDEX):
        return _Layout(files, tag)
    from .saved import SAVED, Saved

    if files.has(SAVED):
        return Saved(files, tag, limits)
    raise faults.invalid(
        "type", None, f"{files.name} holds no image: neither an OCI layout (index.json) nor what docker save writes"
    )


class _Layout:
    """An OCI layout."""

    def __init__(self, files: Files, tag: str) -> None:
        self.name = f"{files.name}:{tag}" if tag else files.name
        self._files = files
        self._tag = tag

    def root(self) -> bytes:
        data = read_small(self._files, INDEX)
        if not self._tag:
            return data
        document = parse_json(data, f"{self.name}: its index.json")
        listed = document.get("manifests") if isinstance(document, dict) else None
        found = [one for one in listed if _is_called(one, self._tag)] if isinstance(listed, list) else []
        if not found:
            names = ", ".join(sorted(filter(None, map(_name_of, listed or [])))) or "no names"
            raise Missing("missing", f"{self._files.name} has no image called {self._tag}; it has {names}")
        return json.dumps({"schemaVersion": 2, "manifests": found}).encode()

    def manifest(self, wanted: Descriptor) -> bytes:
        return read_small(self._files, _blob_path(wanted.digest))

    def blob(self, wanted: Descriptor) -> BinaryIO:
        return self._files.open(_blob_path(wanted.digest))


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _name_of(listed: Any) -> str:
    notes = listed.get("annotations") if isinstance(listed, dict) else None
    name = notes.get(REF_NAME) if isinstance(notes, dict) else None
    return name if isinstance(name, str) else ""


def _is_called(listed: Any, tag: str) -> bool:
    """By its name, the tag at the end of its name, or its digest."""
    name = _name_of(listed)
    digest = listed.get("digest") if isinstance(listed, dict) else None
    return tag in (name, digest) or (":" in name and name.endswith(f":{tag}"))
