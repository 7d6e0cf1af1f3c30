"""The lock file, ``polytope.lock``: what each image reference meant when it was locked, beside the polytope file.

    {"polytope.lock.v1": {"images": {REFERENCE: {"digest": "sha256:...", "wares": {"linux/amd64": WAREID}}},
                          "files": {ADDRESS: "sha256:..." or "git:COMMIT"}}}

``digest`` is what the registry said for the tag, an index's perhaps: the same everywhere. ``wares`` is what that is for
each platform that somebody locked on. ``files``, where there are any, is what Dockerfiles add from elsewhere. Sorted,
so that two people's changes meet in one place only when they must.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from warpforge.errors import Invalid
from warpforge.fsx.atomic import write_atomic
from warpforge.model.atoms import WareId

NAME: Final = "polytope.lock"
_CAPSULE: Final = "polytope.lock.v1"


class Locked(NamedTuple):
    """What one reference is locked to."""

    digest: str
    wares: dict[str, WareId]


class LockFile:
    """``path``: of the file, which need not be there. Errors: ``invalid`` (lock) for one that makes no sense."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.images, self.files = _load(path)

    def put(self, reference: str, digest: str, platform: str, ware: WareId) -> bool:
        """Lock a reference; whether that changes anything."""
        before = self.images.get(reference)
        same = before is not None and before.digest == digest
        wares = {**(before.wares if before and same else {}), platform: ware}
        self.images[reference] = Locked(digest, wares)
        return before != self.images[reference]

    def meaning(self, what: str) -> str:
        """The digest that an image's name, or what an address, is locked to; "" when it is not."""
        image = self.images.get(what)
        return image.digest if image is not None else self.files.get(what, "")

    def save(self) -> None:
        """Write it beside its old self, then in its place. Raises OSError."""
        images = {
            reference: {"digest": found.digest, "wares": {name: str(found.wares[name]) for name in sorted(found.wares)}}
            for reference, found in sorted(self.images.items())
        }
        files = {"files": dict(sorted(self.files.items()))} if self.files else {}
        text = json.dumps({_CAPSULE: {"images": images, **files}}, indent="\t") + "\n"
        write_atomic(self.path, text.encode())


def _load(path: Path) -> tuple[dict[str, Locked], dict[str, str]]:
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}, {}
    try:
        said: dict[str, Any] = json.loads(text)[_CAPSULE]
        images = {
            reference: Locked(str(one["digest"]), {name: WareId.parse(ware) for name, ware in one["wares"].items()})
            for reference, one in said["images"].items()
        }
        return images, {str(address): str(what) for address, what in said.get("files", {}).items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Invalid(
            "invalid", f"{path} is no lock file ({error}): repair it, or remove it and run `pt lock`", reason="lock"
        ) from error
