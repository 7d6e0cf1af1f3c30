"""From the name of an image to its ware: a catalog's, else a locked one, else what a registry says now.

A catalog names an image by a module called as the repository is (``docker.io/library/postgres``), a release called as
the tag is, and in it the item ``image-ARCH`` (``image-amd64``) or ``image``, an ``oci`` ware.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warpforge.errors import PREFIX, Failed, Invalid, Missing, Unable, WarpforgeError
from warpforge.model.atoms import CatalogRef, WareId
from warpforge.polytope.containers.lockfile import LockFile

if TYPE_CHECKING:
    from warpforge.engine.engine import Engine
    from warpforge.mirror.reference import Reference


class ImageNames:
    """``lock``: the project's lock file. What a tag meant when it was asked for last is noted in the store, so that an
    image that is here needs no registry. The caller uses the store; ``need`` hears which wares. Several threads may ask
    at a time."""

    def __init__(
        self, engine: Engine, lock: LockFile, base: Path, need: Callable[[tuple[WareId]], None] | None = None
    ) -> None:
        self._engine = engine
        self._need = need or engine.store.need
        self._lock = lock
        self._looking = threading.Lock()  # held for catalogs and notes, never while something is brought
        self._base = base

    def find(self, text: str, *, update: bool = False) -> WareId:
        """The ware of an image. ``update``: ask the registry even for a tag that is known, unless it is locked.

        Errors: ``invalid-argument``, ``missing``, ``fetch``, ``ware-mismatch``, and others of ``Images.keep``.
        """
        from warpforge.engine.images import REGISTRY, parse_called
        from warpforge.mirror.reference import parse_reference

        called = parse_called(text, self._base)
        if called.kind != REGISTRY:
            return self._engine.images.keep(called, unpacked=True)[0]
        reference = parse_reference(called.what)
        known = self._in_catalog(reference) or self._locked(text, reference)
        if known is not None:
            return known
        if reference.digest:
            return self._keep(str(reference))
        noted = "" if update else self._noted(reference)
        if noted:
            return self._keep(f"{_named(reference)}@{noted}")
        return self._ask(reference)

    def lock(self, text: str, *, update: bool) -> bool:
        """Have the lock file say what an image means; whether that changes it. ``update``: also if it says already.

        Errors: as ``find``.
        """
        from warpforge.mirror.reference import parse_reference

        reference = parse_reference(text)
        if (named := self._catalogued(reference)) is not None:  # which need not be what its registry has
            return self._lock.put(text, f"sha256:{named.hash}", _platform(), named)
        found = self._lock.images.get(text)
        if found is not None and not update:
            digest = found.digest
            if _platform() in found.wares:
                return False
        else:
            digest = reference.digest or self._digest(reference)
        ware = self._name(f"{_named(reference)}@{digest}")
        return self._lock.put(text, digest, _platform(), ware)

    def pinned(self, text: str) -> WareId | None:
        """What a name is for ever: by its own digest, a catalog or the lock file, else None. Nothing is fetched.

        A digest that is an index's is given as it is. Errors: ``invalid-argument``, ``catalog-invalid``.
        """
        from warpforge.engine.images import REGISTRY, parse_called
        from warpforge.mirror.reference import parse_reference

        called = parse_called(text, self._base)
        if called.kind != REGISTRY:
            return None
        reference = parse_reference(called.what)
        if (named := self._catalogued(reference)) is not None:
            return named
        locked = self._lock.images.get(text)
        if locked is not None and _platform() in locked.wares:
            return locked.wares[_platform()]
        digest = locked.digest if locked is not None else reference.digest
        return WareId("oci", digest.removeprefix("sha256:")) if digest else None

    def call(self, text: str, ware: WareId) -> None:
        """A tag means this image, which is here, until its registry is asked. Errors: ``invalid-argument``."""
        from warpforge.mirror.reference import parse_reference

        self._note_tag(parse_reference(text), f"sha256:{ware.hash}")

    def _in_catalog(self, reference: Reference) -> WareId | None:
        ware = self._catalogued(reference)
        return None if ware is None else self._bring(ware, reference)

    def _catalogued(self, reference: Reference) -> WareId | None:
        from warpforge.pack.image import Platform

        if reference.digest:
            return None
        arch = str(Platform.here()).partition("/")[2]
        for item in (f"image-{arch}", "image"):
            try:
                ref = CatalogRef.parse(f"{reference.repository}:{reference.tag}:{item}")
            except WarpforgeError:
                return None  # such a name no module can have
            with self._looking:
                ware = self._engine.pinner.find(ref)
            if ware is not None and ware.packtype == "oci":
                return ware
        return None

    def _locked(self, text: str, reference: Reference) -> WareId | None:
        found = self._lock.images.get(text)
        if found is None:
            return None
        ware = found.wares.get(_platform())
        if ware is not None:
            return self._bring(ware, reference)
        return self._keep(f"{_named(reference)}@{found.digest}")

    def _bring(self, ware: WareId, reference: Reference) -> WareId:
        """Have a ware here: from what is known of it, else from the registry that its image is called by."""
        self._need((ware,))
        if not self._engine.supply.has(ware):
            try:
                with self._engine.store.turn(ware):
                    if not self._engine.supply.has(ware):
                        self._engine.supply.fetch(ware, unpacked=True)
            except Missing:
                self._keep(f"{_named(reference)}@sha256:{ware.hash}")
        return ware

    def _ask(self, reference: Reference) -> WareId:
        digest = self._digest(reference)
        ware = self._keep(f"{_named(reference)}@{digest}")
        self._note_tag(reference, digest)
        return ware

    def _note_tag(self, reference: Reference, digest: str) -> None:
        with self._looking:
            notes = self._notes()
            notes[str(reference)] = digest
            self._write_notes(notes)

    def _digest(self, reference: Reference) -> str:
        from warpforge.engine.images import REGISTRY, Called

        try:
            with self._engine.images.open(Called(REGISTRY, str(reference), "", None)) as source:
                return f"sha256:{hashlib.sha256(source.root()).hexdigest()}"
        except Unable as error:
            why = error.message.removeprefix(f"{reference.repository}: ")
            found = "its registry has no such image" if error.reason == "not-found" else why
            told = f"image {reference}: {found}"
            raise Unable("fetch", told, reason=error.reason or None, image=str(reference)) from error.__cause__

    def _keep(self, name: str) -> WareId:
        from warpforge.engine.images import REGISTRY, Called

        try:
            ware, _ = self._engine.images.keep(Called(REGISTRY, name, "", None), unpacked=True)
        except (Invalid, Failed) as error:  # of what its layers hold
            code, details = error.code.removeprefix(PREFIX), dict[str, Any](error.details)
            raise type(error)(code, f"image {name}: {error.message}", **details) from error.__cause__
        self._need((ware,))
        return ware

    def _name(self, name: str) -> WareId:
        from warpforge.engine.images import REGISTRY, Called

        return self._engine.images.name(Called(REGISTRY, name, "", None))

    def _noted(self, reference: Reference) -> str:
        digest = self._notes().get(str(reference), "")
        return str(digest)

    @property
    def _note(self) -> Path:
        return self._engine.store.internal / "polytope" / "tags.json"

    def _notes(self) -> dict[str, Any]:
        try:
            found = json.loads(self._note.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write_notes(self, notes: dict[str, Any]) -> None:
        from warpforge.fsx.atomic import make_dirs, write_atomic

        make_dirs(str(self._note.parent), 0o755, sync=False)
        text = json.dumps(dict(sorted(notes.items())), indent="\t") + "\n"
        write_atomic(str(self._note), text.encode(), staging=self._engine.store.staging.directory())


def _named(reference: Reference) -> str:
    """The repository, so that a name parses to it again."""
    return reference.repository.address


def _platform() -> str:
    from warpforge.pack.image import Platform

    return str(Platform.here())
